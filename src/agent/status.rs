//! What the person at the console reads: which machine this is, what it is doing, what is wrong and what to do about it.
//!
//! PID 1 of the ramdisk draws a page of these facts on screens ([`console_fact`]); on serial consoles and in the log they
//! are lines, each once, and a trouble that stays again with a count after a minute.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use farrier_plugin::{Inventory, LldpData, Node};
use url::Url;

use super::trouble::{Topic, Trouble, usable_address};
use crate::inventory::MachineName;
use crate::inventory::lldp::Neighbour;
use crate::net::address;
use crate::net::http::shown;
use crate::sys::console_fact::{self, ConsoleFact};
use crate::sys::{log, printable};

/// The same trouble is told again after this time.
const REPEAT: Duration = Duration::from_secs(60);

/// Switch ports in one line.
const MOST_PORTS: usize = 8;

/// The agent's status, shown on the console whenever it changes.
pub(super) struct Status {
    facts: Mutex<Facts>,
    /// Tells PID 1 a fact. Fails where that has no room for it at the moment.
    tell: fn(ConsoleFact, &str) -> io::Result<()>,
}

#[derive(Debug, Default)]
struct Facts {
    /// What the agent does by itself.
    doing: String,
    is_ending: bool,
    /// What runs for the conductor, and how far that is.
    command: Option<String>,
    progress: String,
    node: Option<String>,
    name: Option<String>,
    serial: Option<String>,
    conductor: Option<String>,
    bmc: Option<String>,
    switch: Option<String>,
    troubles: BTreeMap<Topic, Told>,
    /// What PID 1 was told.
    on_page: BTreeMap<ConsoleFact, String>,
}

/// A trouble, and how often it was met.
#[derive(Debug)]
struct Told {
    trouble: Trouble,
    times: u64,
    /// When it was last shown as a line, and whether it was at all.
    shown: Option<Instant>,
}

impl Default for Status {
    /// One that tells no PID 1.
    fn default() -> Self {
        Self {
            facts: Mutex::default(),
            tell: |_, _| Ok(()),
        }
    }
}

impl Status {
    /// One that tells PID 1, where there is one that listens.
    pub(super) fn on_page() -> Self {
        Self {
            tell: console_fact::tell,
            ..Self::default()
        }
    }

    /// The agent does something else now. What was wrong with the work before it is over.
    pub(super) fn doing(&self, what: &str) {
        let mut facts = self.lock();
        if facts.doing != what {
            what.clone_into(&mut facts.doing);
            facts.troubles.remove(&Topic::Work);
            log::show(&facts.to_lines());
        }
        self.refresh(&mut facts);
    }

    /// The agent ends, which is more than what commands still do.
    pub(super) fn ending(&self, what: &str) {
        self.lock().is_ending = true;
        self.doing(what);
    }

    /// What runs for the conductor, `None` where nothing does; and a percentage (`-` where the whole is not known) with
    /// words for it, where that is known.
    pub(super) fn running(&self, command: Option<&str>, progress: &str) {
        let mut facts = self.lock();
        let before = facts.now().to_owned();
        facts.command = command.map(str::to_owned);
        progress.clone_into(&mut facts.progress);
        if facts.now() != before {
            self.tell("now", facts.now());
        }
        self.refresh(&mut facts);
    }

    /// This machine is that node. Shown with the next change.
    pub(super) fn node(&self, uuid: &str) {
        let mut facts = self.lock();
        facts.node = Some(uuid.to_owned());
        self.refresh(&mut facts);
    }

    /// What the conductor's steps say of the node: its name.
    pub(super) fn node_document(&self, node: &Node) {
        let name = node.0.get("name").and_then(serde_json::Value::as_str);
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return;
        };
        let mut facts = self.lock();
        if facts.name.as_deref() != Some(name) {
            facts.name = Some(name.to_owned());
            self.tell("name", name);
            self.refresh(&mut facts);
        }
    }

    /// What the inventory says of this machine: serial number, management controller, switch ports.
    pub(super) fn machine(&self, inventory: &Inventory) {
        let controller = [&inventory.bmc_address, &inventory.bmc_v6address]
            .into_iter()
            .flatten()
            .find_map(|text| usable_address(text));
        let vendor = &inventory.system_vendor;
        let serial = MachineName::new(
            &vendor.manufacturer,
            &vendor.product_name,
            &vendor.serial_number,
        )
        .with_serial();
        let heard = inventory.interfaces.iter().filter_map(|interface| {
            let tlvs = interface.lldp.as_ref()?;
            Some((interface.name.as_str(), tlvs.as_slice()))
        });
        let switch = switch_ports(heard);
        let mut facts = self.lock();
        facts.bmc = controller.map(|address| address.to_string());
        if let Some(serial) = serial
            .as_deref()
            .filter(|serial| facts.serial.as_deref() != Some(*serial))
        {
            self.tell("serial", serial);
        }
        facts.serial = serial;
        facts.switch = switch.or(facts.switch.take());
        self.refresh(&mut facts);
    }

    /// What switches have announced.
    pub(super) fn switches(&self, heard: &LldpData) {
        let heard = heard
            .iter()
            .map(|(name, tlvs)| (name.as_str(), tlvs.as_slice()));
        if let Some(switch) = switch_ports(heard) {
            let mut facts = self.lock();
            facts.switch = Some(switch);
            self.refresh(&mut facts);
        }
    }

    /// This is its conductor. Shown with the next change, without what may be secret in it.
    pub(super) fn conductor(&self, url: &Url) {
        let mut facts = self.lock();
        facts.conductor = Some(shown(url));
        self.refresh(&mut facts);
    }

    /// Something happened that a person should see. Shown once, as it is.
    pub(super) fn tell(&self, name: &str, what: &str) {
        let mut text = String::new();
        line(&mut text, name, what);
        log::show(&text);
    }

    /// Something went wrong with what is being done, in its own words. It is over when something else is done.
    pub(super) fn trouble(&self, what: &str) {
        self.met(Trouble::work(what));
    }

    /// The same for an error with its causes.
    pub(super) fn error(&self, error: &dyn Error) {
        self.trouble(&farrier_plugin::chain(error));
    }

    /// Something is wrong, until [`Status::over`]. New trouble is shown at once, unless something more urgent is wrong; the
    /// same again only after a minute.
    pub(super) fn met(&self, trouble: Trouble) {
        if trouble.topic == Topic::Conductor {
            // What came of a later request is more than what was in its way before.
            self.over(Topic::Route);
        }
        let mut facts = self.lock();
        facts.note(trouble);
        facts.show_worst();
        self.refresh(&mut facts);
    }

    /// What was wrong with this is over.
    pub(super) fn over(&self, topic: Topic) {
        let mut facts = self.lock();
        let Some(told) = facts.troubles.remove(&topic) else {
            return;
        };
        if told.shown.is_some() {
            self.tell("over", &told.trouble.what);
        }
        // It may have hidden something less urgent.
        facts.show_worst();
        self.refresh(&mut facts);
    }

    /// Either of the two, for those who look at it again and again: not met anew while it stays the same.
    pub(super) fn is(&self, topic: Topic, trouble: Option<Trouble>) {
        let mut facts = self.lock();
        let known = facts.troubles.get(&topic).map(|told| &told.trouble);
        if known == trouble.as_ref() {
            // What PID 1 had no room for.
            self.refresh(&mut facts);
            return;
        }
        drop(facts);
        match trouble {
            None => self.over(topic),
            Some(trouble) => self.met(trouble),
        }
    }

    #[cfg(test)]
    pub(super) fn last_trouble(&self) -> Option<String> {
        let facts = self.lock();
        facts.worst().map(|told| told.trouble.what.clone())
    }

    /// Tell PID 1 what it does not know yet. What finds no room there is told at the next change, or when somebody looks
    /// at commands again, which is each second.
    fn refresh(&self, facts: &mut Facts) {
        for fact in ConsoleFact::ALL {
            let value = facts.value(fact);
            if facts.on_page.get(&fact).map(String::as_str) != Some(value)
                // Lines are masked where they are written; a page is no less public.
                && (self.tell)(fact, &log::mask(value)).is_ok()
            {
                let value = value.to_owned();
                facts.on_page.insert(fact, value);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    /// The lines to show now: none where it was shown within the last minute.
    fn lines(&mut self) -> String {
        let mut lines = String::new();
        if self.shown.is_some_and(|shown| shown.elapsed() < REPEAT) {
            return lines;
        }
        let Trouble { what, advice, .. } = &self.trouble;
        match self.times {
            0 | 1 => line(&mut lines, "trouble", what),
            times => line(&mut lines, "trouble", &format!("{what} ({times} times)")),
        }
        if !advice.is_empty() && self.shown.is_none() {
            line(&mut lines, "advice", advice);
        }
        self.shown = Some(Instant::now());
        lines
    }
}

impl Facts {
    fn now(&self) -> &str {
        let command = self.command.as_deref().filter(|_| !self.is_ending);
        command.unwrap_or(&self.doing)
    }

    fn worst(&self) -> Option<&Told> {
        self.troubles.values().next()
    }

    fn value(&self, fact: ConsoleFact) -> &str {
        let worst = self.worst().map(|told| &told.trouble);
        let value = match fact {
            ConsoleFact::Doing => Some(self.now()),
            ConsoleFact::Progress => Some(self.progress.as_str()),
            ConsoleFact::Node => self.node.as_deref(),
            ConsoleFact::Name => self.name.as_deref(),
            ConsoleFact::Serial => self.serial.as_deref(),
            ConsoleFact::Conductor => self.conductor.as_deref(),
            ConsoleFact::Bmc => self.bmc.as_deref(),
            ConsoleFact::Switch => self.switch.as_deref(),
            ConsoleFact::Trouble => worst.map(|trouble| trouble.what.as_str()),
            ConsoleFact::Advice => worst.map(|trouble| trouble.advice.as_str()),
        };
        value.unwrap_or_default()
    }

    fn note(&mut self, trouble: Trouble) {
        let told = self.troubles.entry(trouble.topic).or_insert_with(|| Told {
            trouble: trouble.clone(),
            times: 0,
            shown: None,
        });
        if told.trouble != trouble {
            *told = Told {
                trouble,
                times: 0,
                shown: None,
            };
        }
        told.times += 1;
    }

    fn show_worst(&mut self) {
        let Some(told) = self.troubles.values_mut().next() else {
            return;
        };
        let mut lines = told.lines();
        // An answer is somebody's.
        if let Some(url) = &self.conductor
            && matches!(told.trouble.topic, Topic::Conductor | Topic::Work)
            && !lines.is_empty()
            && !lines.contains(url.as_str())
        {
            line(&mut lines, "conductor", url);
        }
        log::show(&lines);
    }

    fn to_lines(&self) -> String {
        let mut lines = String::new();
        let known = [
            ("now", Some(self.doing.as_str())),
            ("node", self.node.as_deref()),
            ("name", self.name.as_deref()),
            ("serial", self.serial.as_deref()),
            ("bmc", self.bmc.as_deref()),
            ("switch", self.switch.as_deref()),
            ("conductor", self.conductor.as_deref()),
            ("addresses", Some(&*addresses())),
        ];
        for (name, value) in known {
            if let Some(value) = value {
                line(&mut lines, name, value);
            }
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

/// `eno1 leaf-7 Ethernet1/3, eno2 leaf-8 Ethernet1/3`; `None` where nothing was heard.
fn switch_ports<'d>(heard: impl Iterator<Item = (&'d str, &'d [(u8, String)])>) -> Option<String> {
    let ports: Vec<String> = heard
        .filter_map(|(interface, tlvs)| {
            let neighbour = Neighbour::of_wire(tlvs);
            let switch = neighbour.system_name.or(neighbour.chassis_id);
            let port = neighbour.port_id.or(neighbour.port_description);
            let known: Vec<String> = [switch, port].into_iter().flatten().collect();
            (!known.is_empty()).then(|| format!("{interface} {}", known.join(" ")))
        })
        .take(MOST_PORTS)
        .collect();
    (!ports.is_empty()).then(|| ports.join(", "))
}

mod report;

#[cfg(test)]
mod tests;
