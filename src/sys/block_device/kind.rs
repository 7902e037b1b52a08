//! What a disk is held by.

use std::fs::File;

use nix::fcntl::Flock;

/// The open descriptors of a block device, or of a plain file that stands for one.
#[derive(Debug)]
pub(super) enum Kind {
    /// Every access is direct. The lock keeps udev from probing: it leaves out devices that it
    /// cannot lock (systemd's BLOCK_DEVICE_LOCKING).
    Device(Flock<File>),
    /// Direct where the file system can and the access is aligned, else through the page cache;
    /// the kernel keeps the two coherent.
    File {
        buffered: Flock<File>,
        direct: Option<File>,
    },
}
