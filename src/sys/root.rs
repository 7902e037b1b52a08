//! The root under which `/sys`, `/proc`, `/dev` and `/run` are read.
//!
//! Every reader of these trees takes a [`Root`], so that a tree recorded on a real server is a
//! fixture. What a recording cannot hold as files (answers to ioctl, netlink and IPMI) stands
//! beside them as JSON under [`RECORDED`] and is replayed where the kernel would be asked.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::sys::hex;
use crate::sys::witness::{RECORDED, Witness};

/// The interface under which parts of disks are recorded: `{"/dev/sda1@4096": "fc4e2ba9…"}`.
const DISKS: &str = "disks";

/// A file above this size is cut: nothing that is read whole comes near it (the largest, an SMBIOS
/// table, is some hundred KiB), and a broken driver must not fill the memory.
const FILE_LIMIT: u64 = 16 * 1024 * 1024;

/// As the kernel: more links than this in one path are taken for a loop.
const LINK_LIMIT: u32 = 40;

/// The machine itself, or a recorded tree.
#[derive(Clone, Debug)]
pub struct Root {
    base: PathBuf,
    /// Who is told of everything that is read.
    witness: Option<Arc<Witness>>,
}

impl Root {
    /// The machine that this process runs on.
    pub fn system() -> Self {
        Self::at("/")
    }

    /// The recorded tree below this directory.
    pub fn at(base: impl Into<PathBuf>) -> Self {
        Self {
            base: base.into(),
            witness: None,
        }
    }

    /// The same root, and this witness remembers what is read through it and its clones.
    pub fn witnessed(&self, witness: Arc<Witness>) -> Self {
        Self {
            base: self.base.clone(),
            witness: Some(witness),
        }
    }

    /// The same root without a witness, for what is no part of a recording: waiting, polling.
    pub fn unwitnessed(&self) -> Self {
        Self::at(&self.base)
    }

    /// Whether this is the machine itself, so that the kernel can be asked.
    pub fn is_system(&self) -> bool {
        self.base == Path::new("/")
    }

    /// The path to open for this path of the machine: `/dev/sda` for `/dev/sda`.
    ///
    /// Links of a recorded tree are followed inside the tree, absolute ones too, so that a
    /// recording never answers from the machine it is replayed on. A path that is not there is
    /// still named, for the error message; a link to nowhere is named so that opening it fails.
    /// A witness sees the links on the way, and not what is done with the path.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        if self.is_system() {
            if self.witness.is_some() {
                self.follow(path);
            }
            return path.to_owned();
        }
        if let Some(resolved) = self.follow(path) {
            return self.join(&resolved);
        }
        match (
            path.parent().and_then(|parent| self.follow(parent)),
            path.file_name(),
        ) {
            (Some(parent), Some(name)) if !self.join(&parent.join(name)).is_symlink() => {
                self.join(&parent.join(name))
            }
            _ => self.join(Path::new("/missing")).join(relative(path)),
        }
    }

    /// A whole file, at most 16 MiB of it.
    ///
    /// Before a witness a file does not change: what was read once is read again, so that a
    /// recording is of one moment.
    pub fn read(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        let path = path.as_ref();
        if let Some((witness, resolved)) = self.seen(path)
            && let Some(content) = witness.content(&resolved)
        {
            return Ok(content);
        }
        let mut content = Vec::new();
        fs::File::open(self.path(path))?
            .take(FILE_LIMIT)
            .read_to_end(&mut content)?;
        if let Some((witness, resolved)) = self.seen(path) {
            witness.saw_file(resolved, content.clone());
        }
        Ok(content)
    }

    /// So many bytes of a disk, from this offset.
    pub fn read_disk(&self, path: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let key = format!("{path}@{offset}");
        let answers = self.recorded::<serde_json::Map<_, _>>(DISKS);
        let recorded = answers
            .as_ref()
            .and_then(|answers| hex::decode(answers.get(&key)?.as_str()?));
        if let Some(bytes) = recorded
            && bytes.len() == length
        {
            return Ok(bytes);
        }
        let mut bytes = vec![0; length];
        fs::File::open(self.path(path))?.read_exact_at(&mut bytes, offset)?;
        self.remember(DISKS, &key, hex::encode(&bytes));
        Ok(bytes)
    }

    /// A whole file as text; bytes that are not UTF-8 become U+FFFD, as a vendor's strings in
    /// sysfs can be anything.
    pub fn text(&self, path: impl AsRef<Path>) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&self.read(path)?).into_owned())
    }

    /// An attribute, trimmed; `None` where it is missing, unreadable or empty, which sysfs does
    /// not tell apart either: drivers answer EINVAL or ENODATA for what they do not know.
    pub fn attribute(&self, path: impl AsRef<Path>) -> Option<String> {
        let text = self.text(path).ok()?;
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// An attribute that is a decimal number.
    pub fn number(&self, path: impl AsRef<Path>) -> Option<u64> {
        self.attribute(path)?.parse().ok()
    }

    /// The names in a directory, sorted; none where there is no such directory.
    pub fn names(&self, path: impl AsRef<Path>) -> Vec<String> {
        self.names_beginning(path, "")
    }

    /// The names in a directory that begin so, sorted. Says less about the rest of the directory
    /// than [`Self::names`]: a recording holds only these.
    pub fn names_beginning(&self, path: impl AsRef<Path>, prefix: &str) -> Vec<String> {
        let path = path.as_ref();
        let Ok(entries) = fs::read_dir(self.path(path)) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.starts_with(prefix))
            .collect();
        names.sort();
        if let Some((witness, resolved)) = self.seen(path) {
            witness.saw_names(resolved.clone());
            for name in &names {
                self.saw(witness, resolved.join(name));
            }
        }
        names
    }

    /// Whether something is there, links followed.
    pub fn exists(&self, path: impl AsRef<Path>) -> bool {
        let path = path.as_ref();
        let exists = self.path(path).exists();
        if exists && let Some((witness, resolved)) = self.seen(path) {
            self.saw(witness, resolved);
        }
        exists
    }

    /// Whether a directory is there, links followed.
    pub fn is_dir(&self, path: impl AsRef<Path>) -> bool {
        let path = path.as_ref();
        let is_dir = self.path(path).is_dir();
        if is_dir && let Some((witness, resolved)) = self.seen(path) {
            witness.saw_directory(resolved);
        }
        is_dir
    }

    /// The last part of what a link points to: the driver's name for `device/driver`.
    pub fn link_name(&self, path: impl AsRef<Path>) -> Option<String> {
        let target = self.resolve(path)?;
        Some(target.file_name()?.to_str()?.to_owned())
    }

    /// The same file by a path of the machine without links; `None` where it is not there.
    pub fn resolve(&self, path: impl AsRef<Path>) -> Option<PathBuf> {
        let resolved = self.follow(path.as_ref())?;
        if let Some(witness) = &self.witness {
            self.saw(witness, resolved.clone());
        }
        Some(resolved)
    }

    /// What [`Self::resolve`] does, and the witness sees the links only.
    fn follow(&self, path: &Path) -> Option<PathBuf> {
        let mut resolved = PathBuf::from("/");
        let mut rest: VecDeque<OsString> = parts(path);
        let mut links = 0;
        while let Some(part) = rest.pop_front() {
            if part == ".." {
                resolved.pop();
                continue;
            }
            resolved.push(&part);
            let here = self.join(&resolved);
            if !here.symlink_metadata().ok()?.is_symlink() {
                continue;
            }
            links += 1;
            if links > LINK_LIMIT {
                return None;
            }
            let target = fs::read_link(here).ok()?;
            if let Some(witness) = &self.witness {
                witness.saw_link(resolved.clone(), target.clone());
            }
            if target.is_absolute() {
                resolved = PathBuf::from("/");
            } else {
                resolved.pop();
            }
            for part in parts(&target).into_iter().rev() {
                rest.push_front(part);
            }
        }
        Some(resolved)
    }

    /// The recorded answers of one kernel interface; `None` on a machine, and where the recording
    /// has none or they do not parse.
    pub fn recorded<T: DeserializeOwned>(&self, interface: &str) -> Option<T> {
        if self.is_system() {
            return None;
        }
        let path = Path::new(RECORDED).join(format!("{interface}.json"));
        let content = self.unwitnessed().read(path).ok()?;
        if let Some(witness) = &self.witness
            && let Ok(answers) = serde_json::from_slice(&content)
        {
            witness.heard_all(interface, answers);
        }
        serde_json::from_slice(&content).ok()
    }

    /// Tell the witness, where there is one, what a kernel interface answered: beside
    /// [`Self::recorded`], which gives an object of all these answers when it is replayed.
    ///
    /// ```ignore
    /// root.remember("lldp", "eno1", &frames);
    /// ```
    pub fn remember(&self, interface: &str, asked: &str, answer: impl Serialize) {
        if let Some(witness) = &self.witness
            // What cannot be JSON cannot be replayed either.
            && let Ok(answer) = serde_json::to_value(answer)
        {
            witness.heard(interface, asked, answer);
        }
    }

    /// What the witness was told before of an interface whose answers change from one moment to the
    /// next.
    pub fn remembered<T: DeserializeOwned>(&self, interface: &str) -> Option<T> {
        serde_json::from_value(self.witness.as_ref()?.answers(interface)?).ok()
    }

    /// Tell the witness that this interface is there, even if nothing will be asked.
    pub fn remember_interface(&self, interface: &str) {
        if let Some(witness) = &self.witness {
            witness.heard_all(interface, serde_json::Map::new());
        }
    }

    /// The witness, and what this path is without links; `None` where either is missing.
    fn seen(&self, path: &Path) -> Option<(&Witness, PathBuf)> {
        let witness = self.witness.as_deref()?;
        Some((witness, self.follow(path)?))
    }

    /// What is at this path, whose parent has no links, is kept by its kind.
    fn saw(&self, witness: &Witness, path: PathBuf) {
        let here = self.join(&path);
        if let Ok(target) = fs::read_link(&here) {
            witness.saw_link(path, target);
        } else if here.is_dir() {
            witness.saw_directory(path);
        } else {
            witness.saw_existing(path);
        }
    }

    fn join(&self, path: &Path) -> PathBuf {
        self.base.join(relative(path))
    }
}

/// Without the leading slash, and without any `..` that would lead out of the tree.
fn relative(path: &Path) -> PathBuf {
    path.components()
        .filter(|component| matches!(component, Component::Normal(_)))
        .collect()
}

fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(part) => Some(part.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path();
        fs::create_dir_all(base.join("sys/devices/pci/nvme0/nvme0n1")).unwrap();
        fs::create_dir_all(base.join("sys/block")).unwrap();
        fs::create_dir_all(base.join("dev")).unwrap();
        fs::write(base.join("sys/devices/pci/nvme0/model"), "Disk  \n").unwrap();
        fs::write(base.join("sys/devices/pci/nvme0/nvme0n1/size"), "2048\n").unwrap();
        symlink("..", base.join("sys/devices/pci/nvme0/nvme0n1/device")).unwrap();
        symlink(
            "../devices/pci/nvme0/nvme0n1",
            base.join("sys/block/nvme0n1"),
        )
        .unwrap();
        symlink("/sys/block", base.join("dev/blocks")).unwrap();
        symlink("/etc/passwd", base.join("dev/escape")).unwrap();
        symlink("loop", base.join("dev/loop")).unwrap();
        let root = Root::at(base);
        (dir, root)
    }

    #[test]
    fn attributes_are_read_through_links() {
        let (_dir, root) = tree();
        assert_eq!(
            root.attribute("/sys/block/nvme0n1/device/model").as_deref(),
            Some("Disk")
        );
        assert_eq!(root.number("/dev/blocks/nvme0n1/size"), Some(2048));
        assert_eq!(root.attribute("/sys/block/nvme0n1/none"), None);
        assert_eq!(
            root.resolve("/sys/block/nvme0n1/device").as_deref(),
            Some(Path::new("/sys/devices/pci/nvme0"))
        );
        assert_eq!(
            root.link_name("/sys/block/nvme0n1").as_deref(),
            Some("nvme0n1")
        );
        assert_eq!(root.names("/sys/block"), ["nvme0n1"]);
        assert!(root.names("/sys/none").is_empty());
    }

    #[test]
    fn a_recorded_tree_never_answers_from_this_machine() {
        let (_dir, root) = tree();
        assert!(root.text("/dev/escape").is_err());
        assert!(!root.exists("/dev/escape"));
        assert!(root.text("/../../../../etc/passwd").is_err());
        assert!(root.text("/none/../../../../etc/passwd").is_err());
        assert!(root.path("/dev/new").ends_with("dev/new"));
    }

    #[test]
    fn a_loop_of_links_ends() {
        let (_dir, root) = tree();
        assert_eq!(root.resolve("/dev/loop"), None);
        assert!(root.text("/dev/loop").is_err());
    }
}
