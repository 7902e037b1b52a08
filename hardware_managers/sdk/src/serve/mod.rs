//! The manager's side of the protocol: an executable whose `main` calls [`serve`] is a plugin.

mod remote;
mod server;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use nix::unistd::{dup2_stdin, dup2_stdout};
use serde_json::Value;

pub(crate) use self::remote::Remote;
pub(crate) use self::server::panicked;
pub use self::server::{Agent, Handler, serve_handler};
use crate::HardwareManager;
use crate::protocol::{self, Capabilities, Failure, Introduction};

/// Serve a manager to the agent over stdin and stdout until the agent closes stdin.
///
/// Afterwards `println!` and everything else that writes to stdout goes to stderr, which is the
/// agent's log, and stdin is empty: see [`private_streams`]. `methods` are those that this
/// manager has, as [`protocol::Method`] or by their names. A panic in a method is an error of that call.
pub fn serve(
    manager: impl HardwareManager + 'static,
    methods: &[impl AsRef<str>],
    capabilities: Capabilities,
) -> ExitCode {
    let (input, output) = match private_streams() {
        Ok(streams) => streams,
        Err(error) => {
            eprintln!("stdin and stdout cannot be set aside for the protocol: {error}");
            return ExitCode::FAILURE;
        }
    };
    match serve_on(input, output, manager, methods, capabilities) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the connection to the agent broke: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The agent's ends under descriptors that no child inherits. In their place, stdin is empty and
/// stdout goes to stderr: what the manager, or a program that it starts, reads and writes there
/// cannot take or be a message.
///
/// # Errors
/// The process has no stdin or stdout, or no descriptors left.
pub fn private_streams() -> io::Result<(File, File)> {
    // The library's duplicates are close-on-exec and above the standard three.
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    dup2_stdin(File::open("/dev/null")?)?;
    dup2_stdout(io::stderr())?;
    Ok((File::from(input), File::from(output)))
}

/// The same over any pair of streams. Returns when the input ends.
fn serve_on(
    input: impl Read,
    output: impl Write + Send + 'static,
    manager: impl HardwareManager + 'static,
    methods: &[impl AsRef<str>],
    capabilities: Capabilities,
) -> io::Result<()> {
    serve_handler(
        input,
        output,
        Own {
            introduction: introduce(&manager, names(methods), capabilities),
            manager: Box::new(manager),
        },
    )
}

/// How a manager introduces itself.
pub(crate) fn introduce(
    manager: &dyn HardwareManager,
    methods: Vec<String>,
    capabilities: Capabilities,
) -> Introduction {
    let version = manager.version();
    Introduction {
        protocol: protocol::VERSION,
        class_name: manager.class_name().to_owned(),
        name: version.name,
        version: version.version,
        methods,
        capabilities,
    }
}

/// The names of methods.
pub(crate) fn names(methods: &[impl AsRef<str>]) -> Vec<String> {
    methods
        .iter()
        .map(|method| method.as_ref().to_owned())
        .collect()
}

/// A manager in this process.
struct Own {
    introduction: Introduction,
    manager: Box<dyn HardwareManager>,
}

impl Handler for Own {
    fn introduction(&self) -> Result<Introduction, Failure> {
        Ok(self.introduction.clone())
    }

    fn call(&self, agent: &dyn Agent, method: &str, params: Value) -> Result<Value, Failure> {
        protocol::call(self.manager.as_ref(), &Remote { agent }, method, params)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, PipeReader, PipeWriter, pipe};
    use std::thread;
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::protocol::{
        INTERNAL_ERROR, INVALID_PARAMS, MESSAGE_LIMIT, METHOD_NOT_FOUND, Method,
    };
    use crate::{
        Context, LogLevel, ManagerError, ManagerVersion, Node, Port, StepArguments, support,
    };

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
                    &[Method::EvaluateHardwareSupport, Method::ExecuteStep],
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
