//! A boot entry, as the firmware keeps it (UEFI specification 2.10, sections 3.1.3 and 10.3).
//!
//! Its device path is short. OVMF removes such entries at the next start where a device of the
//! virtual machine has a `bootindex` and they do not lead to one that has; what is booted then is the
//! removable path (docs/boot-entries.md).

use uuid::Uuid;

use super::device_path::{self, DevicePath};

/// LOAD_OPTION_ACTIVE.
const ACTIVE: u32 = 1;

/// Types of device path nodes: media device, and its hard drive and file path sub-types.
const MEDIA: u8 = 4;
const HARD_DRIVE: u8 = 1;
const FILE_PATH: u8 = 4;

/// The node that ends a device path.
const END: [u8; 4] = [0x7f, 0xff, 4, 0];

/// A partition as firmware finds it again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct BootPartition {
    /// Its number, from 1.
    pub(super) number: u32,
    /// First block.
    pub(super) first: u64,
    /// Blocks.
    pub(super) count: u64,
    /// How it is known.
    pub(super) signature: Signature,
}

/// How firmware knows a partition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Signature {
    /// By its GUID, on a disk with a GPT.
    Gpt(Uuid),
    /// By its disk's signature, on a disk with an MBR.
    Mbr(u32),
}

/// A loader to boot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct BootEntry {
    /// What the firmware's menu shows.
    pub(super) label: String,
    /// The loader on its partition, with backslashes: `\EFI\debian\shimx64.efi`.
    pub(super) path: String,
    /// What the loader is told, mostly nothing.
    pub(super) arguments: String,
    /// The partition.
    pub(super) partition: BootPartition,
}

/// What is read from an entry, whoever made it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct LoadOption {
    /// What the firmware's menu shows.
    pub(super) label: String,
    /// Where it leads, in efibootmgr's words.
    pub(super) device_path: String,
}

impl BootEntry {
    /// The EFI_LOAD_OPTION of this entry, as efibootmgr writes it: with a short device path that
    /// starts at the partition, so that the disk may move to another slot.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut path = self.partition.encode();
        let file = utf16(&self.path);
        path.extend([MEDIA, FILE_PATH]);
        path.extend((4 + file.len() as u16).to_le_bytes());
        path.extend(file);
        path.extend(END);
        let mut option = ACTIVE.to_le_bytes().to_vec();
        option.extend((path.len() as u16).to_le_bytes());
        option.extend(utf16(&self.label));
        option.extend(path);
        // As shim's fallback loader writes them.
        if !self.arguments.is_empty() {
            option.extend(utf16(&self.arguments));
        }
        option
    }
}

impl BootPartition {
    fn encode(&self) -> Vec<u8> {
        let mut node = vec![MEDIA, HARD_DRIVE, 42, 0];
        node.extend(self.number.to_le_bytes());
        node.extend(self.first.to_le_bytes());
        node.extend(self.count.to_le_bytes());
        match self.signature {
            // Format of the table, then kind of the signature.
            Signature::Gpt(guid) => {
                node.extend(guid.to_bytes_le());
                node.extend([2, 2]);
            }
            Signature::Mbr(signature) => {
                node.extend(signature.to_le_bytes());
                node.extend([0; 12]);
                node.extend([1, 1]);
            }
        }
        node
    }
}

impl LoadOption {
    /// `None`: too short to be one.
    pub(super) fn parse(option: &[u8]) -> Option<Self> {
        let length = usize::from(u16::from_le_bytes([*option.get(4)?, *option.get(5)?]));
        let texts = option.get(6..)?;
        let label = device_path::utf16(texts);
        let end = texts
            .chunks_exact(2)
            .position(|unit| unit == [0, 0])
            .map_or(texts.len(), |units| 2 * units + 2);
        let path = &texts[end..];
        Some(Self {
            label,
            device_path: DevicePath(&path[..length.min(path.len())]).to_string(),
        })
    }
}

/// UTF-16 with a zero at its end.
fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(label: &str) -> BootEntry {
        BootEntry {
            label: label.to_owned(),
            path: "\\EFI\\debian\\shimx64.efi".to_owned(),
            arguments: String::new(),
            partition: BootPartition {
                number: 1,
                first: 2048,
                count: 1_048_576,
                signature: Signature::Gpt(Uuid::from_u128(
                    0x6a1c_5d1e_0a2b_4c3d_8e4f_0123_4567_89ab,
                )),
            },
        }
    }

    /// What `efibootmgr -c -d /dev/sda -p 1 -L debian -l '\EFI\debian\shimx64.efi'` stores, by the
    /// tables of the UEFI specification.
    #[test]
    fn golden_bytes() {
        let mut expected = vec![1, 0, 0, 0];
        // Length of the device path: 42 + (4 + 48) + 4.
        expected.extend([98, 0]);
        expected.extend(b"d\0e\0b\0i\0a\0n\0\0\0");
        expected.extend([4, 1, 42, 0, 1, 0, 0, 0]);
        expected.extend([0, 8, 0, 0, 0, 0, 0, 0]);
        expected.extend([0, 0, 0x10, 0, 0, 0, 0, 0]);
        expected.extend([
            0x1e, 0x5d, 0x1c, 0x6a, 0x2b, 0x0a, 0x3d, 0x4c, 0x8e, 0x4f, 0x01, 0x23, 0x45, 0x67,
            0x89, 0xab, 2, 2,
        ]);
        expected.extend([4, 4, 52, 0]);
        expected.extend(b"\\\0E\0F\0I\0\\\0d\0e\0b\0i\0a\0n\0");
        expected.extend(b"\\\0s\0h\0i\0m\0x\x006\x004\0.\0e\0f\0i\0\0\0");
        expected.extend([0x7f, 0xff, 4, 0]);
        assert_eq!(entry("debian").encode(), expected);
        let parsed = LoadOption {
            label: "debian".to_owned(),
            device_path: "HD(1,GPT,6a1c5d1e-0a2b-4c3d-8e4f-0123456789ab,0x800,0x100000)/\
                          File(\\EFI\\debian\\shimx64.efi)"
                .to_owned(),
        };
        assert_eq!(LoadOption::parse(&expected), Some(parsed.clone()));
        // What the loader is told stands behind the path, and is no part of it.
        let told = BootEntry {
            arguments: "\\EFI\\Linux\\a.efi ".to_owned(),
            ..entry("debian")
        };
        expected.extend(b"\\\0E\0F\0I\0\\\0L\0i\0n\0u\0x\0\\\0a\0.\0e\0f\0i\0 \0\0\0");
        assert_eq!(told.encode(), expected);
        assert_eq!(LoadOption::parse(&expected), Some(parsed));
    }

    #[test]
    fn a_partition_of_an_mbr_is_known_by_its_disk() {
        let partition = BootPartition {
            signature: Signature::Mbr(0x1a2b_3c4d),
            ..entry("x").partition
        };
        let node = partition.encode();
        assert_eq!(
            node[24..],
            [
                0x4d, 0x3c, 0x2b, 0x1a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1
            ]
        );
        assert_eq!(node.len(), 42);
    }

    proptest! {
        #[test]
        fn any_option_is_survived(option in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = LoadOption::parse(&option);
        }

        #[test]
        fn any_label_comes_back(text in "[^\0]{0,40}") {
            let option = LoadOption::parse(&entry(&text).encode()).unwrap();
            prop_assert_eq!(option.label, text);
        }
    }
}
