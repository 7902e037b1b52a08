//! What the person at the console reads: which machine this is, what it is doing, what went wrong.

use std::error::Error;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::net::address;
use crate::sys::{log, printable};

/// The same trouble is told again after this time.
const REPEAT: Duration = Duration::from_secs(60);

/// The agent's status, shown on the console whenever it changes.
#[derive(Debug, Default)]
pub(super) struct Status(Mutex<Facts>);

#[derive(Debug, Default)]
struct Facts {
    doing: String,
    node: Option<String>,
    conductor: Option<String>,
    last_trouble: Option<(String, Instant)>,
}

impl Status {
    /// The agent does something else now.
    pub(super) fn doing(&self, what: &str) {
        let mut facts = self.lock();
        if facts.doing != what {
            what.clone_into(&mut facts.doing);
            facts.last_trouble = None;
            log::show(&facts.to_lines());
        }
    }

    /// This machine is that node. Shown with the next change.
    pub(super) fn node(&self, uuid: &str) {
        self.lock().node = Some(uuid.to_owned());
    }

    /// This is its conductor. Shown with the next change.
    pub(super) fn conductor(&self, url: &str) {
        self.lock().conductor = Some(url.to_owned());
    }

    /// Something happened that a person should see. Shown once, as it is.
    pub(super) fn tell(&self, name: &str, what: &str) {
        let mut text = String::new();
        line(&mut text, name, what);
        log::show(&text);
    }

    /// Something went wrong. New trouble is shown at once, the same again only after a minute.
    pub(super) fn trouble(&self, what: &str) {
        let mut facts = self.lock();
        let told = facts
            .last_trouble
            .as_ref()
            .is_some_and(|(text, when)| text == what && when.elapsed() < REPEAT);
        if !told {
            facts.last_trouble = Some((what.to_owned(), Instant::now()));
            log::show(&facts.to_lines());
        }
    }

    /// The same for an error with its causes.
    pub(super) fn error(&self, error: &dyn Error) {
        self.trouble(&farrier_plugin::chain(error));
    }

    #[cfg(test)]
    pub(super) fn last_trouble(&self) -> Option<String> {
        let facts = self.lock();
        facts.last_trouble.as_ref().map(|(text, _)| text.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Facts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Facts {
    fn to_lines(&self) -> String {
        let mut lines = String::new();
        line(&mut lines, "now", &self.doing);
        if let Some(node) = &self.node {
            line(&mut lines, "node", node);
        }
        if let Some(conductor) = &self.conductor {
            line(&mut lines, "conductor", conductor);
        }
        line(&mut lines, "addresses", &addresses());
        if let Some((trouble, _)) = &self.last_trouble {
            line(&mut lines, "trouble", trouble);
        }
        lines
    }
}

fn line(lines: &mut String, name: &str, value: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(lines, "farrier | {name:<10} {}", printable::line(value));
}

fn addresses() -> String {
    let found = address::all().unwrap_or_default();
    if found.is_empty() {
        return "none yet".to_owned();
    }
    found
        .iter()
        .map(|entry| format!("{} {}", entry.interface, entry.address))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_say_who_what_and_what_went_wrong() {
        let status = Status::default();
        status.node("2564c0a3-dd23-551f-a25c-1af767f45a81");
        status.conductor("http://10.77.0.1:6385/");
        status.doing("looking up the node");
        status.trouble("Could not reach the conductor");
        let lines = status.lock().to_lines();
        for line in [
            "farrier | now        looking up the node\n",
            "farrier | node       2564c0a3-dd23-551f-a25c-1af767f45a81\n",
            "farrier | conductor  http://10.77.0.1:6385/\n",
            "farrier | trouble    Could not reach the conductor\n",
        ] {
            assert!(lines.contains(line), "{lines}");
        }
        status.trouble("no\nfarrier | now        serving\r\u{1b}[2K");
        let lines = status.lock().to_lines();
        assert!(
            lines.contains("trouble    no\\nfarrier | now        serving\\r\\u{1b}[2K\n"),
            "{lines}"
        );
        status.doing("serving");
        assert!(!status.lock().to_lines().contains("trouble"));
    }
}
