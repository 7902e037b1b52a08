//! Inspection: whether it is wanted, where its data goes, what it tells the lookup
//! (contract/control-plane 9.1).

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;
use tracing::{info, warn};
use url::Url;

use super::collectors::Collected;
use super::status::Status;
use super::{network, state::StateFile};
use crate::conductor::{Client, ConductorError, InspectionOutcome};
use crate::config::Options;
use crate::hardware::Managers;
use crate::net::resolver::Resolver;
use crate::sys::log::chain;
use crate::sys::root::Root;

/// The pause between two rounds of tries; the reference's service manager takes as long to restart
/// it.
const ROUND: Duration = Duration::from_secs(30);

/// What came of an inspection, for the lookup.
#[derive(Debug, Default)]
pub(super) struct Inspected {
    /// The node that the conductor recognised.
    pub(super) node_uuid: Option<String>,
    /// Why a lookup may fail: no inspection was asked for, or it failed.
    pub(super) excuse: Option<String>,
}

/// Inspect and hand in the data, where that is wanted. Nothing that goes wrong here ends the agent:
/// it is told and the lookup follows.
pub(super) async fn inspect(
    managers: &Arc<Managers>,
    options: &Arc<Options>,
    client: &Client,
    resolver: &Resolver,
    state: &mut StateFile,
    root: &Path,
    status: &Status,
) -> Inspected {
    let urls = urls(options);
    if urls.is_empty() {
        return Inspected {
            node_uuid: None,
            excuse: Some("Inspection is disabled via configuration".to_owned()),
        };
    }
    if state.kept().inspected {
        info!("an agent before this one has handed in the inspection data");
        return Inspected {
            node_uuid: state.kept().inspected_node.clone(),
            excuse: None,
        };
    }
    status.doing("inspecting the hardware");
    network::wait_for_dhcp(
        root,
        options.boot_interface.as_deref(),
        options.inspection_dhcp_all_interfaces,
        Duration::from_secs(options.inspection_dhcp_wait_timeout),
    )
    .await;
    network::wait_for_route(&urls, resolver, status).await;
    let collected = {
        let (managers, options) = (Arc::clone(managers), Arc::clone(options));
        let root = Root::at(root);
        tokio::task::spawn_blocking(move || Collected::gather(&managers, &options, &root)).await
    };
    let collected = match collected {
        Ok(collected) => collected,
        Err(panic) => return failed(&format!("the collection ended in a panic: {panic}"), status),
    };
    let failures = collected.error();
    status.doing("handing in the inspection data");
    match hand_in(client, &urls, &collected.into_body(), options, status).await {
        Ok(outcome) => {
            state.change(|kept| {
                kept.inspected = true;
                // The conductor has refused data with failures in it, whatever it answers.
                kept.inspected_node = outcome.node_uuid.clone().filter(|_| failures.is_none());
            });
            match failures {
                None => Inspected {
                    node_uuid: outcome.node_uuid,
                    excuse: None,
                },
                Some(failures) => failed(&failures, status),
            }
        }
        Err(error) => failed(&chain(&error), status),
    }
}

/// Hand in the data. Where that fails for reasons that may pass, it is tried again, as the
/// reference comes to do by dying and being restarted: for as long as a lookup would be tried, and
/// without end by an agent that looks nothing up and is here for nothing else.
async fn hand_in(
    client: &Client,
    urls: &[Url],
    body: &[u8],
    options: &Options,
    status: &Status,
) -> Result<InspectionOutcome, ConductorError> {
    let started = Instant::now();
    loop {
        match client.post_inspection(urls, body).await {
            Err(error) if error.is_transient() && may_repeat(options, started.elapsed()) => {
                status.error(&error);
                sleep(ROUND).await;
            }
            result => return result,
        }
    }
}

/// Whether there is to be another round after so long.
fn may_repeat(options: &Options, elapsed: Duration) -> bool {
    options.api_url.is_empty() || elapsed + ROUND < Duration::from_secs(options.lookup_timeout)
}

fn failed(why: &str, status: &Status) -> Inspected {
    warn!(error = why, "the inspection failed");
    status.trouble(why);
    Inspected {
        node_uuid: None,
        excuse: Some(format!("Inspection has previously failed: {why}")),
    }
}

/// Where the data goes: the callback URLs as they are, or, where collectors are named, each
/// conductor's own place for it.
pub(super) fn urls(options: &Options) -> Vec<Url> {
    let texts: Vec<String> = if options.inspection_callback_url.is_empty() {
        match options.inspection_collectors.as_deref() {
            Some(names) if !names.is_empty() => options
                .api_url
                .iter()
                .map(|url| format!("{}/v1/continue_inspection", url.trim_end_matches('/')))
                .collect(),
            _ => Vec::new(),
        }
    } else {
        options.inspection_callback_url.clone()
    };
    texts
        .iter()
        .filter_map(|text| match Url::parse(text) {
            Ok(url) => Some(url),
            Err(_) => {
                // `mdns` is the only value that the options let through, and where it stands alone
                // it has been replaced by now.
                warn!(
                    url = text,
                    "mdns cannot be one URL among others and is ignored"
                );
                None
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_urls_are_the_contracts() {
        let mut options = Options {
            api_url: vec![
                "http://10.0.0.1:6385/".to_owned(),
                "https://h/base".to_owned(),
            ],
            ..Options::default()
        };
        assert!(urls(&options).is_empty());
        options.inspection_collectors = Some(String::new());
        assert!(urls(&options).is_empty());
        options.inspection_collectors = Some("default".to_owned());
        let texts =
            |options: &Options| urls(options).iter().map(Url::to_string).collect::<Vec<_>>();
        assert_eq!(
            texts(&options),
            [
                "http://10.0.0.1:6385/v1/continue_inspection",
                "https://h/base/v1/continue_inspection"
            ]
        );
        options.inspection_callback_url = vec!["http://x:1/v1/continue_inspection".to_owned()];
        assert_eq!(texts(&options), ["http://x:1/v1/continue_inspection"]);
        options.inspection_callback_url = vec!["mdns".to_owned()];
        assert!(texts(&options).is_empty());
    }

    #[test]
    fn an_agent_that_can_look_up_does_not_wait_for_ever() {
        let mut options = Options {
            api_url: vec!["http://10.0.0.1:6385".to_owned()],
            lookup_timeout: 300,
            ..Options::default()
        };
        let after = |seconds| Duration::from_secs(seconds);
        assert!(may_repeat(&options, after(28)));
        assert!(!may_repeat(&options, after(270)));
        options.api_url.clear();
        assert!(may_repeat(&options, after(1_000_000)));
    }
}
