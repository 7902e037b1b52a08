//! A file system that is mounted nowhere: an open directory is all that leads to it.
//!
//! By fsopen(2), fsconfig(2) and fsmount(2), in Linux since 5.2. Nobody else can see such a mount or walk
//! into it, no directory has to be made for it, and it is gone with its descriptor, however the process
//! ends. mount(2) would need a place in a namespace.
#![expect(
    unsafe_code,
    reason = "the C library has no functions for these system calls"
)]

use std::ffi::{CStr, CString};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;

/// From `linux/mount.h`.
const FSOPEN_CLOEXEC: u32 = 1;
const FSCONFIG_SET_FLAG: u32 = 0;
const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_CMD_CREATE: u32 = 6;
const FSMOUNT_CLOEXEC: u32 = 1;
const MOUNT_ATTR_RDONLY: u32 = 1;
const MOUNT_ATTR_NOSUID: u32 = 2;
const MOUNT_ATTR_NODEV: u32 = 4;
const MOUNT_ATTR_NOEXEC: u32 = 8;
const MOUNT_ATTR_NOATIME: u32 = 0x10;

/// Lines of the kernel's own words that are kept of one attempt.
const MOST_LINES: usize = 8;

/// How to mount.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MountRequest<'a> {
    /// The kernel's name of the file system.
    pub kind: &'a str,
    /// What it lies on: a block device's path, or any word for one without.
    pub source: &'a str,
    /// Whether nothing is to be written there.
    pub is_read_only: bool,
    /// The file system's own options: a name alone, or one with a value.
    pub options: &'a [(&'a str, Option<&'a str>)],
}

/// Why a file system could not be mounted.
#[derive(Debug)]
pub(crate) enum MountFailure {
    /// The kernel does not know it, and could not load it.
    Unknown(Errno),
    /// It does not take one of the options.
    Option {
        /// The option's name.
        name: String,
        /// The kernel's answer.
        errno: Errno,
    },
    /// It refuses.
    Refused {
        /// The kernel's answer.
        errno: Errno,
        /// What the file system says about it; often nothing.
        words: String,
    },
}

/// Mount without set-user-ID, device nodes and programs. The directory is the file system's root; the mount
/// ends with it and with what was opened beneath it.
pub(crate) fn mount(request: &MountRequest<'_>) -> Result<OwnedFd, MountFailure> {
    let context = open_context(request.kind).map_err(MountFailure::Unknown)?;
    let mut settings = vec![("source", Some(request.source))];
    if request.is_read_only {
        settings.push(("ro", None));
    }
    settings.extend(request.options);
    for (name, value) in settings {
        configure(&context, name, value).map_err(|errno| MountFailure::Option {
            name: name.to_owned(),
            errno,
        })?;
    }
    let refused = |errno| MountFailure::Refused {
        errno,
        words: words(&context),
    };
    create(&context).map_err(refused)?;
    attach(&context, request.is_read_only).map_err(refused)
}

fn open_context(kind: &str) -> Result<OwnedFd, Errno> {
    let kind = text(kind)?;
    // SAFETY: the name is a C string that outlives the call; the kernel writes nothing.
    let answer = unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), FSOPEN_CLOEXEC) };
    owned(answer)
}

fn configure(context: &OwnedFd, name: &str, value: Option<&str>) -> Result<(), Errno> {
    let name = text(name)?;
    let value = value.map(text).transpose()?;
    let command = match value {
        Some(_) => FSCONFIG_SET_STRING,
        None => FSCONFIG_SET_FLAG,
    };
    let value = value.as_deref().map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: name and value are C strings that outlive the call, the value NULL for a flag, as
    // fsconfig(2) wants it; the kernel writes nothing.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context.as_raw_fd(),
            command,
            name.as_ptr(),
            value,
            0,
        )
    };
    Errno::result(answer).map(drop)
}

fn create(context: &OwnedFd) -> Result<(), Errno> {
    let none = std::ptr::null::<libc::c_char>();
    // SAFETY: this command takes neither name nor value; the kernel writes nothing.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context.as_raw_fd(),
            FSCONFIG_CMD_CREATE,
            none,
            none,
            0,
        )
    };
    Errno::result(answer).map(drop)
}

fn attach(context: &OwnedFd, is_read_only: bool) -> Result<OwnedFd, Errno> {
    let mut attributes =
        MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOATIME;
    if is_read_only {
        attributes |= MOUNT_ATTR_RDONLY;
    }
    // SAFETY: all three arguments are numbers.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_fsmount,
            context.as_raw_fd(),
            FSMOUNT_CLOEXEC,
            attributes,
        )
    };
    owned(answer)
}

/// What the kernel has to say of an attempt: lines such as `e ext4: …`, one at each read.
fn words(context: &OwnedFd) -> String {
    let Ok(context) = context.try_clone() else {
        return String::new();
    };
    let mut context = std::fs::File::from(context);
    let mut lines = Vec::new();
    let mut line = [0; 512];
    while let Ok(length @ 1..) = context.read(&mut line)
        && lines.len() < MOST_LINES
    {
        let line = String::from_utf8_lossy(&line[..length]);
        let line = line.trim();
        lines.push(
            line.split_once(' ')
                .map_or(line, |(_, rest)| rest)
                .to_owned(),
        );
    }
    lines.join("; ")
}

fn text(text: &str) -> Result<CString, Errno> {
    CString::new(text).map_err(|_| Errno::EINVAL)
}

fn owned(answer: libc::c_long) -> Result<OwnedFd, Errno> {
    let answer = Errno::result(answer)?;
    let descriptor = i32::try_from(answer).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// The kernel's answer as the library's error.
impl From<MountFailure> for io::Error {
    fn from(failure: MountFailure) -> Self {
        let (MountFailure::Unknown(errno)
        | MountFailure::Option { errno, .. }
        | MountFailure::Refused { errno, .. }) = failure;
        errno.into()
    }
}
