//! The file operations in the confined process. Every path is resolved with the image's root for a root, as
//! chroot(2) would have it: absolute links and `..` end there, and nothing leads out.

use std::ffi::OsString;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2, readlinkat, renameat};
use nix::sys::stat::{FileStat, Mode, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fsync, syncfs, unlinkat};

use super::entry::{EntryKind, TreeEntry};
use super::message::{Attributes, Failure, PIECE};
use crate::sys::extended_attributes::{self, SELINUX_LABEL};

/// Entries of a directory that are told; one with more is an error.
pub(super) const MOST_ENTRIES: usize = 20_000;

/// Links that lead to each other, as in the kernel.
const MOST_LINKS: usize = 40;

/// Attempts at a path while others rename and mount elsewhere on the machine, which the kernel cannot tell
/// from an attack on this path.
const ATTEMPTS: usize = 1000;

/// A file's name until it is whole. Always the same, so that what a power cut left goes with the next one.
const DRAFT: &str = ".farrier-draft";

const FILE_MODE: u32 = 0o644;
const DIRECTORY_MODE: u32 = 0o755;

/// A mounted file system.
pub(super) struct Tree(OwnedFd);

/// Where something is or will be.
struct Place {
    folder: OwnedFd,
    name: OsString,
    /// What is there; never a link.
    existing: Option<FileStat>,
}

/// A file that is being written.
pub(super) struct Draft {
    place: Place,
    file: std::fs::File,
    attributes: Attributes,
}

impl Tree {
    /// The file system whose root this is.
    pub(super) fn of(root: OwnedFd) -> Self {
        Self(root)
    }

    /// Whether its root has a label of SELinux: then all files should.
    pub(super) fn is_labelled(&self) -> bool {
        self.root()
            .is_ok_and(|root| matches!(extended_attributes::get(&root, SELINUX_LABEL), Ok(Some(_))))
    }

    /// Bring everything onto the medium and let go of it.
    pub(super) fn close(self, is_writable: bool) -> Result<(), Failure> {
        if is_writable {
            syncfs(self.root()?)?;
        }
        Ok(())
    }

    /// Its root, open to be read. What it is mounted by only leads there.
    fn root(&self) -> nix::Result<OwnedFd> {
        self.open(Path::new("."), OFlag::O_RDONLY | OFlag::O_DIRECTORY)
    }

    /// What a directory holds; `None` where there is no such directory.
    pub(super) fn entries(
        &self,
        path: &Path,
        mut tell: impl FnMut(TreeEntry),
    ) -> Result<bool, Failure> {
        let Some(folder) = absent(self.open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY))? else {
            return Ok(false);
        };
        let mut folder = Dir::from_fd(folder)?;
        let names: Vec<OsString> = folder
            .iter()
            .filter_map(|entry| match entry {
                Ok(entry) => match entry.file_name().to_bytes() {
                    b"." | b".." => None,
                    name => Some(Ok(OsString::from_vec(name.to_vec()))),
                },
                Err(errno) => Some(Err(errno)),
            })
            .take(MOST_ENTRIES + 1)
            .collect::<Result<_, _>>()?;
        if names.len() > MOST_ENTRIES {
            return Err(Failure::TooLarge);
        }
        for name in names {
            match fstatat(&folder, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
                Ok(stat) => tell(TreeEntry::of(name, &stat)),
                // A damaged directory names what is not there.
                Err(Errno::ENOENT) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(true)
    }

    /// What lies at a path, links followed.
    pub(super) fn metadata(&self, path: &Path) -> Result<Option<TreeEntry>, Failure> {
        let Some(found) = absent(self.open(path, OFlag::O_PATH))? else {
            return Ok(None);
        };
        let stat = fstat(&found)?;
        let name = path.file_name().unwrap_or_default().to_owned();
        Ok(Some(TreeEntry::of(name, &stat)))
    }

    /// Bytes of a file from an offset on, as many as fit one message; `None` where there is no such file.
    pub(super) fn read_part(
        &self,
        path: &Path,
        offset: u64,
        length: u64,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let Some(mut file) = self.open_plain(path)? else {
            return Ok(None);
        };
        file.seek(SeekFrom::Start(offset))?;
        let mut part = Vec::new();
        file.take(length.min(PIECE as u64)).read_to_end(&mut part)?;
        Ok(Some(part))
    }

    /// Open a plain file to read it; `None` where there is none.
    fn open_plain(&self, path: &Path) -> Result<Option<std::fs::File>, Failure> {
        // Opening a FIFO must not wait for its writer; device nodes do not open on this mount.
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let Some(looked_at) = absent(self.open(path, OFlag::O_PATH))? else {
            return Ok(None);
        };
        let stat = fstat(&looked_at)?;
        plain(&stat)?;
        let Some(file) = absent(self.open(path, flags))? else {
            return Ok(None);
        };
        let stat = fstat(&file)?;
        plain(&stat)?;
        Ok(Some(std::fs::File::from(file)))
    }

    /// Begin a file at this path. Where a link is, it is written where that leads; the folder must be there.
    pub(super) fn draft(&self, path: &Path, attributes: Attributes) -> Result<Draft, Failure> {
        let place = self.place(path)?;
        if let Some(existing) = &place.existing {
            plain(existing)?;
        }
        match unlinkat(&place.folder, DRAFT, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        let how = beneath(OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL)
            .mode(Mode::S_IRUSR | Mode::S_IWUSR);
        let file = openat2(&place.folder, DRAFT, how)?;
        Ok(Draft {
            place,
            file: file.into(),
            attributes,
        })
    }

    /// Make a directory and those that lead to it; whether it was not there. The mode is for the last.
    pub(super) fn make_directory(&self, path: &Path, mode: Option<u32>) -> Result<bool, Failure> {
        let mut has_changed = false;
        let mut prefix = PathBuf::new();
        let mut components = path.components().peekable();
        while let Some(component) = components.next() {
            prefix.push(component);
            match self.open(&prefix, OFlag::O_PATH | OFlag::O_DIRECTORY) {
                Ok(_) => {
                    has_changed = false;
                    continue;
                }
                Err(Errno::ENOENT) => {}
                Err(errno) => return Err(errno.into()),
            }
            let mode = match components.peek() {
                None => mode.unwrap_or(DIRECTORY_MODE),
                Some(_) => DIRECTORY_MODE,
            };
            let (folder, name) = self.folder_of(&prefix)?;
            mkdirat(&folder, name.as_os_str(), Mode::from_bits_truncate(mode))?;
            let made = openat2(
                &folder,
                name.as_os_str(),
                beneath(OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW),
            )?;
            copy_label(&folder, &made)?;
            // A default access list of the folder has its own idea of the mode.
            change_mode(&made, mode)?;
            fsync(&folder)?;
            has_changed = true;
        }
        Ok(has_changed)
    }

    /// Remove what is no directory, a link and not what it leads to; whether there was something.
    pub(super) fn remove(&self, path: &Path) -> Result<bool, Failure> {
        let (folder, name) = match self.folder_of(path) {
            Ok(found) => found,
            Err(Failure::Errno(errno)) if is_absent(Errno::from_raw(errno)) => return Ok(false),
            Err(failure) => return Err(failure),
        };
        match unlinkat(&folder, name.as_os_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) => {
                fsync(&folder)?;
                Ok(true)
            }
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Open by a path from the image's root.
    fn open(&self, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
        let path = match path.as_os_str().is_empty() {
            true => Path::new("."),
            false => path,
        };
        for _ in 0..ATTEMPTS {
            match openat2(&self.0, path, beneath(flags)) {
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                answer => return answer,
            }
        }
        Err(Errno::EAGAIN)
    }

    /// Where a path's last part is or will be; where a link is, where that leads.
    fn place(&self, path: &Path) -> Result<Place, Failure> {
        let mut path = path.to_owned();
        for _ in 0..MOST_LINKS {
            let (folder, name) = self.folder_of(&path)?;
            let stat = match fstatat(&folder, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
                Ok(stat) if EntryKind::of(&stat) == EntryKind::Link => {
                    let target = readlinkat(&folder, name.as_os_str())?;
                    // From the root where it is absolute; both are the kernel's to resolve.
                    path.pop();
                    path.push(target);
                    continue;
                }
                Ok(stat) => Some(stat),
                Err(Errno::ENOENT) => None,
                Err(errno) => return Err(errno.into()),
            };
            return Ok(Place {
                folder,
                name,
                existing: stat,
            });
        }
        Err(Errno::ELOOP.into())
    }

    /// The folder that a path's last part is in, and that part.
    fn folder_of(&self, path: &Path) -> Result<(OwnedFd, OsString), Failure> {
        let (Some(name), Some(folder)) = (path.file_name(), path.parent()) else {
            return Err(Errno::EISDIR.into());
        };
        if path.as_os_str().as_bytes().ends_with(b"/") {
            return Err(Errno::EISDIR.into());
        }
        let folder = self.open(folder, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
        Ok((folder, name.to_owned()))
    }
}

impl Draft {
    /// More content.
    pub(super) fn add(&mut self, content: &[u8]) -> Result<(), Failure> {
        Ok(self.file.write_all(content)?)
    }

    /// Put the file into its place: a power cut leaves the one that was there, or this one.
    pub(super) fn commit(self) -> Result<(), Failure> {
        let outcome = self.finish();
        if outcome.is_err() {
            self.discard();
        }
        outcome
    }

    fn finish(&self) -> Result<(), Failure> {
        let Self {
            place,
            file,
            attributes,
        } = self;
        let replaced = place.existing.as_ref();
        let draft = fstat(file)?;
        let owner = attributes.owner.or(replaced.map(|stat| stat.st_uid));
        let group = attributes.group.or(replaced.map(|stat| stat.st_gid));
        let owner = owner.filter(|owner| *owner != draft.st_uid);
        let group = group.filter(|group| *group != draft.st_gid);
        if owner.is_some() || group.is_some() {
            fchown(file, owner.map(Uid::from_raw), group.map(Gid::from_raw))?;
        }
        match replaced {
            Some(_) => self.copy_attributes()?,
            None => copy_label(&place.folder, file)?,
        }
        // After the owner, whose change takes set-user-ID away, and after the access list, which has a
        // mode in it.
        let kept = replaced.map(|stat| stat.st_mode & 0o7777);
        change_mode(file, attributes.mode.or(kept).unwrap_or(FILE_MODE))?;
        fsync(file)?;
        renameat(&place.folder, DRAFT, &place.folder, place.name.as_os_str())?;
        fsync(&place.folder)?;
        Ok(())
    }

    /// Give the file those of the one that it replaces: its label, access list, and users' own. Not what says
    /// something of its content: capabilities (as the kernel takes them at a write) and hashes.
    fn copy_attributes(&self) -> Result<(), Failure> {
        const OF_CONTENT: [&[u8]; 3] = [b"security.capability", b"security.ima", b"security.evm"];

        let how = beneath(OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW);
        let replaced = openat2(&self.place.folder, self.place.name.as_os_str(), how)?;
        for name in extended_attributes::names(&replaced)? {
            if OF_CONTENT.contains(&name.to_bytes()) {
                continue;
            }
            let Some(value) = extended_attributes::get(&replaced, &name)? else {
                continue;
            };
            // Those of a kind that only file systems of the kernel's own make are not set again.
            match extended_attributes::set(&self.file, &name, &value) {
                Ok(()) | Err(Errno::EOPNOTSUPP | Errno::EPERM) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// Leave everything as it was.
    pub(super) fn discard(self) {
        let _ = unlinkat(&self.place.folder, DRAFT, UnlinkatFlags::NoRemoveDir);
    }
}

/// Give it the label of the folder that it is made in, as a kernel with SELinux mostly would.
fn copy_label(folder: &impl AsFd, made: &impl AsFd) -> Result<(), Failure> {
    if let Some(label) = extended_attributes::get(folder, SELINUX_LABEL)? {
        extended_attributes::set(made, SELINUX_LABEL, &label)?;
    }
    Ok(())
}

/// Set the mode, unless it has it: FAT refuses most changes.
fn change_mode(file: &impl AsFd, mode: u32) -> Result<(), Failure> {
    let mode = mode & 0o7777;
    if fstat(file)?.st_mode & 0o7777 != mode {
        fchmod(file, Mode::from_bits_truncate(mode))?;
    }
    Ok(())
}

fn beneath(flags: OFlag) -> OpenHow {
    OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(
        ResolveFlag::RESOLVE_IN_ROOT
            | ResolveFlag::RESOLVE_NO_MAGICLINKS
            | ResolveFlag::RESOLVE_NO_XDEV,
    )
}

fn plain(stat: &FileStat) -> Result<(), Failure> {
    match EntryKind::of(stat) {
        EntryKind::File => Ok(()),
        kind => Err(Failure::NotPlain(kind)),
    }
}

/// `None` for what is not there.
fn absent<T>(answer: nix::Result<T>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(errno) if is_absent(errno) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn is_absent(errno: Errno) -> bool {
    matches!(errno, Errno::ENOENT | Errno::ENOTDIR)
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno as i32)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Errno(error.raw_os_error().unwrap_or(libc::EIO))
    }
}
