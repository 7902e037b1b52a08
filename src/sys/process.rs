//! The one seam through which external programs are started: absolute argument vectors, no shell,
//! a time limit, bounded output.

use std::fmt;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
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
        source: std::io::Error,
    },
    /// It was killed at its time limit.
    #[error("{program} did not end within {seconds} s and was killed")]
    Timeout {
        /// The program.
        program: String,
        /// The limit.
        seconds: u64,
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
        log::hide(&argument);
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

    /// Run it to its end; any exit status is a result.
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    pub fn output(&self) -> Result<Output, ProcessError> {
        debug!(program = %self, "starting");
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
            .map_err(|source| ProcessError::Start {
                program: self.to_string(),
                source,
            })?;
        // One that has ended already needs no place in the order.
        let _ = out_of_memory::give_up(child.id());
        let stdout = drain(child.stdout.take());
        let stderr = drain(child.stderr.take());
        let status = self.wait(&mut child)?;
        let output = Output {
            status,
            stdout: join(stdout),
            stderr: join(stderr),
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

    fn wait(&self, child: &mut Child) -> Result<ExitStatus, ProcessError> {
        let deadline = Instant::now() + self.timeout;
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if Instant::now() < deadline => thread::sleep(POLL),
                Ok(None) => {
                    // The program leads its own group, so its children end with it. A process
                    // that is stuck in the kernel is not waited for.
                    let _ = killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
                    thread::sleep(POLL);
                    let _ = child.try_wait();
                    return Err(ProcessError::Timeout {
                        program: self.to_string(),
                        seconds: self.timeout.as_secs(),
                    });
                }
                Err(source) => {
                    return Err(ProcessError::Start {
                        program: self.to_string(),
                        source,
                    });
                }
            }
        }
    }
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

/// Read a pipe to its end on a thread, keeping the first [`OUTPUT_LIMIT`] bytes: a full pipe must
/// not stop the program.
fn drain(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut kept = Vec::new();
        let Some(mut pipe) = pipe else { return kept };
        let mut chunk = [0; 8192];
        loop {
            match pipe.read(&mut chunk) {
                Ok(0) => return kept,
                Ok(count) => {
                    let room = OUTPUT_LIMIT.saturating_sub(kept.len()).min(count);
                    kept.extend_from_slice(&chunk[..room]);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return kept,
            }
        }
    })
}

fn join(reader: thread::JoinHandle<Vec<u8>>) -> String {
    String::from_utf8_lossy(&reader.join().unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
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
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let output = Program::new("/usr/bin/env").run().unwrap();
        let names: Vec<&str> = output
            .stdout
            .lines()
            .filter_map(|line| Some(line.split_once('=')?.0))
            .collect();
        assert_eq!(names, ["HOME", "LC_ALL", "PATH"]);
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
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}
