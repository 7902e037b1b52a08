//! All files of a FAT file system at once: a config drive that is to be made anew.

use super::{Entry, Fat, FatError, damaged};
use crate::block::fat_writer::Node;

/// Directories deeper than this are an error.
const DEEPEST: usize = 32;

/// The most files and directories that are taken, and the most directories, each of which is read
/// whole.
const MOST_NODES: usize = 65_536;
const MOST_DIRECTORIES: usize = 4_096;

impl Fat<'_> {
    /// Its files and directories, as long as their content is no more than it has room for.
    pub(crate) fn files(&self) -> Result<Vec<Node<'static>>, FatError> {
        let mut left = Left {
            nodes: MOST_NODES,
            directories: MOST_DIRECTORIES,
            bytes: self.length,
        };
        self.nodes(self.root()?, &mut left, 0)
    }

    fn nodes(
        &self,
        entries: Vec<Entry>,
        left: &mut Left,
        depth: usize,
    ) -> Result<Vec<Node<'static>>, FatError> {
        if depth > DEEPEST {
            return Err(damaged("its directories are too deep"));
        }
        let mut nodes = Vec::new();
        for entry in entries {
            left.nodes = left
                .nodes
                .checked_sub(1)
                .ok_or(damaged("it has too many files"))?;
            if entry.is_directory {
                left.directories = left
                    .directories
                    .checked_sub(1)
                    .ok_or(damaged("it has too many directories"))?;
                let children = self.directory(&entry)?;
                let children = self.nodes(children, left, depth + 1)?;
                nodes.push(Node::directory(entry.name, children));
                continue;
            }
            left.bytes = left
                .bytes
                .checked_sub(entry.size)
                .ok_or(FatError::Outside {
                    reason: "its files are larger than itself",
                })?;
            let content = self.read(&entry, entry.size)?;
            nodes.push(Node::file(entry.name, content));
        }
        Ok(nodes)
    }
}

/// What may still be taken.
struct Left {
    nodes: usize,
    directories: usize,
    bytes: u64,
}
