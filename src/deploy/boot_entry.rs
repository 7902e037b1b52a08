//! Boot entries in the firmware's memory (UEFI specification 2.10, sections 3.1 and 10.3).
//!
//! Their device paths are short. OVMF removes such entries at the next start where a device of the
//! virtual machine has a `bootindex` and they do not lead to one that has; what is booted then is the
//! removable path (docs/boot-entries.md).

use uuid::Uuid;

use super::error::DeployError;
use crate::sys::efivars::{EfiError, EfiVariables};
use crate::sys::root::Root;

/// EFI_GLOBAL_VARIABLE.
const VENDOR: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";

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
    /// The partition.
    pub(super) partition: BootPartition,
}

/// The firmware's list of boot entries.
pub(super) struct BootEntries(EfiVariables);

impl BootEntry {
    /// The EFI_LOAD_OPTION of this entry, as efibootmgr writes it: with a short device path that
    /// starts at the partition, so that the disk may move to another slot.
    fn encode(&self) -> Vec<u8> {
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

impl BootEntries {
    /// The list of the machine that was booted by UEFI.
    pub(super) fn open(root: &Root) -> Result<Self, DeployError> {
        Ok(Self(EfiVariables::open(root, VENDOR)?))
    }

    /// Make this entry the first that is booted, and remove all others of the same label: entries
    /// of earlier deployments of the same system, which may point to a disk that is gone.
    ///
    /// As with efibootmgr, the entry gets the lowest free number, and the order of the others
    /// stays.
    pub(super) fn put_first(&self, entry: &BootEntry) -> Result<u16, DeployError> {
        let mut taken = Vec::new();
        let mut removed = Vec::new();
        for number in self.numbers()? {
            let value = self.0.read(&name(number))?;
            if value.and_then(|value| label(&value)).as_ref() == Some(&entry.label) {
                self.0.remove(&name(number))?;
                removed.push(number);
            } else {
                taken.push(number);
            }
        }
        let number = (0..=u16::MAX)
            .find(|number| !taken.contains(number))
            .ok_or(DeployError::BootEntriesFull)?;
        self.0.write(&name(number), &entry.encode())?;
        let mut order = vec![number];
        order.extend(
            self.order()?
                .into_iter()
                .filter(|other| *other != number && !removed.contains(other)),
        );
        let bytes: Vec<u8> = order
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        self.0.write("BootOrder", &bytes)?;
        self.confirm(number)?;
        Ok(number)
    }

    /// Make sure that the firmware has kept an entry. It may store it in other words, and order
    /// anew, but not drop it.
    fn confirm(&self, number: u16) -> Result<(), DeployError> {
        if self.0.read(&name(number))?.is_some() && self.order()?.contains(&number) {
            return Ok(());
        }
        Err(DeployError::BootEntryLost { name: name(number) })
    }

    /// The numbers of all `Boot####` variables.
    fn numbers(&self) -> Result<Vec<u16>, EfiError> {
        Ok(self
            .0
            .names()?
            .iter()
            .filter_map(|name| {
                let digits = name
                    .strip_prefix("Boot")
                    .filter(|digits| digits.len() == 4)?;
                u16::from_str_radix(digits, 16).ok()
            })
            .collect())
    }

    fn order(&self) -> Result<Vec<u16>, EfiError> {
        let value = self.0.read("BootOrder")?.unwrap_or_default();
        Ok(value
            .chunks_exact(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .collect())
    }
}

fn name(number: u16) -> String {
    format!("Boot{number:04X}")
}

/// The label of an EFI_LOAD_OPTION.
pub(super) fn label(option: &[u8]) -> Option<String> {
    let units: Vec<u16> = option
        .get(6..)?
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .take_while(|unit| *unit != 0)
        .collect();
    Some(String::from_utf16_lossy(&units))
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
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn entry(label: &str) -> BootEntry {
        BootEntry {
            label: label.to_owned(),
            path: "\\EFI\\debian\\shimx64.efi".to_owned(),
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
        assert_eq!(label(&expected).as_deref(), Some("debian"));
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

    #[test]
    fn the_new_entry_is_first_and_replaces_its_namesakes() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("sys/firmware/efi/efivars")).unwrap();
        let entries = BootEntries::open(&Root::at(dir.path())).unwrap();
        for (number, label) in [(0, "UiApp"), (1, "debian"), (2, "PXE"), (0x1a, "debian")] {
            entries
                .0
                .write(&name(number), &entry(label).encode())
                .unwrap();
        }
        entries
            .0
            .write("BootOrder", &[0, 0, 0x1a, 0, 1, 0, 2, 0])
            .unwrap();
        entries.0.write("BootOptionSupport", &[0; 4]).unwrap();

        assert_eq!(entries.put_first(&entry("debian")).unwrap(), 1);
        assert_eq!(entries.numbers().unwrap(), [0, 1, 2]);
        assert_eq!(entries.order().unwrap(), [1, 0, 2]);

        assert_eq!(entries.put_first(&entry("ironic1")).unwrap(), 3);
        assert_eq!(entries.order().unwrap(), [3, 1, 0, 2]);
        let stored = entries.0.read("Boot0003").unwrap().unwrap();
        assert_eq!(stored, entry("ironic1").encode());

        // Again: nothing piles up.
        assert_eq!(entries.put_first(&entry("ironic1")).unwrap(), 3);
        assert_eq!(entries.order().unwrap(), [3, 1, 0, 2]);
    }

    #[test]
    fn an_entry_that_the_firmware_drops_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("sys/firmware/efi/efivars")).unwrap();
        let entries = BootEntries::open(&Root::at(dir.path())).unwrap();
        let lost = |number| {
            let error = entries.confirm(number).unwrap_err();
            assert!(
                matches!(error, DeployError::BootEntryLost { .. }),
                "{error}"
            );
            assert!(error.to_string().contains(&name(number)), "{error}");
        };
        lost(0);
        let number = entries.put_first(&entry("debian")).unwrap();
        entries.confirm(number).unwrap();
        entries.0.write("BootOrder", &[9, 0]).unwrap();
        lost(number);
        entries.0.remove(&name(number)).unwrap();
        entries.0.write("BootOrder", &[0, 0]).unwrap();
        lost(number);
    }

    #[test]
    fn a_firmware_without_an_order_gets_one() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("sys/firmware/efi/efivars")).unwrap();
        let entries = BootEntries::open(&Root::at(dir.path())).unwrap();
        assert_eq!(entries.put_first(&entry("debian")).unwrap(), 0);
        assert_eq!(entries.order().unwrap(), [0]);
    }

    proptest! {
        #[test]
        fn any_option_is_survived(option in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = label(&option);
        }

        #[test]
        fn any_label_comes_back(text in "[^\0]{0,40}") {
            prop_assert_eq!(label(&entry(&text).encode()), Some(text));
        }
    }
}
