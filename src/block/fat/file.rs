//! A file of a FAT file system, read piece by piece: a kernel on an EFI system partition has no place in memory.

use std::io::{self, Read};

use super::{Entry, Fat, damaged};

/// Reads a file from its start to its end.
pub(crate) struct FatFile<'f, 'm> {
    fat: &'f Fat<'m>,
    /// The cluster to read next; `None` behind the last.
    next: Option<u32>,
    left: u64,
    cluster: Vec<u8>,
    used: usize,
}

impl<'m> Fat<'m> {
    /// A file's content.
    pub(crate) fn file<'f>(&'f self, entry: &Entry) -> FatFile<'f, 'm> {
        FatFile {
            fat: self,
            next: (entry.size > 0).then_some(entry.cluster),
            left: entry.size,
            cluster: Vec::new(),
            used: 0,
        }
    }
}

impl Read for FatFile<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Ok(0);
        }
        if self.used == self.cluster.len() {
            let Some(cluster) = self.next else {
                let short = damaged("a file is shorter than its directory says");
                return Err(io::Error::other(short));
            };
            self.cluster = self.fat.cluster(cluster).map_err(io::Error::other)?;
            self.next = self.fat.next(cluster).map_err(io::Error::other)?;
            self.used = 0;
        }
        let there = self.cluster.len() - self.used;
        let count = buffer
            .len()
            .min(there)
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        buffer[..count].copy_from_slice(&self.cluster[self.used..self.used + count]);
        self.used += count;
        self.left -= count as u64;
        Ok(count)
    }
}
