//! Sense data: what a device says about a command that did not simply succeed (SPC-4 4.5).

use std::fmt;

/// Sense data, in either format.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Sense {
    /// SPC-4 table 48.
    pub key: u8,
    /// Additional sense code.
    pub code: u8,
    /// Additional sense code qualifier.
    pub qualifier: u8,
    /// How far a long operation is, in 65536ths (SPC-4 4.5.2.4.4).
    pub progress: Option<u16>,
    /// The registers of an ATA device. Means something in the answer to ATA PASS-THROUGH only.
    pub ata: Option<AtaRegisters>,
}

/// What an ATA device had in its registers after a command (SAT-4 12.2.2.6 and 12.2.2.7).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct AtaRegisters {
    /// ERROR.
    pub error: u8,
    /// STATUS.
    pub status: u8,
    /// COUNT.
    pub count: u16,
    /// LBA.
    pub lba: u64,
    /// DEVICE.
    pub device: u8,
    /// Whether `count` and `lba` are whole: fixed format sense data has only their lower parts.
    pub whole: bool,
}

impl AtaRegisters {
    /// STATUS: the command failed, or the device is faulty (ACS-3 6.2).
    pub(crate) fn is_error(self) -> bool {
        self.status & 0x21 != 0
    }
}

impl Sense {
    /// NO SENSE.
    pub(crate) const NONE: u8 = 0x0;
    /// RECOVERED ERROR.
    pub(crate) const RECOVERED: u8 = 0x1;
    /// NOT READY.
    pub(crate) const NOT_READY: u8 = 0x2;
    /// MEDIUM ERROR.
    pub(crate) const MEDIUM: u8 = 0x3;
    /// ILLEGAL REQUEST.
    pub(crate) const ILLEGAL_REQUEST: u8 = 0x5;
    /// UNIT ATTENTION.
    pub(crate) const UNIT_ATTENTION: u8 = 0x6;

    /// Understand sense data as far as it goes; `None` where it is in no known format, or is about
    /// an earlier command (deferred).
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        match bytes.first()? & 0x7f {
            0x70 => Self::fixed(bytes),
            0x72 => Self::descriptors(bytes),
            _ => None,
        }
    }

    /// Whether the device does not know the command, or not with these parameters.
    pub(crate) fn is_unsupported(&self) -> bool {
        // INVALID COMMAND OPERATION CODE, INVALID FIELD IN CDB, LOGICAL UNIT NOT SUPPORTED
        self.key == Self::ILLEGAL_REQUEST && matches!(self.code, 0x20 | 0x24 | 0x25)
    }

    fn fixed(bytes: &[u8]) -> Option<Self> {
        let byte = |index: usize| bytes.get(index).copied().unwrap_or_default();
        let key = bytes.get(2)? & 0x0f;
        // INFORMATION is valid.
        let registers = (bytes[0] & 0x80 != 0).then(|| AtaRegisters {
            error: byte(3),
            status: byte(4),
            device: byte(5),
            count: byte(6).into(),
            lba: u64::from(byte(9)) | u64::from(byte(10)) << 8 | u64::from(byte(11)) << 16,
            // Bits 6 and 5 tell that an upper part is not zero.
            whole: byte(8) & 0x60 == 0,
        });
        Some(Self {
            key,
            code: byte(12),
            qualifier: byte(13),
            progress: progress(bytes.get(15..18)),
            ata: registers,
        })
    }

    fn descriptors(bytes: &[u8]) -> Option<Self> {
        let head = bytes.get(..4)?;
        let mut sense = Self {
            key: head[1] & 0x0f,
            code: head[2],
            qualifier: head[3],
            ..Self::default()
        };
        let length = usize::from(bytes.get(7).copied().unwrap_or_default());
        let mut rest = bytes.get(8..).unwrap_or_default();
        rest = &rest[..length.min(rest.len())];
        while let Some(header) = rest.get(..2) {
            let end = 2 + usize::from(header[1]);
            let Some(descriptor) = rest.get(..end) else {
                break;
            };
            match header[0] {
                // Sense key specific.
                0x02 => sense.progress = progress(descriptor.get(4..7)),
                // ATA status return.
                0x09 if end >= 14 => sense.ata = Some(ata_status(descriptor)),
                // Direct access block device: holds what the two above hold, in SBC-4.
                _ => {}
            }
            rest = &rest[end..];
        }
        Some(sense)
    }
}

/// SKSV and the progress indication.
fn progress(field: Option<&[u8]>) -> Option<u16> {
    let field = field?;
    (field[0] & 0x80 != 0).then(|| u16::from_be_bytes([field[1], field[2]]))
}

/// The descriptor has at least 14 bytes.
fn ata_status(d: &[u8]) -> AtaRegisters {
    let extended = d[2] & 1 != 0;
    let lower = u64::from(d[7]) | u64::from(d[9]) << 8 | u64::from(d[11]) << 16;
    let upper = u64::from(d[6]) | u64::from(d[8]) << 8 | u64::from(d[10]) << 16;
    AtaRegisters {
        error: d[3],
        status: d[13],
        device: d[12],
        // Without EXTEND the upper parts are reserved.
        count: u16::from_be_bytes([if extended { d[4] } else { 0 }, d[5]]),
        lba: if extended { lower | upper << 24 } else { lower },
        whole: true,
    }
}

impl fmt::Display for Sense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = match self.key {
            Self::NONE => "no sense",
            Self::RECOVERED => "recovered error",
            Self::NOT_READY => "not ready",
            Self::MEDIUM => "medium error",
            0x4 => "hardware error",
            Self::ILLEGAL_REQUEST => "illegal request",
            Self::UNIT_ATTENTION => "unit attention",
            0x7 => "data protect",
            0x8 => "blank check",
            0xa => "copy aborted",
            0xb => "aborted command",
            0xd => "volume overflow",
            0xe => "miscompare",
            _ => "vendor specific",
        };
        write!(
            f,
            "{key} ({:x}/{:02x}/{:02x})",
            self.key, self.code, self.qualifier
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    /// What libata answers to a pass-through command with CK_COND: composed by hand from SAT-4
    /// 12.2.2.6.
    const DESCRIPTOR: [u8; 22] = [
        0x72, 0x01, 0x00, 0x1d, 0, 0, 0, 14, // header
        0x09, 0x0c, 0x01, 0x00, 0x40, 0x00, 0x00, 0x34, 0x00, 0x12, 0x00, 0x00, 0x40, 0x50,
    ];

    #[test]
    fn registers_come_in_a_descriptor() {
        let sense = Sense::parse(&DESCRIPTOR).unwrap();
        assert_eq!(sense.key, Sense::RECOVERED);
        assert_eq!((sense.code, sense.qualifier), (0x00, 0x1d));
        let ata = sense.ata.unwrap();
        assert_eq!((ata.count, ata.lba, ata.status), (0x4000, 0x1234, 0x50));
        assert!(ata.whole && !ata.is_error());
    }

    #[test]
    fn the_upper_parts_need_the_extend_bit() {
        let mut bytes = DESCRIPTOR;
        bytes[10] = 0;
        let ata = Sense::parse(&bytes).unwrap().ata.unwrap();
        assert_eq!(ata.count, 0);
    }

    #[test]
    fn fixed_format_has_the_lower_parts_alone() {
        // Aborted: status 51h, error 04h, with a COUNT whose upper part got lost.
        let mut bytes = [0_u8; 18];
        bytes[..7].copy_from_slice(&[0xf0, 0, 0x0b, 0x04, 0x51, 0x40, 0x07]);
        bytes[7] = 10;
        bytes[8] = 0x40;
        let sense = Sense::parse(&bytes).unwrap();
        let ata = sense.ata.unwrap();
        assert!(ata.is_error() && ata.error == 0x04 && !ata.whole);
        assert_eq!(sense.to_string(), "aborted command (b/00/00)");
    }

    #[test]
    fn progress_is_read_from_both_formats() {
        let mut fixed = [0_u8; 18];
        fixed[0] = 0x70;
        fixed[2] = Sense::NOT_READY;
        fixed[12] = 0x04;
        fixed[13] = 0x1b;
        fixed[15..].copy_from_slice(&[0x80, 0x80, 0x00]);
        let sense = Sense::parse(&fixed).unwrap();
        assert_eq!(sense.progress, Some(0x8000));
        assert_eq!((sense.code, sense.qualifier), (0x04, 0x1b));
        let descriptor = [
            0x72, 0x02, 0x04, 0x1b, 0, 0, 0, 8, 0x02, 6, 0, 0, 0x80, 0x40, 0x00, 0,
        ];
        let sense = Sense::parse(&descriptor).unwrap();
        assert_eq!(sense.progress, Some(0x4000));
    }

    #[test]
    fn deferred_and_unknown_formats_are_nothing() {
        for first in [0x71, 0x73, 0x00, 0x7f] {
            assert_eq!(Sense::parse(&[first, 0, 5, 0, 0, 0, 0, 0]), None);
        }
        assert_eq!(Sense::parse(&[]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_parse(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some(sense) = Sense::parse(&bytes) {
                prop_assert!(sense.key < 16);
            }
        }

        #[test]
        fn a_cut_descriptor_is_no_registers(length in 4_usize..22) {
            let sense = Sense::parse(&DESCRIPTOR[..length]).unwrap();
            prop_assert_eq!(sense.ata, None);
        }
    }
}
