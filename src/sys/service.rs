//! Programs that run for as long as the ramdisk does, and the deaths of processes: what PID 1
//! needs beside [`super::process`], whose programs are waited for by their starter.
//!
//! A process that waits for *any* child (PID 1 has to: orphans become its children) takes the exit
//! status away from everyone else in it. So PID 1 starts every program here and never there.

#![expect(
    unsafe_code,
    reason = "the signal mask of a program is set between fork and exec"
)]

use std::ffi::OsString;
use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, PipeReader};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// A program that PID 1 can start, again and again.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    path: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(String, String)>,
    terminal: Option<PathBuf>,
}

/// A service that was started.
#[derive(Debug)]
pub(crate) struct Started {
    /// Its process, leader of a process group of its own.
    pub pid: i32,
    /// What it writes to stdout and stderr; `None` when it talks to a terminal.
    pub output: Option<PipeReader>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    /// With this exit status.
    Exit(i32),
    /// By this signal.
    Signal(Signal),
}

impl Service {
    /// The program at this absolute path.
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            terminal: None,
        }
    }

    /// More arguments.
    #[must_use]
    pub(crate) fn args<A: Into<OsString>>(
        mut self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// One more variable of its environment, which otherwise holds PATH, HOME and LC_ALL only.
    #[must_use]
    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Give it this terminal for stdin, stdout and stderr instead of a pipe for its output.
    #[must_use]
    pub(crate) fn on_terminal(mut self, terminal: impl Into<PathBuf>) -> Self {
        self.terminal = Some(terminal.into());
        self
    }

    /// Become it: the calling process goes on as this program. Returns why not.
    pub(crate) fn become_it(&self) -> io::Error {
        self.command().exec()
    }

    /// Start it. Its death is found by [`dead_children`].
    ///
    /// # Errors
    /// The program or its terminal is not there, or the kernel has no room for a process.
    pub(crate) fn start(&self) -> io::Result<Started> {
        let mut command = self.command();
        let output = if let Some(terminal) = &self.terminal {
            let terminal = OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(libc::O_NOCTTY)
                .open(terminal)?;
            command
                .stdout(terminal.try_clone()?)
                .stderr(terminal.try_clone()?)
                .stdin(terminal);
            None
        } else {
            let (reader, writer) = io::pipe()?;
            // A group of its own, so that stopping a service stops what it started.
            command
                .process_group(0)
                .stdout(writer.try_clone()?)
                .stderr(writer)
                .stdin(Stdio::null());
            Some(reader)
        };
        // PID 1 blocks the signals that it receives as a file, and std hands that mask down: a
        // service would be deaf to SIGTERM.
        let unblock = || Ok(SigSet::empty().thread_set_mask()?);
        // SAFETY: after fork only async-signal-safe functions may run. The closure calls
        // sigemptyset and pthread_sigmask, which are, and allocates nothing.
        unsafe { command.pre_exec(unblock) };
        let child = command.spawn()?;
        Ok(Started {
            pid: child.id().cast_signed(),
            output,
        })
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the seam for programs of PID 1"
    )]
    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command
            .args(&self.arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin")
            .env("HOME", "/root")
            .env("LC_ALL", "C")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/");
        command
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(status) => write!(f, "exit status {status}"),
            Self::Signal(signal) => write!(f, "{signal}"),
        }
    }
}

/// Every child that has died, orphans among them, with how it ended. Does not wait.
pub(crate) fn dead_children() -> Vec<(i32, Ending)> {
    let mut dead = Vec::new();
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, status)) => dead.push((pid.as_raw(), Ending::Exit(status))),
            Ok(WaitStatus::Signaled(pid, signal, _)) => {
                dead.push((pid.as_raw(), Ending::Signal(signal)));
            }
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return dead,
            // Stopped and continued are not asked for; EINTR is tried again.
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return dead,
        }
    }
}

/// Ask a service and what it started to end.
pub(crate) fn terminate(pid: i32) {
    // It may be gone already; that is what is wanted.
    let _ = killpg(Pid::from_raw(pid), Signal::SIGTERM);
}

/// Ask dhcpcd to end and to take addresses and routes with it, which `persistent` would keep: its
/// SIGALRM (dhcpcd(8), `--release`).
pub(crate) fn release(pid: i32) {
    // It alone: its helpers, which do the taking away, end after it.
    let _ = kill(Pid::from_raw(pid), Signal::SIGALRM);
}

/// Ask every process but PID 1 to end, or make it end.
pub(crate) fn signal_everyone(signal: Signal) {
    // Fails when no one else is left.
    let _ = kill(Pid::from_raw(-1), signal);
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    /// The tests share one process with others that wait for their own children, so they wait for
    /// theirs by pid, never for any.
    fn ending_of(pid: i32) -> WaitStatus {
        let started = Instant::now();
        loop {
            let status = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG)).unwrap();
            if status != WaitStatus::StillAlive {
                return status;
            }
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "process {pid} did not end"
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn output_of_both_streams_comes_through_one_pipe() {
        let mut started = Service::new("/bin/sh")
            .args(["-c", "echo out; echo err >&2; echo $FARRIER_TEST; exit 7"])
            .env("FARRIER_TEST", "variable")
            .start()
            .unwrap();
        let mut text = String::new();
        started
            .output
            .take()
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "out\nerr\nvariable\n");
        assert!(matches!(ending_of(started.pid), WaitStatus::Exited(_, 7)));
    }

    #[test]
    fn a_service_hears_the_signals_that_its_starter_blocks() {
        let output = thread::spawn(|| {
            let mut blocked = SigSet::empty();
            blocked.add(Signal::SIGTERM);
            blocked.thread_block().unwrap();
            let mut started = Service::new("/bin/grep")
                .args(["SigBlk", "/proc/self/status"])
                .start()
                .unwrap();
            let mut text = String::new();
            started
                .output
                .take()
                .unwrap()
                .read_to_string(&mut text)
                .unwrap();
            ending_of(started.pid);
            text
        });
        assert_eq!(output.join().unwrap(), "SigBlk:\t0000000000000000\n");
    }

    #[test]
    fn terminating_reaches_what_a_service_started() {
        let mut started = Service::new("/bin/sh")
            .args(["-c", "sleep 60 & echo $!; wait"])
            .start()
            .unwrap();
        let mut output = started.output.take().unwrap();
        let mut byte = [0];
        while byte != *b"\n" {
            output.read_exact(&mut byte).unwrap();
        }
        terminate(started.pid);
        // The pipe ends only when the grandchild is gone too.
        output.read_to_end(&mut Vec::new()).unwrap();
        assert!(matches!(ending_of(started.pid), WaitStatus::Signaled(..)));
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        assert!(Service::new("/does/not/exist").start().is_err());
    }
}
