//! What a deletion of arrays may do.

use crate::block::skip::SkipList;

/// What is allowed.
pub(crate) struct Deletion<'a> {
    /// This machine runs from memory, or a person insists.
    pub may_destroy: bool,
    /// What is to be left alone: by volume names, by devices, and what lies on these.
    pub skipped: &'a SkipList,
    /// Shared cluster file systems are to be left alone.
    pub shared_file_systems: bool,
}
