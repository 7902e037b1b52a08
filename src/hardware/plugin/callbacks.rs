//! What a plugin says in the middle of a call: requests that want an answer, and news.

use std::sync::atomic::AtomicBool;

use farrier_plugin::protocol::{Failure, METHOD_NOT_FOUND, Notification};
use farrier_plugin::{Context, LogLevel, Progress};
use serde_json::Value;
use tracing::{debug, error, info, warn};

/// Answers the requests that a plugin makes in the middle of a call.
pub(super) trait Callbacks: Send {
    /// The result of this method, or why there is none. One that takes long ends early once `stop`
    /// is set.
    fn answer(&mut self, method: &str, params: &Value, stop: &AtomicBool)
    -> Result<Value, Failure>;
}

/// For calls that no callback fits.
pub(super) struct NoCallbacks;

impl Callbacks for NoCallbacks {
    fn answer(
        &mut self,
        method: &str,
        _params: &Value,
        _stop: &AtomicBool,
    ) -> Result<Value, Failure> {
        Err(Failure::new(
            METHOD_NOT_FOUND,
            format!("The agent has no method {method}"),
        ))
    }
}

pub(super) fn hear(name: &str, context: &dyn Context, method: &str, params: Value) {
    match Notification::named(method) {
        Some(Notification::Progress) => {
            if let Ok(progress) = serde_json::from_value::<Progress>(params) {
                context.report_progress(progress);
            }
        }
        Some(Notification::Log) => log(name, &params),
        // One of a later version, or our own.
        Some(Notification::Cancel) | None => debug!(manager = name, method, "unknown notification"),
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
