//! Remembering what is read of a machine, so that it can be replayed: the files with their content,
//! the links, the directories, and the answers of the kernel.
//!
//! What was looked for and is not there is not kept: it is not there in the recording either.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};

/// Where a recorded tree keeps the kernel's answers, one JSON file for each interface: `ethtool`,
/// `addresses`, `ipmi`. Each is an object: what was asked about, and the answer.
pub(crate) const RECORDED: &str = "/recorded";

/// Sees what is read through a [`Root`](crate::sys::root::Root).
#[derive(Debug, Default)]
pub struct Witness {
    seen: Mutex<Seen>,
    /// How often each file and directory was read.
    #[cfg(test)]
    reads: Mutex<BTreeMap<PathBuf, usize>>,
}

/// What was read of a machine.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Seen {
    /// What stands in the tree, by its path on the machine, which has no links.
    pub entries: BTreeMap<PathBuf, Entry>,
    /// The answers of the kernel by interface: `ethtool`, `addresses`, `ipmi`.
    pub answers: BTreeMap<String, Map<String, Value>>,
}

/// Something in the tree.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Entry {
    /// A directory; those above other entries need not be named.
    Directory,
    /// A file with what was read of it; empty where only its existence counted.
    File(Vec<u8>),
    /// A link with its target as it stands.
    Link(PathBuf),
}

impl Witness {
    /// Everything so far.
    pub fn seen(&self) -> Seen {
        self.lock().clone()
    }

    /// How often each file was read and each directory listed.
    #[cfg(test)]
    pub(crate) fn reads(&self) -> BTreeMap<PathBuf, usize> {
        self.reads.lock().unwrap().clone()
    }

    #[cfg(test)]
    fn count(&self, path: &Path) {
        *self
            .reads
            .lock()
            .unwrap()
            .entry(path.to_owned())
            .or_default() += 1;
    }

    /// What was read of a file before.
    pub(super) fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let content = match self.lock().entries.get(path)? {
            Entry::File(content) if !content.is_empty() => content.clone(),
            _ => return None,
        };
        #[cfg(test)]
        self.count(path);
        Some(content)
    }

    /// What an interface answered before.
    pub(super) fn answers(&self, interface: &str) -> Option<Value> {
        let answers = self.lock().answers.get(interface)?.clone();
        Some(Value::Object(answers))
    }

    pub(super) fn saw_file(&self, path: PathBuf, content: Vec<u8>) {
        #[cfg(test)]
        self.count(&path);
        self.lock().entries.insert(path, Entry::File(content));
    }

    /// Not a directory and not a link; its content is kept if it was read before or is read later.
    pub(super) fn saw_existing(&self, path: PathBuf) {
        self.lock()
            .entries
            .entry(path)
            .or_insert(Entry::File(Vec::new()));
    }

    pub(super) fn saw_directory(&self, path: PathBuf) {
        self.lock().entries.insert(path, Entry::Directory);
    }

    /// A directory and all names in it that were asked for.
    pub(super) fn saw_names(&self, path: PathBuf) {
        #[cfg(test)]
        self.count(&path);
        self.saw_directory(path);
    }

    pub(super) fn saw_link(&self, path: PathBuf, target: PathBuf) {
        self.lock().entries.insert(path, Entry::Link(target));
    }

    pub(super) fn heard(&self, interface: &str, asked: &str, answer: Value) {
        self.lock()
            .answers
            .entry(interface.to_owned())
            .or_default()
            .insert(asked.to_owned(), answer);
    }

    pub(super) fn heard_all(&self, interface: &str, answers: Map<String, Value>) {
        self.lock()
            .answers
            .entry(interface.to_owned())
            .or_default()
            .extend(answers);
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Write everything below a directory that is empty or not there yet; nothing is written
    /// outside it.
    ///
    /// # Errors
    /// The directory holds something, or cannot be written.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        make_empty(directory)?;
        let recorded = directory.join(inside(Path::new(RECORDED)));
        fs::create_dir(&recorded)?;
        for (interface, answers) in &self.answers {
            let mut text = serde_json::to_vec_pretty(answers)?;
            text.push(b'\n');
            fs::write(recorded.join(format!("{interface}.json")), text)?;
        }
        // Links come last, so that nothing is ever written through one.
        for (path, entry) in &self.entries {
            let place = directory.join(inside(path));
            match entry {
                Entry::Directory => fs::create_dir_all(place)?,
                Entry::File(content) => {
                    make_parent(&place)?;
                    fs::write(place, content)?;
                }
                Entry::Link(_) => make_parent(&place)?,
            }
        }
        for (path, entry) in &self.entries {
            if let Entry::Link(target) = entry {
                symlink(target, directory.join(inside(path)))?;
            }
        }
        Ok(())
    }
}

/// Make the directory for its owner alone, or see that it is empty.
///
/// # Errors
/// It holds something, or cannot be made or listed.
pub(crate) fn make_empty(directory: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if fs::read_dir(directory)?.next().is_some() {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            Ok(())
        }
        result => result,
    }
}

fn make_parent(place: &Path) -> io::Result<()> {
    place.parent().map_or(Ok(()), fs::create_dir_all)
}

/// A path of the machine as one below the recording's directory.
fn inside(path: &Path) -> PathBuf {
    path.components()
        .filter(|component| matches!(component, Component::Normal(_)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sys::recording::{Recording, scratch};
    use crate::sys::root::Root;

    const TREE: &str = "/sys/devices/x/vda/size = 8\n/sys/devices/x/vda/model = M\n\
        /sys/devices/x/vda/vda1/partition = 1\n/sys/block/vda -> ../devices/x/vda\n\
        /sys/class/block -> ../block\n/dev/vda #= 01 02 03 04\n/dev/none -> nowhere\n\
        /proc/secret = not asked for";

    fn recorded(read: impl Fn(&Root)) -> (tempfile::TempDir, Root) {
        let recording = Recording::unpack(TREE);
        let witness = Arc::<Witness>::default();
        read(&recording.root().witnessed(Arc::clone(&witness)));
        let directory = scratch();
        witness.seen().write(directory.path()).unwrap();
        let root = Root::at(directory.path());
        (directory, root)
    }

    #[test]
    fn what_was_read_is_there_and_nothing_else() {
        let (_directory, root) = recorded(|root| {
            root.attribute("/sys/class/block/vda/size");
            root.attribute("/sys/class/block/vda/serial");
            root.names_beginning("/sys/block/vda", "vda");
            root.read_disk("/dev/vda", 1, 2).unwrap();
            root.remember("ethtool", "eno1", 7);
            root.remember_interface("ipmi");
        });
        assert_eq!(root.number("/sys/class/block/vda/size"), Some(8));
        assert_eq!(root.names("/sys/block/vda"), ["size", "vda1"]);
        assert!(root.is_dir("/sys/block/vda/vda1"));
        assert_eq!(root.read_disk("/dev/vda", 1, 2).unwrap(), [2, 3]);
        assert!(root.read_disk("/dev/vda", 0, 2).is_err());
        assert!(!root.exists("/proc") && !root.exists("/dev/none"));
        let answers = |interface| root.recorded::<Map<String, Value>>(interface);
        assert_eq!(answers("ethtool").unwrap()["eno1"], 7);
        assert_eq!(answers("ipmi"), Some(Map::new()));
        assert_eq!(answers("lldp"), None);
    }

    #[test]
    fn a_file_that_is_only_looked_for_is_there_without_its_content() {
        let (_directory, root) = recorded(|root| {
            assert!(root.exists("/proc/secret"));
            root.unwitnessed().exists("/sys/block/vda/model");
        });
        assert_eq!(root.read("/proc/secret").unwrap(), b"");
        assert!(!root.exists("/sys"));
    }

    #[test]
    fn nothing_is_written_outside_the_directory() {
        let outside = scratch();
        let mut seen = Seen::default();
        let mut add = |path: &str, entry| seen.entries.insert(PathBuf::from(path), entry);
        // What a machine that changes under the reader could look like.
        add("/sys/way", Entry::Link(outside.path().to_owned()));
        add("/sys/way/out", Entry::File(b"x".to_vec()));
        add("/../up", Entry::File(b"x".to_vec()));
        let directory = scratch();
        assert!(seen.write(directory.path()).is_err());
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        assert!(directory.path().join("up").exists());
    }

    #[test]
    fn a_directory_with_something_in_it_is_refused() {
        let directory = scratch();
        make_empty(&directory.path().join("new")).unwrap();
        let error = make_empty(directory.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::DirectoryNotEmpty);
    }
}
