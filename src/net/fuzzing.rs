//! The fuzz targets of this room.

use rustls_pki_types::CertificateDer;

use super::boot_table::nbft::Nbft;
use super::plan::draft::{ADDRESSES, INTERFACES, NAMES, ROUTES, Reading};
use super::plan::{Addressing, Card, Kind, names};
use super::tls_anchors::trusted;
use super::tls_ciphers::Selection;
use super::tls_verifier::Overlooked;
use super::x509::Facts;

/// A certificate, as a server sends it and as a block of `cafile` holds it. What is shown of a CA's
/// differs from it in one bit field, and no longer is a CA's.
pub(crate) fn certificate(data: &[u8]) {
    let _ = trusted(data);
    let Some(facts) = Facts::read(data) else {
        return;
    };
    let der = CertificateDer::from(data);
    let Some(overlooked) = Overlooked::of(&der) else {
        return;
    };
    let pairs = data.iter().zip(overlooked.shown.iter());
    assert_eq!(data.len(), overlooked.shown.len());
    assert_eq!(pairs.filter(|(real, shown)| real != shown).count(), 1);
    let shown = Facts::read(&overlooked.shown);
    assert!(shown.is_none_or(|shown| !shown.is_authority), "{facts:?}");
}

/// A time server's answer. Its cookie is the request's if the input wants that.
pub(crate) fn ntp_answer(data: &[u8]) {
    let cookie = data
        .get(24..32)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u64::from_be_bytes);
    super::ntp::read(data, cookie);
}

/// A frame of a network that a rescued server's port may have come into, as each answer that is read. Hardware address and
/// transaction are the input's, so that DHCP's options are reached.
pub(crate) fn port_answer(data: &[u8]) {
    let transaction = data.get(46..50).and_then(|bytes| bytes.try_into().ok());
    let hardware = data.get(70..76).and_then(|bytes| bytes.try_into().ok());
    let client = super::dhcp_question::Client {
        hardware: hardware.unwrap_or_default(),
        transaction: transaction.map_or(0, u32::from_be_bytes),
    };
    let _ = client.answer(data);
    let _ = super::arp::answer(data);
    if let Some(super::neighbor_discovery::Answer::Router { prefixes, .. }) =
        super::neighbor_discovery::answer(data)
    {
        // An option of 32 bytes each.
        assert!(prefixes.len() <= data.len() / 32);
    }
}

/// A list of cipher suites: what is selected is there once, and nothing of what is refused.
pub(crate) fn cipher_list(data: &[u8]) {
    let list = String::from_utf8_lossy(data);
    let selection = Selection::of(Some(&list));
    let mut names: Vec<_> = selection.suites().map(|suite| suite.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(selection.refused.is_none() || selection.is_empty());
}

/// A name server's answer to a question of ours, and the same bytes as `resolv.conf` and `hosts`.
pub(crate) fn name_answer(data: &[u8]) {
    super::resolver::fuzz(data);
}

/// Firmware's NVMe boot table, its length and its checksum made right: what it names can be put into the kernel's list of
/// options, and adds none.
pub(crate) fn nbft(data: &[u8]) {
    let mut table = data.to_vec();
    if let (Some(length), Ok(whole)) = (table.get(4..8), u32::try_from(data.len())) {
        let said = u32::from_le_bytes(length.try_into().expect("four bytes"));
        if said > whole {
            table[4..8].copy_from_slice(&whole.to_le_bytes());
        }
        let end = (said.min(whole) as usize).max(10).min(table.len());
        if let Some(checksum) = table.get_mut(9) {
            *checksum = 0;
            let sum = table[..end]
                .iter()
                .fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
            table[9] = sum.wrapping_neg();
        }
    }
    let Ok(table) = Nbft::parse(&table) else {
        return;
    };
    let is_one_option = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b',')
    };
    assert!(is_one_option(&table.host_name) && is_one_option(&table.host_id));
    for subsystem in table.subsystems {
        assert!(is_one_option(&subsystem.name) && !subsystem.name.is_empty());
        assert!(subsystem.port.parse::<u16>().is_ok_and(|port| port > 0));
        assert!(
            subsystem
                .interface
                .vlan
                .is_none_or(|id| (1..=4094).contains(&id))
        );
    }
}

/// Network data of virtual media.
pub(crate) fn network_data(data: &[u8]) {
    can_be_made(&super::network_data::read(data));
}

/// Network parameters of the kernel line.
pub(crate) fn network_parameters(data: &[u8]) {
    can_be_made(&super::network_parameters::read(&String::from_utf8_lossy(
        data,
    )));
}

/// A plan whose interfaces have names that the kernel takes, each once, and lie on what comes before them; bounded; and
/// problems that are a visible line each.
pub(crate) fn can_be_made(reading: &Reading) {
    let plan = &reading.plan;
    let mut seen: Vec<&str> = Vec::new();
    let mut members: Vec<&str> = Vec::new();
    let mut addresses = Vec::new();
    for interface in &plan.interfaces {
        let is_name = match interface.kind {
            Kind::Card(Card::First) => interface.name == "?",
            Kind::Card(Card::AnyOther) => interface.name == "*",
            _ => names::is_name(&interface.name),
        };
        assert!(is_name && !seen.contains(&interface.name.as_str()));
        match &interface.kind {
            Kind::Card(_) => {}
            Kind::Bond(bond) => {
                assert!(!bond.members.is_empty() && bond.mode < 7);
                assert!(bond.miimon.is_some() || bond.arp_probes.is_some());
                assert!(
                    bond.primary
                        .as_ref()
                        .is_none_or(|primary| bond.members.contains(primary))
                );
                for member in &bond.members {
                    assert!(seen.contains(&member.as_str()) && !members.contains(&member.as_str()));
                    members.push(member);
                }
            }
            Kind::Vlan { below, id } => {
                assert!(seen.contains(&below.as_str()) && (1..=4094).contains(id));
            }
        }
        assert!(interface.mtu.is_none_or(|mtu| (68..=65535).contains(&mtu)));
        seen.push(&interface.name);
        addresses.extend(&interface.addressing);
        for route in &interface.routes {
            let is_ipv4 = route.destination.addr().is_ipv4();
            assert!(
                route
                    .gateway
                    .is_none_or(|gateway| gateway.is_ipv4() == is_ipv4)
            );
        }
    }
    let is_addressed = |name: &&str| {
        let interface = plan
            .interfaces
            .iter()
            .find(|interface| interface.name == **name);
        interface.is_some_and(|interface| !interface.addressing.is_empty())
    };
    assert!(!members.iter().any(is_addressed));
    addresses.retain(|way| matches!(way, Addressing::Static(_)));
    assert!(
        plan.first
            .as_ref()
            .is_none_or(|first| seen.contains(&first.as_str()))
    );
    assert!(
        seen.len() <= INTERFACES && addresses.len() <= ADDRESSES && plan.routes.len() <= ROUTES
    );
    assert!(plan.name_servers.len() <= NAMES && plan.search.len() <= NAMES);
    for problem in &reading.problems {
        let line = problem.to_string();
        assert!(line.len() < 2000 && line.chars().all(crate::sys::printable::is_visible));
    }
    for line in plan.to_string().lines() {
        assert!(line.chars().all(crate::sys::printable::is_visible));
    }
}
