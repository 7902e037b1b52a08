//! What a person at the terminal, or the program behind a pipe, is told.

use std::io::Write;
use std::process::ExitCode;

use crate::sys::{log, printable};

/// The command line was wrong (EX_USAGE of sysexits.h).
const USAGE: u8 = 64;

/// Lines for a person. Foreign text that becomes a part of one goes through [`printable::line`] before.
pub(super) fn say(text: &str) -> ExitCode {
    put(&printable::lines(text))
}

/// A JSON document, also shown in terminals.
pub(super) fn say_json(document: &str) -> ExitCode {
    put(&printable::json(document))
}

fn put(text: &str) -> ExitCode {
    // A closed pipe is the reader's business.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

/// A failure, for the person at the terminal.
pub(super) fn complain(text: &str) {
    let text = log::mask(text);
    let _ = writeln!(std::io::stderr(), "farrier: {}", printable::line(&text));
}

/// What clap answers in place of arguments: help and version, or what is wrong with the command line.
pub(super) fn answer(answer: &clap::Error) -> ExitCode {
    let text = answer.render().to_string();
    if !answer.use_stderr() {
        return say(&text);
    }
    let text = printable::lines(&log::mask(&text)).into_owned();
    let _ = std::io::stderr().write_all(text.as_bytes());
    ExitCode::from(USAGE)
}
