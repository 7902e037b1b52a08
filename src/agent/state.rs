//! What must survive the agent's own end within one boot: the conductor hands out a token once and
//! refuses a changed certificate or callback URL (contract/control-plane 1.9, 3.4).

use std::fmt;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use farrier_plugin::Node;
use serde::{Deserialize, Serialize};
use tracing::{error, warn};

use crate::net::certificate::Identity;
use crate::sys::{private_file, run_files};

/// The file in it.
const FILE: &str = run_files::AGENT_STATE
    .split_at(run_files::STATE.len() + 1)
    .1;

/// What is kept.
#[derive(Clone, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Kept {
    /// The token.
    pub(super) token: Option<String>,
    /// The callback URL that the conductor was told.
    pub(super) callback_url: Option<String>,
    /// The own certificate and its key.
    pub(super) identity: Option<Identity>,
    /// The node as the lookup gave it.
    pub(super) node: Option<Node>,
    /// Whether inspection data was handed in.
    pub(super) inspected: bool,
    /// The UUID of the node that the conductor recognised by it. A node without ports is found by
    /// nothing else.
    pub(super) inspected_node: Option<String>,
}

/// Without the token, and without the node, of which the conductor may have masked nothing.
impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("token", &self.token.as_ref().map(|_| "***"))
            .field("callback_url", &self.callback_url)
            .field("identity", &self.identity)
            .field("inspected", &self.inspected)
            .finish_non_exhaustive()
    }
}

/// The file with [`Kept`].
#[derive(Debug)]
pub(super) struct StateFile {
    directory: PathBuf,
    kept: Kept,
}

impl StateFile {
    /// Read what an earlier agent of this boot has kept. A file that cannot be read or understood
    /// counts as none: without the token, the lookup then ends in silence rather than in a second
    /// agent that is half the first.
    pub(super) fn open(root: &Path) -> Self {
        let directory = directory(root);
        if let Err(error) = make_private(&directory) {
            error!(path = %directory.display(), %error, "the state directory cannot be made");
        }
        let path = directory.join(FILE);
        let kept = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                error!(path = %path.display(), %error, "the kept state makes no sense");
                Kept::default()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::default(),
            Err(error) => {
                error!(path = %path.display(), %error, "the kept state cannot be read");
                Kept::default()
            }
        };
        Self { directory, kept }
    }

    /// Where the command journal belongs too.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// What is kept.
    pub(super) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Change it, and write it where it changed. A failure is logged: the agent works on, and an
    /// agent after a crash would not.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Kept)) {
        let before = self.kept.clone();
        change(&mut self.kept);
        if self.kept == before {
            return;
        }
        if let Err(error) = self.write() {
            warn!(
                path = %self.directory.display(),
                %error,
                "the state cannot be kept; a restarted agent could not go on with this node"
            );
        }
    }

    fn write(&self) -> io::Result<()> {
        private_file::replace(&self.directory.join(FILE), &serde_json::to_vec(&self.kept)?)
    }
}

/// The directory of the state and of the command journal, on tmpfs, for root alone.
pub(super) fn directory(root: &Path) -> PathBuf {
    root.join(run_files::STATE.trim_start_matches('/'))
}

fn make_private(directory: &Path) -> io::Result<()> {
    if let Some(parent) = directory.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::set_permissions(directory, Permissions::from_mode(0o700))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_shows_neither_token_nor_key() {
        let node = serde_json::json!({"instance_info": {"password": "planted-Ks1"}});
        let kept = Kept {
            token: Some("planted-Ks2".to_owned()),
            identity: Some(Identity {
                certificate: "CERTIFICATE".to_owned(),
                key: "planted-Ks3".to_owned(),
            }),
            node: serde_json::from_value(node).ok(),
            ..Kept::default()
        };
        let dump = format!("{kept:?}");
        assert!(!dump.contains("planted"), "{dump}");
        assert!(dump.contains("CERTIFICATE"), "{dump}");
    }

    #[test]
    fn what_is_kept_is_found_again_and_private() {
        let root = tempfile::tempdir().unwrap();
        let mut state = StateFile::open(root.path());
        assert_eq!(state.kept(), &Kept::default());
        state.change(|kept| kept.token = Some("x".repeat(43)));
        state.change(|kept| kept.inspected = true);
        let again = StateFile::open(root.path());
        assert_eq!(again.kept(), state.kept());
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(directory(root.path())), 0o700);
        assert_eq!(mode(directory(root.path()).join(FILE)), 0o600);
    }

    #[test]
    fn a_torn_file_counts_as_none() {
        let root = tempfile::tempdir().unwrap();
        let mut state = StateFile::open(root.path());
        state.change(|kept| kept.token = Some("x".repeat(43)));
        let path = directory(root.path()).join(FILE);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert_eq!(StateFile::open(root.path()).kept(), &Kept::default());
    }
}
