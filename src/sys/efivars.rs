//! UEFI variables, through the kernel's efivarfs.
//!
//! A variable is a file `Name-GUID`: four bytes of attributes, then its value. A write is one
//! write(2), so that the firmware gets the whole value at once; most files are immutable until an
//! ioctl says otherwise, so that `rm -rf` does not brick a machine
//! (Documentation/filesystems/efivarfs.rst).
#![expect(unsafe_code, reason = "ioctl for the immutable flag")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};

use crate::sys::process::Program;
use crate::sys::root::Root;

/// Whether the machine was booted by UEFI, so that there are variables.
const FIRMWARE: &str = "/sys/firmware/efi";
const DIRECTORY: &str = "/sys/firmware/efi/efivars";

/// Non-volatile, and reachable by boot and run-time services: what boot entries need
/// (UEFI specification 2.10, section 8.2).
pub(crate) const BOOT_ATTRIBUTES: u32 = 0x7;

/// include/uapi/linux/fs.h
const FS_IMMUTABLE_FL: libc::c_int = 0x10;

mod ioctl {
    // Declared as long, but the kernel reads and writes an int.
    nix::ioctl_read!(fs_ioc_getflags, b'f', 1, libc::c_long);
    nix::ioctl_write_ptr!(fs_ioc_setflags, b'f', 2, libc::c_long);
}

/// The variables of one vendor GUID.
#[derive(Clone, Debug)]
pub(crate) struct EfiVariables {
    directory: PathBuf,
    vendor: &'static str,
}

/// Why a variable could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum EfiError {
    /// The variables cannot be reached.
    #[error(
        "Could not mount efivarfs; was this kernel built without it, or booted with efi=noruntime?"
    )]
    Mount(#[source] io::Error),
    /// The firmware refused.
    #[error("Could not {action} the UEFI variable {name}{hint}")]
    Variable {
        /// `read`, `write`, `remove`.
        action: &'static str,
        /// The variable.
        name: String,
        /// What may help, starting with a separator, or empty.
        hint: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}

/// Variables of the firmware, each by its name.
pub(crate) trait Variables {
    /// The names of all, sorted.
    fn names(&self) -> Result<Vec<String>, EfiError>;

    /// A variable's value; `None` where there is none.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, EfiError>;

    /// Set a variable, which comes into being if it is not there, with [`BOOT_ATTRIBUTES`]. After an error it has
    /// the value that it had, or is not there, as before.
    fn write(&self, name: &str, value: &[u8]) -> Result<(), EfiError>;

    /// Remove a variable; one that is not there is no error.
    fn remove(&self, name: &str) -> Result<(), EfiError>;
}

impl EfiError {
    /// The kernel's answer to an attempt to `read`, `write` or `remove` a variable.
    pub(crate) fn of(action: &'static str, name: &str, source: io::Error) -> Self {
        Self::Variable {
            action,
            name: name.to_owned(),
            hint: match source.raw_os_error() {
                Some(libc::ENOSPC) => {
                    ": the firmware's storage is full; remove old boot entries, in its setup, with efibootmgr from \
                     an installed system or by the clean step clean_uefi_nvram"
                }
                Some(libc::EROFS) => ": the firmware's variables are read only",
                Some(libc::EACCES) => {
                    ": the firmware forbids it; its setup may have a lock on boot entries"
                }
                _ => "",
            },
            source,
        }
    }

    /// Whether the firmware's memory had no room.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::Variable { source, .. } if source.raw_os_error() == Some(libc::ENOSPC))
    }
}

impl EfiVariables {
    /// Whether this machine was booted by UEFI.
    pub(crate) fn exist(root: &Root) -> bool {
        root.is_dir(FIRMWARE)
    }

    /// The variables of this vendor GUID, in lower case; efivarfs is mounted if it is not.
    pub(crate) fn open(root: &Root, vendor: &'static str) -> Result<Self, EfiError> {
        let variables = Self {
            directory: root.path(DIRECTORY),
            vendor,
        };
        let is_empty = fs::read_dir(&variables.directory)
            .map(|mut entries| entries.next().is_none())
            .unwrap_or(true);
        if is_empty && root.is_system() {
            variables.mount().map_err(EfiError::Mount)?;
        }
        Ok(variables)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}-{}", self.vendor))
    }

    fn make_mutable(&self, name: &str) -> io::Result<()> {
        let file = match File::open(self.path(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut flags: libc::c_long = 0;
        // SAFETY: the descriptor is open, and FS_IOC_GETFLAGS writes an int into the long.
        let outcome = unsafe { ioctl::fs_ioc_getflags(file.as_raw_fd(), &raw mut flags) };
        // A file system without flags, as in tests, has no immutable files.
        if outcome.is_err() || flags as libc::c_int & FS_IMMUTABLE_FL == 0 {
            return Ok(());
        }
        let flags = libc::c_long::from(flags as libc::c_int & !FS_IMMUTABLE_FL);
        // SAFETY: the descriptor is open, and FS_IOC_SETFLAGS reads an int from the long; x86 and
        // ARM are little endian, so the int is its first half.
        unsafe { ioctl::fs_ioc_setflags(file.as_raw_fd(), &raw const flags) }?;
        Ok(())
    }

    fn mount(&self) -> io::Result<()> {
        let attempt = || {
            mount(
                Some("efivarfs"),
                &self.directory,
                Some("efivarfs"),
                MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC,
                None::<&str>,
            )
        };
        match attempt() {
            // Already there, and the firmware has no variables.
            Ok(()) | Err(nix::Error::EBUSY) => Ok(()),
            Err(nix::Error::ENODEV) => {
                // Its error is the second attempt's.
                let _ = Program::new("/sbin/modprobe").arg("efivarfs").run();
                attempt().map_err(io::Error::from)
            }
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Variables for EfiVariables {
    /// Without the GUID.
    fn names(&self) -> Result<Vec<String>, EfiError> {
        let suffix = format!("-{}", self.vendor);
        let entries =
            fs::read_dir(&self.directory).map_err(|source| EfiError::of("read", "list", source))?;
        let mut names: Vec<String> = entries
            .filter_map(|entry| {
                let name = entry.ok()?.file_name().into_string().ok()?;
                Some(name.strip_suffix(&suffix)?.to_owned())
            })
            .collect();
        names.sort();
        Ok(names)
    }

    /// A file without attributes is what a refused write leaves until its last reader closes it: no variable.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, EfiError> {
        match fs::read(self.path(name)) {
            Ok(content) => Ok(content.get(4..).map(<[u8]>::to_vec)),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(EfiError::of("read", name, source)),
        }
    }

    fn write(&self, name: &str, value: &[u8]) -> Result<(), EfiError> {
        let path = self.path(name);
        let is_new = !path.exists();
        let outcome = self.make_mutable(name).and_then(|()| put(&path, value));
        if outcome.is_err() && is_new {
            // Before Linux 6.14 the file that open(2) made would stay, and be listed as a variable.
            let _ = fs::remove_file(&path);
        }
        outcome.map_err(|source| EfiError::of("write", name, source))
    }

    fn remove(&self, name: &str) -> Result<(), EfiError> {
        let failed = |source| EfiError::of("remove", name, source);
        self.make_mutable(name).map_err(failed)?;
        match fs::remove_file(self.path(name)) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(failed(source)),
            _ => Ok(()),
        }
    }
}

/// One write(2), so that the firmware gets the whole value at once.
fn put(path: &Path, value: &[u8]) -> io::Result<()> {
    let content = [&BOOT_ATTRIBUTES.to_le_bytes(), value].concat();
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    // efivarfs takes the file's new length from the value; anything else needs to be told.
    let count = file.write(&content)?;
    if count < content.len() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    if file.metadata()?.len() != content.len() as u64 {
        file.set_len(content.len() as u64)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const VENDOR: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";

    fn variables() -> (tempfile::TempDir, EfiVariables) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("sys/firmware/efi/efivars")).unwrap();
        let root = Root::at(dir.path());
        assert!(EfiVariables::exist(&root));
        let variables = EfiVariables::open(&root, VENDOR).unwrap();
        (dir, variables)
    }

    #[test]
    fn variables_are_written_replaced_and_removed() {
        let (dir, variables) = variables();
        variables.write("BootOrder", &[1, 0, 2, 0]).unwrap();
        let path = dir
            .path()
            .join("sys/firmware/efi/efivars/BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c");
        assert_eq!(fs::read(&path).unwrap(), [7, 0, 0, 0, 1, 0, 2, 0]);
        variables.write("BootOrder", &[3, 0]).unwrap();
        assert_eq!(variables.read("BootOrder").unwrap(), Some(vec![3, 0]));
        fs::write(dir.path().join("sys/firmware/efi/efivars/Other-0"), "x").unwrap();
        assert_eq!(variables.names().unwrap(), ["BootOrder"]);
        variables.remove("BootOrder").unwrap();
        variables.remove("BootOrder").unwrap();
        assert_eq!(variables.read("BootOrder").unwrap(), None);
    }

    #[test]
    fn a_machine_without_uefi_has_none() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!EfiVariables::exist(&Root::at(dir.path())));
    }

    #[test]
    fn an_immutable_variable_is_replaced() {
        let (dir, variables) = variables();
        variables.write("Boot0001", &[1]).unwrap();
        let path = dir
            .path()
            .join(format!("sys/firmware/efi/efivars/Boot0001-{VENDOR}"));
        let file = File::open(&path).unwrap();
        let flags = libc::c_long::from(FS_IMMUTABLE_FL);
        // SAFETY: the descriptor is open, and FS_IOC_SETFLAGS reads an int from the long.
        if unsafe { ioctl::fs_ioc_setflags(file.as_raw_fd(), &raw const flags) }.is_err() {
            eprintln!("not run: this file system has no immutable files");
            return;
        }
        assert!(OpenOptions::new().write(true).open(&path).is_err());
        variables.write("Boot0001", &[2, 3]).unwrap();
        assert_eq!(variables.read("Boot0001").unwrap(), Some(vec![2, 3]));
    }
}
