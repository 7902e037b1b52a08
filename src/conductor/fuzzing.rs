//! The fuzz targets of this room.

use super::LookupAnswer;
use crate::config::Options;

/// The conductor's answer to a lookup, with the options that it overrides.
pub(crate) fn lookup_answer(data: &[u8]) {
    if let Ok(value) = serde_json::from_slice(data)
        && let Ok(answer) = LookupAnswer::read(value)
    {
        let timeout = answer.config.heartbeat_timeout().as_secs();
        assert!((1..=86_400).contains(&timeout));
        answer.config.trouble();
        answer.step_under_way();
        answer.config.token();
        answer.config.apply(&mut Options::default());
    }
}
