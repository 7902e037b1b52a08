//! The lease hook: dhcpcd runs farrier under the name `farrier-lease` at every change of an
//! interface, with what it learned in the environment (dhcpcd-run-hooks(8)). The hook keeps a file
//! for each interface and protocol, and makes `/etc/resolv.conf` from all of them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::message;
use super::network::OWNER_VARIABLE;
use super::packet_size;
use super::port_move::Sign;
use crate::net::plan::Plan;
use crate::net::resolver;
use crate::sys::{boot_times, private_file, run_files};

/// One JSON file for each interface and protocol: `<interface>.<protocol>.json`.
const LEASES: &str = run_files::LEASES;

/// `/etc/resolv.conf` is a link to this.
const RESOLV_CONF: &str = run_files::RESOLV_CONF;

/// How a plan of the network is called beside dhcpcd's protocols.
const STATIC: &str = "static";

/// Where the names of a plan are kept: they belong to no interface. The kernel has none of this name.
const ALL_INTERFACES: &str = "all";

/// What one protocol gave one interface.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Lease {
    pub(super) interface: String,
    /// dhcpcd's name of it: `dhcp`, `dhcp6` or `ra`; [`STATIC`] of a plan.
    pub(super) protocol: String,
    /// Addresses with their prefix lengths, those of DHCPv6 without.
    pub(super) addresses: Vec<String>,
    pub(super) routers: Vec<String>,
    pub(super) servers: Vec<String>,
    pub(super) search: Vec<String>,
    pub(super) ntp_servers: Vec<String>,
    /// Whether this is the interface that the server booted from.
    pub(super) boot: bool,
}

/// What an event means.
#[derive(Debug, Eq, PartialEq)]
enum Change {
    /// The protocol gave this.
    Given(Lease),
    /// The protocol has nothing any more.
    Taken { interface: String, protocol: String },
    /// The interface has nothing any more.
    Down { interface: String },
    /// Nothing that concerns names or addresses.
    Nothing,
}

/// The hook. Its errors go to dhcpcd's log.
pub(super) fn main() -> ExitCode {
    let environment: BTreeMap<String, String> = std::env::vars().collect();
    if let Some((interface, size)) = announced_packet_size(&environment)
        && let Some(text) = packet_size::raise(Path::new("/"), interface, size)
    {
        message::say(&text);
    }
    tell_of_port(&environment);
    match apply(
        Path::new(LEASES),
        Path::new(RESOLV_CONF),
        &change(&environment),
    ) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(news)) => {
            announce(&news);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("Could not record the lease in {LEASES}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Where the server is a rescue system, whose port may be moved, PID 1 hears of a link that comes.
fn tell_of_port(environment: &BTreeMap<String, String>) {
    if !Path::new(run_files::RESCUED).exists() {
        return;
    }
    let reason = environment.get("reason");
    if reason.is_some_and(|reason| reason == "CARRIER") {
        message::port(Sign::Link);
    }
}

/// All that is kept: what dhcpcd got, and what a plan gave.
pub(super) fn kept() -> io::Result<Vec<Lease>> {
    all(Path::new(LEASES))
}

/// The time servers that the leases kept below `root` name, those of the boot interface first; names or addresses.
pub(crate) fn time_servers(root: &Path) -> Vec<String> {
    let directory = root.join(LEASES.trim_start_matches('/'));
    let mut leases = all(&directory).unwrap_or_default();
    leases.sort_by_key(|lease| !lease.boot);
    let servers = distinct(leases.iter().flat_map(|lease| &lease.ntp_servers));
    servers.into_iter().map(str::to_owned).collect()
}

/// The interface and what a lease of DHCPv4 says of the size of its packets, bytes.
fn announced_packet_size(environment: &BTreeMap<String, String>) -> Option<(&str, u32)> {
    // An event without a lease has no new_….
    let size = environment.get("new_interface_mtu")?.parse().ok()?;
    Some((environment.get("interface")?, size))
}

/// Keep the addresses of a plan beside those that dhcpcd gets, and announce them.
pub(super) fn keep_static(
    interface: &str,
    addresses: &[IpNet],
    gateways: &[IpAddr],
) -> io::Result<()> {
    keep(Lease {
        interface: interface.to_owned(),
        protocol: STATIC.to_owned(),
        addresses: addresses.iter().map(IpNet::to_string).collect(),
        routers: gateways.iter().map(IpAddr::to_string).collect(),
        ..Lease::default()
    })
}

/// Keep name servers and search domains of a plan, if it has any. They count as those of the interface that the
/// server booted from do: who writes them down means them.
pub(super) fn keep_names(plan: &Plan) -> io::Result<()> {
    if plan.name_servers.is_empty() && plan.search.is_empty() {
        return Ok(());
    }
    keep(Lease {
        interface: ALL_INTERFACES.to_owned(),
        protocol: STATIC.to_owned(),
        servers: plan.name_servers.iter().map(IpAddr::to_string).collect(),
        search: domains(plan.search.clone()),
        boot: true,
        ..Lease::default()
    })
}

fn keep(lease: Lease) -> io::Result<()> {
    let change = Change::Given(lease);
    if let Some(news) = apply(Path::new(LEASES), Path::new(RESOLV_CONF), &change)? {
        announce(&news);
    }
    Ok(())
}

/// Tell PID 1, for the console, and record the first address of each protocol as a phase.
fn announce(news: &News) {
    message::say(&news.text);
    if let Some(phase) = &news.phase {
        // Outside a ramdisk there is no file, and no boot to measure.
        let _ = boot_times::mark(phase, &news.text);
    }
}

/// Read an event.
fn change(environment: &BTreeMap<String, String>) -> Change {
    let variable = |name: &str| environment.get(name).map_or("", String::as_str);
    let interface = variable("interface").to_owned();
    let protocol = variable("protocol").to_owned();
    if interface.is_empty() {
        return Change::Nothing;
    }
    match variable("reason") {
        "BOUND" | "RENEW" | "REBIND" | "REBOOT" | "INFORM" | "STATIC" | "TIMEOUT" | "BOUND6"
        | "RENEW6" | "REBIND6" | "REBOOT6" | "INFORM6" => Change::Given(Lease {
            // A lease of DHCPv6 is one address; what else is on the link, the router says.
            addresses: numbered(
                environment,
                is_lease_address,
                if protocol == "dhcp6" {
                    "128"
                } else {
                    variable("new_subnet_cidr")
                },
            ),
            routers: words(variable("new_routers")),
            servers: name_servers(
                all_words(
                    environment,
                    &["new_domain_name_servers", "new_dhcp6_name_servers"],
                ),
                &interface,
            ),
            search: search(environment),
            ntp_servers: all_words(
                environment,
                &[
                    "new_ntp_servers",
                    "new_dhcp6_sntp_servers",
                    "new_dhcp6_ntp_server_addr",
                ],
            ),
            boot: variable(OWNER_VARIABLE) == interface,
            interface,
            protocol,
        }),
        "ROUTERADVERT" => {
            let lease = Lease {
                addresses: numbered(environment, is_advertised_address, ""),
                routers: numbered(environment, |name| is_indexed(name, &["nd", "_from"]), ""),
                servers: name_servers(advertised(environment, "_servers"), &interface),
                search: domains(advertised(environment, "_search")),
                ntp_servers: Vec::new(),
                boot: variable(OWNER_VARIABLE) == interface,
                interface,
                protocol,
            };
            if lease.addresses.is_empty() && lease.routers.is_empty() {
                return Change::Taken {
                    interface: lease.interface,
                    protocol: lease.protocol,
                };
            }
            Change::Given(lease)
        }
        "EXPIRE" | "EXPIRE6" | "NAK" | "STOP" | "STOP6" | "RELEASE" | "RELEASE6" => Change::Taken {
            interface,
            protocol,
        },
        "NOCARRIER" | "DEPARTED" | "STOPPED" | "FAIL" => Change::Down { interface },
        _ => Change::Nothing,
    }
}

/// `new_ip_address` of DHCP, `new_dhcp6_ia_na<n>_ia_addr<n>` of DHCPv6.
fn is_lease_address(name: &str) -> bool {
    name == "new_ip_address" || is_indexed(name, &["new_dhcp6_ia_na", "_ia_addr", ""])
}

/// `nd<n>_addr<n>` of a router advertisement, with its prefix length.
fn is_advertised_address(name: &str) -> bool {
    is_indexed(name, &["nd", "_addr", ""])
}

/// Whether a name is these parts with a number between each.
fn is_indexed(name: &str, parts: &[&str]) -> bool {
    let Some(mut rest) = name.strip_prefix(parts[0]) else {
        return false;
    };
    for part in &parts[1..] {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let Some(next) = rest
            .get(digits..)
            .and_then(|after| after.strip_prefix(part))
        else {
            return false;
        };
        if digits == 0 {
            return false;
        }
        rest = next;
    }
    rest.is_empty()
}

/// The values of all variables whose name fits, with a prefix length where one is known apart.
fn numbered(
    environment: &BTreeMap<String, String>,
    fits: impl Fn(&str) -> bool,
    prefix_length: &str,
) -> Vec<String> {
    environment
        .iter()
        .filter(|(name, value)| fits(name) && !value.is_empty())
        .map(|(_, value)| match prefix_length {
            "" => value.clone(),
            length => format!("{value}/{length}"),
        })
        .collect()
}

/// `nd<n>_rdnss<n>_servers` or `nd<n>_dnssl<n>_search`, unless their lifetime is 0 (RFC 8106).
fn advertised(environment: &BTreeMap<String, String>, suffix: &str) -> Vec<String> {
    let option = if suffix == "_servers" {
        "_rdnss"
    } else {
        "_dnssl"
    };
    let mut found = Vec::new();
    for (name, value) in environment {
        if !is_indexed(name, &["nd", option, suffix]) {
            continue;
        }
        let lifetime = name.replace(suffix, "_lifetime");
        if environment
            .get(&lifetime)
            .is_none_or(|lifetime| lifetime != "0")
        {
            found.extend(words(value));
        }
    }
    found
}

fn search(environment: &BTreeMap<String, String>) -> Vec<String> {
    let search = domains(all_words(
        environment,
        &["new_domain_search", "new_dhcp6_domain_search"],
    ));
    if !search.is_empty() {
        return search;
    }
    // One domain by its meaning, several by the habit of some; a word of them that is none means
    // that it is a text for people (`Joe's net`), of which the rest is no domain either.
    let names = all_words(environment, &["new_domain_name"]);
    let count = names.len();
    let search = domains(names);
    if search.len() == count {
        search
    } else {
        Vec::new()
    }
}

/// What of these words can stand behind a host's name. DHCP servers send whatever was typed.
fn domains(words: Vec<String>) -> Vec<String> {
    words
        .iter()
        .filter_map(|word| resolver::domain(word))
        .collect()
}

/// What of these words is a name server's address. One that is link-local is on this interface.
fn name_servers(words: Vec<String>, interface: &str) -> Vec<String> {
    let on_link = |word: &String| {
        let address: IpAddr = word.split('%').next()?.parse().ok()?;
        let scope = match address {
            IpAddr::V6(address) if address.is_unicast_link_local() && !word.contains('%') => {
                format!("%{interface}")
            }
            _ => String::new(),
        };
        Some(format!("{word}{scope}"))
    };
    words.iter().filter_map(on_link).collect()
}

fn all_words(environment: &BTreeMap<String, String>, names: &[&str]) -> Vec<String> {
    names
        .iter()
        .filter_map(|name| environment.get(*name))
        .flat_map(|value| words(value))
        .collect()
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Something for a person to read.
#[derive(Debug, Eq, PartialEq)]
struct News {
    text: String,
    /// The phase of the boot that this ends, the first time.
    phase: Option<String>,
}

/// Keep or drop the files of the event, and write resolv.conf.
fn apply(leases: &Path, resolv_conf: &Path, change: &Change) -> io::Result<Option<News>> {
    private_file::make_directory(leases)?;
    let news = match change {
        Change::Nothing => return Ok(None),
        Change::Given(lease) => given(leases, lease)?,
        Change::Taken {
            interface,
            protocol,
        } => {
            let path = leases.join(file_name(interface, protocol));
            forget(&path)?.then(|| lost(interface, protocol))
        }
        Change::Down { interface } => {
            let mut news = None;
            for lease in all(leases)?
                .iter()
                // What a plan gave stays, whatever becomes of the link.
                .filter(|lease| lease.interface == *interface && lease.protocol != STATIC)
            {
                forget(&leases.join(file_name(interface, &lease.protocol)))?;
                news = Some(lost(interface, "all"));
            }
            news
        }
    };
    private_file::replace(resolv_conf, resolv_conf_of(&all(leases)?).as_bytes())?;
    Ok(news)
}

fn given(leases: &Path, lease: &Lease) -> io::Result<Option<News>> {
    let path = leases.join(file_name(&lease.interface, &lease.protocol));
    let before: Option<Lease> = fs::read(&path)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    if before.as_ref() == Some(lease) {
        // A renewal that changes nothing is no news.
        return Ok(None);
    }
    private_file::replace(&path, &serde_json::to_vec(lease)?)?;
    let mut text = format!("network {} {}", lease.interface, lease.protocol);
    for address in &lease.addresses {
        text.push_str(&format!(" {address}"));
    }
    for (what, values) in [("gateway", &lease.routers), ("DNS", &lease.servers)] {
        if !values.is_empty() {
            text.push_str(&format!(", {what} {}", values.join(" ")));
        }
    }
    let phase = (before.is_none() && !lease.addresses.is_empty()).then(|| lease.protocol.clone());
    Ok(Some(News { text, phase }))
}

fn lost(interface: &str, protocol: &str) -> News {
    News {
        text: format!("network {interface} lost its addresses ({protocol})"),
        phase: None,
    }
}

fn file_name(interface: &str, protocol: &str) -> String {
    // Neither holds a slash: the kernel forbids it in interface names, protocols are dhcpcd's.
    format!("{interface}.{protocol}.json")
}

fn all(leases: &Path) -> io::Result<Vec<Lease>> {
    let mut found: Vec<Lease> = fs::read_dir(leases)?
        .flatten()
        .filter(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "json")
        })
        .filter_map(|entry| serde_json::from_slice(&fs::read(entry.path()).ok()?).ok())
        .collect();
    found.sort_by(|a, b| (&a.interface, &a.protocol).cmp(&(&b.interface, &b.protocol)));
    Ok(found)
}

/// resolv.conf of the boot interface alone where it gave name servers, else of all.
fn resolv_conf_of(leases: &[Lease]) -> String {
    let of_boot = |lease: &&Lease| lease.boot && !lease.servers.is_empty();
    let chosen: Vec<&Lease> = if leases.iter().any(|lease| of_boot(&lease)) {
        leases.iter().filter(of_boot).collect()
    } else {
        leases.iter().collect()
    };
    let mut text = String::new();
    let search = distinct(chosen.iter().flat_map(|lease| &lease.search));
    if !search.is_empty() {
        text.push_str(&format!("search {}\n", search.join(" ")));
    }
    for server in distinct(chosen.iter().flat_map(|lease| &lease.servers)) {
        text.push_str(&format!("nameserver {server}\n"));
    }
    text
}

fn distinct<'a>(values: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
    let mut found: Vec<&str> = Vec::new();
    for value in values {
        if !found.contains(&value.as_str()) {
            found.push(value);
        }
    }
    found
}

fn forget(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
