//! What lies in a tenant's file system.

use std::ffi::OsString;

use nix::sys::stat::FileStat;

/// A file, directory or anything else.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct TreeEntry {
    /// Its name within its directory, which can be of any bytes but `/` and NUL.
    pub(crate) name: OsString,
    /// What it is.
    pub(crate) kind: EntryKind,
    /// Bytes of its content, holes included; of a link, those of its target.
    pub(crate) size: u64,
    /// Permission bits, with those of set-user-ID, set-group-ID and the sticky one.
    pub(crate) mode: u32,
}

/// What something is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum EntryKind {
    /// A plain file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A device node.
    Device,
    /// A FIFO.
    Fifo,
    /// A socket.
    Socket,
}

impl EntryKind {
    const ALL: [Self; 6] = [
        Self::File,
        Self::Directory,
        Self::Link,
        Self::Device,
        Self::Fifo,
        Self::Socket,
    ];

    /// Of a file's mode.
    pub(super) fn of(stat: &FileStat) -> Self {
        match stat.st_mode & libc::S_IFMT {
            libc::S_IFREG => Self::File,
            libc::S_IFDIR => Self::Directory,
            libc::S_IFLNK => Self::Link,
            libc::S_IFIFO => Self::Fifo,
            libc::S_IFSOCK => Self::Socket,
            _ => Self::Device,
        }
    }

    /// In words, as in "it is a directory".
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::File => "a plain file",
            Self::Directory => "a directory",
            Self::Link => "a symbolic link",
            Self::Device => "a device node",
            Self::Fifo => "a FIFO",
            Self::Socket => "a socket",
        }
    }

    /// Its number in a message.
    pub(super) fn code(self) -> u8 {
        self as u8
    }

    /// What has this number in a message.
    pub(super) fn of_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

impl TreeEntry {
    /// Of what `stat` told.
    pub(super) fn of(name: OsString, stat: &FileStat) -> Self {
        Self {
            name,
            kind: EntryKind::of(stat),
            size: stat.st_size.unsigned_abs(),
            mode: stat.st_mode & 0o7777,
        }
    }
}
