//! What happens at once, what takes too long, and the end.

use std::io::{ErrorKind, Read, Write};

use serde_json::{Value, json};

use super::*;

#[test]
fn lists_are_served_while_requests_wait() {
    let served = Served::new();
    let running = served.start_gate();
    let id = running["id"].as_str().unwrap();
    let wait = format!("/v1/commands/{id}?wait=true&agent_token={TOKEN}");
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = served.connect();
            send(&mut stream, "GET", &wait, b"");
            stream
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(served.list()[0]["command_status"], "RUNNING");
    }
    // Its progress shows in the list, under a name that the conductor does not read.
    assert_eq!(
        served.list()[0]["progress"],
        json!({"what": "waiting", "done": 1, "total": 2, "rate": null, "remaining": null})
    );
    served.gate.send(Ok(json!("done"))).unwrap();
    for stream in waiting {
        let reply = receive(&stream, "GET").json();
        assert_eq!(reply["command_status"], "SUCCEEDED");
        assert_eq!(reply["command_result"]["clean_result"], "done");
        assert!(reply.get("progress").is_none());
    }
}

#[test]
fn a_post_with_wait_answers_at_the_end() {
    let served = Served::new();
    let body = execute("clean", &json!({"step": "gate"})).to_string();
    let target = format!("/v1/commands/?wait=true&agent_token={TOKEN}");
    let mut stream = served.connect();
    send(&mut stream, "POST", &target, body.as_bytes());
    while served.list().is_empty() {}
    served
        .gate
        .send(Err(ManagerError::new(
            farrier_plugin::ErrorKind::Cleaning,
            "the drive does not answer",
        )))
        .unwrap();
    let reply = receive(&stream, "POST").json();
    assert_eq!(reply["command_status"], "FAILED");
    assert_eq!(
        reply["command_error"]["details"],
        "the drive does not answer"
    );
}

#[test]
fn a_command_goes_on_when_its_client_goes_away() {
    let served = Served::new();
    let body = execute("clean", &json!({"step": "gate"})).to_string();
    let target = format!("/v1/commands/?wait=true&agent_token={TOKEN}");
    let mut stream = served.connect();
    send(&mut stream, "POST", &target, body.as_bytes());
    while served.list().is_empty() {}
    drop(stream);
    served.gate.send(Ok(Value::Null)).unwrap();
    let id = served.list()[0]["id"].as_str().unwrap().to_owned();
    let reply = served.get(&format!("/v1/commands/{id}?wait=true&agent_token={TOKEN}"));
    assert_eq!(reply.json()["command_status"], "SUCCEEDED");
}

#[test]
fn a_connection_is_used_again_and_closed_when_idle() {
    let served = Served::new();
    let mut stream = served.connect();
    for _ in 0..3 {
        send(&mut stream, "GET", "/v1/status", b"");
        assert_eq!(receive(&stream, "GET").status, 200);
    }
    let started = Instant::now();
    assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap(), 0);
    let idle = started.elapsed();
    assert!((5..60).contains(&idle.as_secs()), "closed after {idle:?}");
}

#[test]
fn half_a_head_is_given_up() {
    let served = Served::new();
    let mut stream = served.connect();
    stream
        .write_all(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n")
        .unwrap();
    // Within the time that a read may take here.
    let mut rest = String::new();
    match stream.read_to_string(&mut rest) {
        Ok(_) => assert!(!rest.contains("200"), "{rest}"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

#[test]
fn serving_ends_when_asked_and_open_answers_still_leave() {
    let mut served = Served::new();
    let locked = served.post(false, &json!({"name": "system.lockdown", "params": {}}));
    assert_eq!(locked.json()["command_status"], "SUCCEEDED");
    assert_eq!(served.signals.blocking_recv(), Some(Signal::LockDown));

    let id = served.start_gate()["id"].as_str().unwrap().to_owned();
    let mut waiting = served.connect();
    let target = format!("/v1/commands/{id}?wait=true&agent_token={TOKEN}");
    send(&mut waiting, "GET", &target, b"");
    // The request must have been read before the end.
    served.until_read(&waiting);
    served.stop.send_replace(true);
    served.gate.send(Ok(Value::Null)).unwrap();
    assert_eq!(
        receive(&waiting, "GET").json()["command_status"],
        "SUCCEEDED"
    );
    let server = served.server.take().unwrap();
    served.runtime.block_on(server.ended).unwrap();
    assert_eq!(
        TcpStream::connect(served.address).unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );
}

#[test]
fn an_open_wait_does_not_hold_up_the_end() {
    let mut served = Served::new();
    let id = served.start_gate()["id"].as_str().unwrap().to_owned();
    let mut waiting = served.connect();
    let target = format!("/v1/commands/{id}?wait=true&agent_token={TOKEN}");
    send(&mut waiting, "GET", &target, b"");
    served.until_read(&waiting);
    let started = Instant::now();
    served.stop.send_replace(true);
    let server = served.server.take().unwrap();
    served.runtime.block_on(server.ended).unwrap();
    assert!(started.elapsed().as_secs() < 60);
    // Let the step end, so that the test does.
    served.gate.send(Ok(Value::Null)).unwrap();
}
