//! The files of a file system that is not this machine's.

use std::error::Error;
use std::io::{self, Read};

/// Why a tree did not do something: in the words of whatever holds it.
pub(in crate::deploy) type Failure = Box<dyn Error + Send + Sync>;

/// Bytes that are copied at once.
const PIECE: usize = 1 << 20;

/// What stands at a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::deploy) enum Kind {
    /// A file with this many bytes.
    File(u64),
    /// A directory.
    Directory,
    /// A device, a socket and the like.
    Other,
}

/// The files of one file system. Paths start at its root, with slashes; links are followed, and never
/// lead out of it.
pub(in crate::deploy) trait FileTree {
    /// What stands at this path; `None` where nothing does, or a link leads nowhere.
    fn kind(&mut self, path: &str) -> Result<Option<Kind>, Failure>;

    /// The names in a directory, in order; empty where there is no such directory.
    fn names(&mut self, directory: &str) -> Result<Vec<String>, Failure>;

    /// Bytes of a file from this offset on, less than `length` only at its end.
    fn read_at(&mut self, path: &str, offset: u64, length: usize) -> Result<Vec<u8>, Failure>;

    /// Make this file anew, or replace it: after a power cut it has the old or the new content.
    fn write(&mut self, path: &str, content: &mut dyn Read) -> Result<(), Failure>;

    /// Make a directory, and those that it lies in, where they are missing.
    fn make_directory(&mut self, path: &str) -> Result<(), Failure>;

    /// Remove a file, where it is there.
    fn remove(&mut self, path: &str) -> Result<(), Failure>;
}

/// A file's content, as long as it is no more than `limit` bytes; `None` where it is no file or has
/// more.
pub(in crate::deploy) fn small_file(
    tree: &mut dyn FileTree,
    path: &str,
    limit: usize,
) -> Result<Option<Vec<u8>>, Failure> {
    match tree.kind(path)? {
        Some(Kind::File(size)) if size <= limit as u64 => Ok(Some(tree.read_at(path, 0, limit)?)),
        _ => Ok(None),
    }
}

/// Whether a file stands at this path.
pub(in crate::deploy) fn is_file(tree: &mut dyn FileTree, path: &str) -> Result<bool, Failure> {
    Ok(matches!(tree.kind(path)?, Some(Kind::File(_))))
}

/// Reads a file of a tree from its start to its end, piece by piece.
pub(in crate::deploy) struct FileReader<'t> {
    tree: &'t mut dyn FileTree,
    path: &'t str,
    offset: u64,
    piece: Vec<u8>,
    used: usize,
}

impl<'t> FileReader<'t> {
    /// Of this file.
    pub(in crate::deploy) fn new(tree: &'t mut dyn FileTree, path: &'t str) -> Self {
        Self {
            tree,
            path,
            offset: 0,
            piece: Vec::new(),
            used: 0,
        }
    }
}

impl Read for FileReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.used == self.piece.len() {
            self.piece = self
                .tree
                .read_at(self.path, self.offset, PIECE)
                .map_err(io::Error::other)?;
            self.offset += self.piece.len() as u64;
            self.used = 0;
        }
        let count = buffer.len().min(self.piece.len() - self.used);
        buffer[..count].copy_from_slice(&self.piece[self.used..self.used + count]);
        self.used += count;
        Ok(count)
    }
}
