//! What ends an agent for the rest of the boot: a file that PID 1 reads too, so that it starts no
//! agent again.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use tracing::error;

use crate::sys::run_files::{LOCKED_DOWN, RESCUED};

/// Why no agent may start any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Marker {
    /// The machine is locked down (contract/control-plane 6.11): keep the network down, stay idle.
    LockedDown,
    /// The machine is a rescue system (contract/control-plane 1.2, 10.2): leave it as it is.
    Rescued,
}

impl Marker {
    /// The one that this boot has, if any. A lock-down outranks a rescue: its network stays down.
    pub(super) fn found(root: &Path) -> Option<Self> {
        if below(root, LOCKED_DOWN).exists() {
            return Some(Self::LockedDown);
        }
        below(root, RESCUED).exists().then_some(Self::Rescued)
    }
}

/// Leave the marker of a lock-down. A failure is logged: this agent ends all the same.
pub(super) fn leave_locked_down(root: &Path) {
    let path = below(root, LOCKED_DOWN);
    let written = path
        .parent()
        .map_or(Ok(()), |parent| {
            DirBuilder::new().recursive(true).mode(0o700).create(parent)
        })
        .and_then(|()| fs::write(&path, b""));
    if let Err(error) = written {
        error!(path = %path.display(), %error, "the marker could not be written");
    }
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_found_again() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Marker::found(root.path()), None);
        fs::create_dir(root.path().join("etc")).unwrap();
        fs::write(below(root.path(), RESCUED), b"").unwrap();
        assert_eq!(Marker::found(root.path()), Some(Marker::Rescued));
        leave_locked_down(root.path());
        assert_eq!(Marker::found(root.path()), Some(Marker::LockedDown));
    }
}
