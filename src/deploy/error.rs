//! Why no operating system got onto the disk.

use std::error::Error;
use std::io;

use farrier_plugin::{ErrorKind, ManagerError, chain};

use crate::block::list::BlockError;
use crate::block::table_error::TableError;
use crate::stream::StreamError;
use crate::sys::block_device::DiskError;
use crate::sys::efivars::EfiError;

/// Why a deploy step failed. The texts are the reference's where it has one.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// An argument is wrong, among them the image's description (contract/data-plane 1.3).
    #[error("{0}")]
    Arguments(String),
    /// A disk was not made bootable by BIOS (contract/data-plane 5.5).
    #[error("Installing GRUB2 boot loader to device {device} failed")]
    BiosBoot {
        /// The disk.
        device: String,
        /// The class of the reason.
        kind: ErrorKind,
        /// Why not.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The disks could not be listed.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// Boot entries that were to be removed are still there, or in the order.
    #[error("Not all matching boot entries could be removed ({removed} were): {failures}")]
    BootEntriesKept {
        /// How many are gone.
        removed: usize,
        /// Each variable, with the kernel's answer.
        failures: String,
    },
    /// The firmware took a boot entry and does not have it.
    #[error(
        "The firmware accepted the boot entry {name} and does not have it; its settings may forbid \
         changes, or need a reset"
    )]
    BootEntryLost {
        /// The variable: `Boot0001`.
        name: String,
    },
    /// All 65,536 boot entries are taken.
    #[error("The firmware has no free number for a boot entry")]
    BootEntriesFull,
    /// The config drive is not what it should be, or could not be fetched.
    #[error("{0}")]
    ConfigDrive(String),
    /// The config drive could not be decompressed.
    #[error(
        "Encountered error while decompressing and writing config drive for node {node}. Error"
    )]
    ConfigDriveContent {
        /// The node.
        node: String,
        /// What the decompression answered.
        #[source]
        source: io::Error,
    },
    /// The config drive has no place on the disk, or could not be written there.
    #[error("Failed to create config drive on disk {device} for node {node}. Error")]
    ConfigDrivePlace {
        /// The disk.
        device: String,
        /// The node.
        node: String,
        /// Why not.
        #[source]
        source: TableError,
    },
    /// The partitions of a partition image have no room (contract/data-plane 3.2).
    #[error(
        "The partitions of this deploy do not fit {device} ({partitions}): {why}. They come from \
         root_gb, ephemeral_gb and swap_mb of the node's instance_info, the disk from its root device \
         hints; nothing was written"
    )]
    DoesNotFit {
        /// The disk.
        device: String,
        /// Each with its size, in order.
        partitions: String,
        /// What is short.
        why: String,
    },
    /// There is no program that makes this file system (contract/data-plane 3.3).
    #[error("Failed to create a file system. File system {format} is not supported.{offered}")]
    FileSystemNotSupported {
        /// Its name.
        format: String,
        /// What to do, after a space.
        offered: String,
    },
    /// A file system beside a partition image could not be made.
    #[error("Failed to create a {format} file system in the {label} partition of {device}")]
    FileSystem {
        /// Its name: `vfat`, `swap`, or as `ephemeral_format` says.
        format: String,
        /// What the partition is for.
        label: &'static str,
        /// The disk.
        device: String,
        /// Why not.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A partition image was not made bootable.
    #[error("Could not make the image on device {device} bootable by UEFI")]
    ImageBoot {
        /// The disk.
        device: String,
        /// The class of the reason.
        kind: ErrorKind,
        /// Why not.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A partition image that is a disk of its own.
    #[error(
        "The image {image} is one of a whole disk: it has a partition table, and its partitions would be \
         found by nothing inside of the root partition. Deploy it without image_type=partition, kernel \
         and ramdisk"
    )]
    ImageIsDisk {
        /// The image's id.
        image: String,
    },
    /// A file could not be injected (contract/data-plane 9.2).
    #[error("Failed to process file {path}")]
    Inject {
        /// The file.
        path: String,
        /// Why not.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Installing a boot loader for BIOS is switched off (contract/data-plane 5.2).
    #[error(
        "Install of legacy BIOS bootloaders disabled by CONF.enable_bios_bootloader_install as \
         part of CVE-2026-43003 mitigation."
    )]
    LegacyBootloader,
    /// The firmware's list of boot entries cannot be reached.
    #[error(
        "This machine was not booted by UEFI, so that the firmware's boot entries are out of reach. Boot the \
         ramdisk by UEFI, or leave the step out for this node"
    )]
    NoBootEntries,
    /// No usable checksum is named (contract/data-plane 1.7).
    #[error("{0}")]
    NoChecksum(String),
    /// The disk has no EFI system partition (contract/data-plane 5.3).
    #[error("{0}")]
    NoEsp(String),
    /// The EFI system partition has loaders for another kind of machine alone.
    #[error(
        "The boot loader {path} on the EFI system partition {partition} of {device} is for {machine}, and this machine is \
         {this_machine}: its firmware would start nothing. Deploy an image for {this_machine}"
    )]
    ForeignLoader {
        /// The disk.
        device: String,
        /// The partition's number.
        partition: u32,
        /// The loader on it.
        path: String,
        /// What it is for.
        machine: &'static str,
        /// What the machine is.
        this_machine: &'static str,
    },
    /// The EFI system partition has nothing that firmware could start.
    #[error(
        "Empty EFI partition detected: partition {partition} of {device} holds no boot loader that \
         is known, and firmware would start nothing. Are you using a UEFI-compatible image?"
    )]
    NoLoader {
        /// The disk.
        device: String,
        /// The partition's number.
        partition: u32,
    },
    /// No partition has what leads to a file to inject (contract/data-plane 9.2).
    #[error("No partition found with path {path}, scanned: {scanned}")]
    NoPartitionWithPath {
        /// The path's first part.
        path: String,
        /// Where it was looked for, and what stood in the way.
        scanned: String,
    },
    /// The image holds a partition table without partitions (contract/data-plane 1.9).
    #[error("No partitions found on the device {device} after writing the image.")]
    NoPartitions {
        /// The disk.
        device: String,
    },
    /// A kind of deployment that this version does not do.
    #[error("{what} not offered yet: deploy a whole-disk image")]
    NotOffered {
        /// Which kind, with its verb: `Partition images are`.
        what: &'static str,
    },
    /// Firmware could not read an image on this device.
    #[error(
        "An image on {device} could not be booted: {why}. Name a single disk in the node's root \
         device hints; the clean step erase_devices_metadata takes arrays and volumes apart"
    )]
    OutOfReach {
        /// The device.
        device: String,
        /// What keeps firmware from it.
        why: String,
    },
    /// What lies on the root device lies on something protected too, and is not taken apart.
    #[error(
        "{holder} lies on the root device {device} and on {other}, which is to be left alone: {why}. \
         Nothing was taken apart and nothing written"
    )]
    HolderProtected {
        /// The root device.
        device: String,
        /// The array or volume.
        holder: String,
        /// The other device.
        other: String,
        /// Why that is to be left alone.
        why: String,
    },
    /// What is mounted of the root device is not unmounted.
    #[error(
        "The root device {device} is in use: {part} is mounted at {place}, and {why}. Nothing was \
         written"
    )]
    RootMounted {
        /// The root device.
        device: String,
        /// What of it is mounted.
        part: String,
        /// Where.
        place: String,
        /// Why it stays.
        why: String,
    },
    /// The root device must not be written.
    #[error("No image is written to the root device {device}: {why}")]
    RootProtected {
        /// The root device.
        device: String,
        /// Why not.
        why: String,
    },
    /// What is swapped to on the root device stays.
    #[error(
        "The root device {device} is in use: {part} on it is swapped to, and that cannot be switched off. \
         End what needs the memory, or start the ramdisk anew. Nothing was written"
    )]
    RootSwapped {
        /// The root device.
        device: String,
        /// What is swapped to.
        part: String,
        /// What the kernel answered.
        #[source]
        source: io::Error,
    },
    /// Firmware could not be led to an array (contract/data-plane 6.6).
    #[error("Could not make the array {device} bootable by UEFI")]
    RaidBoot {
        /// The array.
        device: String,
        /// The class of the reason.
        kind: ErrorKind,
        /// Why not.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The image has no usable partition table (contract/data-plane 1.9).
    #[error(
        "Unable to find a valid partition table on the disk after writing the image. The image may \
         be corrupted or it uses a different sector size than the device. Error"
    )]
    PartitionTable(#[source] TableError),
    /// What is to be kept of a disk is not there (contract/data-plane 3.4).
    #[error(
        "The ephemeral partition of {device} cannot be preserved: {why}. Nothing was written; rebuild \
         without preserving it, or with the sizes, boot mode and disk label of the last deploy"
    )]
    Preserve {
        /// The disk.
        device: String,
        /// What is not as it was.
        why: String,
    },
    /// The partition table of a partition image could not be written.
    #[error("Failed to create the partitions on device {device}")]
    Partitions {
        /// The disk.
        device: String,
        /// Why not.
        #[source]
        source: TableError,
    },
    /// A partition image does not go into its partition (contract/data-plane 3.1).
    #[error(
        "Root partition is too small for requested image. Image virtual size: {image_mib} MB, Root \
         size: {root_mib} MB"
    )]
    RootTooSmall {
        /// MiB of the image, rounded up; a lower bound where the server did not tell.
        image_mib: u64,
        /// MiB of the partition.
        root_mib: u64,
    },
    /// The image did not get onto the disk.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The disk could not be opened or read.
    #[error("Writing image to device {device} failed{holders}")]
    Target {
        /// The disk.
        device: String,
        /// Who has it in use, starting with ` because `, or empty.
        holders: String,
        /// What the disk answered.
        #[source]
        source: DiskError,
    },
    /// The disk could not be made bootable by UEFI.
    #[error("Could not configure UEFI boot on device {device}")]
    Uefi {
        /// The disk.
        device: String,
        /// Why not.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The firmware's variables could not be changed.
    #[error("Could not configure UEFI boot")]
    UefiVariables(#[from] EfiError),
}

impl DeployError {
    /// [`DeployError::Uefi`] of this disk.
    pub(super) fn uefi(device: &str, source: impl Error + Send + Sync + 'static) -> Self {
        Self::Uefi {
            device: device.to_owned(),
            source: Box::new(source),
        }
    }

    /// The class that the conductor knows this error by.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::ConfigDrive(_)
            | Self::ConfigDriveContent { .. }
            | Self::ConfigDrivePlace { .. }
            | Self::DoesNotFit { .. }
            | Self::NoPartitions { .. }
            | Self::NotOffered { .. }
            | Self::OutOfReach { .. }
            | Self::Preserve { .. }
            | Self::PartitionTable(_) => ErrorKind::Deployment,
            Self::BootEntriesFull
            | Self::BootEntriesKept { .. }
            | Self::BootEntryLost { .. }
            | Self::Inject { .. }
            | Self::NoBootEntries
            | Self::Uefi { .. }
            | Self::UefiVariables(_) => ErrorKind::CommandExecution,
            Self::HolderProtected { .. } | Self::RootProtected { .. } => ErrorKind::ProtectedDevice,
            Self::Block(_) => ErrorKind::BlockDevice,
            Self::BiosBoot { kind, .. }
            | Self::ImageBoot { kind, .. }
            | Self::RaidBoot { kind, .. } => *kind,
            Self::ImageIsDisk { .. }
            | Self::LegacyBootloader
            | Self::ForeignLoader { .. }
            | Self::NoLoader { .. } => ErrorKind::InvalidImage,
            Self::NoEsp(_) | Self::NoPartitionWithPath { .. } => ErrorKind::DeviceNotFound,
            Self::Arguments(_) | Self::RootTooSmall { .. } => ErrorKind::InvalidCommandParams,
            Self::FileSystemNotSupported { .. } | Self::NoChecksum(_) => ErrorKind::Rest,
            Self::Stream(error) => error.kind(),
            Self::FileSystem { .. }
            | Self::Partitions { .. }
            | Self::RootMounted { .. }
            | Self::RootSwapped { .. }
            | Self::Target { .. } => ErrorKind::ImageWrite,
        }
    }
}

impl From<DeployError> for ManagerError {
    fn from(error: DeployError) -> Self {
        Self::new(error.kind(), chain(&error))
    }
}
