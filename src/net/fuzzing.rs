//! The fuzz targets of this room.

use rustls_pki_types::CertificateDer;

use super::boot_table::nbft::Nbft;
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
