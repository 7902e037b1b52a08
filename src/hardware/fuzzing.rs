//! The fuzz targets of this room.

use farrier_plugin::protocol::{Introduction, Message, device_from_wire};

/// A line from a plugin, and what the agent makes of its parts.
pub(crate) fn plugin_message(data: &[u8]) {
    let Ok(message) = Message::parse(data) else {
        return;
    };
    // What was read can be said again, and is then the same.
    if let Ok(line) = message.to_line() {
        assert_eq!(Message::parse(&line).ok(), Some(message.clone()));
    }
    if let Message::Answer {
        result: Ok(result), ..
    } = message
    {
        let _ = device_from_wire(&result);
        let _ = serde_json::from_value::<Introduction>(result);
    }
}
