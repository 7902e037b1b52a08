//! What a plugin tells in the middle of a call and wants no answer to.

use farrier_plugin::{Context, LogLevel, Progress};
use serde_json::Value;
use tracing::{debug, error, info, warn};

/// Pass a notification of this plugin on: progress to whoever watches the command, words to the log.
pub(super) fn hear(name: &str, context: &dyn Context, method: &str, params: Value) {
    match method {
        "progress" => {
            if let Ok(progress) = serde_json::from_value::<Progress>(params) {
                context.report_progress(progress);
            }
        }
        "log" => log(name, &params),
        // One of a later version.
        _ => debug!(manager = name, method, "unknown notification"),
    }
}

fn log(manager: &str, params: &Value) {
    let message = params.get("message").and_then(Value::as_str).unwrap_or("");
    let level = params
        .get("level")
        .and_then(|level| serde_json::from_value(level.clone()).ok());
    match level {
        Some(LogLevel::Debug) => debug!(manager, message, "says"),
        Some(LogLevel::Warning) => warn!(manager, message, "says"),
        Some(LogLevel::Error) => error!(manager, message, "says"),
        Some(LogLevel::Info) | None => info!(manager, message, "says"),
    }
}
