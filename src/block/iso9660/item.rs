//! The tree of an image as it is stored, with links as links.

/// Directories deeper than this are an error; ECMA-119 allows 8, Rock Ridge more.
pub(super) const DEEPEST: usize = 32;

/// The most files and directories that are taken.
pub(super) const MOST_NODES: usize = 65_536;

/// A file, directory or link as it is stored.
pub(super) struct Item<'i> {
    pub(super) name: String,
    pub(super) content: Stored<'i>,
}

/// What is stored by that name.
pub(super) enum Stored<'i> {
    File(&'i [u8]),
    Directory(Vec<Item<'i>>),
    /// Where it leads.
    Link(String),
    /// Nothing that could be copied: what it is.
    Other(&'static str),
}
