//! A hardware manager in a process of its own: started with three pipes in a control group, and
//! ended with everything it started.
#![expect(
    unsafe_code,
    reason = "the child enters its control group before it becomes the program; FIONREAD is an ioctl"
)]

use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use tracing::debug;

use super::control_group::{ControlGroup, Limits};

/// What one manager may use. A script with its interpreter takes some 20 MiB; vendors' tools have
/// been seen to take 200.
const LIMITS: Limits = Limits {
    memory: 512 << 20,
    processes: 256,
};

/// The out-of-memory killer's preference, -1000 to 1000: plugins go first (proc_pid_oom_score_adj(5)).
const OOM_SCORE: &str = "800";

/// How long a killed process may take to die.
const DEATH_LIMIT: Duration = Duration::from_secs(2);

/// How often a process that should end is looked at.
const POLL: Duration = Duration::from_millis(5);

/// A running manager. Dropping it kills the process and its children.
#[derive(Debug)]
pub(crate) struct PluginProcess {
    child: Child,
    /// How it ended, once that was seen.
    ended: Option<ExitStatus>,
    /// `None` where the machine has no cgroup v2: then the process group stands in for it.
    group: Option<ControlGroup>,
}

/// The manager's ends of its pipes.
#[derive(Debug)]
pub(crate) struct Pipes {
    /// What it reads.
    pub input: ChildStdin,
    /// What it answers.
    pub output: ChildStdout,
    /// What it has to say besides.
    pub errors: ChildStderr,
}

/// What became of the bytes that were written into a pipe; see [`unread`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unread {
    /// They have been read.
    Nothing,
    /// Some are in the pipe, and somebody holds its other end.
    Waiting,
    /// Some are in the pipe, and nobody can read them any more.
    Lost,
}

/// What became of the bytes that were written into this pipe.
///
/// A write fails when nobody holds the other end; but it succeeds as long as anybody does, and
/// between its fork and its exec every process that the agent starts has copies of all pipes. Only
/// a look afterwards tells that a reader was gone already.
///
/// # Errors
/// The descriptor is no pipe.
pub(crate) fn unread(pipe: &impl AsFd) -> io::Result<Unread> {
    // First: what is unread in a pipe without a reader stays so.
    let mut asked = [PollFd::new(pipe.as_fd(), PollFlags::empty())];
    poll(&mut asked, PollTimeout::ZERO)?;
    let has_no_reader = asked[0]
        .revents()
        .is_some_and(|events| events.contains(PollFlags::POLLERR));
    let mut bytes = 0;
    // SAFETY: the descriptor is open, and FIONREAD writes one int (ioctl_fionread(2), pipe(7)).
    unsafe { ioctl::fionread(pipe.as_fd().as_raw_fd(), &raw mut bytes) }?;
    Ok(match (bytes, has_no_reader) {
        (0, _) => Unread::Nothing,
        (_, false) => Unread::Waiting,
        (_, true) => Unread::Lost,
    })
}

mod ioctl {
    nix::ioctl_read_bad!(fionread, libc::FIONREAD, libc::c_int);
}

/// Tells of the end of a process; see [`PluginProcess::end`].
#[derive(Debug)]
pub(crate) struct ProcessEnd(Pid);

impl ProcessEnd {
    /// Wait for it. The process stays to be reaped by its owner.
    pub(crate) fn wait(self) {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        // ECHILD: its owner was quicker.
        while waitid(Id::Pid(self.0), flags) == Err(Errno::EINTR) {}
    }
}

/// Start the program at this absolute path under this name, in its own directory.
///
/// # Errors
/// The kernel refuses: the file is no program, or of another architecture, or there is no room.
#[expect(clippy::disallowed_methods, reason = "this is the seam for plugins")]
pub(crate) fn start(
    program: &Path,
    arguments: &[&Path],
    name: &str,
) -> io::Result<(PluginProcess, Pipes)> {
    let group = match ControlGroup::create(name, LIMITS) {
        Ok(group) => Some(group),
        Err(error) => {
            debug!(plugin = name, %error, "no control group: memory and processes are not bounded");
            None
        }
    };
    let entrance = group.as_ref().map(ControlGroup::entrance).transpose()?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin")
        .env("HOME", "/root")
        .env("LC_ALL", "C")
        .current_dir(program.parent().unwrap_or(Path::new("/")))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    // SAFETY: between fork and exec the child only writes to files that are open already and opens
    // one by a constant path; neither takes a lock nor memory that another thread may hold.
    unsafe {
        command.pre_exec(move || {
            if let Some(mut entrance) = entrance.as_ref() {
                entrance.write_all(b"0")?;
            }
            // Not being allowed to is no reason not to run.
            let _ = lower_chances();
            Ok(())
        });
    }
    let mut child = command.spawn()?;
    let pipes = match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
        (Some(input), Some(output), Some(errors)) => Pipes {
            input,
            output,
            errors,
        },
        // All three were asked for, so the library gives them or has failed above.
        _ => return Err(io::ErrorKind::BrokenPipe.into()),
    };
    Ok((
        PluginProcess {
            child,
            ended: None,
            group,
        },
        pipes,
    ))
}

fn lower_chances() -> nix::Result<()> {
    let file = nix::fcntl::open(
        c"/proc/self/oom_score_adj",
        nix::fcntl::OFlag::O_WRONLY | nix::fcntl::OFlag::O_CLOEXEC,
        nix::sys::stat::Mode::empty(),
    )?;
    nix::unistd::write(file, OOM_SCORE.as_bytes())?;
    Ok(())
}

impl PluginProcess {
    /// How it ended, once it has, waiting for at most this long. What it started ends with it.
    pub(crate) fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if self.has_ended() {
                return self.reap();
            }
            if Instant::now() >= deadline {
                return None;
            }
            thread::sleep(POLL);
        }
    }

    /// Its end, to wait for on another thread.
    pub(crate) fn end(&self) -> ProcessEnd {
        ProcessEnd(self.pid())
    }

    /// Kill what it has started and left behind. A child that inherited its stdout would keep that
    /// open, and nobody would see that the process itself has ended.
    pub(crate) fn kill_leftovers(&self) {
        if self.ended.is_none() {
            self.kill_all();
        }
    }

    /// Kill it and everything it started. Returns whether all of it is gone; what is stuck in the
    /// kernel cannot be killed and is left behind.
    pub(crate) fn kill(&mut self) -> bool {
        if self.ended.is_none() {
            self.kill_all();
        }
        self.wait(DEATH_LIMIT).is_some() && self.group.as_ref().is_none_or(ControlGroup::kill)
    }

    /// Whether it ended; its number stays taken until it is reaped, so that nobody else is killed
    /// in its place.
    fn has_ended(&self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        self.ended.is_some()
            || !matches!(
                waitid(Id::Pid(self.pid()), flags),
                Ok(WaitStatus::StillAlive)
            )
    }

    fn reap(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.kill_all();
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    fn kill_all(&self) {
        if let Some(group) = &self.group {
            group.kill();
        }
        // ESRCH: nobody is left in it.
        let _ = killpg(self.pid(), Signal::SIGKILL);
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Whether it was killed for its memory.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        self.group
            .as_ref()
            .is_some_and(ControlGroup::ran_out_of_memory)
    }
}

impl Drop for PluginProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read};

    use super::*;
    use crate::sys::test_program;

    fn shell(script: &str) -> (tempfile::TempDir, PluginProcess, Pipes) {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("plugin");
        test_program::write(&format!("#!/bin/sh\n{script}\n"), &program);
        let name = folder.path().file_name().unwrap().to_str().unwrap();
        let (process, pipes) = start(&program, &[], name).unwrap();
        (folder, process, pipes)
    }

    #[test]
    fn what_it_started_dies_with_it() {
        let (_folder, mut process, pipes) = shell("sleep 300 & echo $!; exit 3");
        let mut output = BufReader::new(pipes.output);
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let status = process.wait(Duration::from_secs(120)).unwrap();
        assert_eq!(status.code(), Some(3));
        // The sleeping child held the pipe open.
        assert_eq!(output.read_to_end(&mut Vec::new()).unwrap(), 0);
        assert!(process.kill());
    }

    #[test]
    fn unread_bytes_are_lost_with_the_last_reader() {
        let (reader, mut writer) = io::pipe().unwrap();
        let copy = reader.try_clone().unwrap();
        assert_eq!(unread(&writer).unwrap(), Unread::Nothing);
        writer.write_all(b"call").unwrap();
        drop(reader);
        assert_eq!(unread(&writer).unwrap(), Unread::Waiting);
        drop(copy);
        assert_eq!(unread(&writer).unwrap(), Unread::Lost);
    }

    #[test]
    fn what_was_read_is_not_lost_with_the_reader() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"call").unwrap();
        reader.read_exact(&mut [0; 4]).unwrap();
        drop(reader);
        assert_eq!(unread(&writer).unwrap(), Unread::Nothing);
    }

    #[test]
    fn it_dies_though_it_ignores_to_be_ended() {
        let (_folder, mut process, _pipes) = shell("trap '' TERM; while :; do sleep 1; done");
        assert!(process.wait(Duration::from_millis(50)).is_none());
        assert!(process.kill());
    }

    #[test]
    fn the_environment_is_small_and_plugins_are_the_first_to_go() {
        let (folder, mut process, pipes) = shell("env; cat /proc/self/oom_score_adj; pwd");
        let mut text = String::new();
        BufReader::new(pipes.output)
            .read_to_string(&mut text)
            .unwrap();
        process.wait(Duration::from_secs(120)).unwrap();
        assert!(text.contains("PATH=/usr/sbin:/usr/bin\n"), "{text}");
        assert!(!text.contains("CARGO"), "{text}");
        assert!(text.contains("\n800\n"), "{text}");
        assert!(text.contains(folder.path().to_str().unwrap()), "{text}");
    }
}
