//! Vital product data of SCSI devices: who a disk is, as it says itself.
//!
//! The kernel reads the pages once when it finds the disk and shows them in sysfs
//! (`device/vpd_pg80`, `device/vpd_pg83`), so nothing is sent to the disk here. The layouts are
//! SPC-4 7.8.5 (device identification) and 7.8.16 (unit serial number).

use crate::sys::hex;

/// Names of a SCSI disk that udev's `scsi_id` would give.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct ScsiIdentity {
    /// World wide name, `0x` and 16 hexadecimal digits: `ID_WWN`.
    pub(crate) wwn: Option<String>,
    /// The second half of a 128-bit name with `0x`: `ID_WWN_VENDOR_EXTENSION`.
    pub(crate) wwn_vendor_extension: Option<String>,
    /// The whole name: `ID_WWN_WITH_EXTENSION`.
    pub(crate) wwn_with_extension: Option<String>,
    /// The best name without its type digit: `ID_SERIAL_SHORT`.
    pub(crate) short_serial: Option<String>,
    /// The same with its type digit: `ID_SERIAL`. `None` where the vendor's own name is the best:
    /// udev writes maker and model before that.
    pub(crate) long_serial: Option<String>,
}

/// The unit serial number of page 0x80.
pub(crate) fn unit_serial(page: &[u8]) -> Option<String> {
    clean(payload(page, 0x80)?)
}

/// The names of page 0x83 that belong to the logical unit (not to a port or target).
pub(crate) fn identity(page: &[u8]) -> ScsiIdentity {
    let Some(designators) = payload(page, 0x83) else {
        return ScsiIdentity::default();
    };
    let mut identity = ScsiIdentity::default();
    let mut best_rank = usize::MAX;
    for designator in Designators(designators) {
        if designator.association != 0 {
            continue;
        }
        let Some((rank, name)) = designator.name() else {
            continue;
        };
        if rank >= best_rank {
            continue;
        }
        best_rank = rank;
        identity.long_serial =
            (designator.kind != VENDOR).then(|| format!("{}{name}", designator.kind));
        if designator.kind == NAA {
            identity.wwn = name.get(..16).map(|half| format!("0x{half}"));
            identity.wwn_vendor_extension = name
                .get(16..)
                .filter(|half| !half.is_empty())
                .map(|half| format!("0x{half}"));
            identity.wwn_with_extension = Some(format!("0x{name}"));
        }
        identity.short_serial = Some(name);
    }
    identity
}

/// Designator types, SPC-4 table 596.
const VENDOR: u8 = 0;
const T10: u8 = 1;
const EUI64: u8 = 2;
const NAA: u8 = 3;

struct Designator<'a> {
    binary: bool,
    association: u8,
    kind: u8,
    value: &'a [u8],
}

impl Designator<'_> {
    /// How well this names the unit (0 is best, the order of udev's `scsi_id`) and the name.
    fn name(&self) -> Option<(usize, String)> {
        let naa_format = self.value.first()? >> 4;
        let rank = match (self.kind, naa_format) {
            (NAA, 6) if self.value.len() == 16 => 0,
            (NAA, 5) if self.value.len() == 8 => 1,
            (NAA, _) if self.value.len() == 8 => 2,
            (EUI64, _) => 3,
            (T10, _) => 4,
            (VENDOR, _) => 5,
            _ => return None,
        };
        let name = if self.binary {
            hex::encode(self.value)
        } else {
            clean(self.value)?.replace(' ', "_")
        };
        Some((rank, name))
    }
}

struct Designators<'a>(&'a [u8]);

impl<'a> Iterator for Designators<'a> {
    type Item = Designator<'a>;

    fn next(&mut self) -> Option<Designator<'a>> {
        let header = self.0.get(..4)?;
        let end = 4 + usize::from(header[3]);
        let value = self.0.get(4..end)?;
        self.0 = &self.0[end..];
        Some(Designator {
            binary: header[0] & 0x0f == 1,
            association: (header[1] >> 4) & 3,
            kind: header[1] & 0x0f,
            value,
        })
    }
}

/// What follows the 4-byte header, as far as both the header's length and the page go.
fn payload(page: &[u8], code: u8) -> Option<&[u8]> {
    let header = page.get(..4)?;
    if header[1] != code {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let rest = &page[4..];
    Some(&rest[..length.min(rest.len())])
}

/// Printable ASCII without the padding around it.
fn clean(bytes: &[u8]) -> Option<String> {
    let text: String = bytes
        .iter()
        .map(|byte| char::from(*byte))
        .filter(|c| c.is_ascii_graphic() || *c == ' ')
        .collect();
    let text = text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A page 0x83 with these designators: (code set, association and type, value).
    fn page(designators: &[(u8, u8, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (code_set, kind, value) in designators {
            body.extend_from_slice(&[*code_set, *kind, 0, u8::try_from(value.len()).unwrap()]);
            body.extend_from_slice(value);
        }
        let mut page = vec![0, 0x83];
        page.extend_from_slice(&u16::try_from(body.len()).unwrap().to_be_bytes());
        page.extend_from_slice(&body);
        page
    }

    #[test]
    fn a_sas_disk_is_named_by_its_unit_and_not_by_its_port() {
        let naa5 = [0x50, 0, 0xc5, 0, 0xaa, 0xbb, 0xcc, 0xdd];
        let port = [0x50, 0, 0xc5, 0, 0xaa, 0xbb, 0xcc, 0xde];
        let identity = identity(&page(&[
            (1, 0x13, &port),
            (1, 0x03, &naa5),
            (1, 0x23, &port),
        ]));
        assert_eq!(identity.wwn.as_deref(), Some("0x5000c500aabbccdd"));
        assert_eq!(
            identity.wwn_with_extension.as_deref(),
            Some("0x5000c500aabbccdd")
        );
        assert_eq!(identity.wwn_vendor_extension, None);
        assert_eq!(identity.short_serial.as_deref(), Some("5000c500aabbccdd"));
        assert_eq!(identity.long_serial.as_deref(), Some("35000c500aabbccdd"));
    }

    #[test]
    fn a_long_name_has_an_extension() {
        let naa6: Vec<u8> = (0..16).map(|n| if n == 0 { 0x60 } else { n }).collect();
        let identity = identity(&page(&[(2, 0x01, b"ACME    LUN"), (1, 0x03, &naa6)]));
        assert_eq!(identity.wwn.as_deref(), Some("0x6001020304050607"));
        assert_eq!(
            identity.wwn_vendor_extension.as_deref(),
            Some("0x08090a0b0c0d0e0f")
        );
        assert_eq!(
            identity.wwn_with_extension.as_deref(),
            Some("0x600102030405060708090a0b0c0d0e0f")
        );
    }

    #[test]
    fn a_virtual_disk_has_only_a_vendor_name() {
        let identity = identity(&page(&[(2, 0x00, b"n1-2")]));
        assert_eq!(identity.wwn, None);
        assert_eq!(identity.short_serial.as_deref(), Some("n1-2"));
        assert_eq!(identity.long_serial, None);
    }

    #[test]
    fn a_serial_number_is_trimmed() {
        assert_eq!(
            unit_serial(b"\0\x80\0\x08  AB 12\0").as_deref(),
            Some("AB 12")
        );
        assert_eq!(unit_serial(b"\0\x80\0\x04    "), None);
        assert_eq!(unit_serial(b"\0\x83\0\x04abcd"), None);
        assert_eq!(unit_serial(b""), None);
    }

    proptest! {
        #[test]
        fn any_bytes_parse(bytes in proptest::collection::vec(any::<u8>(), 0..300), code in prop_oneof![Just(0x80u8), Just(0x83u8)]) {
            let mut page = vec![0, code];
            page.extend_from_slice(&bytes);
            unit_serial(&page);
            let identity = identity(&page);
            prop_assert!(identity.short_serial.is_some() || identity.long_serial.is_none());
            prop_assert_eq!(identity.wwn.is_some(), identity.wwn_with_extension.is_some());
        }
    }
}
