//! The files of a partition, as [`ImageTree`] reaches them.

use std::io::{self, Read};

use super::file_tree::{Failure, FileTree, Kind};
use crate::deploy::image_tree::{Attributes, EntryKind, ImageTree, ImageTreeError};

impl FileTree for ImageTree<'_> {
    fn kind(&mut self, path: &str) -> Result<Option<Kind>, Failure> {
        let found = unless_circular(self.metadata(path))?;
        Ok(found.map(|entry| match entry.kind {
            EntryKind::File => Kind::File(entry.size),
            EntryKind::Directory => Kind::Directory,
            EntryKind::Link | EntryKind::Device | EntryKind::Fifo | EntryKind::Socket => {
                Kind::Other
            }
        }))
    }

    fn names(&mut self, directory: &str) -> Result<Vec<String>, Failure> {
        let mut names: Vec<String> = unless_circular(self.entries(directory))?
            .unwrap_or_default()
            .into_iter()
            // A name that is no UTF-8 is none of a boot file.
            .filter_map(|entry| entry.name.into_string().ok())
            .collect();
        names.sort();
        Ok(names)
    }

    fn read_at(&mut self, path: &str, offset: u64, length: usize) -> Result<Vec<u8>, Failure> {
        self.read_part(path, offset, length)?
            .ok_or_else(|| format!("{path} is not there any more").into())
    }

    fn write(&mut self, path: &str, content: &mut dyn Read) -> Result<(), Failure> {
        Ok(ImageTree::write(
            self,
            path,
            content,
            &Attributes::default(),
        )?)
    }

    fn make_directory(&mut self, path: &str) -> Result<(), Failure> {
        ImageTree::make_directory(self, path, None)?;
        Ok(())
    }

    fn remove(&mut self, path: &str) -> Result<(), Failure> {
        ImageTree::remove(self, path)?;
        Ok(())
    }
}

/// Links that lead in circles lead nowhere.
fn unless_circular<T>(
    answer: Result<Option<T>, ImageTreeError>,
) -> Result<Option<T>, ImageTreeError> {
    match answer {
        Err(ImageTreeError::Kernel { source, .. }) if has_code(&source, libc::ELOOP) => Ok(None),
        answer => answer,
    }
}

fn has_code(error: &io::Error, code: i32) -> bool {
    error.raw_os_error() == Some(code)
}
