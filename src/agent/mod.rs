//! The agent's life: start, inspect, look up, serve and heartbeat, end.
//!
//! ```text
//! markers ─▶ state ─▶ mDNS ─▶ managers ─▶ network ─▶ inspection ◀─▶ lookup ─▶ certificate
//!                       │                    ▲                                      │
//!                       └─▶ clock: asked ────┘ and again until it is set            │
//!                                                                                   │
//!             end ◀── signals ◀── heartbeats ◀── command API listens ◀──────────────┘
//!   rescued: exit 0; locked down: idle for ever
//! ```

mod clock;
mod collectors;
mod control_socket;
mod discovery;
mod ending;
mod error;
mod identity;
mod inspection;
mod left_passwords;
mod life;
mod lookup;
mod markers;
mod network;
mod network_watch;
mod progress;
mod serving;
mod standalone_inspection;
mod state;
mod status;
mod trouble;
mod virtual_media;

#[cfg(test)]
mod tests;

pub(crate) use control_socket::{Question, ask};
pub(crate) use ending::{Demands, End};
pub(crate) use error::AgentError;
pub(crate) use life::{Setup, live};
pub(crate) use standalone_inspection::StandaloneInspection;
pub(crate) use virtual_media::prepare as prepare_virtual_media;

/// The agent's version on the wire: the level of the contract, with our own version as its local
/// part, so that conductors which compare versions still can.
pub(crate) const VERSION: &str = concat!("13.0.0+farrier.", env!("FARRIER_VERSION"));
