//! The manager's side of the protocol: an executable whose `main` calls [`serve`] is a plugin.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use nix::unistd::{dup, dup2_stdout};
use serde_json::{Value, json};

use crate::protocol::{
    self, Capabilities, Failure, Greeting, INTERNAL_ERROR, INVALID_PARAMS, Id, Introduction,
    MESSAGE_LIMIT, METHOD_NOT_FOUND, Message, MessageError,
};
use crate::{
    BlockDevice, Context, ErrorKind, HardwareManager, LogLevel, ManagerError, ProgramOutput,
    ProgramRequest, Progress,
};

/// Serve a manager to the agent over stdin and stdout until the agent closes stdin.
///
/// Afterwards `println!` and everything else that writes to stdout goes to stderr, which is the
/// agent's log, so that it cannot end up in the middle of a message. `methods` are those of
/// [`protocol::METHODS`] that this manager has. A panic in a method is an error of that call.
pub fn serve(
    manager: impl HardwareManager + 'static,
    methods: &[&str],
    capabilities: Capabilities,
) -> ExitCode {
    let output = match private_stdout() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("stdout cannot be set aside for the protocol: {error}");
            return ExitCode::FAILURE;
        }
    };
    match serve_on(io::stdin(), output, manager, methods, capabilities) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the connection to the agent broke: {error}");
            ExitCode::FAILURE
        }
    }
}

/// stdout under another descriptor that no child inherits, and stderr in its place.
fn private_stdout() -> io::Result<File> {
    let private = dup(io::stdout())?;
    nix::fcntl::fcntl(
        &private,
        nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC),
    )?;
    dup2_stdout(io::stderr())?;
    Ok(File::from(private))
}

/// The same over any pair of streams. Returns when the input ends.
pub(crate) fn serve_on(
    input: impl Read,
    output: impl Write + Send + 'static,
    manager: impl HardwareManager + 'static,
    methods: &[&str],
    capabilities: Capabilities,
) -> io::Result<()> {
    let version = manager.version();
    let server = Arc::new(Server {
        introduction: Introduction {
            protocol: protocol::VERSION,
            class_name: manager.class_name().to_owned(),
            name: version.name,
            version: version.version,
            methods: methods.iter().map(|&method| method.to_owned()).collect(),
            capabilities,
        },
        manager: Box::new(manager),
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
    introduction: Introduction,
    manager: Box<dyn HardwareManager>,
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
        let started = thread::Builder::new().name(method.clone()).spawn(move || {
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
        if method == "handshake" {
            return self.greet(params);
        }
        if !self.introduction.methods.iter().any(|own| own == method) {
            return Err(Failure::new(
                METHOD_NOT_FOUND,
                format!("This manager has no method {method}"),
            ));
        }
        let context = Remote { server: self, id };
        // The manager is not used to be left half-changed by a panic any more than by an error.
        catch_unwind(AssertUnwindSafe(|| {
            protocol::call(self.manager.as_ref(), &context, method, params)
        }))
        .unwrap_or_else(|panic| {
            let what = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("without a text");
            Err(Failure::new(
                INTERNAL_ERROR,
                format!("The manager panicked in {method}: {what}"),
            ))
        })
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
        serde_json::to_value(&self.introduction)
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
        if method != "cancel" {
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

    fn calls(&self) -> std::sync::MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The agent, as a method of the manager sees it.
struct Remote<'s> {
    server: &'s Server,
    id: &'s Id,
}

impl Remote<'_> {
    fn notify(&self, method: &str, params: Value) {
        // One that is too long is lost; there is nobody to tell.
        let _ = self.server.send(&Message::Notification {
            method: method.to_owned(),
            params,
        });
    }

    fn id(&self) -> Value {
        match self.id {
            Id::Number(number) => json!(number),
            Id::Text(text) => json!(text),
        }
    }

    fn ask(&self, method: &str, mut params: Value) -> Result<Value, ManagerError> {
        params["call"] = self.id();
        self.server
            .ask(method, params)
            .map_err(|failure| failure.into_error(method, ErrorKind::CommandExecution))
    }
}

impl Context for Remote<'_> {
    fn report_progress(&self, progress: Progress) {
        self.notify(
            "progress",
            json!({
                "call": self.id(), "what": progress.what, "done": progress.done,
                "total": progress.total,
            }),
        );
    }

    fn is_cancelled(&self) -> bool {
        self.server.calls().cancelled.contains(self.id)
    }

    fn log(&self, level: LogLevel, message: &str) {
        self.notify(
            "log",
            json!({ "call": self.id(), "level": level, "message": message }),
        );
    }

    fn block_devices(&self, include_partitions: bool) -> Result<Vec<BlockDevice>, ManagerError> {
        let listed = self.ask(
            "list_block_devices",
            json!({ "include_partitions": include_partitions }),
        )?;
        listed
            .as_array()
            .into_iter()
            .flatten()
            .map(protocol::device_from_wire)
            .collect::<Result<_, _>>()
            .map_err(unreadable)
    }

    fn run_program(&self, program: &ProgramRequest) -> Result<ProgramOutput, ManagerError> {
        let params = serde_json::to_value(program).map_err(unreadable)?;
        let output = self.ask("run_program", params)?;
        serde_json::from_value(output).map_err(unreadable)
    }
}

fn unreadable(error: serde_json::Error) -> ManagerError {
    ManagerError::new(
        ErrorKind::CommandExecution,
        "What the agent was asked could not be read",
    )
    .with_source(error)
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, PipeWriter, pipe};
    use std::time::Duration;

    use super::*;
    use crate::{ManagerVersion, Node, Port, StepArguments, support};

    struct Manager;

    impl HardwareManager for Manager {
        fn class_name(&self) -> &str {
            "TestHardwareManager"
        }

        fn version(&self) -> ManagerVersion {
            ManagerVersion {
                name: "test".to_owned(),
                version: "1".to_owned(),
            }
        }

        fn evaluate_hardware_support(&self) -> Result<u32, ManagerError> {
            Ok(support::MAINLINE)
        }

        fn execute_step(
            &self,
            context: &dyn Context,
            step: &str,
            _node: &Node,
            _ports: &[Port],
            _arguments: &StepArguments,
        ) -> Result<Value, ManagerError> {
            match step {
                "panic" => panic!("the card is on fire"),
                "disks" => Ok(json!(context.block_devices(true)?.len())),
                "large" => Ok(json!("x".repeat(MESSAGE_LIMIT))),
                "wait" => {
                    context.log(LogLevel::Info, "waiting");
                    while !context.is_cancelled() {
                        thread::sleep(Duration::from_millis(5));
                    }
                    Ok(json!("cancelled"))
                }
                _ => Err(ManagerError::unsupported(step)),
            }
        }
    }

    /// The agent's ends.
    struct Agent {
        to: Option<PipeWriter>,
        from: BufReader<PipeReader>,
        server: thread::JoinHandle<io::Result<()>>,
    }

    impl Agent {
        fn start() -> Self {
            let (input, to) = pipe().unwrap();
            let (from, output) = pipe().unwrap();
            let server = thread::spawn(move || {
                serve_on(
                    input,
                    output,
                    Manager,
                    &["evaluate_hardware_support", "execute_step"],
                    Capabilities::default(),
                )
            });
            Self {
                to: Some(to),
                from: BufReader::new(from),
                server,
            }
        }

        fn say(&mut self, message: Value) {
            let mut line = message.to_string();
            line.push('\n');
            self.to
                .as_mut()
                .unwrap()
                .write_all(line.as_bytes())
                .unwrap();
        }

        fn ask(&mut self, method: &str, params: Value) {
            self.say(json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }));
        }

        fn hear(&mut self) -> Value {
            let mut line = String::new();
            self.from.read_line(&mut line).unwrap();
            serde_json::from_str(&line).unwrap()
        }

        fn error_of(&mut self, method: &str, params: Value) -> (i64, String) {
            self.ask(method, params);
            let error = self.hear()["error"].clone();
            (
                error["code"].as_i64().unwrap(),
                error["message"].as_str().unwrap().to_owned(),
            )
        }

        fn end(mut self) -> io::Result<()> {
            self.to = None;
            self.server.join().unwrap()
        }
    }

    #[test]
    fn it_introduces_itself_and_answers() {
        let mut agent = Agent::start();
        agent.ask(
            "handshake",
            json!({ "protocol": [1, 9], "message_limit": 1, "agent": "x", "future": 1 }),
        );
        let introduction = agent.hear()["result"].clone();
        assert_eq!(introduction["class_name"], "TestHardwareManager");
        assert_eq!(introduction["protocol"], 1);
        agent.ask("evaluate_hardware_support", Value::Null);
        assert_eq!(agent.hear()["result"], 2);
        agent.end().unwrap();
    }

    #[test]
    fn what_it_cannot_do_is_told_by_the_code() {
        let mut agent = Agent::start();
        let greeting = json!({ "protocol": [9], "message_limit": 1, "agent": "x" });
        assert_eq!(agent.error_of("handshake", greeting).0, INVALID_PARAMS);
        assert_eq!(
            agent.error_of("get_cpus", json!({})).0,
            METHOD_NOT_FOUND,
            "a method that it did not declare"
        );
        assert_eq!(agent.error_of("execute_step", json!({})).0, INVALID_PARAMS);
        let (code, message) = agent.error_of("execute_step", json!({ "step": "panic" }));
        assert_eq!(code, INTERNAL_ERROR);
        assert!(message.contains("the card is on fire"), "{message}");
        let (code, message) = agent.error_of("execute_step", json!({ "step": "large" }));
        assert_eq!(code, INTERNAL_ERROR);
        assert!(message.contains("longer than"), "{message}");
        agent.end().unwrap();
    }

    #[test]
    fn it_asks_back_in_the_middle_of_a_call() {
        let mut agent = Agent::start();
        agent.ask("execute_step", json!({ "step": "disks" }));
        let request = agent.hear();
        assert_eq!(request["method"], "list_block_devices");
        assert_eq!(
            request["params"],
            json!({ "call": 1, "include_partitions": true })
        );
        agent.say(json!({
            "jsonrpc": "2.0", "id": request["id"], "result": [{ "name": "/dev/sda", "size": 1 }],
        }));
        assert_eq!(agent.hear()["result"], 1);
        agent.end().unwrap();
    }

    #[test]
    fn a_cancel_reaches_the_call_that_it_names() {
        let mut agent = Agent::start();
        agent.ask("execute_step", json!({ "step": "wait" }));
        assert_eq!(agent.hear()["params"]["message"], "waiting");
        for id in [2, 1] {
            agent.say(json!({
                "jsonrpc": "2.0", "method": "cancel",
                "params": { "id": id, "deadline_seconds": 10 },
            }));
        }
        assert_eq!(agent.hear()["result"], "cancelled");
        agent.end().unwrap();
    }
}
