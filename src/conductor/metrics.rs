//! What a lookup says about metrics (contract/control-plane 2.4, 10.5).

use serde_json::{Map, Value};

use crate::config::Options;

/// The backend that the conductor wants of its agents, `None` where it wants none: what one says whose operator has set
/// nothing is `noop`.
pub(super) fn backend(config: &Map<String, Value>) -> Option<&Value> {
    let backend = config.get("metrics")?.get("backend")?;
    Some(backend).filter(|backend| !backend.is_null() && *backend != "noop")
}

/// Switch on what `metrics` and `metrics_statsd` ask for, all of it or nothing. Only on: a conductor that asks for nothing
/// leaves what files say.
///
/// `None` where it makes no sense.
pub(super) fn apply(config: &Map<String, Value>, options: &mut Options) -> Option<()> {
    let metrics = config.get("metrics")?;
    metrics.as_object()?;
    let backend = match backend(config) {
        Some(backend) => backend.as_str()?,
        None => return Some(()),
    };
    match backend {
        "statsd" => {}
        // It keeps numbers that nobody can read, so it has no effect.
        "collector" => return Some(()),
        _ => return None,
    }
    let statsd = config.get("metrics_statsd").unwrap_or(&Value::Null);
    let usual = Options::default();
    let prepend_host = flag(metrics, "prepend_host", usual.metrics_prepend_host)?;
    let reverse = flag(
        metrics,
        "prepend_host_reverse",
        usual.metrics_prepend_host_reverse,
    )?;
    let prepend_uuid = flag(metrics, "prepend_uuid", usual.metrics_prepend_uuid)?;
    let global_prefix = match member(metrics, "global_prefix") {
        Some(prefix) => Some(prefix.as_str()?.to_owned()),
        None => None,
    };
    let host = match member(statsd, "statsd_host") {
        Some(host) => host.as_str().filter(|host| !host.is_empty())?.to_owned(),
        None => usual.statsd_host,
    };
    let port = match member(statsd, "statsd_port") {
        Some(port) => u16::try_from(port.as_u64()?).ok()?,
        None => usual.statsd_port,
    };
    backend.clone_into(&mut options.metrics_backend);
    options.metrics_prepend_host = prepend_host;
    options.metrics_prepend_host_reverse = reverse;
    options.metrics_prepend_uuid = prepend_uuid;
    options.metrics_global_prefix = global_prefix;
    options.statsd_host = host;
    options.statsd_port = port;
    Some(())
}

fn flag(of: &Value, name: &str, usual: bool) -> Option<bool> {
    member(of, name).map_or(Some(usual), Value::as_bool)
}

fn member<'v>(of: &'v Value, name: &str) -> Option<&'v Value> {
    of.get(name).filter(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn applied(config: Value, options: &mut Options) -> Option<()> {
        apply(config.as_object().unwrap(), options)
    }

    #[test]
    fn a_conductor_that_wants_statsd_says_all_of_it() {
        let mut options = Options::default();
        // As Ironic sends it whose operator has set agent_backend, agent_prepend_uuid and agent_statsd_host.
        let config = json!({
            "metrics": {
                "backend": "statsd", "prepend_host": false, "prepend_uuid": true,
                "prepend_host_reverse": true, "global_prefix": null
            },
            "metrics_statsd": {"statsd_host": "2001:db8::1", "statsd_port": 8126}
        });
        applied(config, &mut options).unwrap();
        assert_eq!(options.metrics_backend, "statsd");
        assert!(options.metrics_prepend_uuid && !options.metrics_prepend_host);
        assert_eq!(options.statsd_host, "2001:db8::1");
        assert_eq!(options.statsd_port, 8126);
        applied(json!({"metrics": {"backend": "statsd"}}), &mut options).unwrap();
        assert_eq!(
            (options.statsd_host.as_str(), options.statsd_port),
            ("localhost", 8125)
        );
    }

    #[test]
    fn one_that_wants_nothing_leaves_what_files_say() {
        for config in [
            json!({"metrics": {"backend": "noop", "global_prefix": "x"}}),
            json!({"metrics": {"backend": null}}),
            json!({"metrics": {}}),
            json!({"metrics": {"backend": "collector", "global_prefix": "x"}}),
        ] {
            let mut options = Options {
                metrics_backend: "statsd".to_owned(),
                metrics_global_prefix: Some("of-a-file".to_owned()),
                ..Options::default()
            };
            applied(config, &mut options).unwrap();
            assert_eq!(options.metrics_backend, "statsd");
            assert_eq!(options.metrics_global_prefix.as_deref(), Some("of-a-file"));
        }
    }

    #[test]
    fn what_makes_no_sense_switches_nothing_on() {
        for config in [
            json!({"metrics": "statsd"}),
            json!({"metrics": {"backend": true}}),
            json!({"metrics": {"backend": "graphite"}}),
            json!({"metrics": {"backend": "statsd", "prepend_uuid": "yes"}}),
            json!({"metrics": {"backend": "statsd", "global_prefix": 7}}),
            json!({"metrics": {"backend": "statsd"}, "metrics_statsd": {"statsd_port": 65536}}),
            json!({"metrics": {"backend": "statsd"}, "metrics_statsd": {"statsd_host": ""}}),
        ] {
            let mut options = Options::default();
            assert_eq!(applied(config.clone(), &mut options), None, "{config}");
            assert_eq!(options.metrics_backend, "noop");
        }
    }
}
