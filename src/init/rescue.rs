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
use crate::sys::private_file;
use crate::sys::run_files::{self, RESCUED};

/// Who logs in; doas knows the name (dracut/95farrier/root/etc/doas.conf).
const USER: &str = "rescue";
const ID: u32 = 1000;
const HOME: &str = "home/rescue";

/// What no password's hash is equal to.
const NO_HASH: &str = "!";

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
/// The hash comes last. Until then nobody can log in, though the server greets: not while what the conductor entrusted to
/// the agent is still there, and not where the rescue fails after all, when a session would go on beside the agent.
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
    let opened = accounts.add_user(NO_HASH).and_then(|()| {
        ssh_server::open_for_rescue().map_err(RescueError::Ssh)?;
        hand_over(root, &mut accounts, hash).inspect_err(|_| ssh_server::close_for_rescue())
    });
    opened.map_err(|error| {
        accounts.restore();
        failed(error)
    })
}

/// From here on the machine is the user's. What can fail for want of room is first; what cannot be undone is last.
fn hand_over(root: &Path, accounts: &mut Accounts<'_>, hash: &str) -> Result<(), RescueError> {
    let marker = root.join(&RESCUED[1..]);
    let shadow = accounts.prepare_password(hash)?;
    write(marker.clone(), b"", 0o644)?;
    run_files::forget_secrets(root);
    shadow.put().inspect_err(|_| {
        let _ = fs::remove_file(marker);
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

    /// The user, who logs in with the password of this hash.
    fn add_user(&mut self, hash: &str) -> Result<(), RescueError> {
        let home = self.root.join(HOME);
        let made = fs::create_dir_all(&home)
            .and_then(|()| fs::set_permissions(&home, fs::Permissions::from_mode(0o700)))
            .and_then(|()| chown(&home, Some(ID), Some(ID)));
        made.map_err(|source| RescueError::Write { path: home, source })?;
        self.add_line("etc/group", 0o644, &format!("{USER}:x:{ID}:"))?;
        self.prepare_password(hash)?.put()?;
        self.add_line(
            "etc/passwd",
            0o644,
            &format!("{USER}:x:{ID}:{ID}:{USER}:/{HOME}:/bin/sh"),
        )
    }

    /// The file with this hash, which crypt(3) compares with; nobody else has a password. Dates of changes and ends are
    /// nobody's here.
    fn prepare_password(&mut self, hash: &str) -> Result<Prepared, RescueError> {
        self.prepare("etc/shadow", 0o600, &format!("{USER}:{hash}:::::::"))
    }

    /// Add the user's line, in place of one of its name.
    fn add_line(&mut self, name: &str, mode: u32, line: &str) -> Result<(), RescueError> {
        self.prepare(name, mode, line)?.put()
    }

    fn prepare(&mut self, name: &str, mode: u32, line: &str) -> Result<Prepared, RescueError> {
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
        // What was there at first is what comes back.
        if self.before.iter().all(|(known, _)| *known != path) {
            self.before.push((path.clone(), before));
        }
        Prepared::write(path, content.as_bytes(), mode)
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

/// A file that nobody sees half written or with other rights, beside the one that it is to replace. Dropped, it is gone.
#[must_use]
struct Prepared {
    new: PathBuf,
    path: PathBuf,
}

impl Prepared {
    fn write(path: PathBuf, content: &[u8], mode: u32) -> Result<Self, RescueError> {
        let prepared = Self {
            new: private_file::new_of(&path),
            path,
        };
        private_file::write(&prepared.new, content)
            .and_then(|()| fs::set_permissions(&prepared.new, fs::Permissions::from_mode(mode)))
            .map_err(|source| prepared.failed(source))?;
        Ok(prepared)
    }

    fn put(self) -> Result<(), RescueError> {
        fs::rename(&self.new, &self.path).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> RescueError {
        RescueError::Write {
            path: self.path.clone(),
            source,
        }
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        // It may have a hash in it. One that was put has this name no more.
        let _ = fs::remove_file(&self.new);
    }
}

fn write(path: PathBuf, content: &[u8], mode: u32) -> Result<(), RescueError> {
    Prepared::write(path, content, mode)?.put()
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

    fn entrusted(root: &Path) -> PathBuf {
        let token = root.join(&run_files::AGENT_STATE[1..]);
        fs::create_dir_all(token.parent().unwrap()).unwrap();
        fs::write(&token, "token").unwrap();
        token
    }

    #[test]
    fn nobody_is_let_in_before_the_operators_secrets_are_gone() {
        let root = root();
        let root = root.path();
        let token = entrusted(root);
        let mut accounts = Accounts::of(root);
        accounts.add_user(NO_HASH).unwrap();
        assert_eq!(text(root, "etc/shadow"), "rescue:!:::::::\n");
        hand_over(root, &mut accounts, HASH).unwrap();
        assert!(!token.exists());
        assert!(root.join(&RESCUED[1..]).exists());
        assert_eq!(text(root, "etc/shadow"), format!("rescue:{HASH}:::::::\n"));
        accounts.restore();
        assert!(!root.join("etc/shadow").exists());
    }

    #[test]
    fn a_rescue_that_fails_at_its_end_lets_nobody_in_and_forgets_nothing() {
        let root = root();
        let root = root.path();
        let token = entrusted(root);
        // Nothing can be written over a directory.
        fs::create_dir(root.join(&RESCUED[1..])).unwrap();
        let mut accounts = Accounts::of(root);
        accounts.add_user(NO_HASH).unwrap();
        let error = hand_over(root, &mut accounts, HASH).unwrap_err();
        assert!(error.to_string().contains(".rescued"), "{error}");
        assert_eq!(text(root, "etc/shadow"), "rescue:!:::::::\n");
        assert!(token.exists());
        assert!(!root.join("etc/shadow.new").exists());
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
