//! Each row of contract/control-plane 5.5, and the routes.

use serde_json::{Value, json};

use super::*;

fn body(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

#[test]
fn every_refusal_has_its_status_and_text() {
    let served = Served::new();
    let commands = format!("/v1/commands/?agent_token={TOKEN}");
    for (sent, status, text) in [
        (
            body("{\"name\""),
            400,
            "400 Bad Request: Failed to decode JSON object: EOF while parsing an object at line 1 \
             column 7",
        ),
        (
            body(""),
            400,
            "400 Bad Request: Failed to decode JSON object: EOF while parsing a value at line 1 \
             column 0",
        ),
        (
            body("{}"),
            400,
            "400 Bad Request: Missing or invalid name or params",
        ),
        (
            body("{\"name\": \"standby.sync\", \"params\": []}"),
            400,
            "400 Bad Request: Missing or invalid name or params",
        ),
        (
            body("true"),
            400,
            "400 Bad Request: Missing or invalid name or params",
        ),
        (
            body("{\"name\": 1, \"params\": {}}"),
            400,
            "400 Bad Request: Missing or invalid name or params",
        ),
        (
            body("{\"name\": \"sync\", \"params\": {}}"),
            400,
            "Invalid command: Command name must be of the form <extension>.<name>",
        ),
        (
            body("{\"name\": \"foo.sync\", \"params\": {}}"),
            404,
            "Not found: Extension with id foo not found.",
        ),
        (
            body("{\"name\": \"standby.bar\", \"params\": {}}"),
            400,
            "Invalid command: Unknown command: bar",
        ),
        (
            body("{\"name\": \"standby.prepare_image\", \"params\": {\"image_info\": {}}}"),
            400,
            "Invalid command parameters: Image is missing 'id' field.",
        ),
        (
            body("{\"name\": \"standby.sync\", \"params\": {\"self\": 1}}"),
            400,
            "Invalid command parameters: sync() got an unexpected keyword argument 'self'",
        ),
        (
            body("{\"name\": \"clean.get_clean_steps\", \"params\": {\"node\": {}}}"),
            400,
            "Invalid command parameters: get_clean_steps() missing 1 required positional argument: \
             'ports'",
        ),
        (
            body(
                "{\"name\": \"clean.get_clean_steps\", \"params\": {\"node\": {}, \"ports\": []}}",
            ),
            400,
            "Invalid command parameters: The parameter 'node' has no 'uuid'",
        ),
        (
            body("{\"name\": \"poll.set_node_info\", \"params\": {\"node_info\": {}}}"),
            400,
            "Invalid command: Node lookup data can only be set when the Ironic Python Agent is \
             running in standalone mode.",
        ),
        (
            body("{\"name\": \"flow.start_flow\", \"params\": {\"flow\": [{\"standby.x\": {}}]}}"),
            400,
            "Invalid command parameters: Extension standby doesn't provide x method",
        ),
        (
            "[".repeat(100_000).into_bytes(),
            400,
            "400 Bad Request: Failed to decode JSON object: recursion limit exceeded at line 1 \
             column 128",
        ),
    ] {
        served
            .exchange("POST", &commands, &sent)
            .assert_fault(status, text);
    }
    // None of these left a trace, and the list is still readable.
    assert!(served.list().is_empty());
}

/// hyper answers these by itself, without a body.
#[test]
fn a_request_that_is_none_is_told_so_in_the_conductors_shape() {
    let served = Served::new();
    let not_understood = "400 Bad Request: The browser (or proxy) sent a request that this server \
                          could not understand.";
    let good = "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n";
    for (head, status, text) in [
        (
            "GET /\u{1} HTTP/1.1\r\n\r\n".to_owned(),
            400,
            not_understood,
        ),
        ("nonsense\r\n\r\n".to_owned(), 400, not_understood),
        ("GET / HTTP/7.1\r\n\r\n".to_owned(), 400, not_understood),
        (
            "POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n".to_owned(),
            400,
            not_understood,
        ),
        (
            format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(66_000)),
            414,
            "414 URI Too Long: The length of the requested URL exceeds the capacity limit for this \
             server. The request cannot be processed.",
        ),
        (
            format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(101)),
            431,
            "431 Request Header Fields Too Large: One or more header fields exceeds the maximum \
             size.",
        ),
        (
            format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(300_000)),
            431,
            "431 Request Header Fields Too Large: One or more header fields exceeds the maximum \
             size.",
        ),
    ] {
        let mut stream = served.connect();
        stream.write_all(head.as_bytes()).unwrap();
        receive(&stream, "GET").assert_fault(status, text);
        // Behind a good one that was sent with it.
        let mut stream = served.connect();
        stream
            .write_all(format!("{good}{head}").as_bytes())
            .unwrap();
        let mut both = String::new();
        stream.read_to_string(&mut both).unwrap();
        let second = both.rfind("HTTP/1.1 ").unwrap();
        assert!(both.starts_with("HTTP/1.1 200 OK") && second > 0, "{both}");
        receive(&both.as_bytes()[second..], "GET").assert_fault(status, text);
    }
}

#[test]
fn links_repeat_no_name_that_no_host_has() {
    let served = Served::new();
    let mut stream = served.connect();
    let head = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "x".repeat(50_000));
    stream.write_all(head.as_bytes()).unwrap();
    let body = receive(&stream, "GET").body;
    assert!(body.contains("http://localhost/v1"), "{body}");
}

#[test]
fn without_the_token_nothing_is_told_and_nothing_runs() {
    let served = Served::new();
    let wrong = "401 Unauthorized: Token invalid.";
    let sync = body("{\"name\": \"standby.sync\", \"params\": {}}");
    for query in [
        "",
        "?agent_token=",
        "?agent_token=wrong",
        &format!("?agent_token=wrong&agent_token={TOKEN}"),
        &format!("?Agent_Token={TOKEN}"),
    ] {
        served
            .get(&format!("/v1/commands/{query}"))
            .assert_fault(401, wrong);
        served
            .get(&format!("/commands/x{query}"))
            .assert_fault(401, wrong);
        served
            .exchange("POST", &format!("/commands/{query}"), &sync)
            .assert_fault(401, wrong);
    }
    // The token comes before the body: nonsense is not even parsed.
    served
        .exchange("POST", "/v1/commands/", b"{")
        .assert_fault(401, wrong);
    assert!(served.list().is_empty());

    let tokenless = Served::with(|settings| settings.token = Token::new());
    tokenless
        .get("/v1/commands/?agent_token=")
        .assert_fault(401, wrong);
    assert_eq!(tokenless.get("/v1/status").status, 200);
}

#[test]
fn paths_and_methods_are_the_contracts() {
    let served = Served::new();
    let missing = "404 Not Found: The requested URL was not found on the server. If you entered \
                   the URL manually please check your spelling and try again.";
    for path in [
        "/v2",
        "/v1/status/",
        "/v1/commands/a/b",
        "//",
        "//v1/status",
        "/v1//nothing",
        "/v1%2F%2Fstatus",
        "/v1/%ff",
        "/v1/commandsx",
    ] {
        served.get(path).assert_fault(404, missing);
    }
    served
        .get(&format!("/v1/commands/abc?agent_token={TOKEN}"))
        .assert_fault(404, "Not found: Command Result with id abc not found.");

    let wrong = "405 Method Not Allowed: The method is not allowed for the requested URL.";
    for (method, path, allowed) in [
        ("POST", "/", "GET, HEAD"),
        ("DELETE", "/v1/commands/", "GET, HEAD, POST"),
        ("PUT", "/commands/abc", "GET, HEAD"),
        ("POST", "/v1/status", "GET, HEAD"),
    ] {
        let reply = served.exchange(method, path, b"{}");
        reply.assert_fault(405, wrong);
        assert_eq!(reply.header("allow"), Some(allowed));
    }

    for (method, target, location) in [
        ("GET", "/v1", "/v1/"),
        ("GET", "/commands?agent_token=t", "/commands/?agent_token=t"),
        ("GET", "/v1//commands///", "/v1/commands/"),
        ("POST", "/v1//commands?x=//", "/v1/commands/?x=//"),
        ("GET", "/v1//status", "/v1/status"),
        (
            "POST",
            "/v1/commands?wait=true&agent_token=t",
            "/v1/commands/?wait=true&agent_token=t",
        ),
    ] {
        let reply = served.exchange(method, target, b"");
        assert_eq!(reply.status, 308);
        assert_eq!(reply.header("location"), Some(location));
        assert!(
            reply
                .header("content-type")
                .unwrap()
                .starts_with("text/html")
        );
        assert!(!reply.body.contains("agent_token"));
    }

    // As the reference, whose server decodes a path before it looks at it.
    assert_eq!(served.get("/v1/%73tatus").status, 200);

    let head = served.exchange("HEAD", "/v1/status", b"");
    let get = served.get("/v1/status");
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, get.header("content-length"))
    );
}

#[test]
fn a_running_command_refuses_every_other_whatever_it_is() {
    let served = Served::new();
    let running = served.start_gate();
    assert_eq!(running["command_status"], "RUNNING");
    for name in [
        "standby.sync",
        "clean.execute_clean_step",
        "foo.bar",
        "standby.bar",
    ] {
        served
            .post(false, &json!({"name": name, "params": {}}))
            .assert_fault(409, "Agent is busy: executing command execute_clean_step");
    }
    // Only a name without a dot is seen before.
    served
        .post(false, &json!({"name": "sync", "params": {}}))
        .assert_fault(
            400,
            "Invalid command: Command name must be of the form <extension>.<name>",
        );
    served.gate.send(Ok(Value::Null)).unwrap();
    let id = running["id"].as_str().unwrap();
    served.get(&format!("/v1/commands/{id}?wait=true&agent_token={TOKEN}"));
    assert_eq!(
        served
            .post(false, &json!({"name": "standby.sync", "params": {}}))
            .status,
        200
    );
}

#[test]
fn wrong_calls_of_asynchronous_commands_are_failed_results() {
    let mut served = Served::new();
    for (body, type_name, details) in [
        (
            json!({"name": "clean.execute_clean_step", "params": {"step": {}, "node": {}}}),
            "CommandExecutionError",
            "execute_clean_step() missing 1 required positional argument: 'ports'",
        ),
        (
            json!({"name": "image.install_bootloader", "params": {"root_uuid": null, "x": 1}}),
            "CommandExecutionError",
            "install_bootloader() got an unexpected keyword argument 'x'",
        ),
        (
            json!({"name": "flow.start_flow", "params": {"flow": [{"foo.bar": {}}]}}),
            "RequestedObjectNotFoundError",
            "Extension with id foo not found.",
        ),
    ] {
        let reply = served.post(false, &body);
        assert_eq!(reply.status, 200);
        let reply = reply.json();
        assert_eq!(reply["command_status"], "FAILED");
        assert_eq!(reply["command_error"]["type"], type_name);
        assert_eq!(reply["command_error"]["details"], details);
        assert_eq!(served.signals.blocking_recv(), Some(Signal::HeartbeatNow));
    }
}

/// In the reference such a command poisons the list for good (contract/control-plane 13).
#[test]
fn a_synchronous_command_that_breaks_is_a_failed_result_under_its_bare_name() {
    let served = Served::new();
    let reply = served
        .post(
            true,
            &json!({"name": "service.get_service_steps",
                    "params": {"node": {"uuid": "1be2"}, "ports": []}}),
        )
        .json();
    assert_eq!(reply["command_name"], "get_service_steps");
    assert_eq!(reply["command_status"], "FAILED");
    assert_eq!(reply["command_error"]["type"], "CommandExecutionError");
    assert_eq!(served.list(), [reply]);
}
