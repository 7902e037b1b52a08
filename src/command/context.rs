//! What a running command can ask of the agent: to pass on its progress, and whether to stop.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use farrier_plugin::{Context, Progress};
use tracing::info;

use super::outcome::Command;

/// Progress goes to the log at most this often; the result object always has the newest.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// The context of a command in the table.
pub(super) struct CommandContext {
    command: Arc<Command>,
    logged: Mutex<Option<Instant>>,
}

impl CommandContext {
    /// The context of this command.
    pub(super) fn new(command: Arc<Command>) -> Self {
        Self {
            command,
            logged: Mutex::new(None),
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        match *logged {
            Some(last) if now.duration_since(last) < LOG_INTERVAL => false,
            _ => {
                *logged = Some(now);
                true
            }
        }
    }
}

impl Context for CommandContext {
    fn report_progress(&self, progress: Progress) {
        self.command.tell(progress);
        if self.is_due(Instant::now())
            && let Some(pace) = self.command.pace()
        {
            let Progress { what, done, total } = pace.progress();
            info!(
                command = self.command.name(),
                what,
                done,
                total,
                rate = pace.rate().map(|rate| rate as u64),
                remaining = pace.remaining().map(|seconds| seconds as u64),
                "progress"
            );
        }
    }

    fn is_cancelled(&self) -> bool {
        self.command.why_cut_off().is_some()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::command::outcome::CutOff;

    #[test]
    fn the_log_is_spared_and_the_result_is_not() {
        let command = Arc::new(Command::running(Uuid::new_v4(), "execute_clean_step"));
        let context = CommandContext::new(Arc::clone(&command));
        let start = Instant::now();
        assert!(context.is_due(start));
        assert!(!context.is_due(start + LOG_INTERVAL / 2));
        assert!(context.is_due(start + LOG_INTERVAL));
        for done in 0..5 {
            context.report_progress(Progress {
                what: "erasing".to_owned(),
                done,
                total: None,
            });
        }
        assert_eq!(command.pace().unwrap().progress().done, 4);
    }

    #[test]
    fn a_cancelled_command_hears_of_it() {
        let command = Arc::new(Command::running(Uuid::new_v4(), "execute_clean_step"));
        let context = CommandContext::new(Arc::clone(&command));
        assert!(!context.is_cancelled());
        command.cut_off(CutOff::Terminated);
        assert!(context.is_cancelled());
    }
}
