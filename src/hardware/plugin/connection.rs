//! The conversation with one running plugin: requests out, answers and callbacks in.
//!
//! Four threads serve it: one writes, so that a plugin that does not read cannot stop a caller; one
//! reads its answers; one its stderr; one waits for its end. The caller itself waits with a deadline and serves the
//! callbacks of its own call (`call.rs`).

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{ChildStdin, ChildStdout, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use farrier_plugin::protocol::{Failure, Id, MESSAGE_LIMIT, Message};
use nix::sys::signal::Signal;
use serde_json::Value;
use tracing::{debug, error};

use super::turns::Turns;
use super::{Found, PluginError, stderr};
use crate::sys::plugin_process::{self, Pipes, PluginProcess, ProcessEnd, Unread};

/// How long a process may take to end after its output ended; then it is taken for one that closed
/// its output and goes on.
const END_LIMIT: Duration = Duration::from_secs(1);

/// Messages that wait for a caller, or for the plugin to read; more stop whoever sends them.
pub(super) const QUEUE: usize = 64;

/// How often it is looked whether the plugin can still read what was written to it.
const READER_POLL: Duration = Duration::from_millis(200);

/// How long a message may wait for room in the queue to a plugin that does not read.
const SEND_LIMIT: Duration = Duration::from_secs(10);

/// A running plugin.
pub(super) struct Connection {
    pub(super) name: String,
    shared: Arc<Shared>,
    outgoing: SyncSender<Vec<u8>>,
    pub(super) turns: Turns,
}

struct Shared {
    process: Mutex<PluginProcess>,
    calls: Mutex<Calls>,
}

#[derive(Default)]
struct Calls {
    asked: i64,
    open: BTreeMap<i64, SyncSender<Event>>,
    /// How it ended, as the rest of a sentence about it.
    ended: Option<String>,
}

/// What the plugin says in the middle of a call, or at its end.
pub(super) enum Event {
    Answer(Result<Value, Failure>),
    Request(Id, String, Value),
    Notification(String, Value),
}

impl Connection {
    /// Start a plugin.
    pub(super) fn open(found: &Found) -> Result<Self, PluginError> {
        let name = found.name.as_str();
        let failed = |source| PluginError::Start {
            name: name.to_owned(),
            path: found.program.clone(),
            source,
        };
        let (process, pipes) =
            plugin_process::start(&found.program, found.library.as_deref().as_slice(), name)
                .map_err(failed)?;
        let Pipes {
            input,
            output,
            errors,
        } = pipes;
        let end = process.end();
        let shared = Arc::new(Shared {
            process: Mutex::new(process),
            calls: Mutex::default(),
        });
        let (outgoing, queue) = sync_channel(QUEUE);
        let start = |what: &str, work: Box<dyn FnOnce() + Send>| {
            thread::Builder::new()
                .name(format!("{name} {what}"))
                .spawn(work)
                .map_err(failed)
        };
        let (own_name, own_shared) = (name.to_owned(), Arc::clone(&shared));
        start(
            "input",
            Box::new(move || own_shared.write_all(&own_name, input, &queue)),
        )?;
        let (own_name, own_shared) = (name.to_owned(), Arc::clone(&shared));
        start(
            "output",
            Box::new(move || own_shared.read_all(&own_name, output)),
        )?;
        let own_shared = Arc::clone(&shared);
        start("end", Box::new(move || own_shared.watch(end)))?;
        let own_name = name.to_owned();
        start(
            "stderr",
            Box::new(move || stderr::follow(&own_name, errors)),
        )?;
        Ok(Self {
            name: name.to_owned(),
            shared,
            outgoing,
            turns: Turns::default(),
        })
    }

    /// How it ended, where it has.
    pub(super) fn ended(&self) -> Option<String> {
        self.shared.calls().ended.clone()
    }

    /// Whether a further call has to wait for one under way.
    pub(super) fn is_busy(&self) -> bool {
        self.turns.are_taken()
    }

    /// Let it take this many calls at once; one until this is called.
    pub(super) fn allow(&self, concurrent_calls: u32) {
        self.turns.allow(concurrent_calls.max(1));
    }

    /// Close its stdin. Whether it ends by itself within this time.
    pub(super) fn ends_with_its_input(mut self, limit: Duration) -> bool {
        let (nobody, _) = sync_channel(1);
        drop(std::mem::replace(&mut self.outgoing, nobody));
        let until = Instant::now() + limit;
        while self.ended().is_none() {
            if Instant::now() > until {
                return false;
            }
            thread::sleep(Duration::from_millis(10));
        }
        true
    }

    /// Kill it with everything it started.
    pub(super) fn kill(&self, why: &str) {
        self.shared.end(&self.name, Some(why.to_owned()));
    }

    /// The number of a new call, whose events go to this sender.
    pub(super) fn register(
        &self,
        method: &str,
        sender: SyncSender<Event>,
    ) -> Result<i64, PluginError> {
        let mut calls = self.shared.calls();
        if let Some(why) = &calls.ended {
            return Err(self.ended_during(method, why.clone()));
        }
        calls.asked += 1;
        let number = calls.asked;
        calls.open.insert(number, sender);
        Ok(number)
    }

    /// Nobody waits for the answer to this call any more.
    pub(super) fn forget(&self, number: i64) {
        self.shared.calls().open.remove(&number);
    }

    /// Queue a message for it.
    pub(super) fn send(&self, method: &str, message: &Message) -> Result<(), PluginError> {
        let mut line = message.to_line().map_err(|source| PluginError::Request {
            name: self.name.clone(),
            method: method.to_owned(),
            source,
        })?;
        let until = Instant::now() + SEND_LIMIT;
        loop {
            match self.outgoing.try_send(line) {
                // A writer that is gone has seen the end of the plugin, which the reader tells.
                Ok(()) | Err(std::sync::mpsc::TrySendError::Disconnected(_)) => return Ok(()),
                Err(std::sync::mpsc::TrySendError::Full(back)) if Instant::now() < until => {
                    line = back;
                    thread::sleep(Duration::from_millis(10));
                }
                Err(std::sync::mpsc::TrySendError::Full(_)) => {
                    self.kill("did not read its input and was killed");
                    return Err(self.ended_during(method, self.ended().unwrap_or_default()));
                }
            }
        }
    }

    /// The error of a call of this method, in which it ended so.
    pub(super) fn ended_during(&self, method: &str, why: String) -> PluginError {
        PluginError::Ended {
            name: self.name.clone(),
            method: method.to_owned(),
            why,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.kill("was stopped by the agent");
    }
}

impl Shared {
    /// Write what is queued. Ends with the plugin, or with the agent's side of the connection, which
    /// closes the plugin's stdin.
    fn write_all(&self, name: &str, mut input: ChildStdin, queue: &Receiver<Vec<u8>>) {
        while let Some(line) = next_line(&input, queue) {
            if line.and_then(|line| input.write_all(&line)).is_err() {
                // Mostly because it died, which the reader tells better.
                thread::sleep(END_LIMIT);
                self.end(name, Some("closed its input and was killed".to_owned()));
                return;
            }
        }
    }

    /// When the process has ended, what it started ends, too: only then does its output end.
    fn watch(&self, end: ProcessEnd) {
        end.wait();
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.kill_leftovers();
    }

    /// Read messages until the output ends or one breaks a rule.
    fn read_all(&self, name: &str, output: ChildStdout) {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        let fault = loop {
            line.clear();
            let read = (&mut output)
                .take(MESSAGE_LIMIT as u64 + 1)
                .read_until(b'\n', &mut line);
            match read {
                Ok(0) => break None,
                Ok(_) => {}
                Err(error) => break Some(format!("could not be read from ({error})")),
            }
            if let Err(fault) = self.take(&line) {
                break Some(format!("{fault} and was killed"));
            }
        };
        self.end(name, fault);
    }

    fn take(&self, line: &[u8]) -> Result<(), String> {
        let message = Message::parse(line)
            .map_err(|error| format!("broke the protocol ({})", farrier_plugin::chain(&error)))?;
        let (number, event) = match message {
            Message::Answer {
                id: Id::Number(number),
                result,
            } => (number, Event::Answer(result)),
            Message::Answer { id, .. } => {
                return Err(format!("answered {id:?}, which was not asked"));
            }
            Message::Request { id, method, params } => {
                let number = call_of(&params);
                (number?, Event::Request(id, method, params))
            }
            Message::Notification { method, params } => match call_of(&params) {
                Ok(number) => (number, Event::Notification(method, params)),
                // News that belong to no call are allowed, and nobody waits for them.
                Err(_) => return Ok(()),
            },
        };
        let is_answer = matches!(event, Event::Answer(_));
        let open = {
            let mut calls = self.calls();
            if is_answer {
                calls.open.remove(&number)
            } else {
                calls.open.get(&number).cloned()
            }
        };
        match open {
            // The caller may have given up in this very moment.
            Some(caller) => {
                let _ = caller.send(event);
                Ok(())
            }
            None if is_answer => Err(format!("answered call {number}, which is not open")),
            // Progress of a call that has just ended.
            None => Ok(()),
        }
    }

    /// Nothing more comes: kill what is left, and tell every caller.
    fn end(&self, name: &str, fault: Option<String>) {
        // Held throughout, so that one end is told once; callers need only the other lock.
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        if self.calls().ended.is_some() {
            return;
        }
        let why = fault.unwrap_or_else(|| match process.wait(END_LIMIT) {
            Some(_) if process.ran_out_of_memory() => {
                "used more memory than it may and was killed".to_owned()
            }
            Some(status) => describe(status),
            None => "closed its output without ending and was killed".to_owned(),
        });
        if !process.kill() {
            error!(
                manager = name,
                "cannot be killed: it is stuck in the kernel; it is left behind, a reboot ends it"
            );
        }
        debug!(manager = name, why, "ended");
        let mut calls = self.calls();
        calls.ended = Some(why);
        calls.open.clear();
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The next message to write; `None` when there will be none. An error where what was written last
/// can be read by nobody: the plugin had closed its input, and another process that was being
/// started held a copy at the time, so that the write itself did not fail. Without this the call
/// would wait for its deadline, which may be hours.
fn next_line(input: &ChildStdin, queue: &Receiver<Vec<u8>>) -> Option<io::Result<Vec<u8>>> {
    loop {
        match plugin_process::unread(input) {
            Ok(Unread::Waiting) => {}
            // A plugin that has read all may have closed its input and be at work on its answer.
            Ok(Unread::Nothing) => return queue.recv().ok().map(Ok),
            Ok(Unread::Lost) => return Some(Err(io::ErrorKind::BrokenPipe.into())),
            Err(error) => return Some(Err(error)),
        }
        match queue.recv_timeout(READER_POLL) {
            Ok(line) => return Some(Ok(line)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}

/// The call that a callback belongs to.
fn call_of(params: &Value) -> Result<i64, String> {
    params
        .get("call")
        .and_then(Value::as_i64)
        .ok_or_else(|| "called back without the number of its call".to_owned())
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit status {code}"),
        (None, Some(signal)) => match Signal::try_from(signal) {
            Ok(signal) => format!("was killed by signal {signal}"),
            Err(_) => format!("was killed by signal {signal}"),
        },
        (None, None) => "ended".to_owned(),
    }
}
