//! How the agent and a hardware manager in another process talk: JSON-RPC 2.0, one JSON object a
//! line, over the manager's stdin and stdout. `docs/plugin-protocol.md` is the specification; this
//! module is its Rust form, used by both sides.

pub mod answers;
mod call;
mod callback;
mod device;
mod failure;
mod handshake;
mod message;
mod message_error;
pub mod method;
pub mod parameters;
#[cfg(test)]
mod schema;

pub use call::call;
pub use callback::{Callback, Notification};
pub use device::{WireDevice, device_from_wire, device_to_wire, filtered_from_wire};
pub use failure::{
    FAILED, Failure, INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR,
};
pub use handshake::{Capabilities, Greeting, HANDSHAKE, Introduction};
pub use message::{Id, Message};
pub use message_error::MessageError;
pub use method::Method;

/// The protocol's version. An agent greets with every version that it speaks, the manager answers
/// with the one that it chose.
pub const VERSION: u32 = 1;

/// Bytes of one message with its newline, at most.
pub const MESSAGE_LIMIT: usize = 16 * 1024 * 1024;
