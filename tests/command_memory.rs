//! What ten thousand commands and heartbeats leave behind: little memory for each, large results
//! to a bound, no descriptor. The only test of its process, because it looks at all of its memory.

#![expect(
    clippy::unwrap_used,
    reason = "a test's helpers fail the test by panicking"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use farrier::testing::conductor::{Beat, Client};
use farrier::testing::config::Options;
use farrier::testing::net::Resolver;
use farrier_plugin::StepArguments;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use self::memory::resident;
use self::served::{Manager, TOKEN};

#[path = "served/memory.rs"]
mod memory;
mod served;

const COMMANDS: u64 = 10_000;

const KIB: u64 = 1024;

/// What large results may take together: the 16 MiB of the table, and what the allocator keeps of the
/// copies on their way.
const RESULTS: u64 = 64 * KIB * KIB;

#[test]
fn ten_thousand_commands_and_heartbeats_leave_little_behind() {
    let state = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    // Its steps give a result of the length that is asked for.
    let talker = Manager(|arguments: &StepArguments| {
        let length = arguments.values["length"].as_u64().unwrap_or(0);
        "x".repeat(length as usize).into()
    });
    let server = served::serve(
        &runtime,
        talker,
        state.path(),
        stopped,
        Ipv4Addr::LOCALHOST,
        Vec::new(),
    );
    let conductor = conductor();
    let client = {
        let options = Options {
            api_url: vec![format!("http://{conductor}")],
            ..Options::default()
        };
        let _inside = runtime.enter();
        Client::new(&options, Resolver::default()).unwrap()
    };
    let beat = Beat {
        node_uuid: "4d3f8bd8-6a9a-4d87-8e1a-1d0a4d1c5f11".to_owned(),
        callback_url: format!("http://{server}"),
        agent_token: Some(TOKEN.to_owned()),
        agent_version: "13.0.0".to_owned(),
        agent_verify_ca: None,
    };
    let mut connection = Connection::to(server);
    let mut both = |count: u64, length: u64| {
        for _ in 0..count {
            let reply = connection.post(&json!({
                "name": "clean.execute_clean_step",
                "params": {
                    "step": {"interface": "deploy", "step": "talk", "args": {"length": length}},
                    "node": {"uuid": "1be2"}, "ports": [],
                },
            }));
            assert!(reply.contains("\"SUCCEEDED\""), "{reply}");
            runtime.block_on(client.heartbeat(&beat)).unwrap();
        }
    };
    both(200, 5);
    let (memory, descriptors) = (resident("VmRSS"), open_files());
    both(COMMANDS, 5);
    let each = resident("VmRSS").saturating_sub(memory) / COMMANDS;
    println!("{each} bytes a command and heartbeat");
    assert!(each <= KIB, "{each} bytes a command");

    // 150 MB in all.
    let memory = resident("VmRSS");
    both(60, 2_500_000);
    let large = resident("VmRSS").saturating_sub(memory);
    println!("{} KiB of large results", large / KIB);
    assert!(large <= RESULTS, "{} KiB of large results", large / KIB);
    let (before, after) = (descriptors, open_files());
    assert!(after <= before + 2, "{after} descriptors after {before}");
}

/// A conductor that takes every heartbeat.
fn conductor() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while let Some((first, _)) = message(&mut reader) {
                    let reply = if first.starts_with("GET") {
                        let body = r#"{"default_version": {"version": "1.109"}}"#;
                        format!(
                            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                             Content-Length: {}\r\n\r\n{body}",
                            body.len()
                        )
                    } else {
                        "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".to_owned()
                    };
                    stream.write_all(reply.as_bytes()).unwrap();
                }
            });
        }
    });
    address
}

/// A conductor's connection to the agent.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn to(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    fn post(&mut self, body: &Value) -> String {
        let body = body.to_string();
        let request = format!(
            "POST /v1/commands/?wait=true&agent_token={TOKEN} HTTP/1.1\r\nHost: x\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        message(&mut self.0).unwrap().1
    }
}

/// The first line and the body of what comes; `None` at the end.
fn message(reader: &mut impl BufRead) -> Option<(String, String)> {
    let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
    reader
        .read_line(&mut first)
        .ok()
        .filter(|count| *count > 0)?;
    while line != "\r\n" {
        line.clear();
        reader
            .read_line(&mut line)
            .ok()
            .filter(|count| *count > 0)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = String::new();
    reader.take(length).read_to_string(&mut body).ok()?;
    Some((first, body))
}

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}
