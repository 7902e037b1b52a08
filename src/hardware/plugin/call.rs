//! One call of a plugin: the question, what the plugin asks and tells meanwhile, and the answer.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use farrier_plugin::protocol::{Callback, Failure, INTERNAL_ERROR, Id, Message, Notification};
use farrier_plugin::{Context, panic_text};
use serde_json::{Value, json};

use super::PluginError;
use super::call_clock::{Cause, Clock, Look};
use super::callbacks::{Callbacks, hear};
use super::connection::{Connection, Event, QUEUE};
use super::limits::Deadline;

/// How often a waiting caller asks whether its command was cancelled.
const CANCEL_POLL: Duration = Duration::from_millis(200);

/// Callbacks that one call may make. A step that lists the disks once a second reaches it after a
/// day; one that calls back in an endless loop, after a second.
const CALLBACKS: u32 = 100_000;

/// How often it is looked whether a program that runs for a plugin has ended.
const PROGRAM_POLL: Duration = Duration::from_millis(10);

impl Connection {
    /// Call a method and wait for its result. At the deadline the plugin is told to stop, and killed
    /// where it does not within its grace; either is an error that says so.
    pub(super) fn call(
        &self,
        method: &str,
        params: Value,
        deadline: Deadline,
        context: &dyn Context,
        callbacks: &mut dyn Callbacks,
    ) -> Result<Value, PluginError> {
        let until = Instant::now() + deadline.limit;
        let _turn = self
            .turns
            .take(until, || context.is_cancelled())
            .ok_or_else(|| PluginError::Busy {
                name: self.name.clone(),
                method: method.to_owned(),
            })?;
        let (sender, events) = sync_channel(QUEUE);
        let number = self.register(method, sender)?;
        let result = self
            .send(
                method,
                &Message::Request {
                    id: Id::Number(number),
                    method: method.to_owned(),
                    params,
                },
            )
            .and_then(|()| {
                let mut dialogue = Dialogue {
                    call: Call {
                        connection: self,
                        number,
                        method,
                        deadline,
                        context,
                        clock: Clock::new(until, deadline.grace),
                    },
                    callbacks,
                    made: 0,
                    waiting: VecDeque::new(),
                };
                let result = dialogue.wait(&events);
                dialogue.call.in_time(result)
            });
        self.forget(number);
        result
    }
}

/// A call under way, and how long it may go on.
struct Call<'c> {
    connection: &'c Connection,
    number: i64,
    method: &'c str,
    deadline: Deadline,
    context: &'c dyn Context,
    clock: Clock,
}

impl Call<'_> {
    /// Tell the plugin to stop, or end it, when it is time to.
    fn look(&mut self) -> Result<(), PluginError> {
        let connection = self.connection;
        let grace = self.deadline.grace.as_secs();
        match self.clock.look(Instant::now(), self.context.is_cancelled()) {
            Look::GoOn => Ok(()),
            Look::TellToStop => connection.send(
                self.method,
                &Message::Notification {
                    method: Notification::Cancel.as_str().to_owned(),
                    params: json!({ "id": self.number, "deadline_seconds": grace }),
                },
            ),
            Look::End(Cause::Limit) => {
                connection.kill("was killed at a deadline");
                Err(PluginError::Deadline {
                    name: connection.name.clone(),
                    method: self.method.to_owned(),
                    seconds: self.deadline.limit.as_secs(),
                })
            }
            Look::End(Cause::Cancel) => {
                connection.kill("was killed because it did not stop after a cancel");
                Err(PluginError::Cancelled {
                    name: connection.name.clone(),
                    method: self.method.to_owned(),
                    seconds: grace,
                })
            }
        }
    }

    /// Whether it was told to stop, or is to be.
    fn is_cancelled(&self) -> bool {
        self.clock.told().is_some() || self.context.is_cancelled()
    }

    /// What came after the limit had passed is no result, whatever it says.
    fn in_time(&self, result: Result<Value, PluginError>) -> Result<Value, PluginError> {
        match (self.clock.told(), result) {
            (Some(Cause::Limit), Err(error @ PluginError::Deadline { .. })) => Err(error),
            (Some(Cause::Limit), _) => Err(PluginError::Overdue {
                name: self.connection.name.clone(),
                method: self.method.to_owned(),
                seconds: self.deadline.limit.as_secs(),
            }),
            (_, result) => result,
        }
    }

    /// The error of the plugin's end in this call.
    fn ended(&self) -> PluginError {
        let why = self.connection.ended().unwrap_or_default();
        self.connection.ended_during(self.method, why)
    }
}

/// What is said in a call.
struct Dialogue<'c> {
    call: Call<'c>,
    callbacks: &'c mut dyn Callbacks,
    made: u32,
    /// What came while a program ran for the plugin, at most [`QUEUE`].
    waiting: VecDeque<Event>,
}

impl Dialogue<'_> {
    fn wait(&mut self, events: &Receiver<Event>) -> Result<Value, PluginError> {
        loop {
            self.call.look()?;
            let event = match self.waiting.pop_front() {
                Some(event) => Ok(event),
                None => events.recv_timeout(CANCEL_POLL),
            };
            match event {
                Ok(Event::Answer(Ok(result))) => return Ok(result),
                Ok(Event::Answer(Err(failure))) => {
                    return Err(PluginError::Failed {
                        name: self.call.connection.name.clone(),
                        method: self.call.method.to_owned(),
                        failure,
                    });
                }
                Ok(Event::Request(id, method, params)) => {
                    self.serve(id, &method, &params, events)?;
                }
                Ok(Event::Notification(method, params)) => {
                    let Call {
                        connection,
                        context,
                        ..
                    } = self.call;
                    hear(&connection.name, context, &method, params);
                }
                Err(RecvTimeoutError::Timeout) => {}
                // The reader drops its ends when the plugin has ended.
                Err(RecvTimeoutError::Disconnected) => return Err(self.call.ended()),
            }
        }
    }

    fn serve(
        &mut self,
        id: Id,
        method: &str,
        params: &Value,
        events: &Receiver<Event>,
    ) -> Result<(), PluginError> {
        let (connection, called) = (self.call.connection, self.call.method);
        self.made += 1;
        if self.made > CALLBACKS {
            connection.kill(&format!(
                "called back more than {CALLBACKS} times and was killed"
            ));
            return Err(self.call.ended());
        }
        let result = match Callback::named(method) {
            Some(Callback::IsCancelled) => Ok(json!(self.call.is_cancelled())),
            Some(Callback::RunProgram) => self.run_program(params, events)?,
            _ => self
                .callbacks
                .answer(method, params, &AtomicBool::new(false)),
        };
        let answer = Message::Answer {
            id: id.clone(),
            result,
        };
        match connection.send(called, &answer) {
            // An answer of ours that is too long is told to the plugin instead.
            Err(PluginError::Request { source, .. }) => {
                let failure = Failure::new(INTERNAL_ERROR, source.to_string());
                let result = Err(failure);
                connection.send(called, &Message::Answer { id, result })
            }
            sent => sent,
        }
    }

    /// Run a program, which may take hours, and meanwhile pass on the plugin's progress and log. The
    /// call's deadline and a cancel count all the same: at the end of both the program is killed
    /// with what it started.
    fn run_program(
        &mut self,
        params: &Value,
        events: &Receiver<Event>,
    ) -> Result<Result<Value, Failure>, PluginError> {
        let Self {
            call,
            callbacks,
            waiting,
            ..
        } = self;
        let stop = AtomicBool::new(false);
        let mut over = Ok(());
        let result = thread::scope(|scope| {
            let program = scope.spawn(|| {
                let program = Callback::RunProgram.as_str();
                callbacks.answer(program, params, &stop)
            });
            while !program.is_finished() {
                if over.is_ok() {
                    over = call.look();
                    stop.store(over.is_err(), Ordering::Relaxed);
                }
                if waiting.len() >= QUEUE {
                    thread::sleep(PROGRAM_POLL);
                    continue;
                }
                match events.recv_timeout(PROGRAM_POLL) {
                    Ok(Event::Notification(method, params)) => {
                        hear(&call.connection.name, call.context, &method, params);
                    }
                    Ok(event) => waiting.push_back(event),
                    Err(RecvTimeoutError::Timeout) => {}
                    // The end of the plugin is told when the program has ended.
                    Err(RecvTimeoutError::Disconnected) => thread::sleep(PROGRAM_POLL),
                }
            }
            program.join().unwrap_or_else(|panic| {
                Err(Failure::new(
                    INTERNAL_ERROR,
                    format!(
                        "The agent panicked while it ran a program: {}",
                        panic_text(&*panic)
                    ),
                ))
            })
        });
        over.map(|()| result)
    }
}
