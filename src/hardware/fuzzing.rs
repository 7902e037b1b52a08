//! The fuzz targets of this room.

use farrier_plugin::protocol::{Introduction, Message, device_from_wire};

/// A line from a plugin, and what the agent makes of its parts.
pub(crate) fn plugin_message(data: &[u8]) {
    let Ok(message) = Message::parse(data) else {
        return;
    };
    // What was read can be said again. It need not be the same to the last bit of a large number.
    if let Ok(line) = message.to_line() {
        assert!(Message::parse(&line).is_ok());
    }
    if let Message::Answer {
        result: Ok(result), ..
    } = message
    {
        let _ = device_from_wire(&result);
        let _ = serde_json::from_value::<Introduction>(result);
    }
}
