//! The fuzz targets of this room.

use super::LookupAnswer;
use crate::config::Options;

/// The conductor's answer to a lookup, with the options that it overrides.
pub(crate) fn lookup_answer(data: &[u8]) {
    if let Ok(value) = serde_json::from_slice(data)
        && let Ok(answer) = LookupAnswer::read(value)
    {
        answer.config.heartbeat_timeout();
        answer.config.token();
        answer.config.apply(&mut Options::default());
    }
}
