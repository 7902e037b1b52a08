//! What is known of this server, and who tells it.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::cards;
use super::machine::Machine;
use crate::sys::console_fact::ConsoleFact;

use crate::sys::root::Root;

/// How often the network cards are looked at. dhcpcd needs about as long for a lease.
const LOOK: Duration = Duration::from_secs(2);

/// What the page says. Clones are of the same page.
#[derive(Clone, Debug, Default)]
pub(in crate::init) struct Page(Arc<Mutex<Facts>>);

/// What is known of this server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Facts {
    /// By [`ConsoleFact`].
    told: [String; ConsoleFact::ALL.len()],
    /// What PID 1 is doing, where the agent says nothing.
    pub(super) own: String,
    pub(super) machine: Machine,
    pub(super) cards: String,
}

impl Page {
    /// What is known now.
    pub(super) fn facts(&self) -> Facts {
        self.change(|facts| facts.clone())
    }

    /// The agent tells this; an empty value takes it away. Whether that changes anything.
    pub(in crate::init) fn tell(&self, fact: ConsoleFact, value: &str) -> bool {
        self.change(|facts| replace(&mut facts.told[fact as usize], value))
    }

    /// Whether the fixed lines say what this line says, once the agent tells facts: what it is doing, and how far it is.
    pub(super) fn says(&self, line: &str) -> bool {
        let Some((word, _)) = line
            .strip_prefix("farrier | ")
            .and_then(|text| text.split_once(' '))
        else {
            return false;
        };
        let is_status = [
            "now",
            "node",
            "name",
            "serial",
            "bmc",
            "switch",
            "conductor",
            "addresses",
        ]
        .contains(&word);
        let is_progress = word.ends_with(':');
        (is_status || is_progress)
            && self.change(|facts| !facts.told(ConsoleFact::Doing).is_empty())
    }

    /// PID 1 does this.
    pub(in crate::init) fn own(&self, text: &str) -> bool {
        self.change(|facts| replace(&mut facts.own, text))
    }

    /// Look at the machine, once, and at its network cards again and again; after each change this is called. On a thread of its
    /// own: the kernel may keep a reader waiting while a driver resets its card.
    pub(in crate::init) fn watch(&self, changed: impl Fn() + Send + 'static) {
        let page = self.clone();
        let watch = move || {
            let machine = Machine::read(&Root::system());
            page.change(|facts| facts.machine = machine);
            changed();
            loop {
                let cards = cards::read(&Root::system());
                if page.change(|facts| replace(&mut facts.cards, &cards)) {
                    changed();
                }
                thread::sleep(LOOK);
            }
        };
        // Without the thread the page has no cards.
        let _ = thread::Builder::new().name("page".to_owned()).spawn(watch);
    }

    fn change<T>(&self, change: impl FnOnce(&mut Facts) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Facts {
    /// What the agent tells; empty where it tells nothing.
    pub(super) fn told(&self, fact: ConsoleFact) -> &str {
        &self.told[fact as usize]
    }
}

fn replace(text: &mut String, with: &str) -> bool {
    let is_news = text != with;
    if is_news {
        with.clone_into(text);
    }
    is_news
}
