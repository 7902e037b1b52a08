//! `ddoemcli`: one run at a time, by the agent's rules for programs.

use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use farrier_plugin::{Context, ManagerError, ProgramRequest, Progress};

use crate::configuration::Configuration;
use crate::failures::excerpt;
use crate::listing::{self, Card, ListingError};

/// Printed by a format that came to its end. The tool's last line, "Execution completed
/// successfully.", is printed by every sub-command and proves nothing (contract/onmetal 4).
pub(crate) const FORMATTED: &str = "WarpDrive format successfully completed.";

/// How often somebody who waits for the tool looks whether the command was cancelled.
const POLL: Duration = Duration::from_millis(200);

/// How often the console hears how long the tool has been running.
const TICK: Duration = Duration::from_secs(1);

/// Whose turn it is: nobody knows what two runs of the tool at once do (contract/onmetal 11.2).
#[derive(Debug, Default)]
pub(crate) struct Turns {
    is_taken: Mutex<bool>,
    freed: Condvar,
}

/// The tool, for as long as this lives.
pub(crate) struct Tool<'t> {
    configuration: &'t Configuration,
    context: &'t dyn Context,
    turns: &'t Turns,
}

/// Why the tool gave no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ToolError {
    /// Cancelled before its turn: nothing was touched.
    #[error("the command was cancelled before the flash-card tool was run")]
    Cancelled,
    /// It could not be started, or did not end in time.
    #[error("\"{command}\" gave no result")]
    Run {
        command: String,
        #[source]
        source: ManagerError,
    },
    /// It failed.
    #[error("\"{command}\" ended with {status} and said: {output}")]
    Status {
        command: String,
        status: String,
        output: String,
    },
    /// It ended with 0 and without the sentence that a format ends with.
    #[error(
        "\"{command}\" ended with exit status 0, but without the sentence \"{FORMATTED}\"; it \
         said: {output}"
    )]
    NoSentence { command: String, output: String },
    /// Its listing makes no sense.
    #[error("\"{command}\" cannot be understood")]
    Listing {
        command: String,
        #[source]
        source: ListingError,
    },
}

impl Turns {
    /// Wait for the tool. The wait is seen on the console, and ends with a cancel.
    pub(crate) fn take<'t>(
        &'t self,
        configuration: &'t Configuration,
        context: &'t dyn Context,
    ) -> Result<Tool<'t>, ToolError> {
        let mut is_taken = self.lock();
        while *is_taken {
            if context.is_cancelled() {
                return Err(ToolError::Cancelled);
            }
            context.report_progress(Progress {
                what: "waiting for the flash-card tool".to_owned(),
                done: 0,
                total: None,
            });
            is_taken = self
                .freed
                .wait_timeout(is_taken, POLL)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        if context.is_cancelled() {
            return Err(ToolError::Cancelled);
        }
        *is_taken = true;
        Ok(Tool {
            configuration,
            context,
            turns: self,
        })
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Tool<'_> {
    fn drop(&mut self) {
        *self.turns.lock() = false;
        self.turns.freed.notify_all();
    }
}

impl Tool<'_> {
    /// All cards of the configured models.
    pub(crate) fn cards(&self) -> Result<Vec<Card>, ToolError> {
        let listing = self.run(&["-listall"], self.configuration.command_timeout(), None)?;
        listing::parse(&listing, &self.configuration.models()).map_err(|source| {
            ToolError::Listing {
                command: self.command(&["-listall"]),
                source,
            }
        })
    }

    /// Erase a card. `what` is shown while it runs, which can be an hour.
    pub(crate) fn format(&self, id: u32, what: &str) -> Result<(), ToolError> {
        let id = id.to_string();
        let arguments = ["-c", &id, "-format", "-op", "-level", "nom", "-s"];
        let limit = self.configuration.format_timeout();
        let output = self.run(&arguments, limit, Some(what))?;
        if output.contains(FORMATTED) {
            return Ok(());
        }
        Err(ToolError::NoSentence {
            command: self.command(&arguments),
            output: excerpt(&output),
        })
    }

    /// The health of a card's SSDs, as text.
    pub(crate) fn health(&self, id: u32) -> Result<String, ToolError> {
        let id = id.to_string();
        self.run(
            &["-c", &id, "-health"],
            self.configuration.command_timeout(),
            None,
        )
    }

    /// Flash a file that is no package: the new flasher.
    pub(crate) fn preflash(&self, id: u32, file: &Path, what: &str) -> Result<(), ToolError> {
        self.flash(id, "-f", file, what)
    }

    /// Flash a firmware package.
    pub(crate) fn update_package(&self, id: u32, file: &Path, what: &str) -> Result<(), ToolError> {
        self.flash(id, "-updatepkg", file, what)
    }

    fn flash(&self, id: u32, how: &str, file: &Path, what: &str) -> Result<(), ToolError> {
        let id = id.to_string();
        let file = file.display().to_string();
        let limit = self.configuration.firmware_timeout();
        self.run(&["-c", &id, how, &file], limit, Some(what))
            .map(|_| ())
    }

    /// Its standard output. With `what`, the console hears how long it has been running.
    fn run(
        &self,
        arguments: &[&str],
        limit: Duration,
        what: Option<&str>,
    ) -> Result<String, ToolError> {
        let mut program =
            ProgramRequest::new(self.configuration.tool().display().to_string()).timeout(limit);
        for argument in arguments {
            program = program.arg(*argument);
        }
        let output = match what {
            Some(what) => told(self.context, what, || self.context.run_program(&program)),
            None => self.context.run_program(&program),
        }
        .map_err(|source| ToolError::Run {
            command: self.command(arguments),
            source,
        })?;
        if output.exit_code == Some(0) {
            return Ok(output.stdout);
        }
        Err(ToolError::Status {
            command: self.command(arguments),
            status: status(output.exit_code),
            output: excerpt(&format!("{} {}", output.stdout, output.stderr)),
        })
    }

    /// For errors: the program's name without its folder.
    fn command(&self, arguments: &[&str]) -> String {
        let tool = self.configuration.tool();
        let name = tool.file_name().unwrap_or_default().to_string_lossy();
        format!("{name} {}", arguments.join(" "))
    }
}

/// How a program ended, for an error.
pub(crate) fn status(exit_code: Option<i32>) -> String {
    match exit_code {
        Some(code) => format!("exit status {code}"),
        None => "a signal".to_owned(),
    }
}

/// Run something while the console hears every second how long it has been running. Vendor tools
/// say nothing about how far they are.
pub(crate) fn told<T>(context: &dyn Context, what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let is_done = (Mutex::new(false), Condvar::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut done = is_done.0.lock().unwrap_or_else(PoisonError::into_inner);
            while !*done {
                context.report_progress(Progress {
                    what: format!("{what}, {} s so far", start.elapsed().as_secs()),
                    // The tool does not say how far it is; seconds would be added to other disks' bytes.
                    done: 0,
                    total: None,
                });
                done = is_done
                    .1
                    .wait_timeout(done, TICK)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            }
        });
        // Also where the work panics: the scope would wait for the thread for ever.
        let _end = End(&is_done);
        work()
    })
}

struct End<'e>(&'e (Mutex<bool>, Condvar));

impl Drop for End<'_> {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }
}
