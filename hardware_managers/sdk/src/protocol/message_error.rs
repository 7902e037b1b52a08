//! What is no message.

use super::MESSAGE_LIMIT;

/// Why a line is no message.
#[derive(Debug)]
#[non_exhaustive]
pub enum MessageError {
    /// Longer than [`MESSAGE_LIMIT`].
    TooLong,
    /// No JSON.
    NotJson(serde_json::Error),
    /// JSON, and not of JSON-RPC 2.0.
    NotAMessage(&'static str),
}

impl std::fmt::Display for MessageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLong => write!(
                f,
                "A message is longer than {} MiB",
                MESSAGE_LIMIT / (1 << 20)
            ),
            Self::NotJson(_) => f.write_str("A line is not JSON"),
            Self::NotAMessage(why) => write!(f, "A line is not a message of JSON-RPC 2.0: {why}"),
        }
    }
}

impl std::error::Error for MessageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotJson(error) => Some(error),
            Self::TooLong | Self::NotAMessage(_) => None,
        }
    }
}
