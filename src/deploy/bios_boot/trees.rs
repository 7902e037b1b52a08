//! Where GRUB's files are in an image, and where they are put.

use crate::deploy::image_boot::file_tree::FileTree;

/// The file systems of an image: the root, and what is mounted at its `/boot` where that is another.
pub(super) struct Trees<'t> {
    pub(super) image: &'t mut dyn FileTree,
    pub(super) boot: Option<&'t mut dyn FileTree>,
}

impl Trees<'_> {
    /// The one that `/boot` lies in.
    pub(super) fn with_boot(&mut self) -> &mut dyn FileTree {
        match &mut self.boot {
            Some(boot) => &mut **boot,
            None => &mut *self.image,
        }
    }
}
