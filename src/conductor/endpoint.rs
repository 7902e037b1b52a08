//! The conductor's URL out of what it announces with multicast DNS (contract/control-plane 1.6).

use std::net::IpAddr;

use tracing::warn;
use url::Url;

use crate::config::{self, Options};
use crate::net::mdns::Service;
use crate::sys::log;

/// What is looked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ServiceKind {
    /// The conductor's API.
    Api,
    /// Where inspection data goes.
    Inspection,
}

impl ServiceKind {
    /// The full name, type and instance at once, as OpenStack's services announce themselves.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Api => "baremetal._openstack._tcp.local.",
            Self::Inspection => "baremetal-introspection._openstack._tcp.local.",
        }
    }
}

/// Why an announced service is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndpointError {
    /// None of its addresses is one that a URL can have.
    #[error("The announced service has no address to call: {announced}")]
    NoAddress {
        /// What was announced.
        announced: String,
    },
    /// Its parts make no URL.
    #[error("What was announced makes no URL of a conductor: {url}")]
    Url {
        /// The parts, put together.
        url: String,
    },
}

/// What an announcement says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Endpoint {
    /// The root URL.
    pub url: Url,
    /// The rest of the TXT record: options to set, with the prefix `ipa_`.
    parameters: Vec<(String, String)>,
}

impl Endpoint {
    /// The URL of a service. `has_route` says whether the kernel knows a way to an address: the
    /// first one with a way counts, or the first of all.
    ///
    /// # Errors
    /// If there is no address, or the announced parts make no URL.
    pub(crate) fn of(
        service: &Service,
        has_route: impl Fn(IpAddr) -> bool,
    ) -> Result<Self, EndpointError> {
        let mut scheme = if service.port == 80 { "http" } else { "https" };
        let mut path = "";
        let mut parameters = Vec::new();
        for (key, value) in &service.text {
            match key.as_str() {
                "protocol" if !value.is_empty() => scheme = value,
                "protocol" => {}
                "path" => path = value,
                _ => parameters.push((key.clone(), value.clone())),
            }
        }
        let host = host(service, has_route)?;
        let text = format!("{scheme}://{host}:{}{path}", service.port);
        Url::parse(&text)
            .ok()
            // A host or path with an @ or ? in it would lead elsewhere than the record says.
            .filter(|url| {
                matches!(url.scheme(), "http" | "https")
                    && url.port_or_known_default() == Some(service.port)
                    && url.username().is_empty()
                    && url.query().is_none()
                    && (path.is_empty() || path.starts_with('/'))
            })
            .map(|url| Self { url, parameters })
            .ok_or(EndpointError::Url { url: text })
    }

    /// Put the announced options in force that may be set this way; the others are told and left.
    /// Anybody on the network can answer, so what may be set is little by default.
    pub(crate) fn apply(&self, options: &mut Options) {
        for (key, value) in &self.parameters {
            let Some(name) = key.strip_prefix("ipa_") else {
                warn!(
                    key,
                    "an announced parameter is not named ipa_… and is ignored"
                );
                continue;
            };
            if !options
                .mdns_allowed_overrides
                .iter()
                .any(|allowed| allowed == name)
            {
                warn!(
                    option = name,
                    "an announcement may not set this option; [mdns] allowed_overrides lists those"
                );
                continue;
            }
            if config::secret_names().any(|secret| secret == name) {
                log::hide(value);
            }
            if let Err(reason) = options.set(name, value) {
                warn!(option = name, reason, "an announced option is ignored");
            }
        }
    }
}

/// The host as it stands in a URL: a name that ends in `.local.` stands for an address that other
/// name servers do not know, any other name is for them.
fn host(service: &Service, has_route: impl Fn(IpAddr) -> bool) -> Result<String, EndpointError> {
    if !service.host.ends_with(".local.") {
        return Ok(service.host.trim_end_matches('.').to_owned());
    }
    // A link-local IPv6 address means nothing without an interface, which a URL does not name.
    let usable = || {
        service
            .addresses
            .iter()
            .copied()
            .filter(|address| match address {
                IpAddr::V4(v4) => !v4.is_loopback(),
                IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local(),
            })
    };
    let chosen = usable()
        .find(|address| has_route(*address))
        .or_else(|| usable().next())
        .ok_or_else(|| EndpointError::NoAddress {
            announced: format!("{} {:?}", service.host, service.addresses),
        })?;
    Ok(match chosen {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(host: &str, port: u16, addresses: &[&str], text: &[(&str, &str)]) -> Service {
        Service {
            host: host.to_owned(),
            port,
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
            text: text
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    fn url(service: &Service) -> Result<String, String> {
        Endpoint::of(service, |address| {
            address.to_string().starts_with("192.0.2.")
        })
        .map(|endpoint| endpoint.url.to_string())
        .map_err(|error| error.to_string())
    }

    #[test]
    fn the_url_is_put_together_as_the_contract_says() {
        let local = "baremetal._openstack._tcp.local.";
        for (host, port, addresses, text, expected) in [
            (
                local,
                6385,
                &["127.0.0.1", "198.51.100.1", "192.0.2.1"][..],
                &[][..],
                "https://192.0.2.1:6385/",
            ),
            (
                local,
                6385,
                &["198.51.100.1"],
                &[("protocol", "http")],
                "http://198.51.100.1:6385/",
            ),
            (
                local,
                80,
                &["192.0.2.1"],
                &[("path", "/baremetal")],
                "http://192.0.2.1/baremetal",
            ),
            (
                local,
                443,
                &["fe80::1", "fd00::1"],
                &[("protocol", "")],
                "https://[fd00::1]/",
            ),
            (
                "ironic.example.com.",
                443,
                &[],
                &[("path", "")],
                "https://ironic.example.com/",
            ),
        ] {
            assert_eq!(
                url(&service(host, port, addresses, text)).unwrap(),
                expected
            );
        }
    }

    #[test]
    fn what_makes_no_url_is_refused() {
        let local = "x.local.";
        for (host, addresses, text) in [
            (local, &["127.0.0.1", "fe80::1"][..], &[][..]),
            (local, &[], &[]),
            (local, &["192.0.2.1"], &[("protocol", "file")]),
            (local, &["192.0.2.1"], &[("path", "@evil.example/")]),
            (local, &["192.0.2.1"], &[("path", "/v1?token=1")]),
            ("a@b.example.", &[], &[]),
            (".", &[], &[]),
        ] {
            let service = service(host, 6385, addresses, text);
            assert!(url(&service).is_err(), "{service:?}");
        }
    }

    #[test]
    fn only_allowed_options_are_set() {
        let announced = service(
            "h.example.",
            443,
            &[],
            &[
                ("ipa_ntp_server", "192.0.2.9"),
                ("ipa_insecure", "true"),
                ("ipa_inspection_callback_url", "nonsense"),
                ("colour", "blue"),
            ],
        );
        let mut options = Options::default();
        Endpoint::of(&announced, |_| true)
            .unwrap()
            .apply(&mut options);
        assert_eq!(options.ntp_server.as_deref(), Some("192.0.2.9"));
        assert!(!options.insecure);
        assert!(options.inspection_callback_url.is_empty());
    }
}
