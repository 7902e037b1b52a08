//! A config drive of 64 MiB that comes twice in one body must fit beside everything else into a
//! guest of 1 GiB. This is the only test of its process, so that the process's peak is the body's.

#![expect(
    clippy::unwrap_used,
    reason = "a test's helpers fail the test by panicking"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::{Arc, Mutex};

use farrier::testing::api::{self, Settings, Token};
use farrier::testing::command::{CommandTable, Environment, Shutdown};
use farrier::testing::config::{Live, Options};
use farrier::testing::hardware::Managers;

use farrier_plugin::{
    Context, HardwareManager, ManagerError, ManagerVersion, Node, Port, SilentContext,
    StepArguments,
};
use serde_json::Value;

/// 64 MiB as base64.
const DRIVE: usize = (64 << 20) / 3 * 4 + 4;

const MIB: u64 = 1 << 20;

/// Remembers the length of the config drive that it was given.
#[derive(Default)]
struct Sink(Mutex<Vec<usize>>);

impl HardwareManager for Sink {
    fn class_name(&self) -> &str {
        "Sink"
    }

    fn version(&self) -> ManagerVersion {
        ManagerVersion {
            name: "sink".to_owned(),
            version: "1".to_owned(),
        }
    }

    fn evaluate_hardware_support(&self) -> Result<u32, ManagerError> {
        Ok(1)
    }

    fn execute_step(
        &self,
        _: &dyn Context,
        _: &str,
        _: &Node,
        _: &[Port],
        arguments: &StepArguments,
    ) -> Result<Value, ManagerError> {
        let drive = arguments.text("configdrive").unwrap();
        self.0.lock().unwrap().push(drive.len());
        Ok(Value::Null)
    }
}

#[test]
fn a_config_drive_that_comes_twice_is_in_memory_once_and_in_the_parser_once() {
    let state = tempfile::tempdir().unwrap();
    let sink = Arc::new(Sink::default());
    let options = Live::new(Options {
        disk_wait_attempts: 0,
        ..Options::default()
    });
    let (signals, _heard) = tokio::sync::mpsc::unbounded_channel();
    let managers =
        Managers::from_managers(options.clone(), vec![sink.clone()], &SilentContext).unwrap();
    let table = CommandTable::open(Environment {
        managers: Arc::new(managers),
        options,
        signals,
        state_directory: state.path().to_owned(),
        relookup: Box::new(|| None),
        shutdown: Shutdown::default(),
        left_behind: None,
    })
    .unwrap();
    let token = Token::new();
    token.set("token");
    let settings = Settings {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        tls: None,
        token,
        agent_version: "13.0.0".to_owned(),
        started_at: 0.0,
        conductors: Vec::new(),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let server = {
        let _inside = runtime.enter();
        api::serve(settings, table, stopped).unwrap()
    };

    let before = resident("VmRSS");
    let reply = post(&server);
    let peak = resident("VmHWM") - before;
    assert!(reply.contains("\"SUCCEEDED\""), "{reply}");
    assert!(
        reply.contains(&format!("<{DRIVE} bytes omitted>")),
        "{reply}"
    );
    assert_eq!(*sink.0.lock().unwrap(), [DRIVE]);
    println!("peak above the idle server: {} MiB", peak / MIB);
    let bound = 2 * DRIVE as u64 + 16 * MIB;
    assert!(peak < bound, "{} MiB of {} MiB", peak / MIB, bound / MIB);
    let after = resident("VmRSS").saturating_sub(before);
    assert!(after < 16 * MIB, "{} MiB are kept", after / MIB);
}

/// Send the body in pieces, so that this side needs no memory.
fn post(server: &api::Server) -> String {
    let start = br#"{"name": "deploy.execute_deploy_step", "params": {"node": {"uuid": "1be2"},
        "ports": [], "step": {"interface": "deploy", "step": "write_image", "args": {
        "image_info": {"id": "i", "urls": ["http://192.0.2.1/i"], "os_hash_algo": "sha512",
        "os_hash_value": "00", "configdrive": ""#;
    let middle = br#""}, "configdrive": ""#;
    let end = br#""}}}}"#;
    let length = start.len() + middle.len() + end.len() + 2 * DRIVE;
    let mut stream = TcpStream::connect(server.address).unwrap();
    write!(
        stream,
        "POST /v1/commands/?wait=true&agent_token=token HTTP/1.1\r\nHost: x\r\n\
         Connection: close\r\nContent-Length: {length}\r\n\r\n"
    )
    .unwrap();
    stream.write_all(start).unwrap();
    drive(&mut stream);
    stream.write_all(middle).unwrap();
    drive(&mut stream);
    stream.write_all(end).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

fn drive(stream: &mut TcpStream) {
    let piece = [b'H'; 64 * 1024];
    let mut left = DRIVE;
    while left > 0 {
        let count = left.min(piece.len());
        stream.write_all(&piece[..count]).unwrap();
        left -= count;
    }
}

/// A line of /proc/self/status, in bytes.
fn resident(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    let number = line.split_whitespace().nth(1).unwrap();
    number.parse::<u64>().unwrap() * 1024
}
