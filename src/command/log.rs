//! The logs, for the conductor to keep.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::definition::{Definition, Mode, no_validation};
use super::parameters::Signature;

/// The commands of this extension.
pub(super) const COMMANDS: &[Definition] = &[Definition {
    name: "collect_system_logs",
    mode: Mode::Sync,
    signature: Signature::NONE,
    validate: no_validation,
    run: |environment, _, _| {
        let archive = environment.managers.collect_logs()?;
        Ok(json!({ "system_logs": STANDARD.encode(archive) }))
    },
}];
