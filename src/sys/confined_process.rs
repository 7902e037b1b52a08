//! A child of this program's own that works for it behind a socket, and gives up what it does not need for
//! that (`confinement`).

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use tracing::warn;

use super::out_of_memory;

/// The largest message in either direction, in bytes.
pub(crate) const MESSAGE_LIMIT: usize = 64 << 10;

/// How often a wait looks whether it is still wanted.
const POLL: Duration = Duration::from_millis(100);

/// How long a killed child may take to die.
const DEATH_LIMIT: Duration = Duration::from_secs(5);

/// A running child. Dropping it kills it. It ends with the thread that started it, and so does not go to
/// another.
#[derive(Debug)]
pub(crate) struct ConfinedProcess {
    child: Child,
    socket: OwnedFd,
    is_reaped: bool,
    stays: PhantomData<*const ()>,
}

/// Why the child gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    /// It took too long and was killed.
    #[error("it did not answer within {seconds} s and was killed")]
    Timeout {
        /// The limit.
        seconds: u64,
    },
    /// Its work is no longer wanted.
    #[error("it was killed because the command was cancelled")]
    Cancelled,
    /// It ended.
    #[error("it ended unexpectedly ({how})")]
    Ended {
        /// How.
        how: String,
    },
    /// The socket failed.
    #[error("it could not be talked to")]
    Socket(#[source] io::Error),
}

/// How long to wait for the other side, and whether it is still wanted.
#[derive(Clone, Copy)]
pub(crate) struct Patience<'a> {
    /// The limit for one message.
    pub limit: Duration,
    /// Asked ten times a second.
    pub is_cancelled: &'a dyn Fn() -> bool,
}

impl ConfinedProcess {
    /// Start this program once more, under this name, by which its `main` knows what to be. The child dies
    /// with the thread that starts it.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the seam for own children"
    )]
    pub(crate) fn start(name: &str) -> io::Result<Self> {
        let (socket, inner) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )?;
        let child = Command::new("/proc/self/exe")
            .arg0(name)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(inner))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        // One that has ended already needs no place in the order.
        let _ = out_of_memory::give_up(child.id());
        Ok(Self {
            child,
            socket,
            is_reaped: false,
            stays: PhantomData,
        })
    }

    /// Its number.
    #[cfg(test)]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Send a message.
    pub(crate) fn send(
        &mut self,
        message: &[u8],
        patience: Patience<'_>,
    ) -> Result<(), ExchangeError> {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        self.until_ready(PollFlags::POLLOUT, patience, |socket| {
            send(socket, message, flags).map(drop)
        })
    }

    /// Receive one, into a buffer of [`MESSAGE_LIMIT`] bytes. Its length.
    pub(crate) fn receive(
        &mut self,
        buffer: &mut [u8],
        patience: Patience<'_>,
    ) -> Result<usize, ExchangeError> {
        let length = self.until_ready(PollFlags::POLLIN, patience, |socket| {
            recv(socket, buffer, MsgFlags::MSG_DONTWAIT)
        })?;
        match length {
            // No message is empty.
            0 => Err(self.ended()),
            length => Ok(length),
        }
    }

    fn until_ready<T>(
        &mut self,
        events: PollFlags,
        patience: Patience<'_>,
        mut attempt: impl FnMut(i32) -> nix::Result<T>,
    ) -> Result<T, ExchangeError> {
        let deadline = Instant::now() + patience.limit;
        loop {
            match attempt(self.socket.as_raw_fd()) {
                Ok(done) => return Ok(done),
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(Errno::EPIPE | Errno::ECONNRESET) => return Err(self.ended()),
                Err(errno) => return Err(ExchangeError::Socket(errno.into())),
            }
            if (patience.is_cancelled)() {
                self.kill();
                return Err(ExchangeError::Cancelled);
            }
            if Instant::now() >= deadline {
                self.kill();
                return Err(ExchangeError::Timeout {
                    seconds: patience.limit.as_secs(),
                });
            }
            let mut asked = [PollFd::new(self.socket.as_fd(), events)];
            let slice = PollTimeout::try_from(POLL).unwrap_or(PollTimeout::ZERO);
            match poll(&mut asked, slice) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(ExchangeError::Socket(errno.into())),
            }
        }
    }

    /// Its end, which was seen on the socket.
    fn ended(&mut self) -> ExchangeError {
        let how = match self.reap() {
            Some(status) => match status.signal() {
                Some(libc::SIGSYS) => "by a system call that it may not make".to_owned(),
                _ => status.to_string(),
            },
            None => "it closed its socket".to_owned(),
        };
        self.kill();
        ExchangeError::Ended { how }
    }

    /// Wait for the end of a child that was told to end. Whether it did.
    pub(crate) fn wait(&mut self) -> bool {
        self.reap().is_some_and(|status| status.success())
    }

    /// How it ended, waiting for that a moment.
    fn reap(&mut self) -> Option<ExitStatus> {
        let deadline = Instant::now() + DEATH_LIMIT;
        let mut pause = Duration::from_millis(1);
        while !self.is_reaped {
            match self.child.try_wait() {
                Ok(Some(status)) => {
                    self.is_reaped = true;
                    return Some(status);
                }
                Ok(None) if Instant::now() < deadline => {
                    thread::sleep(pause);
                    pause = (pause * 2).min(POLL);
                }
                Ok(None) | Err(_) => return None,
            }
        }
        None
    }

    fn kill(&mut self) {
        if self.is_reaped {
            return;
        }
        let _ = self.child.kill();
        // One that is stuck in the kernel is left behind.
        if self.reap().is_none() && !self.is_reaped {
            warn!(
                pid = self.child.id(),
                "a confined process could not be killed"
            );
        }
    }
}

impl Drop for ConfinedProcess {
    fn drop(&mut self) {
        self.kill();
    }
}
