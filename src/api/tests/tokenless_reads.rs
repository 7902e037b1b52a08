//! Reads without the token, as older conductors ask (contract/control-plane 5.7).

use std::io::Read;
use std::net::Ipv6Addr;

use tokio::net::TcpSocket;

use super::*;

const INVALID: &str = "401 Unauthorized: Token invalid.";

/// Hosts of the loopback network.
const CONDUCTOR: u8 = 2;
const STRANGER: u8 = 3;

/// A server that allows it.
fn allowing() -> Served {
    Served::with(|settings| settings.reads_without_token = true)
}

impl Served {
    fn connect_from(&self, host: u8) -> TcpStream {
        let stream = self.runtime.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            socket
                .bind((Ipv4Addr::new(127, 0, 0, host), 0).into())
                .unwrap();
            socket.connect(self.address).await.unwrap()
        });
        let stream = stream.into_std().unwrap();
        stream.set_nonblocking(false).unwrap();
        let limit = Some(Duration::from_secs(60));
        stream.set_read_timeout(limit).unwrap();
        stream
    }

    fn exchange_from(&self, host: u8, method: &str, target: &str, body: &[u8]) -> Reply {
        let mut stream = self.connect_from(host);
        send(&mut stream, method, target, body);
        receive(&stream, method)
    }

    fn get_from(&self, host: u8, target: &str) -> Reply {
        self.exchange_from(host, "GET", target, b"")
    }

    /// A command with the token from there.
    fn sync_from(&self, host: u8) -> Value {
        let target = format!("/v1/commands/?wait=true&agent_token={TOKEN}");
        let body = json!({"name": "standby.sync", "params": {}}).to_string();
        let reply = self.exchange_from(host, "POST", &target, body.as_bytes());
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.json()
    }

    /// Who was heard to read without the token: host, whether a conductor, whether answered.
    fn heard(&mut self) -> Vec<(u8, bool, bool)> {
        let mut heard = Vec::new();
        while let Ok(signal) = self.signals.try_recv() {
            let Signal::Read(read) = signal else {
                continue;
            };
            let std::net::IpAddr::V4(peer) = read.peer else {
                panic!("{read:?}")
            };
            heard.push((peer.octets()[3], read.is_conductor, read.is_admitted));
        }
        heard
    }
}

#[test]
fn without_the_option_all_are_refused_and_each_kind_is_told_once() {
    let mut served = Served::new();
    let result = served.sync_from(CONDUCTOR);
    let id = result["id"].as_str().unwrap();
    for _ in 0..20 {
        for host in [CONDUCTOR, STRANGER, STRANGER + 1] {
            served
                .get_from(host, "/v1/commands/")
                .assert_fault(401, INVALID);
            served
                .get_from(host, &format!("/v1/commands/{id}"))
                .assert_fault(401, INVALID);
        }
    }
    let expected = [(CONDUCTOR, true, false), (STRANGER, false, false)];
    assert_eq!(served.heard(), expected);
    // A wrong token is no such read, and neither is a command.
    let mut served = Served::new();
    served.get_from(STRANGER, "/v1/commands/?agent_token=wrong");
    served.exchange_from(STRANGER, "POST", "/v1/commands/", b"{}");
    served.get_from(STRANGER, "/v1/status");
    assert!(served.heard().is_empty());
}

#[test]
fn an_empty_list_is_for_anyone_and_results_for_who_has_commanded() {
    let mut served = allowing();
    // After a reboot a conductor reads first.
    for path in ["/v1/commands/", "/commands/", "/v1/commands/?wait=true"] {
        let reply = served.get_from(STRANGER, path);
        assert_eq!(
            (reply.status, reply.json()),
            (200, json!({"commands": []})),
            "{path}"
        );
    }
    assert_eq!(
        served
            .exchange_from(STRANGER, "HEAD", "/v1/commands/", b"")
            .status,
        200
    );
    served
        .get_from(STRANGER, "/v1/commands/1be2")
        .assert_fault(401, INVALID);
    let sync = b"{\"name\": \"standby.sync\", \"params\": {}}";
    served
        .exchange_from(STRANGER, "POST", "/v1/commands/", sync)
        .assert_fault(401, INVALID);

    let result = served.sync_from(CONDUCTOR);
    let one = format!("/v1/commands/{}", result["id"].as_str().unwrap());
    let list = served.get_from(CONDUCTOR, "/v1/commands/");
    assert_eq!(list.status, 200, "{}", list.body);
    assert_eq!(list.json(), json!({"commands": [result]}));
    assert_eq!(
        served
            .get_from(CONDUCTOR, &format!("{one}?wait=true"))
            .json(),
        result
    );
    served
        .get_from(CONDUCTOR, "/v1/commands/abc")
        .assert_fault(404, "Not found: Command Result with id abc not found.");
    // An empty list would not be true, and Ironic would take a step for done.
    for path in ["/v1/commands/", "/commands/", &one] {
        served.get_from(STRANGER, path).assert_fault(401, INVALID);
    }
    // To command takes the token, as ever.
    served
        .exchange_from(CONDUCTOR, "POST", "/v1/commands/", sync)
        .assert_fault(401, INVALID);
    assert_eq!(served.list().len(), 1);
    let expected = [
        (STRANGER, false, true),
        (STRANGER, false, false),
        (CONDUCTOR, true, true),
    ];
    assert_eq!(served.heard(), expected);
}

#[test]
fn a_running_command_is_seen_without_the_token() {
    let served = allowing();
    let running = served.start_gate();
    // `start_gate` comes from the first address.
    let seen = served.get("/v1/commands/").json()["commands"][0].clone();
    assert_eq!(seen["command_status"], "RUNNING");
    assert_eq!(seen["id"], running["id"]);
    served.gate.send(Ok(Value::Null)).unwrap();
    let id = running["id"].as_str().unwrap();
    let done = served.get(&format!("/v1/commands/{id}?wait=true"));
    assert_eq!(done.json()["command_status"], "SUCCEEDED");
}

#[test]
fn a_wrong_token_is_refused_and_ends_nothing() {
    let served = allowing();
    served.sync_from(CONDUCTOR);
    let long = format!("/v1/commands/?{}", "x".repeat(5000));
    for target in [
        "/v1/commands/?agent_token=",
        "/v1/commands/?agent_token",
        "/v1/commands/?agent_token=wrong",
        &format!("/v1/commands/?agent_token=wrong&agent_token={TOKEN}"),
        &long,
    ] {
        served
            .get_from(CONDUCTOR, target)
            .assert_fault(401, INVALID);
    }
    // Nor does the right one where no result is read.
    for target in ["/v1/status", "/", "/v1/commands"] {
        served.get_from(CONDUCTOR, &format!("{target}?agent_token={TOKEN}"));
    }
    assert_eq!(served.get_from(CONDUCTOR, "/v1/commands/").status, 200);
}

#[test]
fn it_is_over_with_the_first_read_that_carries_the_token() {
    for read in ["/v1/commands/", "/commands/x", "HEAD"] {
        let mut served = allowing();
        let expected = json!({"commands": []});
        assert_eq!(served.get_from(STRANGER, "/v1/commands/").json(), expected);
        let (method, path) = match read {
            "HEAD" => ("HEAD", "/v1/commands/"),
            path => ("GET", path),
        };
        served.exchange_from(9, method, &format!("{path}?agent_token={TOKEN}"), b"");
        served
            .get_from(STRANGER, "/v1/commands/")
            .assert_fault(401, INVALID);
        served.sync_from(CONDUCTOR);
        served
            .get_from(CONDUCTOR, "/v1/commands/")
            .assert_fault(401, INVALID);
        assert_eq!(served.list().len(), 1);
        let expected = [
            (STRANGER, false, true),
            (STRANGER, false, false),
            (CONDUCTOR, true, false),
        ];
        assert_eq!(served.heard(), expected);
    }
}

#[test]
fn the_address_is_the_connections_and_no_headers() {
    let served = Served::with(|settings| {
        settings.reads_without_token = true;
        settings.listen = (Ipv6Addr::UNSPECIFIED, 0).into();
    });
    let port = served.address.port();
    let ask = |address: std::net::IpAddr, request: String| {
        let mut stream = TcpStream::connect((address, port)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        receive(&stream, "GET")
    };
    let body = json!({"name": "standby.sync", "params": {}}).to_string();
    let command = format!(
        "POST /v1/commands/?wait=true&agent_token={TOKEN} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let read = "GET /v1/commands/ HTTP/1.1\r\nHost: x\r\n";
    let (four, six) = (Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into());
    assert_eq!(ask(four, command).status, 200);
    // Over a socket of both kinds its address is written as IPv6.
    assert_eq!(ask(four, format!("{read}\r\n")).status, 200);
    for header in ["X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1"] {
        ask(six, format!("{read}{header}\r\n\r\n")).assert_fault(401, INVALID);
    }
}

#[test]
fn it_ends_with_the_serving() {
    let served = allowing();
    served.sync_from(CONDUCTOR);
    let mut kept = served.connect_from(CONDUCTOR);
    send(&mut kept, "GET", "/v1/commands/", b"");
    assert_eq!(receive(&kept, "GET").status, 200);
    served.stop.send_replace(true);
    // The server closes it, whatever comes.
    let mut rest = String::new();
    let _ = kept.read_to_string(&mut rest);
    assert_eq!(rest, "");
    let until = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(served.address).is_ok() {
        assert!(Instant::now() < until);
        thread::sleep(Duration::from_millis(20));
    }
}
