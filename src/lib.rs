//! farrier: the agent that a data centre boots into RAM on every bare-metal server, to inspect it,
//! erase it and put an operating system on its disk.
//!
//! The rooms and the arrows between them are in ARCHITECTURE.md; `tests/arrows` holds them. They are
//! private, so that the compiler tells what nobody uses: public is only what the program, the tests
//! beside it and the fuzz targets need.

mod agent;
mod api;
mod block;
mod cli;
mod command;
mod conductor;
mod config;
mod deploy;
mod erase;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod hardware;
mod init;
mod inventory;
mod net;
mod raid;
mod stream;
mod sys;

pub use cli::main;

/// What the tests in `tests/` make an agent of, by room.
#[doc(hidden)]
pub mod testing {
    pub mod api {
        pub use crate::api::{Server, Settings, Token, serve};
    }
    pub mod cli {
        pub use crate::cli::command_line;
    }
    pub mod command {
        pub use crate::command::{CommandTable, Environment, Shutdown};
    }
    pub mod conductor {
        pub use crate::conductor::{Beat, Client, Heartbeats};
    }
    pub mod config {
        pub use crate::config::{Live, Options, Row, rows};
    }
    pub mod hardware {
        pub use crate::hardware::Managers;
    }
    pub mod net {
        pub use crate::net::resolver::Resolver;
    }
    pub mod sys {
        pub use crate::sys::log::{hide, start_on_terminal};
        pub use crate::sys::process::{Output, Program};
    }
}
