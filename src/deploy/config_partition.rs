//! The config drive's partition: on a disk with a whole-disk image (contract/data-plane 4.3) it is found
//! or made, beside a partition image it is there.

use std::io::Read;

use farrier_plugin::{AlignedBuffer, chain};
use tracing::info;
use uuid::Uuid;

use super::config_drive::{ConfigDrive, LABEL, LIMIT_MIB};
use super::error::DeployError;
use crate::block::fat_writer::{self, Node};
use crate::block::gpt::LINUX_FILE_SYSTEM;
use crate::block::mbr::FAT32_LBA;
use crate::block::partition::Partition;
use crate::block::probe;
use crate::block::rescan::partition_name;
use crate::block::table::Table;
use crate::block::table_error::TableError;
use crate::sys::block_device::{DiskError, Medium};

/// Bytes of a new partition.
const SIZE: u64 = LIMIT_MIB << 20;

/// The label of a config drive that is rebuilt as FAT, whose labels are in upper case.
const FAT_LABEL: &str = "CONFIG-2";

/// Bytes that are written at once.
const PIECE: usize = 1 << 20;

/// Primary partitions of an MBR before which a config drive is refused. With a fourth one the
/// table would be full, which the reference leaves to happen.
const MOST_PRIMARY: usize = 3;

/// The disk that a config drive goes to, and whose it is: names for the messages.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) medium: &'a dyn Medium,
    pub(super) device: &'a str,
    pub(super) node: &'a str,
    /// Make a FAT file system of the config drive's files in any case (option
    /// `config_drive_rebuild`).
    pub(super) rebuilds: bool,
}

impl Target<'_> {
    /// Put the config drive into the partition that is labelled for it, or into a new one at the
    /// disk's end, adding that to the table. The medium may still hold its head back.
    pub(super) fn place(
        self,
        table: &mut Table,
        drive: &ConfigDrive,
    ) -> Result<Partition, DeployError> {
        let unpacked = self.unpacked(drive)?;
        let files = match &unpacked {
            Some(image) => Some(self.files(drive, image)?),
            None => None,
        };
        let partition = match self.labelled(table)? {
            Some(partition) => partition,
            // Small files take more room as FAT with large clusters.
            None if files.is_some() => self.create(table, drive.size() * 2 + PIECE as u64)?,
            None => self.create(table, drive.size())?,
        };
        match files {
            Some(files) => self.rebuild(&files, &partition)?,
            None => self.write(drive, &partition)?,
        }
        info!(
            device = self.device,
            partition = partition.number,
            offset = partition.offset,
            bytes = drive.size(),
            "config drive written"
        );
        Ok(partition)
    }

    /// MiB of a partition that takes the config drive, for [`Target::fill`].
    pub(super) fn mib_for(self, drive: &ConfigDrive) -> u64 {
        if self.rebuilds_of(drive) {
            // Small files take more room as FAT with large clusters.
            LIMIT_MIB.max(drive.size().div_ceil(1 << 20) * 2)
        } else {
            drive.size().div_ceil(1 << 20)
        }
    }

    /// Put the config drive into this partition, whose start holds nothing that counts.
    pub(super) fn fill(
        self,
        drive: &ConfigDrive,
        partition: &Partition,
    ) -> Result<(), DeployError> {
        match self.unpacked(drive)? {
            Some(image) => self.rebuild(&self.files(drive, &image)?, partition),
            None => self.write(drive, partition),
        }
    }

    /// Whether the disk can take the config drive, as far as that can be said before it is touched.
    pub(super) fn check(self, drive: &ConfigDrive) -> Result<(), DeployError> {
        if let Some(image) = self.unpacked(drive)? {
            self.files(drive, &image)?;
        }
        Ok(())
    }

    fn labelled(self, table: &Table) -> Result<Option<Partition>, DeployError> {
        let mut found: Vec<Partition> = Vec::new();
        for partition in table.partitions() {
            let file_system = probe::file_system(self.medium, partition.offset, partition.length)
                .map_err(|error| self.disk_error(error))?;
            if file_system.is_some_and(|found| found.label.eq_ignore_ascii_case(LABEL)) {
                found.push(partition);
            }
        }
        if let [first, second, ..] = &found[..] {
            return Err(DeployError::ConfigDrive(format!(
                "More than one partition with label \"{LABEL}\" exists on device {} for node {}: \
                 {} and {}.",
                self.device,
                self.node,
                partition_name(self.device, first.number),
                partition_name(self.device, second.number)
            )));
        }
        Ok(found.pop())
    }

    /// A new partition of 64 MiB, or where there is less room, of what is needed.
    fn create(self, table: &mut Table, size: u64) -> Result<Partition, DeployError> {
        let least = size.next_multiple_of(1 << 20);
        let added = match table {
            Table::Gpt(gpt) => gpt.add_at_end(LINUX_FILE_SYSTEM, Uuid::new_v4(), SIZE, least),
            Table::Mbr(mbr) => {
                let primary = mbr.primary_count();
                if primary > MOST_PRIMARY {
                    return Err(DeployError::ConfigDrive(format!(
                        "Config drive cannot be created for node {}. Disk ({}) uses MBR \
                         partitioning and already has {primary} primary partitions.",
                        self.node, self.device
                    )));
                }
                mbr.add_at_end(FAT32_LBA, SIZE, least)
            }
        };
        let partition = added.map_err(|error| self.error(error))?;
        // What an earlier tenant left there is no part of this config drive.
        self.medium
            .zero_range(partition.offset, partition.length)
            .map_err(|error| self.disk_error(error))?;
        let written = match table {
            Table::Gpt(gpt) => gpt.write(self.medium),
            Table::Mbr(mbr) => mbr.write(self.medium),
        };
        written.map_err(|error| self.error(error))?;
        Ok(partition)
    }

    /// The image, where it cannot go onto the disk as it is.
    fn unpacked(self, drive: &ConfigDrive) -> Result<Option<Vec<u8>>, DeployError> {
        if !self.rebuilds_of(drive) {
            return Ok(None);
        }
        let mib = drive.size().div_ceil(1 << 20);
        if mib > LIMIT_MIB {
            return Err(DeployError::ConfigDrive(format!(
                "Config drive for node {} has {mib} MiB, and at most {LIMIT_MIB} MiB can be made into \
                 the FAT file system that {}",
                self.node,
                self.needs()
            )));
        }
        let unpacked = drive.unpacked();
        unpacked
            .map(Some)
            .map_err(|error| drive.unreadable(self.node, error))
    }

    /// The files that a FAT file system is to be made of. The reference writes a drive without them as
    /// it is, where nobody can mount it.
    fn files<'i>(self, drive: &ConfigDrive, image: &'i [u8]) -> Result<Vec<Node<'i>>, DeployError> {
        let why = match drive.files(image) {
            Ok(files) => match fat_writer::check_names(&files) {
                Ok(()) => return Ok(files),
                Err(error) => error.to_string(),
            },
            Err(error) => chain(&error),
        };
        Err(DeployError::ConfigDrive(format!(
            "Config drive for node {} cannot be made into the FAT file system that {}. Error: {why}",
            self.node,
            self.needs()
        )))
    }

    /// Whether the config drive goes onto this disk as a FAT file system of its files.
    fn rebuilds_of(self, drive: &ConfigDrive) -> bool {
        self.rebuilds || drive.largest_block() < self.medium.logical_block_size()
    }

    /// What asks for a FAT file system.
    fn needs(self) -> String {
        match self.rebuilds {
            true => "the option config_drive_rebuild asks for".to_owned(),
            false => format!(
                "{} with blocks of {} bytes needs",
                self.device,
                self.medium.logical_block_size()
            ),
        }
    }

    /// Make a FAT file system of the files.
    fn rebuild(self, files: &[Node<'_>], partition: &Partition) -> Result<(), DeployError> {
        let serial = Uuid::new_v4().as_fields().0;
        fat_writer::write(
            self.medium,
            partition.offset,
            partition.length,
            FAT_LABEL,
            serial,
            files,
        )
        .map_err(|error| self.error(error))
    }

    fn write(self, drive: &ConfigDrive, partition: &Partition) -> Result<(), DeployError> {
        if drive.size() > partition.length {
            return Err(self.error(TableError::Full {
                size: drive.size(),
                reason: format!(
                    "partition {}, labelled {LABEL}, has {} bytes",
                    partition.number, partition.length
                ),
            }));
        }
        let mut reader = drive
            .reader()
            .map_err(|error| drive.unreadable(self.node, error))?;
        let mut buffer = AlignedBuffer::zeroed(PIECE);
        let mut offset = partition.offset;
        loop {
            let count = fill(&mut *reader, &mut buffer)
                .map_err(|error| drive.unreadable(self.node, error))?;
            if count == 0 {
                return Ok(());
            }
            self.medium
                .write_at(offset, &buffer[..count])
                .map_err(|error| self.disk_error(error))?;
            offset += count as u64;
        }
    }

    fn disk_error(self, error: DiskError) -> DeployError {
        self.error(error.into())
    }

    pub(super) fn error(self, source: TableError) -> DeployError {
        DeployError::ConfigDrivePlace {
            device: self.device.to_owned(),
            node: self.node.to_owned(),
            source,
        }
    }
}

/// Fill the buffer as far as there is something.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match reader.read(&mut buffer[count..])? {
            0 => break,
            more => count += more,
        }
    }
    Ok(count)
}
