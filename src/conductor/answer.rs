//! What a lookup answers, and what of it changes the agent (contract/control-plane 2.3, 2.4).

use farrier_plugin::Node;
use serde_json::{Map, Value};
use tracing::{info, warn};

use super::step_under_way::{self, StepUnderWay};
use crate::config::{Options, TlsVersion};

/// A token from the conductor has at least this many characters.
const TOKEN_LENGTH: usize = 32;

/// What stands for a token that was handed out before.
const MASKED: &str = "******";

/// A lookup that found the node.
#[derive(Clone, Debug)]
pub struct LookupAnswer {
    /// The node: `uuid`, `properties`, `instance_info`, `driver_internal_info`.
    pub node: Node,
    /// The node's UUID.
    pub uuid: String,
    /// What the conductor wants of its agents.
    pub config: ConductorConfig,
}

/// The member `config` of the answer.
#[derive(Clone, Debug, Default)]
pub struct ConductorConfig(Map<String, Value>);

/// What the answer says about the token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TokenAnswer {
    /// Nothing, or something too short to be one.
    Absent,
    /// One was given out before; who has it keeps it, who has none cannot work.
    GivenBefore,
    /// This is the token now.
    New(String),
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
        let config = ConductorConfig(config);
        if config.heartbeat_timeout().is_none() {
            return Err("no config.heartbeat_timeout".to_owned());
        }
        Ok(Self {
            node: Node(node),
            uuid,
            config,
        })
    }

    /// The step that the conductor waits for, should this be the first word of an agent that has
    /// run nothing.
    pub fn step_under_way(&self) -> StepUnderWay {
        step_under_way::read(&self.node)
    }
}

impl ConductorConfig {
    /// Seconds after which the conductor takes a silent agent for dead.
    pub fn heartbeat_timeout(&self) -> Option<f64> {
        self.0
            .get("heartbeat_timeout")
            .and_then(Value::as_f64)
            .filter(|seconds| seconds.is_finite() && *seconds > 0.0)
    }

    /// What is said about the token.
    pub fn token(&self) -> TokenAnswer {
        match self.0.get("agent_token").and_then(Value::as_str) {
            Some(MASKED) => TokenAnswer::GivenBefore,
            Some(token) if token.chars().count() >= TOKEN_LENGTH => {
                TokenAnswer::New(token.to_owned())
            }
            _ => TokenAnswer::Absent,
        }
    }

    /// Whether the conductor knows the management controller, so that the inventory need not.
    pub fn skip_bmc_detect(&self) -> bool {
        self.0
            .get("agent_skip_bmc_detect")
            .is_some_and(|value| value == &Value::Bool(true))
    }

    /// Change the options that the conductor decides. What makes no sense is told and left.
    ///
    /// `metrics` and `agent_containers` belong to parts of the reference that are not offered here.
    pub fn apply(&self, options: &mut Options) {
        self.boolean("agent_md5_checksum_enable", &mut options.md5_enabled);
        self.boolean(
            "disable_deep_image_inspection",
            &mut options.disable_deep_image_inspection,
        );
        // Only switched on: a conductor that does not know the option says nothing or false.
        if self.0.get("enable_bios_bootloader_install") == Some(&Value::Bool(true)) {
            options.enable_bios_bootloader_install = true;
        }
        match self.0.get("permitted_image_formats") {
            None | Some(Value::Null) => {}
            Some(Value::Array(formats)) if formats.iter().all(Value::is_string) => {
                options.permitted_image_formats = formats
                    .iter()
                    .filter_map(|format| format.as_str().map(str::to_owned))
                    .collect();
            }
            Some(other) => ignored("permitted_image_formats", other),
        }
        match self.0.get("tls_min_version") {
            None | Some(Value::Null) => {}
            Some(value) => match value.as_str().and_then(TlsVersion::named) {
                Some(version) => options.tls_min_version = version,
                None => ignored("tls_min_version", value),
            },
        }
        if let Some(suites) = self.0.get("tls_cipher_suites").and_then(Value::as_str)
            && !suites.is_empty()
        {
            options.tls_cipher_suites = Some(suites.to_owned());
        }
        info!(
            heartbeat_timeout = self.heartbeat_timeout(),
            tls_min_version = ?options.tls_min_version,
            md5_enabled = options.md5_enabled,
            permitted_image_formats = options.permitted_image_formats.join(","),
            "the conductor's settings are in force"
        );
    }

    fn boolean(&self, name: &str, option: &mut bool) {
        match self.0.get(name) {
            None | Some(Value::Null) => {}
            Some(Value::Bool(value)) => *option = *value,
            Some(other) => ignored(name, other),
        }
    }
}

fn ignored(name: &str, value: &Value) {
    warn!(name, %value, "the conductor's setting makes no sense and is left out");
}

/// The UUID goes into URLs, so its form is checked.
fn is_uuid(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The lookup of `deploy-raw-tls-agent-to-ironic-only.jsonl`, steps left out.
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
                "agent_token": "cfCpmNi_3Kw3_Gwps1BO22NjqEzeFTPx7YYb0z_PycA",
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
        assert_eq!(answer.config.heartbeat_timeout(), Some(60.0));
        assert!(answer.config.skip_bmc_detect());
        assert_eq!(
            answer.config.token(),
            TokenAnswer::New("cfCpmNi_3Kw3_Gwps1BO22NjqEzeFTPx7YYb0z_PycA".to_owned())
        );
        let mut options = Options::default();
        answer.config.apply(&mut options);
        assert!(options.md5_enabled);
        assert_eq!(options.permitted_image_formats.len(), 4);
        assert_eq!(options.tls_min_version, TlsVersion::Tls13);
        assert_eq!(options.tls_cipher_suites, None);
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
        assert_eq!(answer.config.heartbeat_timeout(), Some(300.0));
        assert_eq!(answer.config.token(), TokenAnswer::Absent);
    }

    #[test]
    fn what_is_missing_is_named() {
        for (pointer, reason) in [
            ("/node", "no node"),
            ("/node/uuid", "a node without a UUID"),
            ("/config/heartbeat_timeout", "no config.heartbeat_timeout"),
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
    fn senseless_settings_change_nothing() {
        let mut answer = recorded();
        answer["config"]["tls_min_version"] = json!("0.9");
        answer["config"]["permitted_image_formats"] = json!("raw");
        answer["config"]["agent_md5_checksum_enable"] = json!("yes");
        let mut options = Options::default();
        LookupAnswer::read(answer)
            .unwrap()
            .config
            .apply(&mut options);
        assert_eq!(options.tls_min_version, TlsVersion::Tls12);
        assert!(!options.md5_enabled);
        assert_eq!(options.permitted_image_formats.len(), 3);
    }
}
