//! A config drive of 64 MiB that comes twice in one body must fit beside everything else into a
//! guest of 1 GiB. This is the only test of its process, so that the process's peak is the body's.

#![expect(
    clippy::unwrap_used,
    reason = "a test's helpers fail the test by panicking"
)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use farrier_plugin::StepArguments;
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use self::memory::resident;
use self::served::{Manager, TOKEN};

#[path = "served/memory.rs"]
mod memory;
mod served;

/// 64 MiB as base64.
const DRIVE: usize = (64 << 20) / 3 * 4 + 4;

const MIB: u64 = 1 << 20;

#[test]
fn a_config_drive_that_comes_twice_is_in_memory_once_and_in_the_parser_once() {
    let state = tempfile::tempdir().unwrap();
    // Remembers the length of the config drive that it was given.
    let given = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&given);
    let sink = Manager(move |arguments: &StepArguments| {
        let drive = arguments.text("configdrive").unwrap();
        kept.lock().unwrap().push(drive.len());
        Value::Null
    });
    let runtime = Runtime::new().unwrap();
    let (_stop, stopped) = watch::channel(false);
    let server = served::serve(
        &runtime,
        sink,
        state.path(),
        stopped,
        Ipv4Addr::LOCALHOST,
        Vec::new(),
    );

    let before = resident("VmRSS");
    let reply = post(server);
    let peak = resident("VmHWM") - before;
    assert!(reply.contains("\"SUCCEEDED\""), "{reply}");
    assert!(
        reply.contains(&format!("<{DRIVE} bytes omitted>")),
        "{reply}"
    );
    assert_eq!(*given.lock().unwrap(), [DRIVE]);
    println!("peak above the idle server: {} MiB", peak / MIB);
    let bound = 2 * DRIVE as u64 + 16 * MIB;
    assert!(peak < bound, "{} MiB of {} MiB", peak / MIB, bound / MIB);
    let after = resident("VmRSS").saturating_sub(before);
    assert!(after < 16 * MIB, "{} MiB are kept", after / MIB);
}

/// Send the body in pieces, so that this side needs no memory.
fn post(server: SocketAddr) -> String {
    let start = br#"{"name": "deploy.execute_deploy_step", "params": {"node": {"uuid": "1be2"},
        "ports": [], "step": {"interface": "deploy", "step": "write_image", "args": {
        "image_info": {"id": "i", "urls": ["http://192.0.2.1/i"], "os_hash_algo": "sha512",
        "os_hash_value": "00", "configdrive": ""#;
    let middle = br#""}, "configdrive": ""#;
    let end = br#""}}}}"#;
    let length = start.len() + middle.len() + end.len() + 2 * DRIVE;
    let mut stream = TcpStream::connect(server).unwrap();
    write!(
        stream,
        "POST /v1/commands/?wait=true&agent_token={TOKEN} HTTP/1.1\r\nHost: x\r\n\
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
