//! What a lookup answers, and what of it changes the agent (contract/control-plane 2.3, 2.4).

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use farrier_plugin::Node;
use serde_json::{Map, Value, json};
use tracing::{info, warn};

use super::metrics;
use super::step_under_way::{self, StepUnderWay};
use crate::config::{Options, TlsVersion};

/// A token from the conductor has so many characters. Conductors give 43; every line of the log is
/// searched for it.
const TOKEN_LENGTHS: RangeInclusive<usize> = 32..=4096;

/// Bounds of `heartbeat_timeout`. A shorter one would keep both sides busy with nothing else; a longer
/// one would have a conductor that was restarted wait for days.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(86_400);

/// Ironic's default.
const USUAL: Duration = Duration::from_secs(300);

/// Characters of a senseless value that are shown.
const VALUE_SHOWN: usize = 100;

/// What stands for a token that was handed out before.
const MASKED: &str = "******";

/// The members of `config` that conductors up to Ironic 39 send.
const KNOWN: [&str; 13] = [
    "agent_containers",
    "agent_md5_checksum_enable",
    "agent_skip_bmc_detect",
    "agent_token",
    // Always true.
    "agent_token_required",
    "disable_deep_image_inspection",
    "enable_bios_bootloader_install",
    "heartbeat_timeout",
    "metrics",
    "metrics_statsd",
    "permitted_image_formats",
    "tls_cipher_suites",
    "tls_min_version",
];

/// Where a conductor says that the steps of containers are described, unless its operator names
/// another file.
const STEPS_FILE: &str = "/etc/ironic-python-agent.d/mysteps.yaml";

/// A lookup that found the node.
#[derive(Clone)]
pub struct LookupAnswer {
    /// The node: `uuid`, `properties`, `instance_info`, `driver_internal_info`.
    pub node: Node,
    /// The node's UUID.
    pub uuid: String,
    /// What the conductor wants of its agents.
    pub config: ConductorConfig,
}

/// The member `config` of the answer.
#[derive(Clone, Default)]
pub struct ConductorConfig(Map<String, Value>);

/// What the answer says about the token.
#[derive(Clone, Eq, PartialEq)]
pub enum TokenAnswer {
    /// Nothing, or something too short to be one.
    Absent,
    /// One was given out before; who has it keeps it, who has none cannot work.
    GivenBefore,
    /// This is the token now.
    New(String),
}

/// Without what it says: among that is the token.
impl fmt::Debug for LookupAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LookupAnswer")
            .field("uuid", &self.uuid)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ConductorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl fmt::Debug for TokenAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "Absent",
            Self::GivenBefore => "GivenBefore",
            Self::New(_) => "New(***)",
        })
    }
}

impl LookupAnswer {
    /// Read an answer's JSON. The error says what is missing.
    pub(super) fn read(answer: Value) -> Result<Self, String> {
        let Value::Object(mut answer) = answer else {
            return Err("no JSON object".to_owned());
        };
        let Some(Value::Object(node)) = answer.remove("node") else {
            return Err("no node".to_owned());
        };
        let uuid = match node.get("uuid") {
            Some(Value::String(uuid)) if is_uuid(uuid) => uuid.clone(),
            _ => return Err("a node without a UUID".to_owned()),
        };
        let config = match answer.remove("config") {
            Some(Value::Object(config)) => config,
            // Conductors before 2017 put the one value beside the node.
            _ => answer
                .remove_entry("heartbeat_timeout")
                .into_iter()
                .collect(),
        };
        Ok(Self {
            node: Node(node),
            uuid,
            config: ConductorConfig(config),
        })
    }

    /// Whether this is the answer about the node with this UUID, however that is written.
    pub fn is_about(&self, uuid: &str) -> bool {
        match (
            uuid::Uuid::try_parse(&self.uuid),
            uuid::Uuid::try_parse(uuid),
        ) {
            (Ok(answered), Ok(asked)) => answered == asked,
            _ => self.uuid == uuid,
        }
    }

    /// The step that the conductor waits for, should this be the first word of an agent that has
    /// run nothing.
    pub fn step_under_way(&self) -> StepUnderWay {
        step_under_way::read(&self.node)
    }
}

impl ConductorConfig {
    /// How long an agent may be silent before the conductor takes it for dead, from a second to a day.
    ///
    /// A value that is none or senseless is replaced, and [`Self::trouble`] says by what. To refuse the
    /// answer was rejected: the token in it is not given out a second time.
    pub fn heartbeat_timeout(&self) -> Duration {
        self.said_timeout()
            .filter(|seconds| *seconds > 0.0)
            .and_then(|seconds| {
                Duration::try_from_secs_f64(seconds.min(LONGEST.as_secs_f64())).ok()
            })
            .map_or(USUAL, |timeout| timeout.clamp(SHORTEST, LONGEST))
    }

    fn said_timeout(&self) -> Option<f64> {
        self.0.get("heartbeat_timeout").and_then(Value::as_f64)
    }

    /// What is said about the token.
    pub fn token(&self) -> TokenAnswer {
        match self.0.get("agent_token").and_then(Value::as_str) {
            Some(MASKED) => TokenAnswer::GivenBefore,
            Some(token) if TOKEN_LENGTHS.contains(&token.chars().count()) => {
                TokenAnswer::New(token.to_owned())
            }
            _ => TokenAnswer::Absent,
        }
    }

    /// What in the answer keeps the agent from working as the conductor meant it, in words for the
    /// person at the console.
    pub fn trouble(&self) -> Vec<String> {
        let mut found = Vec::new();
        let timeout = self.heartbeat_timeout();
        if self.said_timeout() != Some(timeout.as_secs_f64()) {
            let said = match self.0.get("heartbeat_timeout") {
                Some(said) => excerpt(&said.to_string()),
                None => "nothing".to_owned(),
            };
            found.push(format!(
                "the conductor says {said} for heartbeat_timeout, which should be seconds, from {} to {}; \
                 {} s are taken. See [api]ramdisk_heartbeat_timeout of its configuration",
                SHORTEST.as_secs(),
                LONGEST.as_secs(),
                timeout.as_secs()
            ));
        }
        found
    }

    /// Change the options that the conductor decides. What makes no sense, and what has no effect
    /// here, is told and left.
    pub fn apply(&self, options: &mut Options) {
        self.boolean("agent_md5_checksum_enable", &mut options.md5_enabled);
        self.boolean("agent_skip_bmc_detect", &mut options.skip_bmc_detect);
        self.boolean(
            "disable_deep_image_inspection",
            &mut options.disable_deep_image_inspection,
        );
        // Only switched on: a conductor that does not know the option says nothing or false.
        let mut enabled = false;
        self.boolean("enable_bios_bootloader_install", &mut enabled);
        options.enable_bios_bootloader_install |= enabled;
        self.set("permitted_image_formats", |value| {
            options.permitted_image_formats = value
                .as_array()?
                .iter()
                .map(|format| format.as_str().map(str::to_owned))
                .collect::<Option<_>>()?;
            Some(())
        });
        self.set("tls_min_version", |value| {
            options.tls_min_version = TlsVersion::named(value.as_str()?)?;
            Some(())
        });
        self.set("tls_cipher_suites", |value| {
            let suites = value.as_str()?;
            if !suites.is_empty() {
                options.tls_cipher_suites = Some(suites.to_owned());
            }
            Some(())
        });
        self.set("metrics", |_| metrics::apply(&self.0, options));
        for what in self.without_effect() {
            warn!("the conductor's setting has no effect: {what}");
        }
        info!(
            heartbeat_timeout = self.heartbeat_timeout().as_secs_f64(),
            tls_min_version = ?options.tls_min_version,
            md5_enabled = options.md5_enabled,
            permitted_image_formats = options.permitted_image_formats.join(","),
            skip_bmc_detect = options.skip_bmc_detect,
            "the conductor's settings are in force"
        );
    }

    /// What the conductor asks for and this agent does not do, each with its name. Every conductor
    /// sends all settings; those that ask for nothing are none of these.
    fn without_effect(&self) -> Vec<String> {
        let mut found = Vec::new();
        if metrics::backend(&self.0).is_some_and(|backend| backend == "collector") {
            found.push("metrics (backend collector); nobody can read what that keeps".to_owned());
        }
        if let Some(containers) = self.0.get("agent_containers") {
            let asks = |name: &str, nothing: &[Value]| {
                let value = containers.get(name).unwrap_or(&Value::Null);
                !value.is_null() && !nothing.contains(value)
            };
            let asked: Vec<_> = [
                ("allow_arbitrary_containers", vec![json!(false)]),
                ("allowed_containers", vec![json!([])]),
                ("container_steps_file", vec![json!(""), json!(STEPS_FILE)]),
            ]
            .into_iter()
            .filter(|(name, nothing)| asks(name, nothing))
            .map(|(name, _)| name)
            .collect();
            if !asked.is_empty() {
                found.push(format!(
                    "agent_containers ({}); this agent runs no containers and offers no \
                     generic_container_step",
                    asked.join(", ")
                ));
            }
        }
        let unknown = self.0.keys().filter(|name| !KNOWN.contains(&name.as_str()));
        found.extend(unknown.map(|name| format!("{name}; this agent does not know it")));
        found
    }

    fn boolean(&self, name: &str, option: &mut bool) {
        self.set(name, |value| {
            *option = value.as_bool()?;
            Some(())
        });
    }

    /// Have a setting read, where there is one that is not null; `None` from `read` says that it makes
    /// no sense.
    fn set(&self, name: &str, read: impl FnOnce(&Value) -> Option<()>) {
        if let Some(value) = self.0.get(name).filter(|value| !value.is_null())
            && read(value).is_none()
        {
            let value = excerpt(&value.to_string());
            warn!(
                name,
                value, "the conductor's setting makes no sense and is left out"
            );
        }
    }
}

fn excerpt(text: &str) -> String {
    text.chars().take(VALUE_SHOWN).collect()
}

/// The UUID goes into URLs, so its form is checked.
pub(super) fn is_uuid(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conductor::fake::TOKEN;

    /// The lookup of tests/fixtures/transcripts/deploy-raw-tls-agent-to-ironic-only.jsonl, cut down.
    fn recorded() -> Value {
        json!({
            "node": {
                "uuid": "2564c0a3-dd23-551f-a25c-1af767f45a81",
                "properties": {"cpu_arch": "x86_64", "capabilities": "boot_mode:bios"},
                "instance_info": {"image_disk_format": "raw", "image_url": "******"},
                "driver_internal_info": {"agent_secret_token": "******"},
                "links": []
            },
            "config": {
                "metrics": {"backend": "noop"},
                "heartbeat_timeout": 60,
                "agent_token": TOKEN,
                "agent_token_required": true,
                "agent_md5_checksum_enable": true,
                "disable_deep_image_inspection": false,
                "permitted_image_formats": ["raw", "gpt", "qcow2", "iso"],
                "agent_skip_bmc_detect": true,
                "enable_bios_bootloader_install": false,
                "tls_min_version": "1.3",
                "tls_cipher_suites": null
            }
        })
    }

    #[test]
    fn a_recorded_answer_is_applied() {
        let answer = LookupAnswer::read(recorded()).unwrap();
        assert_eq!(answer.uuid, "2564c0a3-dd23-551f-a25c-1af767f45a81");
        assert_eq!(answer.config.heartbeat_timeout(), Duration::from_secs(60));
        assert!(answer.config.trouble().is_empty());
        assert_eq!(answer.config.token(), TokenAnswer::New(TOKEN.to_owned()));
        let mut options = Options::default();
        answer.config.apply(&mut options);
        assert!(options.md5_enabled && options.skip_bmc_detect);
        assert_eq!(options.permitted_image_formats.len(), 4);
        assert_eq!(options.tls_min_version, TlsVersion::Tls13);
        assert_eq!(options.tls_cipher_suites, None);
    }

    /// Ironic 21.4 and older have no switch for MD5.
    #[test]
    fn what_an_older_conductor_does_not_speak_of_stays_as_it_is() {
        let mut answer = recorded();
        let config = answer["config"].as_object_mut().unwrap();
        config.retain(|name, _| name.starts_with("agent_token") || name == "heartbeat_timeout");
        for md5_enabled in [false, true] {
            let mut options = Options {
                md5_enabled,
                ..Options::default()
            };
            LookupAnswer::read(answer.clone())
                .unwrap()
                .config
                .apply(&mut options);
            assert_eq!(options.md5_enabled, md5_enabled);
            assert!(!options.skip_bmc_detect && !options.enable_bios_bootloader_install);
            assert_eq!(options.permitted_image_formats.len(), 3);
            assert_eq!(options.tls_min_version, TlsVersion::Tls12);
        }
    }

    #[test]
    fn a_dump_shows_no_token() {
        let answer = LookupAnswer::read(recorded()).unwrap();
        let dump = format!("{answer:?} {:?}", answer.config.token());
        assert!(!dump.contains(&TOKEN[..12]), "{dump}");
        assert!(
            dump.contains("New(***)") && dump.contains("heartbeat_timeout"),
            "{dump}"
        );
    }

    #[test]
    fn tokens_are_told_apart() {
        let token = |value: Value| {
            let mut answer = recorded();
            answer["config"]["agent_token"] = value;
            LookupAnswer::read(answer).unwrap().config.token()
        };
        assert_eq!(token(json!("******")), TokenAnswer::GivenBefore);
        assert_eq!(token(json!("short")), TokenAnswer::Absent);
        assert_eq!(token(json!(null)), TokenAnswer::Absent);
        let token32 = "x".repeat(32);
        assert_eq!(token(json!(token32)), TokenAnswer::New(token32.clone()));
    }

    #[test]
    fn the_old_form_is_understood() {
        let mut answer = recorded();
        answer.as_object_mut().unwrap().remove("config");
        answer["heartbeat_timeout"] = json!(300);
        let answer = LookupAnswer::read(answer).unwrap();
        assert_eq!(answer.config.heartbeat_timeout(), Duration::from_secs(300));
        assert!(answer.config.trouble().is_empty());
        assert_eq!(answer.config.token(), TokenAnswer::Absent);
    }

    #[test]
    fn what_is_missing_is_named() {
        for (pointer, reason) in [
            ("/node", "no node"),
            ("/node/uuid", "a node without a UUID"),
        ] {
            let mut answer = recorded();
            *answer.pointer_mut(pointer).unwrap() = Value::Null;
            assert_eq!(LookupAnswer::read(answer).unwrap_err(), reason);
        }
        let mut answer = recorded();
        answer["node"]["uuid"] = json!("../../v1/nodes");
        LookupAnswer::read(answer).unwrap_err();
    }

    #[test]
    fn a_heartbeat_timeout_is_a_second_to_a_day_and_anything_else_is_told() {
        for (said, seconds, told) in [
            (json!(1), 1.0, false),
            (json!(1.5), 1.5, false),
            (json!(86_400), 86_400.0, false),
            (json!(0), 300.0, true),
            (json!(-60), 300.0, true),
            (json!(1e-9), 1.0, true),
            (json!(f64::MIN_POSITIVE), 1.0, true),
            (json!(86_401), 86_400.0, true),
            (json!(1e300), 86_400.0, true),
            (json!(u64::MAX), 86_400.0, true),
            (json!(i64::MIN), 300.0, true),
            (json!("60"), 300.0, true),
            (json!("never"), 300.0, true),
            (json!(true), 300.0, true),
            (json!([60]), 300.0, true),
            (json!({"seconds": 60}), 300.0, true),
            (json!(null), 300.0, true),
        ] {
            let mut answer = recorded();
            answer["config"]["heartbeat_timeout"] = said.clone();
            let config = LookupAnswer::read(answer).unwrap().config;
            assert_eq!(config.heartbeat_timeout().as_secs_f64(), seconds, "{said}");
            let trouble = config.trouble().join("\n");
            assert_eq!(
                trouble.contains(&format!("says {said} for")),
                told,
                "{trouble}"
            );
        }
    }

    #[test]
    fn a_uuid_is_the_same_in_any_form() {
        let answer = LookupAnswer::read(recorded()).unwrap();
        for same in [
            "2564c0a3-dd23-551f-a25c-1af767f45a81",
            "2564C0A3-DD23-551F-A25C-1AF767F45A81",
            "2564c0a3dd23551fa25c1af767f45a81",
        ] {
            assert!(answer.is_about(same), "{same}");
        }
        assert!(!answer.is_about("2564c0a3-dd23-551f-a25c-1af767f45a82"));
        assert!(!answer.is_about(""));
    }

    #[test]
    fn senseless_settings_change_nothing() {
        let mut answer = recorded();
        answer["config"]["tls_min_version"] = json!("0.9");
        answer["config"]["permitted_image_formats"] = json!("raw");
        answer["config"]["agent_md5_checksum_enable"] = json!("yes");
        answer["config"]["agent_skip_bmc_detect"] = json!("yes");
        answer["config"]["enable_bios_bootloader_install"] = json!(1);
        answer["config"]["tls_cipher_suites"] = json!(["ECDHE-ECDSA-AES128-GCM-SHA256"]);
        let mut options = Options::default();
        LookupAnswer::read(answer)
            .unwrap()
            .config
            .apply(&mut options);
        assert_eq!(options.tls_min_version, TlsVersion::Tls12);
        assert!(!options.md5_enabled && !options.skip_bmc_detect);
        assert!(!options.enable_bios_bootloader_install);
        assert_eq!(options.tls_cipher_suites, None);
        assert_eq!(options.permitted_image_formats.len(), 3);
    }

    #[test]
    fn what_is_asked_for_and_not_done_is_named() {
        let without_effect = |settings: Value| {
            let mut answer = recorded();
            let config = answer["config"].as_object_mut().unwrap();
            config.append(&mut settings.as_object().unwrap().clone());
            let config = LookupAnswer::read(answer).unwrap().config;
            config.without_effect().join("\n")
        };
        // As a conductor sends it whose operator has set nothing.
        assert_eq!(
            without_effect(json!({
                "metrics": {"backend": "noop", "prepend_host": false, "global_prefix": null},
                "metrics_statsd": {"statsd_host": "localhost", "statsd_port": 8125},
                "agent_containers": {
                    "allow_arbitrary_containers": false, "allowed_containers": [],
                    "container_steps_file": "/etc/ironic-python-agent.d/mysteps.yaml",
                    "runner": "podman", "pull_options": [], "run_options": ["--rm"]
                }
            })),
            ""
        );
        for (settings, name) in [
            (json!({"metrics": {"backend": "collector"}}), "metrics"),
            (
                json!({"agent_containers": {"allow_arbitrary_containers": true}}),
                "agent_containers (allow_arbitrary_containers)",
            ),
            (
                json!({"agent_containers": {
                    "allowed_containers": ["docker://h/c"], "container_steps_file": "/etc/s.yaml"
                }}),
                "agent_containers (allowed_containers, container_steps_file)",
            ),
            (json!({"agent_colour": "blue"}), "agent_colour;"),
        ] {
            let text = without_effect(settings);
            assert!(
                text.starts_with(name) && text.lines().count() == 1,
                "{text}"
            );
        }
    }
}
