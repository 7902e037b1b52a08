//! `farrier-network`: makes the network what virtual media or the kernel line say, and tells PID 1 what is left to dhcpcd.
//!
//! It reads what strangers wrote, so it is a program of its own: its end costs nothing but another start. PID 1 starts it
//! only where there is something to read, and starts dhcpcd without it where it does not answer. It stays for as long as
//! there is a plan, for cards that come late or again.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use farrier_plugin::chain;

use super::boot_interface::named_cards;
use super::dhcp_part::DhcpPart;
use super::{lease, message};
use crate::net::hardware_address::HardwareAddress;
use crate::net::plan::Plan;
use crate::net::plan::draft::Reading;
use crate::net::setup::{News, Setup};
use crate::net::{links, network_data, network_parameters};
use crate::sys::kernel_parameters;
use crate::sys::root::Root;
use crate::sys::run_files::{self, LOCKED_DOWN, RESCUED, SETTLED};

/// dracut's parameters that make a plan (dracut.cmdline(7)).
const PARAMETERS: [&str; 6] = ["ip", "bond", "vlan", "nameserver", "rd.route", "ifname"];

/// How often cards are looked for until dhcpcd was started; udev needs longer than that for one.
const LOOK: Duration = Duration::from_millis(50);

/// How often after that: late cards and plugged ones have waited seconds already.
const WATCH: Duration = Duration::from_secs(2);

/// How long after udev has settled a card of the plan may still be missing before dhcpcd starts without it. Drivers of
/// large cards need seconds after their probe.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same where udev never settles.
const LIMIT: Duration = Duration::from_secs(60);

/// Whether there is something to read: network data, or a parameter on the kernel's own line. The parameters of virtual
/// media are the agent's; a medium has network data for this.
pub(super) fn is_wanted(root: &Root) -> bool {
    root.exists(run_files::NETWORK_DATA) || has_parameter(&command_line(root))
}

/// Whether a plan of the network is still being made: its program writes in the end what it leaves to DHCP, also that this
/// is all.
pub(crate) fn is_awaited(root: &Root) -> bool {
    is_wanted(root) && !root.exists(run_files::NETWORK)
}

/// What there is to read, where there is something: network data. The kernel's own line stays as it is.
pub(super) fn source(root: &Root) -> Option<Vec<u8>> {
    is_wanted(root).then(|| root.read(run_files::NETWORK_DATA).unwrap_or_default())
}

fn command_line(root: &Root) -> String {
    root.text(kernel_parameters::COMMAND_LINE)
        .unwrap_or_default()
}

fn has_parameter(line: &str) -> bool {
    let key = |word: &str| word.split_once('=').map(|(key, _)| key.to_owned());
    line.split_whitespace()
        .filter_map(key)
        .any(|key| PARAMETERS.contains(&key.as_str()))
}

/// The program.
pub(super) fn main() -> ExitCode {
    let root = Root::system();
    if is_over(&root) {
        return ExitCode::SUCCESS;
    }
    let Some(plan) = plan(&root) else {
        // All of it, as without a plan; and nothing of what an earlier run left.
        hand_over(&DhcpPart::all());
        return ExitCode::SUCCESS;
    };
    if let Err(error) = lease::keep_names(&plan) {
        say(&format!("The name servers could not be kept ({error})"));
    }
    let boot = kernel_parameters::all(&root)
        .boot_interface()
        .and_then(HardwareAddress::parse);
    run(&root, Setup::new(plan, boot))
}

/// What is to be made; `None` where that is nothing. Network data win as a whole over parameters: both were written by
/// somebody who meant all of the network, and half of each is nobody's.
fn plan(root: &Root) -> Option<Plan> {
    let line = command_line(root);
    if let Ok(data) = root.read(run_files::NETWORK_DATA)
        && let Some(plan) = said(network_data::read(&data))
    {
        if has_parameter(&line) {
            say("the kernel line's parameters are left out beside the network data");
        }
        return Some(plan);
    }
    said(network_parameters::read(&line))
}

/// A plan that says something, after its faults were told.
fn said(reading: Reading) -> Option<Plan> {
    for problem in &reading.problems {
        say(&chain(problem));
    }
    (reading.plan != Plan::default()).then_some(reading.plan)
}

fn run(root: &Root, mut setup: Setup) -> ExitCode {
    let started = Instant::now();
    let mut settled = None;
    let mut written = None;
    let mut announced = BTreeSet::new();
    loop {
        if settled.is_none() && Path::new(SETTLED).exists() {
            settled = Some(Instant::now());
        }
        let is_late = settled.is_some_and(|settled: Instant| settled.elapsed() >= PATIENCE)
            || started.elapsed() >= LIMIT;
        let cards = named_cards(Path::new("/"));
        for news in setup.step(root, &cards, is_late) {
            tell(&news, &mut announced);
        }
        if is_over(root) {
            return end(root);
        }
        // The step has renamed some. With their names of before, the card that the machine was booted from would be one
        // that the plan does not know, and dhcpcd would be started for that and then once more.
        if cards.iter().any(|card| card.is_gone(root)) {
            thread::sleep(LOOK);
            continue;
        }
        if written.is_some() || is_late || setup.is_complete(&cards) {
            let mut part = DhcpPart::of(&setup, &cards);
            if let Some(before) = &written {
                part = part.with_gone(before, &cards);
            }
            if written.as_ref() != Some(&part) {
                hand_over(&part);
                written = Some(part);
            }
        }
        thread::sleep(if written.is_some() { WATCH } else { LOOK });
    }
}

/// Whether the network is no longer ours: the agent has taken it down for good, or it is the rescue user's, who may take
/// apart what the plan says and must not find it made again.
fn is_over(root: &Root) -> bool {
    root.exists(LOCKED_DOWN) || root.exists(RESCUED)
}

fn end(root: &Root) -> ExitCode {
    if root.exists(LOCKED_DOWN) {
        // The step before may have brought up what the agent took down meanwhile.
        links::set_all_down(&root.path("/"));
    }
    ExitCode::SUCCESS
}

/// Tell PID 1 what is left to dhcpcd.
fn hand_over(part: &DhcpPart) {
    match part.write(Path::new("/")) {
        Ok(()) => message::network(),
        Err(error) => say(&format!(
            "Could not write {} ({error}); DHCP does not know of it",
            run_files::NETWORK
        )),
    }
}

/// What was made, and what could not be.
fn tell(news: &News, announced: &mut BTreeSet<String>) {
    match news {
        News::Problem(error) => say(&chain(error)),
        News::Made {
            text,
            name,
            addresses,
            gateways,
        } => {
            if announced.insert(text.clone()) {
                message::say(text);
            }
            if addresses.is_empty() {
                return;
            }
            if let Err(error) = lease::keep_static(name, addresses, gateways) {
                say(&format!(
                    "The addresses of {name} could not be kept ({error})"
                ));
            }
        }
    }
}

fn say(text: &str) {
    message::say(&format!("network: {text}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::recording::Recording;

    #[test]
    fn a_plan_ends_where_the_machine_is_locked_down_or_a_rescue_system() {
        let recording = Recording::unpack("/proc/cmdline = ip=dhcp");
        assert!(!is_over(&recording.root()));
        for marker in [LOCKED_DOWN, RESCUED] {
            let recording = Recording::unpack(&format!("{marker} ="));
            assert!(is_over(&recording.root()), "{marker}");
        }
    }

    #[test]
    fn only_network_data_and_parameters_for_it_start_the_program() {
        for (line, expected) in [
            ("quiet console=ttyS0 BOOTIF=01-52-54-00-12-34-56", false),
            ("ipa-api-url=http://h ipa-ip=x skip=ip", false),
            ("ip", false),
            ("quiet ip=dhcp", true),
            ("rd.route=10.0.0.0/8:192.0.2.1", true),
            ("nameserver=192.0.2.53 x", true),
        ] {
            assert_eq!(has_parameter(line), expected, "{line}");
        }
        let recording = Recording::unpack("/proc/cmdline = quiet");
        assert!(!is_wanted(&recording.root()));
        recording.add(&format!("{} = {{}}", run_files::NETWORK_DATA));
        assert!(is_wanted(&recording.root()));
    }
}
