//! `farrier-plugin-host LIBRARY.so`: loads a hardware manager that is a shared library and speaks
//! `docs/plugin-protocol.md` for it on stdin and stdout.
//!
//! The agent is linked statically and cannot load libraries; and what a library does wrong should
//! end a process that is not the agent. What cannot be loaded introduces itself with an error that
//! says why, so that the reason stands in the agent's list of managers.

mod agent;
mod elf;
mod library;
mod refusal;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use farrier_plugin::protocol::{Failure, INTERNAL_ERROR, Introduction};
use farrier_plugin::{Agent, Handler, private_streams, serve_handler};
use serde_json::Value;

use library::Library;
use refusal::Refusal;

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let (Some(path), None) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: farrier-plugin-host LIBRARY.so (started by farrier; speaks on stdin)");
        return ExitCode::from(2);
    };
    // Before the library is loaded: it may print as soon as it is.
    let (input, output) = match private_streams() {
        Ok(streams) => streams,
        Err(error) => {
            eprintln!("stdin and stdout cannot be set aside for the protocol: {error}");
            return ExitCode::FAILURE;
        }
    };
    let served = match load(Path::new(&path)) {
        Ok(library) => serve_handler(input, output, library),
        Err(refusal) => serve_handler(input, output, Refused(farrier_plugin::chain(&refusal))),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the connection to the agent broke: {error}");
            ExitCode::FAILURE
        }
    }
}

fn load(path: &Path) -> Result<Library, Refusal> {
    let path = absolute(path)?;
    elf::check(&path)?;
    // The library works where an executable plugin does: in its own folder.
    if let Some(folder) = path.parent() {
        env::set_current_dir(folder).map_err(|source| Refusal::Unreadable {
            path: folder.to_owned(),
            source,
        })?;
    }
    Library::load(&path)
}

/// With a slash in it, so that the loader does not search its own folders.
fn absolute(path: &Path) -> Result<PathBuf, Refusal> {
    std::path::absolute(path).map_err(|source| Refusal::Unreadable {
        path: path.to_owned(),
        source,
    })
}

/// What is answered in place of a library that is not loaded: the reason.
struct Refused(String);

impl Handler for Refused {
    fn introduction(&self) -> Result<Introduction, Failure> {
        Err(Failure::new(INTERNAL_ERROR, &self.0))
    }

    fn call(&self, _agent: &dyn Agent, _method: &str, _params: Value) -> Result<Value, Failure> {
        Err(Failure::new(INTERNAL_ERROR, &self.0))
    }
}
