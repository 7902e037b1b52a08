//! The fuzz targets of this room.

use std::io::Read;

use farrier_plugin::BlockDevice;
use flate2::Crc;
use serde_json::Value;

use super::fat::{Entry, Fat};
use super::fat_writer::{self, Node};
use super::gpt::Gpt;
use super::hints::{RootDeviceHints, select};
use super::mbr::Mbr;
use super::raid_superblock::{Footprint, Metadata, RaidSuperblock, sealed};
use super::{iso9660, vpd};
use crate::sys::memory_medium::MemoryMedium;

/// A small disk whose GPT is read, moved and written back. The checksums are made right first, or
/// hardly an input would get past them.
pub(crate) fn gpt(data: &[u8]) {
    for block_size in [512, 4096] {
        let mut content = data[..data.len() - data.len() % block_size].to_vec();
        seal(&mut content, block_size);
        let medium = MemoryMedium::of(content, block_size as u32);
        let Ok(mut table) = Gpt::read(&medium) else {
            continue;
        };
        table.partitions();
        table.damage();
        if table.move_backup_to_end().is_ok() {
            assert!(table.backup_is_at_end());
            table.write(&medium).expect("the medium takes every write");
            let again = Gpt::read(&medium).expect("what was written is read");
            assert_eq!(again.partitions(), table.partitions());
        }
    }
}

/// A small disk with an MBR, and the chains that it leads to.
pub(crate) fn mbr(data: &[u8]) {
    for block_size in [512, 4096] {
        let medium = MemoryMedium::of(data.to_vec(), block_size);
        let Ok(mut table) = Mbr::read(&medium) else {
            continue;
        };
        for partition in table.partitions() {
            assert!((1..=255).contains(&partition.number));
            let end = partition.offset + partition.length;
            assert!(table.is_protective() || end <= data.len() as u64);
        }
        table.disk_signature();
        table.primary_count();
        table.protect_whole_disk();
    }
}

/// A FAT file system, walked two levels deep.
pub(crate) fn fat(data: &[u8]) {
    let medium = MemoryMedium::of(data.to_vec(), 512);
    let Ok(Some(fat)) = Fat::open(&medium, 0, data.len() as u64) else {
        return;
    };
    let _ = fat.label();
    let visit = |entries: Vec<Entry>| -> Vec<Entry> {
        entries
            .iter()
            .take(16)
            .flat_map(|entry| {
                if entry.is_directory {
                    return fat.directory(entry).unwrap_or_default();
                }
                if let Ok(content) = fat.read(entry, 1 << 16) {
                    assert!(content.len() <= 1 << 16);
                    let mut pieces = Vec::new();
                    let read = fat.file(entry).take(1 << 16).read_to_end(&mut pieces);
                    assert!(read.is_ok() && pieces == content);
                }
                Vec::new()
            })
            .collect()
    };
    visit(visit(fat.root().unwrap_or_default()));
    if let Ok(nodes) = fat.files() {
        rebuild(&nodes);
    }
}

/// An ISO 9660 image, and a FAT file system of its files.
pub(crate) fn iso9660(data: &[u8]) {
    if let Ok(Some(nodes)) = iso9660::read(data) {
        rebuild(&nodes);
    }
}

/// What is written is read back, or refused for a reason.
fn rebuild(nodes: &[Node<'_>]) {
    let medium = MemoryMedium::of(vec![0; 1 << 20], 4096);
    if fat_writer::write(&medium, 0, 1 << 20, "CONFIG-2", 1, nodes).is_ok() {
        let fat = Fat::open(&medium, 0, 1 << 20).expect("it is read");
        let again = fat.expect("it is FAT").files().expect("it is whole");
        assert_eq!(again, nodes);
    }
}

/// A device with a superblock of the kind that the first byte says, its checksum made right: it is found, and when its
/// place is zeros it is not.
pub(crate) fn raid_superblock(data: &[u8]) {
    const KINDS: [Metadata; 6] = [
        Metadata::V0_90,
        Metadata::V1_0,
        Metadata::V1_1,
        Metadata::V1_2,
        Metadata::Imsm,
        Metadata::Ddf,
    ];
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    let kind = KINDS[usize::from(*kind) % KINDS.len()];
    let (mut content, _) = sealed::device(kind, data[..data.len().min(4096)].to_vec());
    let find = |content: &[u8]| {
        let read = |offset: u64, length: usize| {
            let start = usize::try_from(offset).ok()?;
            content
                .get(start..start.checked_add(length)?)
                .map(<[u8]>::to_vec)
        };
        let mut found = RaidSuperblock::all(content.len() as u64, 512, &read);
        found.retain(|superblock| superblock.metadata == kind);
        found
    };
    let found = find(&content);
    assert_eq!(found.len(), 1);
    let read = |offset: u64, length: usize| {
        let range = offset as usize..(offset as usize).checked_add(length)?;
        content.get(range).map(<[u8]>::to_vec)
    };
    if let Ok(Footprint { data, notes }) = Footprint::read(kind, content.len() as u64, 512, &read) {
        assert!(notes.start <= found[0].place.start && found[0].place.end <= notes.end);
        assert!(data.end <= notes.start || notes.end <= data.start);
    }
    content[found[0].place.start as usize..found[0].place.end as usize].fill(0);
    assert!(find(&content).is_empty());
}

/// Root device hints as JSON, the way they stand in a node.
pub(crate) fn root_device_hints(data: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<Value>(data)
        && let Ok(hints) = RootDeviceHints::parse(&value)
    {
        hints.names_one_device();
        let devices = [device(), BlockDevice::default()];
        let first = devices.iter().find(|device| hints.matches(device));
        assert_eq!(select(&hints, &devices).ok(), first);
    }
}

/// Vital product data pages 0x80 and 0x83.
pub(crate) fn vpd(data: &[u8]) {
    vpd::unit_serial(data);
    vpd::identity(data);
}

/// Make the checksums of both copies of a GPT right, as far as its numbers lie in the data.
fn seal(content: &mut [u8], block: usize) {
    let sum = |bytes: &[u8]| {
        let mut crc = Crc::new();
        crc.update(bytes);
        crc.sum().to_le_bytes()
    };
    let last = (content.len() / block).saturating_sub(1);
    for own in [1, last] {
        let at = own * block;
        let number = |offset: usize| -> Option<usize> {
            let bytes = content.get(at + offset..)?.get(..4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
        };
        let (Some(size), Some(start), Some(count), Some(each)) =
            (number(12), number(72), number(80), number(84))
        else {
            continue;
        };
        let entries = count.checked_mul(each).and_then(|length| {
            let start = start.checked_mul(block)?;
            content.get(start..start.checked_add(length)?)
        });
        if let Some(crc) = entries.map(sum) {
            content[at + 88..at + 92].copy_from_slice(&crc);
        }
        content[at + 16..at + 20].fill(0);
        if let Some(crc) = content[at..].get(..size.min(block)).map(sum) {
            content[at + 16..at + 20].copy_from_slice(&crc);
        }
    }
}

fn device() -> BlockDevice {
    let text = |text: &str| Some(text.to_owned());
    BlockDevice {
        name: "/dev/sda".to_owned(),
        model: text("ACME D8 480"),
        size: 480_103_981_056,
        rotational: false,
        wwn: text("0x5000c500aabbccdd"),
        serial: text("AC0001"),
        vendor: text("ACME"),
        wwn_with_extension: text("0x5000c500aabbccdd0001"),
        wwn_vendor_extension: text("0x0001"),
        hctl: text("0:0:0:0"),
        by_path: text("/dev/disk/by-path/pci-0000:00:1f.2-ata-1"),
        logical_sectors: 512,
        physical_sectors: 4096,
        tran: text("sata"),
        uuid: None,
        partuuid: None,
        all_serials: vec!["AC0001".to_owned(), "ACME_D8_480_AC0001".to_owned()],
        all_wwns: vec!["0x5000c500aabbccdd".to_owned()],
        extra: Default::default(),
    }
}
