//! One command and how it ended, as the conductor sees them (contract/control-plane 5.4, 5.6).

use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use farrier_plugin::{ErrorKind, ManagerError, Progress};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use tokio::sync::Notify;
use uuid::Uuid;

use super::omission::bounded;
use super::pace::Pace;
use crate::sys::{log, printable};

/// The details of an error that has none (contract/control-plane 5.6).
const NO_DETAILS: &str = "An unexpected error occurred. Please try back later.";

/// Details are cut after about this many bytes: all that a program printed may be in them, and they
/// are kept as long as the command is listed.
const DETAILS_LIMIT: usize = 16 * 1024;

/// How far a command is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Status {
    /// It runs.
    #[serde(rename = "RUNNING")]
    Running,
    /// It ended well.
    #[serde(rename = "SUCCEEDED")]
    Succeeded,
    /// It failed; the error says why.
    #[serde(rename = "FAILED")]
    Failed,
    /// It did not start, because the managers are not those that the conductor knows. The word is
    /// the reference's for deploy and service steps too.
    #[serde(rename = "CLEAN_VERSION_MISMATCH")]
    VersionMismatch,
}

/// An error as it travels.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ErrorObject {
    /// Class name: `CleaningError`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// An HTTP status.
    pub code: u16,
    /// What kind of thing went wrong.
    pub message: String,
    /// What exactly went wrong; the conductor stores this as `last_error`.
    pub details: String,
}

impl From<&ManagerError> for ErrorObject {
    fn from(error: &ManagerError) -> Self {
        let kind = error.kind();
        let details = match error.chain() {
            empty if empty.is_empty() => NO_DETAILS.to_owned(),
            // The conductor keeps it in its database and shows it to everybody, also in terminals.
            details => printable::lines(&log::mask_cut(&details, DETAILS_LIMIT)).into_owned(),
        };
        let message = match kind {
            // The reference puts its long text in both places.
            ErrorKind::ProtectedDevice => details.clone(),
            _ => kind.message().to_owned(),
        };
        Self {
            type_name: kind.type_name().to_owned(),
            code: kind.code(),
            message,
            details,
        }
    }
}

/// How a command ended.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Outcome {
    /// Never [`Status::Running`].
    pub status: Status,
    /// Why it failed.
    pub error: Option<ErrorObject>,
    /// What it gave; null where it failed or had nothing to give.
    pub result: Value,
}

impl Outcome {
    /// A good end.
    pub fn succeeded(result: Value) -> Self {
        Self {
            status: Status::Succeeded,
            error: None,
            result,
        }
    }

    /// A bad end; a version mismatch has a status of its own.
    pub fn failed(error: &ManagerError) -> Self {
        Self {
            status: match error.kind() {
                ErrorKind::VersionMismatch => Status::VersionMismatch,
                _ => Status::Failed,
            },
            error: Some(error.into()),
            result: Value::Null,
        }
    }

    /// The same of the command of this name that was told to stop before: never a success.
    pub(super) fn cut_off(self, name: &str, why: CutOff) -> Self {
        let told = format!("{name} was told to stop, because {why}");
        let Some(mut error) = self.error else {
            return Self::failed(&ManagerError::new(
                ErrorKind::CommandExecution,
                format!("{told}. What it had done by then does not count as done"),
            ));
        };
        error.details = format!("{told}: {}", error.details);
        Self {
            error: Some(error),
            ..self
        }
    }
}

/// Why commands are cut off, as the rest of a sentence: the agent ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum CutOff {
    /// The system asked the agent to end.
    #[error("the agent was asked to end (SIGTERM)")]
    Terminated,
    /// The machine is taken off the network for good.
    #[error("the machine is being locked down")]
    LockedDown,
}

/// An outcome above this many bytes of JSON is kept as it is: nearly all of it is a text or two, and
/// reading it again for each poll would cost more than it saves.
const PACKED: usize = 256 * 1024;

/// An outcome as it is kept. As JSON it takes a tenth of what a tree of values takes, for the many
/// commands that nobody asks about any more.
#[derive(Debug)]
enum Kept {
    Whole(Arc<Outcome>),
    Packed { status: Status, text: Box<str> },
}

impl Kept {
    fn new(outcome: Outcome) -> Self {
        let text = serde_json::to_string(&outcome).unwrap_or_default();
        // The same comes back, to the last digit of a number.
        if text.len() <= PACKED
            && serde_json::from_str(&text).is_ok_and(|same: Outcome| same == outcome)
        {
            let (status, text) = (outcome.status, text.into());
            return Self::Packed { status, text };
        }
        Self::Whole(Arc::new(outcome))
    }

    fn status(&self) -> Status {
        match self {
            Self::Whole(outcome) => outcome.status,
            Self::Packed { status, .. } => *status,
        }
    }

    fn outcome(&self) -> Arc<Outcome> {
        match self {
            Self::Whole(outcome) => Arc::clone(outcome),
            // It was read once before it was kept, so there is always an outcome in it.
            Self::Packed { status, text } => {
                Arc::new(serde_json::from_str(text).unwrap_or(Outcome {
                    status: *status,
                    error: None,
                    result: Value::Null,
                }))
            }
        }
    }
}

/// A command that was issued. Serialises as the result object of contract/control-plane 5.4, with
/// one field more while it runs and has something to tell: `progress`. The conductor reads fields
/// by name, so one more is harmless.
#[derive(Debug)]
pub struct Command {
    id: Uuid,
    name: String,
    words: OnceLock<String>,
    outcome: Mutex<Option<Kept>>,
    pace: Mutex<Option<Box<Pace>>>,
    cut_off: OnceLock<CutOff>,
    ended: Notify,
    /// The same for threads, which cannot wait for a task's channel with a time limit.
    outcome_is_there: Condvar,
}

impl Command {
    /// A command that runs from now on. `name` is the bare name, without the extension.
    pub(super) fn running(id: Uuid, name: impl Into<String>) -> Self {
        Self {
            id,
            name: name.into(),
            words: OnceLock::new(),
            outcome: Mutex::new(None),
            pace: Mutex::new(None),
            cut_off: OnceLock::new(),
            ended: Notify::new(),
            outcome_is_there: Condvar::new(),
        }
    }

    /// A command that has ended already.
    pub(super) fn over(id: Uuid, name: impl Into<String>, outcome: Outcome) -> Self {
        let command = Self::running(id, name);
        command.end(outcome);
        command
    }

    /// Its id on the wire.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Its bare name: `execute_clean_step`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it does in words for a person; its name where nobody said.
    pub fn in_words(&self) -> &str {
        self.words.get().map_or(&self.name, String::as_str)
    }

    /// These are the words. Only the first count.
    pub(super) fn put_in_words(&self, words: String) {
        let _ = self.words.set(words);
    }

    /// How far it is.
    pub fn status(&self) -> Status {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.as_ref().map_or(Status::Running, Kept::status)
    }

    /// How it ended; `None` while it runs.
    pub fn outcome(&self) -> Option<Arc<Outcome>> {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.as_ref().map(Kept::outcome)
    }

    /// What it last told about itself, and how fast it comes along.
    pub fn pace(&self) -> Option<Pace> {
        self.pace
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_deref()
            .cloned()
    }

    /// Wait for its end.
    pub async fn finished(&self) {
        let mut told = pin!(self.ended.notified());
        // An end between the look and the wait is heard.
        told.as_mut().enable();
        if self.status() == Status::Running {
            told.await;
        }
    }

    /// Block the thread until its end, for so long at most. Whether it has ended.
    pub(super) fn ends_within(&self, limit: Duration) -> bool {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        self.outcome_is_there
            .wait_timeout_while(outcome, limit, |outcome| outcome.is_none())
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .is_some()
    }

    /// Tell it to stop at the next opportunity. Only the first reason counts.
    pub(super) fn cut_off(&self, why: CutOff) {
        let _ = self.cut_off.set(why);
    }

    /// Why it was told to stop, where it was.
    pub(super) fn why_cut_off(&self) -> Option<CutOff> {
        self.cut_off.get().copied()
    }

    /// Keep what it tells about itself.
    pub(super) fn tell(&self, progress: Progress) {
        let now = Instant::now();
        match &mut *self.pace.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(pace) => pace.tell(progress, now),
            none => *none = Some(Box::new(Pace::new(progress, now))),
        }
    }

    /// From now on its result takes no more than this many bytes of JSON, as [`bounded`] does it.
    pub(super) fn forget_result(&self, limit: usize) {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = outcome.as_ref().map(Kept::outcome) {
            *outcome = Some(Kept::new(Outcome {
                status: known.status,
                error: known.error.clone(),
                result: bounded(&known.result, limit),
            }));
        }
    }

    /// It has ended. Only the first end counts.
    pub(super) fn end(&self, outcome: Outcome) {
        self.outcome
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_with(|| Kept::new(outcome));
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.outcome_is_there.notify_all();
        self.ended.notify_waiters();
    }
}

impl Serialize for Command {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let outcome = self.outcome();
        let pace = match outcome {
            Some(_) => None,
            None => self.pace(),
        };
        let mut object =
            serializer.serialize_struct("Command", if pace.is_some() { 6 } else { 5 })?;
        object.serialize_field("id", &self.id)?;
        object.serialize_field("command_name", &self.name)?;
        match &outcome {
            Some(outcome) => {
                object.serialize_field("command_status", &outcome.status)?;
                object.serialize_field("command_error", &outcome.error)?;
                object.serialize_field("command_result", &outcome.result)?;
            }
            None => {
                object.serialize_field("command_status", &Status::Running)?;
                object.serialize_field("command_error", &Value::Null)?;
                object.serialize_field("command_result", &Value::Null)?;
            }
        }
        if let Some(pace) = &pace {
            object.serialize_field("progress", pace)?;
        }
        object.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "0fdc80a1-8501-458c-bb72-ac7f91062d48";

    fn command() -> Command {
        Command::running(ID.parse().unwrap(), "execute_clean_step")
    }

    #[test]
    fn an_error_tells_the_conductor_no_secret() {
        log::hide("https://u:planted-Vb7@records.example/planted-Vb8/records?sig=planted-Vb9");
        let error = ManagerError::new(
            ErrorKind::CommandExecution,
            "https://records.example/planted-Vb8/records answered 403 to \
             http://swift/a?temp_url_sig=planted-Vb6",
        );
        let object = ErrorObject::from(&error);
        assert!(!object.details.contains("planted"), "{}", object.details);
        assert!(
            object.details.contains(" answered 403 "),
            "{}",
            object.details
        );
    }

    #[test]
    fn an_error_sends_nothing_to_the_terminal_of_whoever_reads_it() {
        let error = ManagerError::new(
            ErrorKind::CommandExecution,
            "the tool said:\nDONE\r\u{1b}[2J\u{202e}\u{9b}1m",
        );
        assert_eq!(
            ErrorObject::from(&error).details,
            "the tool said:\nDONE\\r\\u{1b}[2J\\u{202e}\\u{9b}1m"
        );
    }

    #[test]
    fn what_a_program_printed_is_cut() {
        let error = ManagerError::new(ErrorKind::CommandExecution, "x".repeat(256 * 1024));
        let details = ErrorObject::from(&error).details;
        assert!(details.len() < DETAILS_LIMIT + 40, "{}", details.len());
        assert!(details.ends_with("bytes left out)"));
    }

    #[test]
    fn a_running_command_has_the_recorded_form() {
        assert_eq!(
            serde_json::to_string(&command()).unwrap(),
            format!(
                r#"{{"id":"{ID}","command_name":"execute_clean_step","command_status":"RUNNING","command_error":null,"command_result":null}}"#
            )
        );
    }

    #[test]
    fn progress_shows_until_the_end() {
        let command = command();
        command.tell(Progress {
            what: "erasing /dev/sda".to_owned(),
            done: 1,
            total: Some(4),
        });
        assert_eq!(
            serde_json::to_value(&command).unwrap()["progress"],
            json!({"what": "erasing /dev/sda", "done": 1, "total": 4, "rate": null,
                   "remaining": null})
        );
        command.end(Outcome::succeeded(Value::Null));
        assert!(
            serde_json::to_value(&command)
                .unwrap()
                .get("progress")
                .is_none()
        );
    }

    #[test]
    fn a_failed_command_has_the_form_of_the_contract() {
        let command = command();
        command.end(Outcome::failed(&ManagerError::new(
            ErrorKind::Cleaning,
            "Unexpected exception performing clean step b. RuntimeError: xx",
        )));
        assert_eq!(
            serde_json::to_value(&command).unwrap(),
            json!({"id": ID, "command_name": "execute_clean_step", "command_status": "FAILED",
                   "command_error": {"type": "CleaningError", "code": 500,
                       "message": "Clean step failed",
                       "details": "Unexpected exception performing clean step b. RuntimeError: xx"},
                   "command_result": null})
        );
    }

    #[test]
    fn only_the_first_end_counts() {
        let command = command();
        command.end(Outcome::succeeded(json!(1)));
        command.end(Outcome::succeeded(json!(2)));
        assert_eq!(command.outcome().unwrap().result, json!(1));
    }

    #[test]
    fn an_error_without_details_has_the_references_sentence() {
        let object = ErrorObject::from(&ManagerError::new(ErrorKind::UnknownNode, ""));
        assert_eq!(object.details, NO_DETAILS);
    }

    #[test]
    fn a_protected_device_says_it_twice() {
        let object = ErrorObject::from(&ManagerError::new(
            ErrorKind::ProtectedDevice,
            "Protected VMFS located on device /dev/sda.",
        ));
        assert_eq!(object.message, object.details);
    }
}
