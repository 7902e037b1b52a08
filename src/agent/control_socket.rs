//! The socket on which a person at the machine asks the agent: `farrier status`, `farrier steps`. For root alone.
//!
//! A client sends a word, ends its half, and gets JSON: the answer, or an object with `error`. Each half has bounds of size
//! and time, and the agent's work waits for no client. It is there from the agent's first moment, long before the API.

use std::convert::Infallible;
use std::fs::{self, Permissions};
use std::future::pending;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as Client;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use farrier_plugin::StepKind;
use nix::unistd::geteuid;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use super::markers::Marker;
use super::status::Status;
use crate::command::CommandTable;
use crate::hardware::Managers;
use crate::sys::{log, private_file, run_files};

/// Clients at a time; others are hung up on.
const CLIENTS: usize = 4;

/// How long a client may take to ask, and to read.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long hardware managers may take to list their steps, which they do not while one of them runs a step.
const STEPS: Duration = Duration::from_secs(60);

/// Bytes of a question and of an answer.
const QUESTION_LIMIT: u64 = 64;
const ANSWER_LIMIT: u64 = 4 << 20;

/// What can be asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Question {
    /// What the agent is doing, and what is wrong.
    Status,
    /// The steps that its hardware managers offer.
    Steps,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// Nobody listens.
    #[error("No agent answers on this machine ({}): {why}", .path.display())]
    NoAgent {
        /// The socket.
        path: PathBuf,
        /// What may be the reason.
        why: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// Another user than root.
    #[error("Only root may ask the agent")]
    Forbidden(#[source] io::Error),
    /// The connection broke, or the agent took too long.
    #[error("The agent gave no answer")]
    Broken(#[source] io::Error),
    /// It is no JSON: another version's agent, or one that hung up.
    #[error("The agent's answer makes no sense")]
    Senseless(#[source] serde_json::Error),
    /// What the agent says.
    #[error("{0}")]
    Refused(String),
}

impl Question {
    const ALL: [Self; 2] = [Self::Status, Self::Steps];

    fn word(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Steps => "steps",
        }
    }

    fn of(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|question| question.word() == word)
    }
}

/// What is told: as much as there is by then.
pub(super) struct Control {
    status: Arc<Status>,
    managers: OnceLock<Arc<Managers>>,
    table: OnceLock<Arc<CommandTable>>,
    listing: Arc<Semaphore>,
}

impl Control {
    pub(super) fn new(status: &Arc<Status>) -> Self {
        Self {
            status: Arc::clone(status),
            managers: OnceLock::new(),
            table: OnceLock::new(),
            listing: Arc::new(Semaphore::new(1)),
        }
    }

    /// From now on these have steps.
    pub(super) fn has_managers(&self, managers: &Arc<Managers>) {
        let _ = self.managers.set(Arc::clone(managers));
    }

    /// From now on commands come here.
    pub(super) fn has_table(&self, table: &Arc<CommandTable>) {
        let _ = self.table.set(Arc::clone(table));
    }

    async fn answer(&self, question: Question) -> Result<Value, String> {
        match question {
            Question::Status => Ok(self.status.report(self.table.get().map(AsRef::as_ref))),
            Question::Steps => self.steps().await,
        }
    }

    async fn steps(&self) -> Result<Value, String> {
        let Some(managers) = self.managers.get().cloned() else {
            return Err("The agent is still starting its hardware managers".to_owned());
        };
        // A manager that hangs would take one thread after the other.
        let Ok(permit) = Arc::clone(&self.listing).try_acquire_owned() else {
            return Err(
                "The steps are being listed already, and not all managers have answered".to_owned(),
            );
        };
        let list = move || {
            let _permit = permit;
            steps_of(&managers)
        };
        match timeout(STEPS, spawn_blocking(list)).await {
            Ok(Ok(steps)) => Ok(steps),
            Ok(Err(panic)) => {
                error!(%panic, "listing the steps ended in a panic");
                Err("Listing the steps met a defect of the agent".to_owned())
            }
            Err(_) => Err(format!(
                "The hardware managers have not listed their steps within {} s; one that runs a step does not",
                STEPS.as_secs()
            )),
        }
    }
}

/// The steps of all managers for this node: by kind and class name, or the error that the conductor would get.
fn steps_of(managers: &Managers) -> Value {
    let node = managers.node().unwrap_or_default();
    let of_kind = |kind: StepKind| match managers.steps(kind, &node, &[]) {
        Ok(steps) => json!({ "steps": steps }),
        Err(error) => json!({ "error": error.chain() }),
    };
    let kinds: Map<String, Value> = StepKind::ALL
        .into_iter()
        .map(|kind| (kind.word().to_owned(), of_kind(kind)))
        .collect();
    Value::Object(kinds)
}

/// Listen, for ever. A socket that cannot be made costs the agent nothing else.
pub(super) async fn serve(root: PathBuf, control: Arc<Control>) -> Infallible {
    let path = path(&root);
    let listener = match open(&path) {
        Ok(listener) => listener,
        Err(error) => {
            warn!(path = %path.display(), %error, "farrier status will have no answer on this machine");
            return pending().await;
        }
    };
    let mut clients = JoinSet::new();
    loop {
        let accepted = listener.accept().await;
        while clients.try_join_next().is_some() {}
        match accepted {
            Ok((client, _)) if clients.len() < CLIENTS => {
                clients.spawn(converse(client, Arc::clone(&control)));
            }
            Ok(_) => {}
            Err(error) => {
                warn!(%error, "nobody could be heard on the control socket");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

fn path(root: &Path) -> PathBuf {
    root.join(run_files::CONTROL_SOCKET.trim_start_matches('/'))
}

fn open(path: &Path) -> io::Result<UnixListener> {
    if let Some(directory) = path.parent() {
        private_file::make_directory(directory)?;
    }
    if path.exists() {
        // Of an agent that has ended. One that is there keeps it.
        if Client::connect(path).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn converse(mut client: UnixStream, control: Arc<Control>) {
    // The mode of the socket and of its directory say the same; who got it handed over is no other.
    match client.peer_cred() {
        Ok(peer) if peer.uid() == 0 || peer.uid() == geteuid().as_raw() => {}
        Ok(peer) => {
            info!(uid = peer.uid(), "another user than root was refused");
            return;
        }
        Err(_) => return,
    }
    let mut word = String::new();
    let mut question = (&mut client).take(QUESTION_LIMIT);
    if !matches!(
        timeout(PATIENCE, question.read_to_string(&mut word)).await,
        Ok(Ok(_))
    ) {
        return;
    }
    let answer = match Question::of(word.trim()) {
        Some(question) => control.answer(question).await,
        None => Err(format!(
            "The agent does not know the question {:?}",
            word.trim()
        )),
    };
    let answer = answer.unwrap_or_else(|error| json!({ "error": error }));
    let text = log::mask(&answer.to_string());
    let _ = timeout(PATIENCE, client.write_all(text.as_bytes())).await;
}

/// Ask the agent of the machine with this root. Blocks for as long as the agent may take.
pub(crate) fn ask(root: &Path, question: Question) -> Result<Value, ControlError> {
    let path = path(root);
    let mut agent = Client::connect(&path).map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied => ControlError::Forbidden(source),
        _ => ControlError::NoAgent {
            path,
            why: why_none(root),
            source,
        },
    })?;
    let mut text = Vec::new();
    exchange(&mut agent, question, &mut text).map_err(ControlError::Broken)?;
    let answer: Value = serde_json::from_slice(&text).map_err(ControlError::Senseless)?;
    match answer.get("error").and_then(Value::as_str) {
        Some(error) => Err(ControlError::Refused(error.to_owned())),
        None => Ok(answer),
    }
}

fn exchange(agent: &mut Client, question: Question, answer: &mut Vec<u8>) -> io::Result<()> {
    agent.set_write_timeout(Some(PATIENCE))?;
    agent.set_read_timeout(Some(STEPS + PATIENCE))?;
    agent.write_all(question.word().as_bytes())?;
    agent.shutdown(Shutdown::Write)?;
    agent.take(ANSWER_LIMIT).read_to_end(answer)?;
    Ok(())
}

fn why_none(root: &Path) -> String {
    match Marker::found(root) {
        Some(Marker::LockedDown) => "it is locked down until it is started anew".to_owned(),
        Some(Marker::Rescued) => "it is a rescue system, in which none runs".to_owned(),
        None => format!(
            "none has begun, or it has ended; the console and {} say more",
            run_files::AGENT_LOG
        ),
    }
}

#[cfg(test)]
mod tests;
