//! The limits of one call that has been made: its deadline, and what a cancel leaves.

use std::time::{Duration, Instant};

use farrier_plugin::Context;
use farrier_plugin::protocol::Message;
use serde_json::json;

use super::PluginError;
use super::connection::{Connection, Deadline};

/// Time to stop after a cancel.
const CANCEL_GRACE: Duration = Duration::from_secs(10);

/// How long a call may go on.
pub(super) struct Clock<'c> {
    pub(super) connection: &'c Connection,
    pub(super) number: i64,
    pub(super) method: &'c str,
    pub(super) deadline: Deadline,
    pub(super) until: Instant,
    pub(super) context: &'c dyn Context,
    pub(super) cancelled: Option<Instant>,
}

impl Clock<'_> {
    /// Pass on a cancel; end the plugin at the deadline of the call, and some time after a cancel.
    pub(super) fn look(&mut self) -> Result<(), PluginError> {
        let connection = self.connection;
        let now = Instant::now();
        if now >= self.until {
            connection.kill("was killed at a deadline");
            return Err(connection.too_late(self.method, self.deadline));
        }
        match self.cancelled {
            None if self.context.is_cancelled() => {
                self.cancelled = Some(now);
                connection.send(
                    self.method,
                    &Message::Notification {
                        method: "cancel".to_owned(),
                        params: json!({
                            "id": self.number, "deadline_seconds": CANCEL_GRACE.as_secs(),
                        }),
                    },
                )
            }
            Some(since) if now - since >= CANCEL_GRACE => {
                connection.kill("was killed because it did not stop after a cancel");
                Err(PluginError::Cancelled {
                    name: connection.name.clone(),
                    method: self.method.to_owned(),
                    seconds: CANCEL_GRACE.as_secs(),
                })
            }
            _ => Ok(()),
        }
    }
}
