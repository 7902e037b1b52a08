//! The conversation with the agent, whoever answers its requests.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::{Map, Value, json};

use crate::error::panic_text;
use crate::protocol::{
    self, Failure, Greeting, INTERNAL_ERROR, INVALID_PARAMS, Id, Introduction, MESSAGE_LIMIT,
    METHOD_NOT_FOUND, Message, MessageError, Notification,
};

/// Bytes of stack for a call: as much as a program's first thread has, which vendors' code in C may
/// have been written for; Rust's threads have a quarter of it. Only what is used takes memory.
const STACK: usize = 8 << 20;

/// Who answers the agent's requests: a manager in this process, or one in a shared library.
pub trait Handler: Send + Sync {
    /// Who the manager is; asked once. A failure refuses every request with its text.
    fn introduction(&self) -> Result<Introduction, Failure>;

    /// Call a method that the introduction names, on a thread of its own.
    fn call(&self, agent: &dyn Agent, method: &str, params: Value) -> Result<Value, Failure>;
}

/// The way back to the agent from the middle of one call. It adds the call's number to what goes
/// out.
pub trait Agent: Send + Sync {
    /// Ask the agent, and wait for its answer. `params` is an object or null.
    fn request(&self, method: &str, params: Value) -> Result<Value, Failure>;

    /// Tell the agent something. What is too long is lost.
    fn notify(&self, method: &str, params: Value);

    /// Whether the agent has cancelled this call.
    fn is_cancelled(&self) -> bool;
}

/// Serve the agent over this pair of streams. Returns when the input ends.
///
/// # Errors
/// The input cannot be read, or a message is too long for the protocol.
pub fn serve_handler(
    input: impl Read,
    output: impl Write + Send + 'static,
    handler: impl Handler + 'static,
) -> io::Result<()> {
    let server = Arc::new(Server {
        introduction: handler.introduction(),
        handler: Box::new(handler),
        output: Mutex::new(Box::new(output)),
        calls: Mutex::default(),
    });
    let mut input = BufReader::new(input);
    let mut line = Vec::new();
    loop {
        line.clear();
        let taken = (&mut input)
            .take(MESSAGE_LIMIT as u64 + 1)
            .read_until(b'\n', &mut line)?;
        if taken == 0 {
            return Ok(());
        }
        match Message::parse(&line) {
            Ok(Message::Request { id, method, params }) => server.clone().take(id, method, params),
            Ok(Message::Notification { method, params }) => server.hear(&method, &params),
            Ok(Message::Answer { id, result }) => server.pass_on(id, result),
            // Nobody waits for this one; the agent sees its own fault by what is missing.
            Err(error @ (MessageError::NotJson(_) | MessageError::NotAMessage(_))) => {
                eprintln!("ignored what the agent sent: {error}");
            }
            Err(error @ MessageError::TooLong) => return Err(io::Error::other(error)),
        }
    }
}

struct Server {
    introduction: Result<Introduction, Failure>,
    handler: Box<dyn Handler>,
    output: Mutex<Box<dyn Write + Send>>,
    calls: Mutex<Calls>,
}

#[derive(Default)]
struct Calls {
    /// The agent's calls that were cancelled and still run.
    cancelled: BTreeSet<Id>,
    running: BTreeSet<Id>,
    /// Our own requests to the agent, by their number.
    waiting: BTreeMap<i64, SyncSender<Result<Value, Failure>>>,
    asked: i64,
}

impl Server {
    /// Answer a request on a thread of its own, so that a cancel can be heard meanwhile.
    fn take(self: Arc<Self>, id: Id, method: String, params: Value) {
        self.calls().running.insert(id.clone());
        let (server, own_id) = (Arc::clone(&self), id.clone());
        let started = thread::Builder::new()
            .name(method.clone())
            .stack_size(STACK)
            .spawn(move || {
                let result = server.run(&own_id, &method, params);
                server.finish(own_id, result);
            });
        if let Err(error) = started {
            self.finish(
                id,
                Err(Failure::new(
                    INTERNAL_ERROR,
                    format!("No thread could be started: {error}"),
                )),
            );
        }
    }

    fn run(&self, id: &Id, method: &str, params: Value) -> Result<Value, Failure> {
        if method == protocol::HANDSHAKE {
            return self.greet(params);
        }
        let introduction = self.introduction.as_ref().map_err(Clone::clone)?;
        if !introduction.methods.iter().any(|own| own == method) {
            return Err(Failure::new(
                METHOD_NOT_FOUND,
                format!("This manager has no method {method}"),
            ));
        }
        let agent = OfCall { server: self, id };
        // The manager is not used to be left half-changed by a panic any more than by an error.
        catch_unwind(AssertUnwindSafe(|| {
            self.handler.call(&agent, method, params)
        }))
        .unwrap_or_else(|panic| Err(panicked(method, &*panic)))
    }

    fn greet(&self, params: Value) -> Result<Value, Failure> {
        let greeting: Greeting = serde_json::from_value(params).map_err(|error| {
            Failure::new(
                INVALID_PARAMS,
                format!("The greeting cannot be read: {error}"),
            )
        })?;
        if !greeting.protocol.contains(&protocol::VERSION) {
            return Err(Failure::new(
                INVALID_PARAMS,
                format!(
                    "The agent speaks versions {:?} of the protocol, this manager {}",
                    greeting.protocol,
                    protocol::VERSION
                ),
            ));
        }
        let introduction = self.introduction.as_ref().map_err(Clone::clone)?;
        serde_json::to_value(introduction)
            .map_err(|error| Failure::new(INTERNAL_ERROR, error.to_string()))
    }

    fn finish(&self, id: Id, result: Result<Value, Failure>) {
        {
            let mut calls = self.calls();
            calls.running.remove(&id);
            calls.cancelled.remove(&id);
        }
        let answer = Message::Answer {
            id: id.clone(),
            result,
        };
        if let Err(MessageError::TooLong) = self.send(&answer) {
            let failure = Failure::new(
                INTERNAL_ERROR,
                format!(
                    "The result is longer than {} MiB",
                    MESSAGE_LIMIT / (1 << 20)
                ),
            );
            let _ = self.send(&Message::Answer {
                id,
                result: Err(failure),
            });
        }
    }

    fn hear(&self, method: &str, params: &Value) {
        // Notifications of later versions are none of ours.
        if Notification::named(method) != Some(Notification::Cancel) {
            return;
        }
        let id = params.get("id").and_then(Value::as_i64).map(Id::Number);
        let mut calls = self.calls();
        if let Some(id) = id
            && calls.running.contains(&id)
        {
            calls.cancelled.insert(id);
        }
    }

    fn pass_on(&self, id: Id, result: Result<Value, Failure>) {
        let Id::Number(number) = id else { return };
        if let Some(waiting) = self.calls().waiting.remove(&number) {
            // Whoever asked may be gone by a panic.
            let _ = waiting.try_send(result);
        }
    }

    /// Ask the agent. Blocks until it answers; when it is gone, so is this process soon.
    fn ask(&self, method: &str, params: Value) -> Result<Value, Failure> {
        let (sender, receiver) = sync_channel(1);
        let number = {
            let mut calls = self.calls();
            calls.asked += 1;
            let number = calls.asked;
            calls.waiting.insert(number, sender);
            number
        };
        let request = Message::Request {
            id: Id::Number(number),
            method: method.to_owned(),
            params,
        };
        if let Err(error) = self.send(&request) {
            self.calls().waiting.remove(&number);
            return Err(Failure::new(INTERNAL_ERROR, error.to_string()));
        }
        receiver.recv().unwrap_or_else(|_| {
            Err(Failure::new(
                INTERNAL_ERROR,
                "The connection to the agent ended",
            ))
        })
    }

    /// Write a message whole. A broken connection is not told here: the reader sees its end.
    fn send(&self, message: &Message) -> Result<(), MessageError> {
        let line = message.to_line()?;
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = output.write_all(&line).and_then(|()| output.flush());
        Ok(())
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The failure of a call in which the manager panicked.
pub(crate) fn panicked(method: &str, panic: &(dyn Any + Send)) -> Failure {
    Failure::new(
        INTERNAL_ERROR,
        format!("The manager panicked in {method}: {}", panic_text(panic)),
    )
}

/// The agent, as one call sees it.
struct OfCall<'s> {
    server: &'s Server,
    id: &'s Id,
}

impl OfCall<'_> {
    /// The parameters with the call's number among them.
    fn named(&self, params: Value) -> Result<Value, Failure> {
        let mut params = match params {
            Value::Object(members) => members,
            Value::Null => Map::new(),
            _ => {
                return Err(Failure::new(
                    INVALID_PARAMS,
                    "The parameters of a request to the agent are not a JSON object",
                ));
            }
        };
        let id = match self.id {
            Id::Number(number) => json!(number),
            Id::Text(text) => json!(text),
        };
        params.insert("call".to_owned(), id);
        Ok(Value::Object(params))
    }
}

impl Agent for OfCall<'_> {
    fn request(&self, method: &str, params: Value) -> Result<Value, Failure> {
        self.server.ask(method, self.named(params)?)
    }

    fn notify(&self, method: &str, params: Value) {
        let Ok(params) = self.named(params) else {
            return;
        };
        // One that is too long is lost; there is nobody to tell.
        let _ = self.server.send(&Message::Notification {
            method: method.to_owned(),
            params,
        });
    }

    fn is_cancelled(&self) -> bool {
        self.server.calls().cancelled.contains(self.id)
    }
}
