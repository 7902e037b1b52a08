//! farrier: the agent that a data centre boots into RAM on every bare-metal server, to inspect it,
//! erase it and put an operating system on its disk.
//!
//! The rooms and the arrows between them are in ARCHITECTURE.md; `tests/arrows` holds them.

pub mod agent;
pub mod api;
pub mod block;
pub mod cli;
pub mod command;
pub mod conductor;
pub mod config;
pub mod deploy;
pub mod erase;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod hardware;
pub mod init;
pub mod inventory;
pub mod net;
pub mod stream;
pub mod sys;
