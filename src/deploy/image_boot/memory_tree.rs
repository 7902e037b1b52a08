//! A file tree in memory for tests, with links, a limit of its size and a number of writes after which it
//! fails.

use std::collections::BTreeMap;
use std::io::Read;

use super::file_tree::{Failure, FileTree, Kind};

/// What stands at a path.
#[derive(Clone, Debug)]
enum Node {
    File(Vec<u8>),
    Link(String),
}

/// The tree. Directories are there where something lies in them.
#[derive(Clone, Debug, Default)]
pub(in crate::deploy) struct MemoryTree {
    nodes: BTreeMap<String, Node>,
    /// Bytes that its files may have.
    pub(in crate::deploy) room: Option<u64>,
    /// Changes that still succeed.
    pub(in crate::deploy) changes_left: Option<usize>,
    /// Paths in the order in which they were written.
    pub(in crate::deploy) written: Vec<String>,
    /// Whether names are the same in upper and lower case.
    pub(in crate::deploy) is_fat: bool,
}

/// A program for x86_64 with this text in it.
pub(in crate::deploy) fn program(text: &str) -> Vec<u8> {
    program_for(0x8664, text)
}

/// A program for this machine type.
pub(in crate::deploy) fn program_for(machine: u16, text: &str) -> Vec<u8> {
    let mut program = vec![0; 0x60];
    program[..2].copy_from_slice(b"MZ");
    program[0x3c] = 0x40;
    program[0x40..0x44].copy_from_slice(b"PE\0\0");
    program[0x44..0x46].copy_from_slice(&machine.to_le_bytes());
    program.extend(text.as_bytes());
    program
}

impl MemoryTree {
    /// With these files. What ends in `.efi` or holds `.efi.` in its name is a program; a content that
    /// starts with `->` makes a link.
    pub(in crate::deploy) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, content) in files {
            if let Some(target) = content.strip_prefix("->") {
                tree.link(path, target);
            } else if path.to_lowercase().ends_with(".efi") || path.contains(".efi.") {
                tree.put(path, &program(content));
            } else {
                tree.put(path, content.as_bytes());
            }
        }
        tree
    }

    /// An empty FAT.
    pub(in crate::deploy) fn fat() -> Self {
        Self {
            is_fat: true,
            ..Self::default()
        }
    }

    /// Put a link that leads to `target` at this path.
    pub(in crate::deploy) fn link(&mut self, path: &str, target: &str) {
        self.nodes
            .insert(path.to_owned(), Node::Link(target.to_owned()));
    }

    pub(in crate::deploy) fn put(&mut self, path: &str, content: &[u8]) {
        self.nodes
            .insert(path.to_owned(), Node::File(content.to_vec()));
    }

    pub(in crate::deploy) fn bytes(&self, path: &str) -> Option<&[u8]> {
        match self.nodes.get(&self.resolve(path)?)? {
            Node::File(bytes) => Some(bytes),
            Node::Link(_) => None,
        }
    }

    pub(in crate::deploy) fn text(&self, path: &str) -> Option<String> {
        Some(String::from_utf8_lossy(self.bytes(path)?).into_owned())
    }

    pub(in crate::deploy) fn paths(&self) -> Vec<String> {
        self.nodes.keys().cloned().collect()
    }

    /// The path without links; `None` where it turns in circles.
    fn resolve(&self, path: &str) -> Option<String> {
        let mut resolved = String::new();
        let mut rest: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut links = 0;
        while let Some(part) = rest.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    resolved.truncate(resolved.rfind('/').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let next = format!("{resolved}/{part}");
            let stored = self
                .nodes
                .keys()
                .find(|key| self.is_fat && key.eq_ignore_ascii_case(&next));
            let next = stored.cloned().unwrap_or(next);
            if let Some(Node::Link(target)) = self.nodes.get(&next) {
                links += 1;
                if links > 40 {
                    return None;
                }
                if target.starts_with('/') {
                    resolved.clear();
                }
                rest.extend(target.split('/').rev().map(str::to_owned));
                continue;
            }
            resolved = next;
        }
        Some(resolved)
    }

    fn change(&mut self) -> Result<(), Failure> {
        if let Some(left) = &mut self.changes_left {
            *left = left.checked_sub(1).ok_or("power cut")?;
        }
        Ok(())
    }
}

impl FileTree for MemoryTree {
    fn kind(&mut self, path: &str) -> Result<Option<Kind>, Failure> {
        let Some(path) = self.resolve(path) else {
            return Ok(None);
        };
        Ok(match self.nodes.get(&path) {
            Some(Node::File(bytes)) => Some(Kind::File(bytes.len() as u64)),
            Some(Node::Link(_)) => Some(Kind::Other),
            None => {
                let start = format!("{path}/");
                let has_any = self.nodes.keys().any(|key| key.starts_with(&start));
                has_any.then_some(Kind::Directory)
            }
        })
    }

    fn names(&mut self, directory: &str) -> Result<Vec<String>, Failure> {
        let Some(path) = self.resolve(directory) else {
            return Ok(Vec::new());
        };
        let start = format!("{path}/");
        let mut names: Vec<String> = self
            .nodes
            .keys()
            .filter_map(|key| Some(key.strip_prefix(&start)?.split('/').next()?.to_owned()))
            .collect();
        names.dedup();
        Ok(names)
    }

    fn read_at(&mut self, path: &str, offset: u64, length: usize) -> Result<Vec<u8>, Failure> {
        let bytes = self.bytes(path).ok_or("no such file")?;
        let rest = bytes.get(offset as usize..).unwrap_or_default();
        Ok(rest[..rest.len().min(length)].to_vec())
    }

    fn write(&mut self, path: &str, content: &mut dyn Read) -> Result<(), Failure> {
        self.change()?;
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        let used: usize = self.nodes.values().map(Node::size).sum();
        if self
            .room
            .is_some_and(|room| (used + bytes.len()) as u64 > room)
        {
            return Err(std::io::Error::from_raw_os_error(libc::ENOSPC).into());
        }
        let path = self.resolve(path).ok_or("a link in circles")?;
        self.nodes.insert(path.clone(), Node::File(bytes));
        self.written.push(path);
        Ok(())
    }

    fn make_directory(&mut self, _path: &str) -> Result<(), Failure> {
        Ok(())
    }

    fn remove(&mut self, path: &str) -> Result<(), Failure> {
        self.change()?;
        let path = self.resolve(path).ok_or("a link in circles")?;
        self.nodes.remove(&path);
        Ok(())
    }
}

impl Node {
    fn size(&self) -> usize {
        match self {
            Self::File(bytes) => bytes.len(),
            Self::Link(_) => 0,
        }
    }
}
