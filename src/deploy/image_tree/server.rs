//! The confined process: it mounts one file system, gives up all else, and does what it is told.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, send};

use super::message::{Answer, Attributes, Failure, Request};
use super::tree::{Draft, Tree};
use crate::sys::confined_process::MESSAGE_LIMIT;
use crate::sys::confinement::{self, Privileges};
use crate::sys::file_system_mount::{self, MountFailure, MountRequest};

/// Options of each file system: none replays a journal when it is only read, none takes the machine down
/// when it finds a fault, and none reads another's identity for a reason to refuse.
fn options(kind: &str, is_writable: bool) -> &'static [(&'static str, Option<&'static str>)] {
    match (kind, is_writable) {
        ("ext4", false) => &[("noload", None), ("errors", Some("remount-ro"))],
        ("ext4", true) => &[("errors", Some("remount-ro"))],
        ("xfs", false) => &[("norecovery", None), ("nouuid", None)],
        ("xfs", true) => &[("nouuid", None)],
        ("btrfs", false) => &[("rescue", Some("nologreplay"))],
        ("vfat", _) => &[
            ("errors", Some("remount-ro")),
            ("fmask", Some("0133")),
            ("dmask", Some("0022")),
            ("utf8", None),
        ],
        _ => &[],
    }
}

/// Be that process.
pub(super) fn main() -> ExitCode {
    let Some(socket) = confinement::socket_to_agent() else {
        eprintln!("This is a part of the agent, which starts it by itself.");
        return ExitCode::FAILURE;
    };
    // Nobody reads what a panic would say.
    std::panic::set_hook(Box::new(|_| {}));
    match Server::new(socket).serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Gone) => ExitCode::FAILURE,
    }
}

/// The agent is gone, or says what it never would.
struct Gone;

struct Server {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Server {
    fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            buffer: vec![0; MESSAGE_LIMIT],
        }
    }

    fn serve(&mut self) -> Result<(), Gone> {
        let Request::Mount {
            source,
            kind,
            is_writable,
        } = self.next()?
        else {
            return Err(Gone);
        };
        let tree = match mount(&source, &kind, is_writable) {
            Ok(tree) => tree,
            Err(failure) => {
                self.answer(&Answer::Failure(failure))?;
                return Ok(());
            }
        };
        self.answer(&Answer::Done(true))?;
        loop {
            let answer = match self.next()? {
                Request::Close => {
                    let outcome = tree.close(is_writable);
                    return self.answer(&outcome.map_or_else(Answer::Failure, |()| done(true)));
                }
                Request::Entries(path) => self.entries(&tree, &path),
                Request::Metadata(path) => tree
                    .metadata(&path)
                    .map(|found| found.map_or(Answer::Absent, Answer::Entry)),
                Request::ReadPart(path, offset, length) => tree
                    .read_part(&path, offset, length)
                    .map(|found| found.map_or(Answer::Absent, Answer::Data)),
                Request::Write(path, attributes) => self.write(&tree, &path, attributes)?,
                Request::MakeDirectory(path, mode) => tree.make_directory(&path, mode).map(done),
                Request::Remove(path) => tree.remove(&path).map(done),
                Request::Mount { .. } | Request::Data(_) | Request::Commit | Request::Abort => {
                    Err(Failure::Unexpected)
                }
            };
            self.answer(&answer.unwrap_or_else(Answer::Failure))?;
        }
    }

    fn entries(&self, tree: &Tree, path: &Path) -> Result<Answer, Failure> {
        // One that cannot be told is the agent's end, which the answer after it finds, too.
        let is_there = tree.entries(path, |entry| drop(self.answer(&Answer::Entry(entry))))?;
        Ok(if is_there {
            done(false)
        } else {
            Answer::Absent
        })
    }

    /// Take in all of the content, also where it has no place: the answer comes after it.
    fn write(
        &mut self,
        tree: &Tree,
        path: &Path,
        attributes: Attributes,
    ) -> Result<Result<Answer, Failure>, Gone> {
        let mut draft = tree.draft(path, attributes);
        loop {
            let request = match self.next() {
                Ok(request) => request,
                Err(Gone) => {
                    let _ = draft.map(Draft::discard);
                    return Err(Gone);
                }
            };
            match request {
                Request::Data(content) => {
                    draft = draft.and_then(|mut draft| match draft.add(&content) {
                        Ok(()) => Ok(draft),
                        Err(failure) => {
                            draft.discard();
                            Err(failure)
                        }
                    });
                }
                Request::Commit => return Ok(draft.and_then(Draft::commit).map(|()| done(true))),
                Request::Abort => {
                    let _ = draft.map(Draft::discard);
                    return Ok(Ok(done(false)));
                }
                _ => {
                    let _ = draft.map(Draft::discard);
                    return Ok(Err(Failure::Unexpected));
                }
            }
        }
    }

    fn next(&mut self) -> Result<Request, Gone> {
        let length = loop {
            match recv(self.socket.as_raw_fd(), &mut self.buffer, MsgFlags::empty()) {
                Err(Errno::EINTR) => {}
                Err(_) | Ok(0) => return Err(Gone),
                Ok(length) => break length,
            }
        };
        Request::decode(&self.buffer[..length]).map_err(|_| Gone)
    }

    fn answer(&self, answer: &Answer) -> Result<(), Gone> {
        let message = answer.encode();
        loop {
            match send(self.socket.as_raw_fd(), &message, MsgFlags::MSG_NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(_) => return Err(Gone),
            }
        }
    }
}

fn done(has_changed: bool) -> Answer {
    Answer::Done(has_changed)
}

/// Mount, and give up what that took.
fn mount(source: &str, kind: &str, is_writable: bool) -> Result<Tree, Failure> {
    let not_confined = |error: std::io::Error| Failure::NotConfined(error.to_string());
    confinement::isolate().map_err(not_confined)?;
    let root = file_system_mount::mount(&MountRequest {
        kind,
        source,
        is_read_only: !is_writable,
        options: options(kind, is_writable),
    })
    .map_err(|failure| match failure {
        MountFailure::Unknown(errno) => Failure::NoDriver(errno as i32),
        MountFailure::Option { name, errno } => {
            Failure::NotMounted(errno as i32, format!("the option {name} is not taken"))
        }
        MountFailure::Refused { errno, words } => Failure::NotMounted(errno as i32, words),
    })?;
    let tree = Tree::of(root);
    let privileges = match (is_writable, tree.is_labelled()) {
        (false, _) => Privileges::Read,
        (true, false) => Privileges::Write,
        (true, true) => Privileges::WriteLabels,
    };
    confinement::lock(privileges).map_err(not_confined)?;
    Ok(tree)
}
