//! The one seam through which external programs are started: absolute argument vectors, no shell,
//! a time limit, bounded output.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use tracing::debug;

use super::{log, out_of_memory};

/// Output above this many bytes for each of stdout and stderr is dropped.
const OUTPUT_LIMIT: usize = 256 * 1024;

/// How often a running program is looked at.
const POLL: Duration = Duration::from_millis(10);

/// A program to run.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<String>,
    secrets: Vec<String>,
    timeout: Duration,
}

/// What a program that ended by itself left.
#[derive(Clone, Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// The first 256 KiB of its standard output, made valid UTF-8.
    pub stdout: String,
    /// The first 256 KiB of its standard error, made valid UTF-8.
    pub stderr: String,
}

/// Why a program gave no usable result.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("Could not start {program}; is it part of this ramdisk?")]
    Start {
        /// The program.
        program: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// It was killed at its time limit.
    #[error("{program} did not end within {seconds} s and was killed")]
    Timeout {
        /// The program.
        program: String,
        /// The limit.
        seconds: u64,
    },
    /// It ended, but what it had started held its output open until the time limit.
    #[error(
        "{program} ended, but a process that it had started kept its output open for {seconds} s \
         and was killed"
    )]
    LeftBehind {
        /// The program.
        program: String,
        /// The limit.
        seconds: u64,
    },
    /// It was killed because what it was for was cancelled.
    #[error("{program} was killed because the command was cancelled")]
    Cancelled {
        /// The program.
        program: String,
    },
    /// It ended with an exit status other than 0.
    #[error("{program} ended with {status}: {stderr}")]
    Failed {
        /// The program and its arguments, secrets masked.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        stderr: String,
    },
}

impl Program {
    /// The program at this absolute path, with a time limit of 60 s.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            arguments: Vec::new(),
            secrets: Vec::new(),
            timeout: Duration::from_secs(60),
        }
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// One more argument that is shown as `***` in logs and errors.
    #[must_use]
    pub fn secret(mut self, argument: impl Into<String>) -> Self {
        let argument = argument.into();
        // The program may say it, and the list of processes in the log archive shows it.
        log::hide_given(&argument);
        self.secrets.push(argument.clone());
        self.arguments.push(argument);
        self
    }

    /// Another time limit.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Run it to its end; any exit status is a result. It has ended when its output has, too: what
    /// it started in the background is a part of it as long as it writes there.
    pub fn output(&self) -> Result<Output, ProcessError> {
        self.output_unless(&|| false)
    }

    /// The same, but killed with what it started as soon as this says so. Asked a hundred times a
    /// second.
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    pub fn output_unless(&self, is_cancelled: &dyn Fn() -> bool) -> Result<Output, ProcessError> {
        debug!(program = %self, "starting");
        let failed = |source| ProcessError::Start {
            program: self.to_string(),
            source,
        };
        let mut child = Command::new(&self.path)
            .args(&self.arguments)
            // The agent's own environment may hold its token and proxies with passwords.
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/root")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        // One that has ended already needs no place in the order.
        let _ = out_of_memory::give_up(child.id());
        let mut streams = [
            Stream::new(child.stdout.take().map(OwnedFd::from)),
            Stream::new(child.stderr.take().map(OwnedFd::from)),
        ];
        let status = self.follow(&mut child, &mut streams, is_cancelled)?;
        let [stdout, stderr] = streams.map(Stream::into_text);
        let output = Output {
            status,
            stdout,
            stderr,
        };
        debug!(program = %self, %status, stdout = %output.stdout, stderr = %output.stderr, "ended");
        Ok(output)
    }

    /// Run it to its end; an exit status other than 0 is an error.
    pub fn run(&self) -> Result<Output, ProcessError> {
        let output = self.output()?;
        if output.status.success() {
            return Ok(output);
        }
        Err(ProcessError::Failed {
            program: self.to_string(),
            status: output.status,
            stderr: output.stderr.trim().to_owned(),
        })
    }

    /// Read what it writes until it and its output have ended. One thread does both: threads that
    /// read would wait for a pipe which a process of another group holds open for good.
    fn follow(
        &self,
        child: &mut Child,
        streams: &mut [Stream; 2],
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<ExitStatus, ProcessError> {
        let deadline = Instant::now() + self.timeout;
        // Not reaped before the end of its output: until then its number is the group's.
        let mut has_ended = false;
        loop {
            has_ended = has_ended || ended(child);
            // After the look at the process: what it wrote last is there by then.
            let is_open = read_ready(streams, if has_ended { POLL / 10 } else { POLL });
            if has_ended && !is_open {
                return child.wait().map_err(|source| ProcessError::Start {
                    program: self.to_string(),
                    source,
                });
            }
            if !is_open {
                thread::sleep(POLL);
            }
            let error = if is_cancelled() {
                ProcessError::Cancelled {
                    program: self.to_string(),
                }
            } else if Instant::now() < deadline {
                continue;
            } else if has_ended {
                ProcessError::LeftBehind {
                    program: self.to_string(),
                    seconds: self.timeout.as_secs(),
                }
            } else {
                ProcessError::Timeout {
                    program: self.to_string(),
                    seconds: self.timeout.as_secs(),
                }
            };
            // The program leads its own group, so its children end with it. A process that is
            // stuck in the kernel is not waited for.
            let _ = killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
            thread::sleep(POLL);
            let _ = child.try_wait();
            return Err(error);
        }
    }
}

/// Whether it has ended. Its number stays taken until it is waited for.
fn ended(child: &Child) -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    let id = Id::Pid(Pid::from_raw(child.id().cast_signed()));
    !matches!(waitid(id, flags), Ok(WaitStatus::StillAlive))
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        for argument in &self.arguments {
            if self.secrets.contains(argument) {
                f.write_str(" ***")?;
            } else {
                write!(f, " {argument}")?;
            }
        }
        Ok(())
    }
}

/// One of a program's outputs.
struct Stream {
    /// `None` at its end.
    pipe: Option<File>,
    /// The first [`OUTPUT_LIMIT`] bytes.
    kept: Vec<u8>,
}

impl Stream {
    fn new(pipe: Option<OwnedFd>) -> Self {
        Self {
            pipe: pipe.map(File::from),
            kept: Vec::new(),
        }
    }

    /// Take in one piece of what is there; the pipe is always read, because a full one would stop
    /// the program.
    fn read(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        let mut chunk = [0; 8192];
        match pipe.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => self.pipe = None,
            Ok(count) => {
                let room = OUTPUT_LIMIT.saturating_sub(self.kept.len()).min(count);
                self.kept.extend_from_slice(&chunk[..room]);
            }
        }
    }

    fn into_text(self) -> String {
        String::from_utf8_lossy(&self.kept).into_owned()
    }
}

/// Wait so long for something to read, and read one piece of each stream that has it. Whether one
/// is still open.
fn read_ready(streams: &mut [Stream; 2], patience: Duration) -> bool {
    let mut open: Vec<&mut Stream> = streams
        .iter_mut()
        .filter(|stream| stream.pipe.is_some())
        .collect();
    let mut asked: Vec<PollFd<'_>> = open
        .iter()
        .filter_map(|stream| stream.pipe.as_ref())
        .map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN))
        .collect();
    if asked.is_empty() {
        return false;
    }
    let patience = PollTimeout::try_from(patience).unwrap_or(PollTimeout::ZERO);
    // A signal that comes in between is as good as nothing to read.
    let _ = poll(&mut asked, patience);
    let ready: Vec<bool> = asked
        .iter()
        .map(|asked| asked.revents().is_some_and(|events| !events.is_empty()))
        .collect();
    for (stream, _) in open.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
        stream.read();
    }
    open.iter().any(|stream| stream.pipe.is_some())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn output_and_status_are_kept() {
        let output = Program::new("/bin/sh")
            .arg("-c")
            .arg("echo out; echo err >&2; exit 3")
            .output()
            .unwrap();
        assert_eq!(
            (output.stdout.as_str(), output.stderr.as_str()),
            ("out\n", "err\n")
        );
        assert_eq!(output.status.code(), Some(3));
    }

    #[test]
    fn a_secret_is_masked() {
        let error = Program::new("/bin/false")
            .arg("--password")
            .secret("hunter2")
            .run()
            .unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn a_secret_argument_is_masked_in_what_the_program_and_the_process_list_say() {
        let output = Program::new("/bin/sh")
            .arg("-c")
            .arg("cat /proc/$$/cmdline; echo \"$0\"")
            .secret("planted-Pr01")
            .output()
            .unwrap();
        assert!(output.stdout.contains("planted-Pr01"));
        assert!(!log::mask(&output.stdout).contains("planted-Pr01"));
    }

    #[test]
    fn a_program_does_not_inherit_the_agents_environment() {
        const GIVEN: [&str; 3] = ["HOME", "LC_ALL", "PATH"];
        let is_own = |name: OsString| GIVEN.iter().all(|given| name != *given);
        assert!(std::env::vars_os().any(|(name, _)| is_own(name)));
        let output = Program::new("/usr/bin/env").run().unwrap();
        let names: Vec<&str> = output
            .stdout
            .lines()
            .filter_map(|line| Some(line.split_once('=')?.0))
            .collect();
        assert_eq!(names, GIVEN);
    }

    #[test]
    fn a_program_that_hangs_is_killed_with_its_children() {
        let started = Instant::now();
        let error = Program::new("/bin/sh")
            .arg("-c")
            .arg("sleep 30 & sleep 30")
            .timeout(Duration::from_millis(200))
            .output()
            .unwrap_err();
        assert!(matches!(error, ProcessError::Timeout { .. }));
        assert!(started.elapsed() < Duration::from_secs(25));
    }

    /// A process of another group holds the pipes, as a daemon does that was started carelessly.
    #[test]
    fn the_limit_holds_whoever_keeps_the_output_open() {
        // Long enough that a shell has ended by then on a machine that is busy.
        const LIMIT: Duration = Duration::from_secs(3);
        let ends = |(script, timeouts): (&str, bool)| {
            let started = Instant::now();
            let error = Program::new("/bin/sh")
                .arg("-c")
                .arg(script)
                .timeout(LIMIT)
                .output()
                .unwrap_err();
            let took = started.elapsed();
            assert!(took < Duration::from_secs(25), "{script}: {took:?}");
            assert_eq!(
                matches!(error, ProcessError::Timeout { .. }),
                timeouts,
                "{error}"
            );
            assert_eq!(
                matches!(error, ProcessError::LeftBehind { .. }),
                !timeouts,
                "{error}"
            );
        };
        thread::scope(|scope| {
            for case in [
                ("sleep 31 & sleep 31", true),
                ("setsid sleep 31 & exit 0", false),
                ("(trap '' TERM HUP; sleep 31) & exit 0", false),
                ("setsid sleep 31 & sleep 31", true),
            ] {
                scope.spawn(move || ends(case));
            }
        });
    }

    #[test]
    fn a_cancel_kills_it_with_its_children() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("child");
        let script = format!("sleep 300 & echo $! > {}; sleep 300", file.display());
        let child = || fs::read_to_string(&file).is_ok_and(|text| text.ends_with('\n'));
        let error = Program::new("/bin/sh")
            .arg("-c")
            .arg(script)
            .output_unless(&child)
            .unwrap_err();
        assert!(matches!(error, ProcessError::Cancelled { .. }), "{error}");
        let child = fs::read_to_string(&file).unwrap();
        let status = Path::new("/proc").join(child.trim()).join("status");
        // A zombie waits for whoever adopted it.
        let lives = || fs::read_to_string(&status).is_ok_and(|text| !text.contains("State:\tZ"));
        let until = Instant::now() + Duration::from_secs(60);
        while lives() {
            assert!(Instant::now() < until, "the child lives on");
            thread::sleep(POLL);
        }
    }

    #[test]
    fn much_output_is_read_to_its_end_and_kept_to_its_bound() {
        let output = Program::new("/bin/sh")
            .arg("-c")
            .arg("head -c 3000000 /dev/zero; head -c 1000000 /dev/zero >&2; echo end >&2; exit 7")
            .output()
            .unwrap();
        assert_eq!(output.stdout.len(), OUTPUT_LIMIT);
        assert_eq!(output.stderr.len(), OUTPUT_LIMIT);
        assert_eq!(output.status.code(), Some(7));
        // What its children still write after its end belongs to it.
        let late = Program::new("/bin/sh")
            .arg("-c")
            .arg("(sleep 0.3; echo late) & exit 0")
            .output()
            .unwrap();
        assert_eq!(late.stdout, "late\n");
    }
}
