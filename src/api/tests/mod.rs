//! The server over a real socket: a client that speaks HTTP by hand.

mod bodies;
mod golden;
mod limits;
mod odd_requests;
mod openapi;
mod page;
mod plugins;
mod refusals;
mod timers;
mod tls;
mod tokenless_reads;
mod transcripts;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use farrier_plugin::ManagerError;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;

use super::{Glance, Server, Settings, Token, serve};
use crate::command::fake::{self, FakeManager};
use crate::command::{CommandTable, Environment, Signal};
use crate::net::statsd::Timers;

const TOKEN: &str = "4rJqxKHVBcL853TT1y6KuEUBj1WNRMxOMi-gIHo0c0I";

/// A served table.
struct Served {
    manager: Arc<FakeManager>,
    gate: Sender<Result<Value, ManagerError>>,
    signals: UnboundedReceiver<Signal>,
    address: SocketAddr,
    server: Option<Server>,
    stop: watch::Sender<bool>,
    runtime: Runtime,
    _state: tempfile::TempDir,
}

/// What came back.
#[derive(Debug)]
struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Served {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let state = tempfile::tempdir().unwrap();
        let (manager, gate) = FakeManager::new();
        let environment = fake::environment(vec![manager.clone()], state.path());
        Self::serving(environment, (manager, gate), state, change)
    }

    fn serving(
        (environment, signals): (Environment, UnboundedReceiver<Signal>),
        (manager, gate): (Arc<FakeManager>, Sender<Result<Value, ManagerError>>),
        state: tempfile::TempDir,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let token = Token::new();
        token.set(TOKEN);
        let mut settings = Settings {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            tls: None,
            token,
            agent_version: "13.0.0".to_owned(),
            started_at: 1_795_328_604.506_673_8,
            conductors: Vec::new(),
            reads_without_token: false,
            timers: Timers::default(),
            look: Arc::new(Glance::default),
        };
        change(&mut settings);
        let runtime = Runtime::new().unwrap();
        let (stop, stopped) = watch::channel(false);
        let table = CommandTable::open(environment).unwrap();
        let server = {
            let _inside = runtime.enter();
            serve(settings, table, stopped).unwrap()
        };
        Self {
            manager,
            gate,
            signals,
            address: server.address,
            server: Some(server),
            stop,
            runtime,
            _state: state,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream
    }

    /// Wait until the server has read all that was sent on this connection.
    fn until_read(&self, stream: &TcpStream) {
        let theirs = format!(":{:04X}", self.address.port());
        let ours = format!(":{:04X}", stream.local_addr().unwrap().port());
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            // Of each socket: number, own address, the peer's, state, bytes to send and to read (proc_net_tcp).
            let sockets = fs::read_to_string("/proc/thread-self/net/tcp").unwrap();
            let is_read = sockets
                .lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>())
                .find(|words| words[1].ends_with(&theirs) && words[2].ends_with(&ours))
                .map(|words| words[4].ends_with(":00000000"));
            if is_read == Some(true) {
                return;
            }
            assert!(Instant::now() < until, "{sockets}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// One exchange on a connection of its own.
    fn exchange(&self, method: &str, target: &str, body: &[u8]) -> Reply {
        let mut stream = self.connect();
        send(&mut stream, method, target, body);
        let reply = receive(&stream, method);
        assert_eq!(openapi::fault(method, target, &reply), None);
        reply
    }

    fn get(&self, target: &str) -> Reply {
        self.exchange("GET", target, b"")
    }

    fn post(&self, wait: bool, body: &Value) -> Reply {
        let target = format!("/v1/commands/?wait={wait}&agent_token={TOKEN}");
        self.exchange("POST", &target, body.to_string().as_bytes())
    }

    fn list(&self) -> Vec<Value> {
        let reply = self.get(&format!("/v1/commands/?agent_token={TOKEN}"));
        assert_eq!(reply.status, 200);
        reply.json()["commands"].as_array().unwrap().clone()
    }

    /// Start a step that waits for the gate.
    fn start_gate(&self) -> Value {
        let reply = self.post(false, &execute("clean", &json!({"step": "gate"})));
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.json()
    }
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(have, _)| have.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    fn assert_fault(&self, status: u16, text: &str) {
        let code = if status >= 500 { "Server" } else { "Client" };
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert_eq!(self.json(), json!({"faultcode": code, "faultstring": text}));
    }
}

/// The body of an `execute_*_step`.
fn execute(kind: &str, step: &Value) -> Value {
    json!({
        "name": format!("{kind}.execute_{kind}_step"),
        "params": {"step": step, "node": {"uuid": "1be2"}, "ports": []},
    })
}

fn send(stream: &mut impl Write, method: &str, target: &str, body: &[u8]) {
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: agent.test:9999\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
}

fn receive(stream: impl Read, method: &str) -> Reply {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("no status line: {line:?}"));
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.push((name.to_owned(), value.to_owned()));
    }
    let mut reply = Reply {
        status,
        headers,
        body: String::new(),
    };
    if method != "HEAD" {
        let length: u64 = reply.header("content-length").unwrap().parse().unwrap();
        reader.take(length).read_to_string(&mut reply.body).unwrap();
        assert_eq!(reply.body.len() as u64, length);
    }
    reply
}
