//! Symbolic links of an image, followed as whoever reads through them would.

use super::error::IsoError;
use super::item::{DEEPEST, Item, MOST_NODES, Stored};
use crate::block::fat_writer::Node;

/// Links that are followed on the way to one file, as many as by the kernel.
const MOST_LINKS: usize = 40;

/// Names that are compared on the way to all of them.
const MOST_COMPARED: usize = 20_000_000;

/// The tree with what links lead to in their places.
pub(super) fn follow<'i>(root: &[Item<'i>]) -> Result<Vec<Node<'i>>, IsoError> {
    let mut copier = Copier {
        left: MOST_NODES,
        compared: MOST_COMPARED,
    };
    copier.directory(&[root], "")
}

/// A directory, as the way to it from the root.
type Way<'t, 'i> = Vec<&'t [Item<'i>]>;

/// What a path leads to.
enum Place<'t, 'i> {
    File(&'i [u8]),
    Directory(Way<'t, 'i>),
}

struct Copier {
    /// Files and directories that may still be made.
    left: usize,
    /// Names that may still be compared.
    compared: usize,
}

impl Copier {
    fn directory<'i>(
        &mut self,
        way: &[&[Item<'i>]],
        path: &str,
    ) -> Result<Vec<Node<'i>>, IsoError> {
        // A link to a directory above itself has no end.
        if path.matches('/').count() > DEEPEST {
            let what = "is too deep: a symbolic link leads round in a circle";
            return Err(IsoError::not_read(path, what));
        }
        let mut nodes = Vec::new();
        for item in way.last().copied().unwrap_or_default() {
            let path = format!("{path}/{}", item.name);
            self.left = self
                .left
                .checked_sub(1)
                .ok_or(IsoError::Damaged("its links make too many files"))?;
            let place = match &item.content {
                Stored::File(bytes) => Place::File(bytes),
                Stored::Directory(children) => Place::Directory([way, &[&children[..]]].concat()),
                Stored::Other(what) => return Err(IsoError::not_read(&path, what)),
                Stored::Link(target) => {
                    let mut links = MOST_LINKS;
                    self.resolve(way, target, &mut links).map_err(|why| {
                        let what = format!(
                            "is a symbolic link to {target}, {why}: FAT has no links, and there is \
                             nothing to put in its place"
                        );
                        IsoError::not_read(&path, &what)
                    })?
                }
            };
            let name = item.name.clone();
            nodes.push(match place {
                Place::File(bytes) => Node::file(name, bytes),
                Place::Directory(way) => Node::directory(name, self.directory(&way, &path)?),
            });
        }
        Ok(nodes)
    }

    /// Follow a link's target from its directory.
    fn resolve<'t, 'i>(
        &mut self,
        from: &[&'t [Item<'i>]],
        target: &str,
        links: &mut usize,
    ) -> Result<Place<'t, 'i>, &'static str> {
        *links = links.checked_sub(1).ok_or("round in a circle")?;
        if target.starts_with('/') {
            return Err("which begins at the root of whoever mounts it");
        }
        let mut place = Place::Directory(from.to_vec());
        for part in target.split('/') {
            let Place::Directory(way) = &mut place else {
                return Err("which is behind a file");
            };
            match part {
                "" | "." => {}
                ".." if way.len() > 1 => {
                    way.pop();
                }
                ".." => return Err("which is not in the image"),
                name => {
                    let here = way.last().copied().unwrap_or_default();
                    let compared = self.compared.checked_sub(here.len());
                    self.compared = compared.ok_or("and following them all takes too long")?;
                    let item = here.iter().find(|item| item.name == name);
                    match &item.ok_or("which is not there")?.content {
                        Stored::File(bytes) => place = Place::File(bytes),
                        Stored::Directory(children) => way.push(children),
                        Stored::Link(target) => place = self.resolve(way, target, links)?,
                        Stored::Other(_) => return Err("which is no file"),
                    }
                }
            }
        }
        Ok(place)
    }
}
