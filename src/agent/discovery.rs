//! Finding the conductor with multicast DNS, where the options ask for that
//! (contract/control-plane 1.6).

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use farrier_plugin::chain;
use tokio::time::sleep;
use tracing::{info, warn};
use url::Url;

use super::network;
use super::status::Status;
use crate::conductor::{Client, Endpoint, ServiceKind};
use crate::config::{Live, Options};
use crate::net::{address, mdns};
use crate::sys::log;

/// How long an attempt listens; the reference's library gives up after the same time.
const ATTEMPT: Duration = Duration::from_secs(3);

/// The pause after the first attempt; each further one is twice as long (contract/control-plane 1.6).
const PAUSE: Duration = Duration::from_millis(100);

/// The pause after a round of attempts that found nothing. The reference dies then and is started
/// again 30 s later; an agent that is up before its network finds it sooner this way.
const ROUND: Duration = Duration::from_secs(5);

/// What was found with multicast DNS, and may have to be looked for again: an announcement can be of a
/// conductor that has gone or is not up yet, or anybody's.
pub(super) struct Discovery<L = fn(ServiceKind, Arc<Options>, Arc<Status>) -> Looking> {
    live: Live,
    /// What came from announcements.
    found: Vec<ServiceKind>,
    /// One round of attempts.
    look: L,
}

/// What will be found.
pub(super) type Looking = Pin<Box<dyn Future<Output = Option<Endpoint>> + Send>>;

/// Looks for a service, one round of attempts.
pub(super) trait Look: Fn(ServiceKind, Arc<Options>, Arc<Status>) -> Looking {}

impl<F: Fn(ServiceKind, Arc<Options>, Arc<Status>) -> Looking> Look for F {}

impl<L: Look> Discovery<L> {
    #[cfg(test)]
    pub(super) fn by(live: &Live, found: Vec<ServiceKind>, look: L) -> Self {
        Self {
            live: live.clone(),
            found,
            look,
        }
    }

    /// Ask again, one round for each service that was found so, since what was announced has led
    /// nowhere. Where somebody announces another URL, it is taken; returned are the options that are in
    /// force then.
    pub(super) async fn again(
        &self,
        client: &Client,
        status: &Arc<Status>,
    ) -> Option<Arc<Options>> {
        if self.found.is_empty() {
            return None;
        }
        let mut endpoints = Vec::new();
        for &kind in &self.found {
            let endpoint = (self.look)(kind, self.live.current(), Arc::clone(status)).await;
            endpoints.extend(endpoint.map(|endpoint| (kind, endpoint)));
        }
        self.take(&endpoints, client, status)
    }

    fn take(
        &self,
        endpoints: &[(ServiceKind, Endpoint)],
        client: &Client,
        status: &Status,
    ) -> Option<Arc<Options>> {
        let before = self.live.current();
        for (kind, endpoint) in endpoints {
            adopt(*kind, endpoint, &self.live, status);
        }
        let options = self.live.current();
        if options.api_url != before.api_url
            && let [url] = &options.api_url[..]
            && let Err(error) = client.move_to(url)
        {
            status.error(&error);
        }
        let changed = options.api_url != before.api_url
            || options.inspection_callback_url != before.inspection_callback_url;
        changed.then_some(options)
    }
}

/// Replace `mdns` in the options by the URLs that are announced, together with the options that
/// come with them. Where it was asked for by name the agent has nothing else to do and looks until
/// it finds; `use_mdns` alone is worth one round.
pub(super) async fn complete(live: &Live, status: &Status) -> Discovery {
    let mut found = Vec::new();
    let options = live.current();
    if is_mdns(&options.api_url) {
        let endpoint = find(ServiceKind::Api, live, status).await;
        adopt(ServiceKind::Api, &endpoint, live, status);
        found.push(ServiceKind::Api);
    } else if options.api_url.is_empty() && options.use_mdns {
        // A single round before DHCP would find nobody.
        network::wait_for_address().await;
        match look(ServiceKind::Api, &options, status).await {
            Some(endpoint) => {
                adopt(ServiceKind::Api, &endpoint, live, status);
                found.push(ServiceKind::Api);
            }
            None => warn!("no conductor announces itself with multicast DNS"),
        }
    }
    // As it is now: an announcement of the API may have set it.
    if is_mdns(&live.current().inspection_callback_url) {
        let endpoint = find(ServiceKind::Inspection, live, status).await;
        adopt(ServiceKind::Inspection, &endpoint, live, status);
        found.push(ServiceKind::Inspection);
    }
    Discovery {
        live: live.clone(),
        found,
        look: one_round,
    }
}

/// The same for a stand-alone inspection (contract/control-plane 9.9): one round, for where its data goes and nothing else.
///
/// # Errors
/// What nobody announces.
pub(super) async fn complete_inspection(
    live: &Live,
    status: &Arc<Status>,
    look: impl Look,
) -> Result<(), ServiceKind> {
    let options = live.current();
    let callback = &options.inspection_callback_url;
    let kind = if is_mdns(callback) || (callback.is_empty() && options.use_mdns) {
        ServiceKind::Inspection
    } else if callback.is_empty() && is_mdns(&options.api_url) {
        ServiceKind::Api
    } else {
        return Ok(());
    };
    let endpoint = look(kind, options, Arc::clone(status)).await.ok_or(kind)?;
    adopt(kind, &endpoint, live, status);
    Ok(())
}

/// One round of attempts, as a [`Look`].
pub(super) fn one_round(kind: ServiceKind, options: Arc<Options>, status: Arc<Status>) -> Looking {
    Box::pin(async move { look(kind, &options, &status).await })
}

fn is_mdns(urls: &[String]) -> bool {
    matches!(urls, [only] if only == "mdns")
}

fn adopt(kind: ServiceKind, endpoint: &Endpoint, live: &Live, status: &Status) {
    info!(url = %endpoint.url, service = kind.name(), "the conductor announces itself");
    if kind == ServiceKind::Api {
        status.conductor(&endpoint.url);
    }
    live.change(|options| {
        endpoint.apply(options);
        match kind {
            ServiceKind::Api => options.api_url = vec![endpoint.url.to_string()],
            ServiceKind::Inspection => {
                options.inspection_callback_url = vec![inspection_url(&endpoint.url)];
            }
        }
    });
    // The only option that is in force before this.
    log::set_debug(live.current().debug);
}

/// Where the announced inspection service takes data.
fn inspection_url(root: &Url) -> String {
    format!("{}/v1/continue", root.as_str().trim_end_matches('/'))
}

/// Look until it is found.
async fn find(kind: ServiceKind, live: &Live, status: &Status) -> Endpoint {
    loop {
        if let Some(endpoint) = look(kind, &live.current(), status).await {
            return endpoint;
        }
        status.trouble(&format!(
            "nobody on this network announces {} with multicast DNS; trying again",
            kind.name()
        ));
        sleep(ROUND).await;
    }
}

/// One round of attempts.
async fn look(kind: ServiceKind, options: &Options, status: &Status) -> Option<Endpoint> {
    status.doing("looking for the conductor with multicast DNS");
    let mut pause = PAUSE;
    for _ in 0..options.mdns_lookup_attempts {
        match mdns::find(kind.name(), &options.mdns_interfaces, ATTEMPT).await {
            Ok(Some(service)) => {
                let has_route = |host| address::source_towards(host).is_some();
                match Endpoint::of(&service, has_route) {
                    Ok(endpoint) => return Some(endpoint),
                    Err(error) => status.trouble(&chain(&error)),
                }
            }
            Ok(None) => {}
            Err(error) => status.trouble(&chain(&error)),
        }
        sleep(pause).await;
        pause = (pause * 2).min(ROUND);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::mdns::Service;
    use crate::net::resolver::Resolver;

    #[test]
    fn only_mdns_alone_is_looked_for() {
        let urls = |texts: &[&str]| {
            texts
                .iter()
                .map(|&text| text.to_owned())
                .collect::<Vec<_>>()
        };
        assert!(is_mdns(&urls(&["mdns"])));
        assert!(!is_mdns(&urls(&["mdns", "http://h/"])));
        assert!(!is_mdns(&[]));
    }

    #[test]
    fn inspection_data_goes_below_the_announced_url() {
        let url = |text| inspection_url(&Url::parse(text).unwrap());
        assert_eq!(url("http://h:5050"), "http://h:5050/v1/continue");
        assert_eq!(url("https://h/base/"), "https://h/base/v1/continue");
    }

    #[test]
    fn what_is_announced_is_asked_and_inspected_for() {
        let pairs = [
            ("protocol", "http"),
            ("ipa_debug", "True"),
            (
                "ipa_inspection_callback_url",
                "http://192.0.2.1:6385/v1/continue_inspection",
            ),
        ];
        let service = Service {
            host: "baremetal._openstack._tcp.local.".to_owned(),
            port: 6385,
            addresses: vec!["192.0.2.1".parse().unwrap()],
            text: pairs
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .to_vec(),
        };
        let live = Live::new(Options::default());
        let endpoint = Endpoint::of(&service, |_| true).unwrap();
        adopt(ServiceKind::Api, &endpoint, &live, &Status::default());
        let options = live.current();
        let client = Client::new(&options, Resolver::default()).unwrap();
        assert_eq!(client.urls()[0].as_str(), "http://192.0.2.1:6385/");
        assert_eq!(
            crate::agent::inspection::urls(&options)[0].as_str(),
            "http://192.0.2.1:6385/v1/continue_inspection"
        );
        // Not among what may be set by default.
        assert!(!options.debug);
    }

    #[tokio::test(start_paused = true)]
    async fn without_mdns_nothing_is_changed_and_nobody_waits() {
        let options = Options {
            api_url: vec!["http://h/".to_owned()],
            use_mdns: true,
            ..Options::default()
        };
        let live = Live::new(options);
        let discovery = complete(&live, &Status::default()).await;
        assert_eq!(live.current().api_url, ["http://h/"]);
        // Nor later, when that leads nowhere.
        let client = Client::new(&live.current(), Resolver::default()).unwrap();
        assert!(discovery.again(&client, &Arc::default()).await.is_none());
        assert_eq!(client.urls()[0].as_str(), "http://h/");
    }
}
