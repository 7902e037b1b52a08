//! The ramdisk becomes a rescue system: the user `rescue`, whom the SSH server lets in with the password's hash, and the
//! marker that no agent serves any more.
//!
//! The agent does this, not PID 1, which hears only that the server is wanted: the hash stays out of messages.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use farrier_plugin::{ErrorKind, ManagerError};

use super::ssh_server::{self, SshError};
use crate::sys::run_files::RESCUED;

/// Who logs in; doas knows the name (dracut/95farrier/root/etc/doas.conf).
const USER: &str = "rescue";
const ID: u32 = 1000;
const HOME: &str = "home/rescue";

/// Why this is no rescue system.
#[derive(Debug, thiserror::Error)]
enum RescueError {
    #[error("Could not write {path} for the user {USER}")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("Nobody could log in, and the agent goes on as before")]
    Ssh(#[source] SshError),
}

/// Let the user `rescue` in with the password of this hash, and leave the marker. Where one of it fails, nothing of it
/// stays.
///
/// # Errors
/// This is no ramdisk of ours, its files cannot be written, or the SSH server does not come up.
pub(crate) fn open(root: &Path, hash: &str) -> Result<(), ManagerError> {
    let failed = |error: RescueError| {
        ManagerError::new(
            ErrorKind::CommandExecution,
            "This ramdisk did not become a rescue system",
        )
        .with_source(error)
    };
    ssh_server::is_here().map_err(|error| failed(RescueError::Ssh(error)))?;
    let mut accounts = Accounts::of(root);
    let opened = accounts.add_user(hash).and_then(|()| {
        ssh_server::open_for_rescue().map_err(RescueError::Ssh)?;
        // Last: with it there is no agent to ask again.
        write(root.join(&RESCUED[1..]), b"", 0o644).inspect_err(|_| ssh_server::close_for_rescue())
    });
    opened.map_err(|error| {
        accounts.restore();
        failed(error)
    })
}

/// The files of users as they were.
struct Accounts<'a> {
    root: &'a Path,
    before: Vec<(PathBuf, Option<Vec<u8>>)>,
}

impl<'a> Accounts<'a> {
    fn of(root: &'a Path) -> Self {
        Self {
            root,
            before: Vec::new(),
        }
    }

    fn add_user(&mut self, hash: &str) -> Result<(), RescueError> {
        let home = self.root.join(HOME);
        let made = fs::create_dir_all(&home)
            .and_then(|()| fs::set_permissions(&home, fs::Permissions::from_mode(0o700)))
            .and_then(|()| chown(&home, Some(ID), Some(ID)));
        made.map_err(|source| RescueError::Write { path: home, source })?;
        self.add_line("etc/group", 0o644, &format!("{USER}:x:{ID}:"))?;
        // crypt(3) compares with this; nobody else has a password. Dates of changes and ends are nobody's here.
        self.add_line("etc/shadow", 0o600, &format!("{USER}:{hash}:::::::"))?;
        self.add_line(
            "etc/passwd",
            0o644,
            &format!("{USER}:x:{ID}:{ID}:{USER}:/{HOME}:/bin/sh"),
        )
    }

    /// Add the user's line, in place of one of its name.
    fn add_line(&mut self, name: &str, mode: u32, line: &str) -> Result<(), RescueError> {
        let path = self.root.join(name);
        let before = match fs::read(&path) {
            Ok(content) => Some(content),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(RescueError::Write { path, source }),
        };
        let text = String::from_utf8_lossy(before.as_deref().unwrap_or_default());
        let others = text
            .lines()
            .filter(|line| line.split(':').next() != Some(USER));
        let content: String = others
            .chain([line])
            .map(|line| format!("{line}\n"))
            .collect();
        self.before.push((path.clone(), before.clone()));
        write(path, content.as_bytes(), mode)
    }

    /// What cannot be put back is left: without the server nobody can log in.
    fn restore(self) {
        for (path, before) in self.before {
            let _ = match before {
                Some(content) => fs::write(path, content),
                None => fs::remove_file(path),
            };
        }
    }
}

/// Write a file that nobody sees half written or with other rights.
fn write(path: PathBuf, content: &[u8], mode: u32) -> Result<(), RescueError> {
    let mut name = path.clone().into_os_string();
    name.push(".new");
    let written = crate::sys::private_file::write(Path::new(&name), content)
        .and_then(|()| fs::set_permissions(&name, fs::Permissions::from_mode(mode)))
        .and_then(|()| fs::rename(&name, &path));
    written.map_err(|source| RescueError::Write { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$6$saltsalt$hash";

    fn root() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("dracut/95farrier/root/etc");
        for name in ["passwd", "group"] {
            fs::copy(here.join(name), root.path().join("etc").join(name)).unwrap();
        }
        root
    }

    fn text(root: &Path, name: &str) -> String {
        fs::read_to_string(root.join(name)).unwrap_or_default()
    }

    #[test]
    fn the_hash_is_in_shadow_alone_and_root_alone_reads_it() {
        let root = root();
        let root = root.path();
        let mut accounts = Accounts::of(root);
        accounts.add_user(HASH).unwrap();
        // Another rescue of the same boot: the last password counts.
        Accounts::of(root).add_user(HASH).unwrap();
        assert_eq!(text(root, "etc/shadow"), format!("rescue:{HASH}:::::::\n"));
        let passwd = text(root, "etc/passwd");
        assert!(
            passwd.ends_with("\nrescue:x:1000:1000:rescue:/home/rescue:/bin/sh\n"),
            "{passwd}"
        );
        assert_eq!(passwd.matches("rescue:x").count(), 1);
        assert!(passwd.starts_with("root:x:0:0:"), "{passwd}");
        assert!(text(root, "etc/group").ends_with("\nrescue:x:1000:\n"));
        let mode = |name: &str| fs::metadata(root.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            ["etc/shadow", "etc/passwd", HOME].map(mode),
            [0o600, 0o644, 0o700]
        );
        for name in ["etc/passwd", "etc/group"] {
            assert!(!text(root, name).contains(HASH));
        }
        assert_eq!(fs::read_dir(root.join("etc")).unwrap().count(), 3);
    }

    #[test]
    fn no_half_of_a_rescue_stays() {
        let root = root();
        let root = root.path();
        let before = ["etc/passwd", "etc/group"].map(|name| text(root, name));
        let mut accounts = Accounts::of(root);
        // Nothing can be written over a directory.
        fs::remove_file(root.join("etc/passwd")).unwrap();
        fs::create_dir(root.join("etc/passwd")).unwrap();
        let error = accounts.add_user(HASH).unwrap_err();
        assert!(error.to_string().contains("etc/passwd"), "{error}");
        fs::remove_dir(root.join("etc/passwd")).unwrap();
        fs::write(root.join("etc/passwd"), &before[0]).unwrap();
        accounts.restore();
        assert_eq!(
            ["etc/passwd", "etc/group"].map(|name| text(root, name)),
            before
        );
        assert!(!root.join("etc/shadow").exists());
    }

    /// Nor anything of a system that is no ramdisk of ours.
    #[test]
    fn outside_a_ramdisk_nothing_is_touched() {
        let root = root();
        let error = open(root.path(), HASH).unwrap_err();
        let chain = farrier_plugin::chain(&error);
        assert!(
            chain.contains("no SSH server of a farrier ramdisk"),
            "{chain}"
        );
        assert!(!chain.contains(HASH), "{chain}");
        assert!(!root.path().join("etc/shadow").exists());
        assert!(!root.path().join(HOME).exists());
    }
}
