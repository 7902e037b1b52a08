//! The files of a tenant's file system, on a partition.
//!
//! A deployed image belongs to somebody who may want this machine. So its file system is never mounted where
//! the agent could walk into it, and no program of it runs. A child of the agent's own mounts it, nowhere
//! but in its own hands, gives up all else that it could do (`sys::confinement`), and reads and writes files
//! for the agent. Reading the file systems by our own code was the alternative: it would have to write ext4,
//! XFS and btrfs as well as the kernel does.

mod entry;
mod error;
mod message;
mod server;
mod tree;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use farrier_plugin::Context;
use tracing::{debug, info};

pub(crate) use self::entry::{EntryKind, TreeEntry};
pub(crate) use self::error::ImageTreeError;
pub(crate) use self::message::Attributes;
use self::message::{Answer, Failure, PIECE, Request};
use crate::block::exclusive::{self, NotOpened};
use crate::block::probe;
use crate::sys::block_device::Medium;
use crate::sys::confined_process::{ConfinedProcess, ExchangeError, MESSAGE_LIMIT, Patience};
use crate::sys::printable;
use crate::sys::root::Root;

/// The name that the child is started by.
const NAME: &str = "farrier-image-tree";

/// How long one answer may take. A mount may replay a journal, and a flush brings to a slow disk what memory
/// has of it.
const LIMIT: Duration = Duration::from_secs(180);

/// The file systems that are mounted, and who checks them.
const KINDS: [(&str, &str); 4] = [
    ("ext4", "e2fsck"),
    ("xfs", "xfs_repair"),
    ("btrfs", "btrfs check"),
    ("vfat", "fsck.fat"),
];

/// What to be, started by this name, instead of a command line.
pub(crate) fn by_name(name: &str) -> Option<fn() -> ExitCode> {
    (name == NAME).then_some(server::main)
}

/// What is to be done with the files.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Access {
    /// Read them. No byte of the partition changes: no journal is replayed either, so that after a power
    /// cut the files are those on the medium.
    ReadOnly,
    /// Change them, too.
    Writable,
}

/// A mounted file system. Paths begin at its root, with a slash or without; links and `..` never lead out of
/// it. Dropped, it is left as it is; [`ImageTree::close`] tells whether everything came onto the medium.
///
/// It stays on the thread that opened it, since the child ends with that.
pub(crate) struct ImageTree<'c> {
    process: ConfinedProcess,
    buffer: Vec<u8>,
    device: String,
    kind: &'static str,
    context: &'c dyn Context,
}

impl<'c> ImageTree<'c> {
    /// Mount the file system on this partition, named as in `/dev/sda1`. Which it is, its first bytes tell.
    ///
    /// # Errors
    /// Somebody uses the partition, it holds no file system that is mounted here, or the kernel refuses to
    /// mount it.
    pub(crate) fn open(
        partition: &str,
        access: Access,
        context: &'c dyn Context,
    ) -> Result<Self, ImageTreeError> {
        let deadline = Instant::now() + exclusive::LIMIT;
        loop {
            let outcome = Self::mount(partition, access, context);
            // Between a look at the partition and its mount somebody else may look, or a program be started that
            // has open what is open here until it is that program.
            let is_busy = matches!(
                &outcome,
                Err(ImageTreeError::NotMounted { source, .. })
                    if source.kind() == io::ErrorKind::ResourceBusy
            );
            if !is_busy || Instant::now() >= deadline || context.is_cancelled() {
                return outcome;
            }
            thread::sleep(exclusive::PAUSE);
        }
    }

    fn mount(
        partition: &str,
        access: Access,
        context: &'c dyn Context,
    ) -> Result<Self, ImageTreeError> {
        let (kind, checker) = kind_of(partition, context)?;
        let start = |source| ImageTreeError::Start {
            device: partition.to_owned(),
            source,
        };
        let mut tree = Self {
            process: ConfinedProcess::start(NAME).map_err(start)?,
            buffer: vec![0; MESSAGE_LIMIT],
            device: partition.to_owned(),
            kind,
            context,
        };
        let request = Request::Mount {
            source: partition.to_owned(),
            kind: kind.to_owned(),
            is_writable: access == Access::Writable,
        };
        match tree.ask(&request, "mount it")? {
            Answer::Done(_) => {}
            Answer::Failure(Failure::NotMounted(errno, words)) => {
                return Err(ImageTreeError::NotMounted {
                    device: partition.to_owned(),
                    kind,
                    words: match words.as_str() {
                        "" => String::new(),
                        words => format!(" ({})", printable::line(words)),
                    },
                    checker,
                    source: io::Error::from_raw_os_error(errno),
                });
            }
            other => return Err(tree.unexpected(other, "mount it")),
        }
        info!(device = partition, kind, ?access, "file system mounted");
        Ok(tree)
    }

    /// The kernel's name of the file system: `ext4` (for ext2 and ext3 too), `xfs`, `btrfs`, `vfat`.
    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }

    /// What a directory holds, in no order; `None` where there is no such directory. At most 20,000 entries.
    pub(crate) fn entries(
        &mut self,
        path: impl AsRef<Path>,
    ) -> Result<Option<Vec<TreeEntry>>, ImageTreeError> {
        let path = path.as_ref();
        let what = format!("list {}", shown(path));
        self.send(&Request::Entries(path.to_owned()), &what)?;
        let mut entries = Vec::new();
        loop {
            match self.receive(&what)? {
                Answer::Entry(entry) if entries.len() < tree::MOST_ENTRIES => entries.push(entry),
                Answer::Done(_) => return Ok(Some(entries)),
                Answer::Absent => return Ok(None),
                Answer::Entry(_) | Answer::Failure(Failure::TooLarge) => {
                    return Err(ImageTreeError::TooLarge {
                        device: self.device.clone(),
                        what,
                        limit: tree::MOST_ENTRIES,
                    });
                }
                other => return Err(self.unexpected(other, &what)),
            }
        }
    }

    /// What lies at this path, links followed; `None` where nothing is.
    pub(crate) fn metadata(
        &mut self,
        path: impl AsRef<Path>,
    ) -> Result<Option<TreeEntry>, ImageTreeError> {
        let path = path.as_ref();
        let what = format!("look at {}", shown(path));
        match self.ask(&Request::Metadata(path.to_owned()), &what)? {
            Answer::Entry(entry) => Ok(Some(entry)),
            Answer::Absent => Ok(None),
            other => Err(self.unexpected(other, &what)),
        }
    }

    /// Bytes of a plain file from an offset on, links followed, fewer than `length` only at its end; `None` where
    /// there is no file. For files of which one has no place in memory.
    pub(crate) fn read_part(
        &mut self,
        path: impl AsRef<Path>,
        offset: u64,
        length: usize,
    ) -> Result<Option<Vec<u8>>, ImageTreeError> {
        let path = path.as_ref();
        let what = format!("read {}", shown(path));
        let mut content = Vec::new();
        while content.len() < length {
            let at = offset + content.len() as u64;
            let left = (length - content.len()) as u64;
            match self.ask(&Request::ReadPart(path.to_owned(), at, left), &what)? {
                Answer::Data(piece) if piece.is_empty() => break,
                Answer::Data(piece) if piece.len() as u64 <= left => content.extend(piece),
                Answer::Absent => return Ok(None),
                other => return Err(self.unexpected(other, &what)),
            }
        }
        Ok(Some(content))
    }

    /// Write a file, whole: under another name in its folder, which must be there, onto the medium, and then
    /// into its place. A power cut leaves the file that was there or the new one. Where a link is, the file
    /// that it leads to is written.
    ///
    /// A file that was there gives the new one its owner, mode, label of SELinux and other extended
    /// attributes, unless others are named; a file that was not there gets the label of its folder.
    pub(crate) fn write(
        &mut self,
        path: impl AsRef<Path>,
        content: &mut dyn Read,
        attributes: &Attributes,
    ) -> Result<(), ImageTreeError> {
        let path = path.as_ref();
        let copied = self.write_by(path, attributes, |file| io::copy(content, file).map(drop))?;
        copied.map_err(|source| ImageTreeError::Content {
            path: path.to_owned(),
            source,
        })
    }

    /// The same, of what this puts into it. Where that fails, everything is left as it was.
    pub(crate) fn write_by<E>(
        &mut self,
        path: impl AsRef<Path>,
        attributes: &Attributes,
        fill: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<Result<(), E>, ImageTreeError> {
        let path = path.as_ref();
        let what = format!("write {}", shown(path));
        self.send(&Request::Write(path.to_owned(), *attributes), &what)?;
        let mut file = FileWriter {
            tree: self,
            what: &what,
            failure: None,
        };
        let outcome = fill(&mut file);
        if let Some(failure) = file.failure {
            return Err(failure);
        }
        let last = match outcome {
            Ok(()) => Request::Commit,
            Err(_) => Request::Abort,
        };
        match (self.ask(&last, &what)?, outcome) {
            (_, Err(error)) => Ok(Err(error)),
            (Answer::Done(true), Ok(())) => {
                debug!(device = self.device, path = shown(path), "file written");
                Ok(Ok(()))
            }
            (other, Ok(())) => Err(self.unexpected(other, &what)),
        }
    }

    /// Make a directory and those that lead to it; whether it was not there. The mode is for the last alone,
    /// and 0755 where none is named; one that was there stays as it is.
    pub(crate) fn make_directory(
        &mut self,
        path: impl AsRef<Path>,
        mode: Option<u32>,
    ) -> Result<bool, ImageTreeError> {
        let path = path.as_ref();
        let what = format!("make the directory {}", shown(path));
        let request = Request::MakeDirectory(path.to_owned(), mode);
        match self.ask(&request, &what)? {
            Answer::Done(has_changed) => Ok(has_changed),
            other => Err(self.unexpected(other, &what)),
        }
    }

    /// Remove what is no directory: a link itself, not what it leads to. Whether it was there.
    pub(crate) fn remove(&mut self, path: impl AsRef<Path>) -> Result<bool, ImageTreeError> {
        let path = path.as_ref();
        let what = format!("remove {}", shown(path));
        match self.ask(&Request::Remove(path.to_owned()), &what)? {
            Answer::Done(has_changed) => Ok(has_changed),
            other => Err(self.unexpected(other, &what)),
        }
    }

    /// Bring everything onto the medium and unmount.
    pub(crate) fn close(mut self) -> Result<(), ImageTreeError> {
        const WHAT: &str = "unmount it";

        match self.ask(&Request::Close, WHAT)? {
            Answer::Done(_) if self.process.wait() => Ok(()),
            Answer::Done(_) => Err(ImageTreeError::Exchange {
                device: self.device,
                what: WHAT.to_owned(),
                source: ExchangeError::Ended {
                    how: "not as it should".to_owned(),
                },
            }),
            other => Err(self.unexpected(other, WHAT)),
        }
    }

    fn ask(&mut self, request: &Request, what: &str) -> Result<Answer, ImageTreeError> {
        self.send(request, what)?;
        self.receive(what)
    }

    fn send(&mut self, request: &Request, what: &str) -> Result<(), ImageTreeError> {
        let context = self.context;
        let patience = Patience {
            limit: LIMIT,
            is_cancelled: &|| context.is_cancelled(),
        };
        self.process
            .send(&request.encode(), patience)
            .map_err(|source| self.exchange_error(source, what))
    }

    fn receive(&mut self, what: &str) -> Result<Answer, ImageTreeError> {
        let context = self.context;
        let patience = Patience {
            limit: LIMIT,
            is_cancelled: &|| context.is_cancelled(),
        };
        let length = self
            .process
            .receive(&mut self.buffer, patience)
            .map_err(|source| self.exchange_error(source, what))?;
        Answer::decode(&self.buffer[..length]).map_err(|source| ImageTreeError::Answer {
            device: self.device.clone(),
            what: what.to_owned(),
            source,
        })
    }

    fn exchange_error(&self, source: ExchangeError, what: &str) -> ImageTreeError {
        ImageTreeError::Exchange {
            device: self.device.clone(),
            what: what.to_owned(),
            source,
        }
    }

    /// What an answer means that is not the one that was hoped for.
    fn unexpected(&self, answer: Answer, what: &str) -> ImageTreeError {
        let device = self.device.clone();
        let what = what.to_owned();
        match answer {
            Answer::Failure(Failure::Errno(errno)) => ImageTreeError::Kernel {
                device,
                what,
                source: io::Error::from_raw_os_error(errno),
            },
            Answer::Failure(Failure::NotPlain(kind)) => {
                ImageTreeError::NotPlain { device, what, kind }
            }
            Answer::Failure(Failure::NoDriver(errno)) => ImageTreeError::NoDriver {
                device,
                kind: self.kind,
                source: io::Error::from_raw_os_error(errno),
            },
            Answer::Failure(Failure::NotConfined(words)) => ImageTreeError::NotConfined {
                device,
                why: printable::line(&words).into_owned(),
            },
            _ => ImageTreeError::Answer {
                device,
                what,
                source: message::Malformed,
            },
        }
    }
}

/// What is put into a file goes to the child piece by piece.
struct FileWriter<'t, 'c> {
    tree: &'t mut ImageTree<'c>,
    what: &'t str,
    /// Why the child takes no more.
    failure: Option<ImageTreeError>,
}

impl Write for FileWriter<'_, '_> {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        let piece = &content[..content.len().min(PIECE)];
        if piece.is_empty() {
            return Ok(0);
        }
        if let Err(failure) = self.tree.send(&Request::Data(piece.to_vec()), self.what) {
            self.failure = Some(failure);
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Which file system is on this partition, and who checks it.
fn kind_of(
    partition: &str,
    context: &dyn Context,
) -> Result<(&'static str, &'static str), ImageTreeError> {
    let device_error = |holders, source| ImageTreeError::Device {
        device: partition.to_owned(),
        holders,
        source,
    };
    let disk = exclusive::open(&Root::system(), partition, context).map_err(
        |NotOpened { users, source }| {
            let holders = match users.as_slice() {
                [] => String::new(),
                users => format!(" because {}", users.join(", ")),
            };
            device_error(holders, source)
        },
    )?;
    let size = disk.size();
    let found =
        probe::file_system(&disk, 0, size).map_err(|source| device_error(String::new(), source))?;
    let what = match found {
        Some(found) => match KINDS.into_iter().find(|(kind, _)| *kind == found.kind) {
            Some((kind, checker)) => {
                return match found.elsewhere {
                    None => Ok((kind, checker)),
                    Some(what) => Err(ImageTreeError::Elsewhere {
                        device: partition.to_owned(),
                        kind,
                        what,
                    }),
                };
            }
            None => found.kind,
        },
        None => probe::container(&disk, 0, size)
            .map_err(|source| device_error(String::new(), source))?
            .unwrap_or("no file system that is known here"),
    };
    Err(ImageTreeError::NoFileSystem {
        device: partition.to_owned(),
        what,
    })
}

/// Bytes as a message of either side.
#[cfg(any(test, fuzzing))]
pub(super) fn fuzz(data: &[u8]) {
    if let Ok(request) = Request::decode(data) {
        assert_eq!(request.encode(), data);
    }
    if let Ok(answer) = Answer::decode(data) {
        assert_eq!(Answer::decode(&answer.encode()), Ok(answer));
    }
}

fn shown(path: &Path) -> String {
    printable::line(&PathBuf::from("/").join(path).to_string_lossy()).into_owned()
}

#[cfg(test)]
pub(super) mod fixture;
#[cfg(test)]
mod tests;
