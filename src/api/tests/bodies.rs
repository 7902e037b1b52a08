//! Large, slow and broken bodies.

use std::io::Write;
use std::net::Shutdown;

use serde_json::json;

use super::*;
use crate::api::body::BODY_LIMIT;

const MIB: usize = 1024 * 1024;

#[test]
fn a_large_config_drive_reaches_the_step_and_is_not_echoed() {
    let served = Served::new();
    let drive = "H4sIAAAA".repeat(MIB / 2);
    let step = json!({"interface": "deploy", "step": "write_image", "args": {
        "image_info": {"id": "i", "urls": ["http://192.0.2.1/i"], "checksum": "a".repeat(64),
                       "configdrive": drive},
        "configdrive": drive}});
    let mut body = execute("deploy", &step);
    body["params"]["node"]["instance_info"] = json!({"configdrive": drive});
    let reply = served.post(true, &body);
    assert!(reply.body.len() < 2000);
    let echoed = &reply.json()["command_result"]["deploy_step"];
    assert_eq!(echoed["step"], "write_image");
    assert_eq!(echoed["args"]["configdrive"], "<4194304 bytes omitted>");
    assert_eq!(echoed["args"]["image_info"]["id"], "i");

    let call = served.manager.calls.lock().unwrap().pop().unwrap();
    assert_eq!(
        call.arguments.text("configdrive").as_deref(),
        Some(drive.as_str())
    );
    assert_eq!(call.arguments.large.len(), 1);
    let node = serde_json::to_string(&call.node).unwrap();
    assert!(!node.contains("H4sIAAAA"));
}

#[test]
fn a_body_may_come_in_small_pieces_and_chunks() {
    let served = Served::new();
    let mut stream = served.connect();
    let head = format!(
        "POST /v1/commands/?agent_token={TOKEN} HTTP/1.1\r\nHost: x\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    for byte in br#"{"name": "standby.sync", "params": {}}"# {
        stream.write_all(b"1\r\n").unwrap();
        stream.write_all(&[*byte]).unwrap();
        stream.write_all(b"\r\n").unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(
        receive(&stream, "POST").json()["command_status"],
        "SUCCEEDED"
    );
}

#[test]
fn a_body_that_breaks_off_runs_nothing() {
    let served = Served::new();
    let mut stream = served.connect();
    let body = r#"{"name": "standby.sync", "params": {}}"#;
    let head = format!(
        "POST /v1/commands/?agent_token={TOKEN} HTTP/1.1\r\nHost: x\r\n\
         Content-Length: {}\r\n\r\n",
        body.len() + 1
    );
    // Everything but one blank: the document itself is whole.
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Both).unwrap();
    thread::sleep(Duration::from_millis(300));
    assert!(served.list().is_empty());
}

#[test]
fn a_body_that_says_it_is_too_large_is_refused_unread() {
    let served = Served::new();
    let mut stream = served.connect();
    let head = format!(
        "POST /v1/commands/?agent_token={TOKEN} HTTP/1.1\r\nHost: x\r\n\
         Content-Length: {}\r\n\r\n",
        BODY_LIMIT + 1
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(b"{").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    receive(&stream, "POST").assert_fault(
        413,
        &format!(
            "413 Payload Too Large: The data value transmitted exceeds the capacity limit of \
             {BODY_LIMIT} bytes."
        ),
    );
}

#[test]
fn a_body_that_turns_out_too_large_is_refused() {
    let served = Served::new();
    let mut stream = served.connect();
    let head = format!(
        "POST /v1/commands/?agent_token={TOKEN} HTTP/1.1\r\nHost: x\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    // Nonsense, so that the parser is out of the way at once.
    let chunk = vec![b'x'; MIB];
    for _ in 0..=BODY_LIMIT as usize / MIB {
        stream.write_all(b"100000\r\n").unwrap();
        stream.write_all(&chunk).unwrap();
        stream.write_all(b"\r\n").unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(receive(&stream, "POST").status, 413);
}

#[test]
fn an_error_reaches_a_client_that_sends_everything_first() {
    let served = Served::new();
    let body = vec![b'x'; 32 * MIB];
    for (path, status) in [("commands/", 400), ("nothing", 404), ("status", 405)] {
        let target = format!("/v1/{path}?agent_token={TOKEN}");
        assert_eq!(served.exchange("POST", &target, &body).status, status);
    }
    // Without the token it must be small.
    for (path, status) in [("commands/", 401), ("nothing", 404), ("status", 405)] {
        let target = format!("/v1/{path}");
        let reply = served.exchange("POST", &target, &body[..48 * 1024]);
        assert_eq!(reply.status, status);
    }
}

/// Ten seconds of whatever came were taken in before.
#[test]
fn without_the_token_a_body_is_neither_waited_for_nor_taken_in() {
    let served = Served::new();
    for (target, status) in [("/v1/commands/", 401), ("/x", 404), ("/v1/status", 405)] {
        let mut stream = served.connect();
        let head =
            format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let started = Instant::now();
        assert_eq!(receive(&stream, "POST").status, status);
        let answered = started.elapsed();
        assert!(answered < Duration::from_secs(9), "{answered:?}");
        let mut taken = 0;
        let chunk = vec![b'x'; MIB];
        while stream.write_all(&chunk).is_ok() {
            taken += 1;
            // What sockets hold.
            assert!(taken < 32, "{taken} MiB are taken in");
        }
        assert!(started.elapsed() < Duration::from_secs(60));
    }
}
