//! Removing what makes a device look used: partition tables, file system and member signatures.
//!
//! The data stays. This is done before inspection by people and by partitioning, not to protect
//! what the disk held, and claims no category of NIST SP 800-88.

use std::collections::BTreeSet;

use tracing::{debug, info};

use crate::erase::error::EraseError;
use crate::erase::signatures::Signature;
use crate::sys::aligned::AlignedBuffer;
use crate::sys::block_device::{DiskError, Medium};

/// Bytes zeroed at each end.
///
/// The reference clears 33 sectors and runs wipefs and sgdisk besides (contract/data-plane 10.7).
/// Whatever the sector size, 4 MiB hold both GPT copies, every md, LVM, ZFS, DDF and IMSM label and
/// all superblocks that libblkid knows except those handled on their own below; VMFS, at 1 MiB, is
/// the farthest from the ends.
const END: u64 = 4 << 20;

/// Further copies of the btrfs superblock (btrfs on-disk format, "Superblock"); at 64 KiB, the
/// first lies within [`END`]. libblkid looks at that one alone.
const BTRFS_COPIES: [u64; 2] = [64 << 20, 256 << 30];
const BTRFS_SUPERBLOCK: u64 = 4096;
const BTRFS_MAGIC: &[u8] = b"_BHRfS_M";
const BTRFS_MAGIC_OFFSET: usize = 64;

/// How many signatures are taken away one after the other; the deepest stack of real ones is less
/// than ten.
const MOST_SIGNATURES: usize = 64;

/// What is known of a GPT header (UEFI specification 2.10, table 5.5).
const GPT_MAGIC: &[u8] = b"EFI PART";

/// Remove all metadata of one device, be it a disk or a partition, and check that it is gone.
///
/// `find` tells which signatures the device holds, read anew each time. Both copies of a GPT are
/// removed, the second one also where it is not at the end of the device, as after an image of a
/// smaller disk.
pub(super) fn wipe(
    medium: &dyn Medium,
    device: &str,
    find: impl Fn() -> Result<Vec<Signature>, EraseError>,
) -> Result<(), EraseError> {
    let mut wipe = Wipe {
        medium,
        device,
        faults: Vec::new(),
    };
    let copies = wipe.far_copies();
    for area in &copies {
        wipe.zero(area);
    }
    let ends = wipe.ends();
    for area in &ends {
        wipe.zero(area);
    }
    wipe.flush()?;
    wipe.remove_signatures(find)?;
    wipe.flush()?;
    for area in ends.iter().chain(&copies) {
        wipe.check(area)?;
    }
    wipe.outcome()?;
    info!(device, "metadata removed");
    Ok(())
}

/// Bytes of a device, in whole blocks.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Area {
    offset: u64,
    length: u64,
}

struct Wipe<'a> {
    medium: &'a dyn Medium,
    device: &'a str,
    faults: Vec<DiskError>,
}

impl Wipe<'_> {
    fn ends(&self) -> Vec<Area> {
        let size = self.medium.size();
        if size <= 2 * END {
            return vec![self.area(0, size)];
        }
        vec![self.area(0, END), self.area(size - END, END)]
    }

    /// Copies of metadata that lie away from both ends, found before anything is changed.
    fn far_copies(&self) -> BTreeSet<Area> {
        let mut copies = BTreeSet::new();
        // A table that was written for the other sector size is as valid on the next machine.
        for block in [512, 4096] {
            if let Some(primary) = self.read(block, 512)
                && primary.starts_with(GPT_MAGIC)
            {
                copies.extend(self.backup_gpt(&primary, block));
            }
        }
        for offset in BTRFS_COPIES {
            if let Some(superblock) = self.read(offset, BTRFS_SUPERBLOCK)
                && superblock[BTRFS_MAGIC_OFFSET..].starts_with(BTRFS_MAGIC)
            {
                copies.insert(self.area(offset, BTRFS_SUPERBLOCK));
            }
        }
        copies
    }

    /// The second header that the first one names. Its entries are worth nothing without it.
    fn backup_gpt(&self, primary: &[u8], block: u64) -> Option<Area> {
        let field: [u8; 8] = primary.get(32..40)?.try_into().ok()?;
        let offset = u64::from_le_bytes(field).checked_mul(block)?;
        let header = self.read(offset, 512)?;
        debug!(
            device = self.device,
            offset, "second partition table header"
        );
        header
            .starts_with(GPT_MAGIC)
            .then(|| self.area(offset, block))
    }

    /// Take signatures away until none is found: one can hide behind another.
    fn remove_signatures(
        &mut self,
        find: impl Fn() -> Result<Vec<Signature>, EraseError>,
    ) -> Result<(), EraseError> {
        let mut removed = BTreeSet::new();
        loop {
            let found = find()?;
            if found.is_empty() {
                return Ok(());
            }
            for signature in found {
                let survives = || EraseError::SignatureSurvives {
                    device: self.device.to_owned(),
                    kind: signature.kind.clone(),
                };
                let offset = signature.offset.ok_or_else(survives)?;
                if removed.len() >= MOST_SIGNATURES || !removed.insert(offset) {
                    return Err(survives());
                }
                debug!(
                    device = self.device,
                    kind = signature.kind,
                    offset,
                    "removing signature"
                );
                // No magic number is longer than that.
                let area = self.area(offset, 64);
                self.zero(&area);
            }
            self.flush()?;
        }
    }

    fn zero(&mut self, area: &Area) {
        if let Err(error) = self.medium.zero_range(area.offset, area.length) {
            self.faults.push(error);
        }
    }

    /// Read an area back, in pieces of 1 MiB, and demand zeros.
    fn check(&self, area: &Area) -> Result<(), EraseError> {
        const PIECE: u64 = 1 << 20;
        let mut offset = area.offset;
        let end = area.offset + area.length;
        while offset < end {
            let count = PIECE.min(end - offset);
            let mut found = AlignedBuffer::zeroed(count as usize);
            found.fill(0xff);
            self.medium
                .read_at(offset, &mut found)
                .map_err(|source| self.disk_error(source))?;
            if let Some(index) = found.iter().position(|byte| *byte != 0) {
                return Err(EraseError::Survived {
                    device: self.device.to_owned(),
                    offset: offset + index as u64,
                });
            }
            offset += count;
        }
        Ok(())
    }

    fn outcome(&mut self) -> Result<(), EraseError> {
        let areas = self.faults.len();
        match self.faults.drain(..).next() {
            None => Ok(()),
            Some(source) => Err(EraseError::Unwritable {
                device: self.device.to_owned(),
                areas,
                source,
            }),
        }
    }

    /// What is there, or nothing where it is not on the device or cannot be read.
    fn read(&self, offset: u64, length: u64) -> Option<AlignedBuffer> {
        if offset.checked_add(length)? > self.medium.size() {
            return None;
        }
        let mut data = AlignedBuffer::zeroed(length as usize);
        self.medium.read_at(offset, &mut data).ok()?;
        Some(data)
    }

    /// The whole blocks around these bytes, as far as they are on the device.
    fn area(&self, offset: u64, length: u64) -> Area {
        let block = u64::from(self.medium.logical_block_size());
        let start = (offset - offset % block).min(self.medium.size());
        let end = (offset + length).next_multiple_of(block);
        Area {
            offset: start,
            length: end.min(self.medium.size()) - start,
        }
    }

    fn flush(&self) -> Result<(), EraseError> {
        self.medium
            .flush()
            .map_err(|source| self.disk_error(source))
    }

    fn disk_error(&self, source: DiskError) -> EraseError {
        EraseError::Disk {
            device: self.device.to_owned(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::path::Path;

    use super::*;
    use crate::erase::fake_medium::{FakeMedium, Fault};
    use crate::erase::signatures;
    use crate::sys::block_device::Disk;
    use crate::sys::loop_device::LoopDevice;
    use crate::sys::process::Program;

    const MIB: u64 = 1 << 20;

    fn nothing() -> Result<Vec<Signature>, EraseError> {
        Ok(Vec::new())
    }

    fn open(path: &Path) -> Disk {
        for _ in 0..20 {
            if let Ok(disk) = Disk::open_exclusive(path) {
                return disk;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        Disk::open_exclusive(path).unwrap()
    }

    /// The signatures on this path, as the steps look for them.
    fn finder(path: &Path) -> impl Fn() -> Result<Vec<Signature>, EraseError> {
        move || Ok(signatures::find(path).unwrap())
    }

    fn blank(bytes: u64) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(bytes).unwrap();
        file
    }

    fn run(program: &str, arguments: &[&str], path: &str) {
        let mut program = Program::new(program);
        for argument in arguments {
            program = program.arg(*argument);
        }
        program = program.arg(path);
        // A child of another test can hold the device between its fork and its exec.
        let mut outcome = program.run();
        for _ in 0..20 {
            if outcome.is_ok() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
            outcome = program.run();
        }
        outcome.unwrap();
    }

    #[test]
    fn both_ends_become_zeros_and_the_middle_stays() {
        for block_size in [512, 4096] {
            let disk = FakeMedium::new(16 * MIB, Vec::new()).with_block_size(block_size);
            wipe(&disk, "/dev/fake", nothing).unwrap();
            let bytes = disk.bytes();
            let (end, size) = (END as usize, bytes.len());
            assert!(bytes[..end].iter().all(|byte| *byte == 0));
            assert!(bytes[end..size - end].iter().all(|byte| *byte == 0x5a));
            assert!(bytes[size - end..].iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn a_small_partition_becomes_zeros_whole() {
        let disk = FakeMedium::new(MIB + 512, Vec::new());
        wipe(&disk, "/dev/fake", nothing).unwrap();
        assert!(disk.bytes().iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_second_gpt_header_in_the_middle_is_removed_for_both_block_sizes() {
        for block in [512, 4096] {
            let disk = FakeMedium::new(32 * MIB, Vec::new());
            let backup = 20 * MIB as usize;
            let mut header = vec![0; 512];
            header[..8].copy_from_slice(GPT_MAGIC);
            header[32..40].copy_from_slice(&(backup as u64 / block as u64).to_le_bytes());
            disk.put(block, &header);
            disk.put(backup, &header);
            wipe(&disk, "/dev/fake", nothing).unwrap();
            assert!(
                disk.bytes()[backup..backup + 512]
                    .iter()
                    .all(|byte| *byte == 0)
            );
            assert_eq!(disk.bytes()[backup + block], 0x5a);
        }
    }

    #[test]
    fn a_header_that_names_a_place_beyond_the_disk_does_no_harm() {
        for alternate in [u64::MAX, 1 << 55, 32 * MIB / 512] {
            let disk = FakeMedium::new(32 * MIB, Vec::new());
            let mut header = vec![0; 512];
            header[..8].copy_from_slice(GPT_MAGIC);
            header[32..40].copy_from_slice(&alternate.to_le_bytes());
            disk.put(512, &header);
            wipe(&disk, "/dev/fake", nothing).unwrap();
        }
    }

    #[test]
    fn the_second_btrfs_superblock_is_removed() {
        let disk = FakeMedium::new(80 * MIB, Vec::new());
        disk.put((64 << 20) + BTRFS_MAGIC_OFFSET, BTRFS_MAGIC);
        wipe(&disk, "/dev/fake", nothing).unwrap();
        let bytes = disk.bytes();
        assert!(
            bytes[64 << 20..(64 << 20) + 4096]
                .iter()
                .all(|byte| *byte == 0)
        );
        assert_eq!(bytes[(64 << 20) + 4096], 0x5a);
    }

    #[test]
    fn a_signature_that_comes_back_is_a_failure() {
        let disk = FakeMedium::new(16 * MIB, Vec::new());
        let always = || {
            Ok(vec![Signature {
                kind: "ext4".to_owned(),
                offset: Some(8 << 20),
            }])
        };
        let error = wipe(&disk, "/dev/fake", always).unwrap_err();
        assert!(error.to_string().contains("ext4"), "{error}");
        let endless = Cell::new(0);
        let error = wipe(&disk, "/dev/fake", || {
            endless.set(endless.get() + 512);
            Ok(vec![Signature {
                kind: "swap".to_owned(),
                offset: Some(endless.get()),
            }])
        });
        assert!(error.is_err());
    }

    #[test]
    fn a_fault_at_either_end_or_a_failing_flush_is_a_failure() {
        let size = 16 * MIB;
        for fault in [
            Fault::Write(0..512, libc::EIO),
            Fault::Write(size - 512..size, libc::EIO),
            Fault::Read(0..512, libc::EIO),
            Fault::Flush { after: 0 },
            Fault::Flush { after: 1 },
            Fault::Drops {
                range: 0..512,
                after: 0,
            },
            Fault::Drops {
                range: size - 512..size,
                after: 0,
            },
        ] {
            let disk = FakeMedium::new(size, vec![fault.clone()]);
            assert!(wipe(&disk, "/dev/fake", nothing).is_err(), "{fault:?}");
        }
    }

    #[test]
    fn a_fault_at_one_end_does_not_keep_the_other() {
        let disk = FakeMedium::new(16 * MIB, vec![Fault::Write(0..512, libc::EIO)]);
        let error = wipe(&disk, "/dev/fake", nothing).unwrap_err();
        assert!(error.to_string().contains("/dev/fake"), "{error}");
        assert!(disk.bytes()[12 << 20..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn real_file_systems_and_tables_are_gone_from_loop_devices() {
        for block_size in [512, 4096] {
            let file = blank(300 << 20);
            let Some(device) = LoopDevice::over(file.path(), block_size) else {
                return;
            };
            let path = Path::new(device.path());
            for (program, arguments) in [
                ("/usr/sbin/mkfs.ext4", ["-q", "-F"].as_slice()),
                ("/usr/sbin/mkfs.vfat", &[]),
                ("/usr/sbin/mkswap", &[]),
                ("/usr/sbin/sgdisk", &["-n1:0:+8M", "-n2:0:+8M"]),
            ] {
                run(program, arguments, device.path());
                assert!(!signatures::find(path).unwrap().is_empty(), "{program}");
                let disk = open(path);
                wipe(&disk, device.path(), finder(path)).unwrap();
                assert_eq!(signatures::find(path).unwrap(), [], "{program}");
            }
        }
    }
}
