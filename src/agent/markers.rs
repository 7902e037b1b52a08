//! Marker files that end an agent for the rest of the boot. PID 1 reads them too and starts no
//! agent beside them.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use tracing::error;

/// The machine is a rescue system now (contract/control-plane 6.8).
pub(super) const RESCUED: &str = "run/farrier/rescued";

/// The machine is locked down (contract/control-plane 6.11).
pub(super) const LOCKED_DOWN: &str = "run/farrier/locked-down";

/// The reference's marker of a rescue system, which other parts of a ramdisk write and read.
const REFERENCE_RESCUED: &str = "etc/.rescued";

/// What an earlier agent of this boot has left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Marker {
    /// Take the network down and stay idle.
    LockedDown,
    /// Leave everything as it is and stay idle.
    Rescued,
}

/// The marker that is there, if any.
pub(super) fn found(root: &Path) -> Option<Marker> {
    if root.join(LOCKED_DOWN).exists() {
        Some(Marker::LockedDown)
    } else if root.join(RESCUED).exists() || root.join(REFERENCE_RESCUED).exists() {
        Some(Marker::Rescued)
    } else {
        None
    }
}

/// Leave a marker. A failure is logged: this agent ends all the same.
pub(super) fn leave(root: &Path, marker: &str) {
    let path = root.join(marker);
    let written = path
        .parent()
        .map_or(Ok(()), |parent| {
            DirBuilder::new().recursive(true).mode(0o755).create(parent)
        })
        .and_then(|()| fs::write(&path, b""));
    if let Err(error) = written {
        error!(path = %path.display(), %error, "the marker could not be written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_found_again() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(found(root.path()), None);
        leave(root.path(), RESCUED);
        assert_eq!(found(root.path()), Some(Marker::Rescued));
        leave(root.path(), LOCKED_DOWN);
        assert_eq!(found(root.path()), Some(Marker::LockedDown));
    }

    #[test]
    fn the_references_marker_counts() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/.rescued"), b"").unwrap();
        assert_eq!(found(root.path()), Some(Marker::Rescued));
    }
}
