//! The requests of `tests/fixtures/odd_requests`: what the reference answered, and what this answers.
//! `tests/odd_requests/reference.py` wrote them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::*;

/// How long the step `gate` takes: longer than an answer that does not wait for it.
const PAUSE: Duration = Duration::from_millis(500);

/// Cases that are answered side by side: most of them wait for an agent's start and end.
const SIDE_BY_SIDE: usize = 4;

/// Reasons for which something that the reference takes is refused here.
const STRICTER: [&str; 6] = ["image", "password", "bootc", "json", "deep", "accident"];

fn table() -> Value {
    // Read when the test runs, so that nothing is compiled for a recording that was made anew.
    let text = fs::read("tests/fixtures/odd_requests/cases.json").unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn each_request_is_answered_as_the_table_says() {
    let table = table();
    let cases = table["cases"].as_array().unwrap();
    assert!(cases.len() >= 250);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut wrong = Vec::new();
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let answer = answer(case);
            if answer != case["farrier"] {
                wrong.push(format!("{}\n    answered {answer}", case["name"]));
            }
        }
        wrong
    };
    let wrong: Vec<String> = thread::scope(|scope| {
        let workers: Vec<_> = (0..SIDE_BY_SIDE).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_reference_is_left_only_for_a_reason() {
    let table = table();
    let mut used = BTreeSet::new();
    let mut accepted = 0;
    for case in table["cases"].as_array().unwrap() {
        let (ours, theirs) = (&case["farrier"], &case["reference"]);
        let why = case.get("why").and_then(Value::as_str);
        assert_eq!(ours != theirs, why.is_some(), "{case}");
        used.extend(why);
        // Whatever comes, it is no fault of the server, and the list can be read afterwards.
        assert!(ours["status"].as_u64().unwrap() < 500, "{case}");
        assert!(ours["listed"].is_array(), "{case}");
        let takes = |answer: &Value| answer["status"] == 200 && answer.get("error").is_none();
        accepted += usize::from(takes(ours));
        if takes(theirs) && !takes(ours) {
            assert!(STRICTER.contains(&why.unwrap()), "{case}");
        }
        // The same answer in other words is the same answer.
        if why == Some("words") {
            for field in ["status", "ends", "error", "listed"] {
                assert_eq!(ours.get(field), theirs.get(field), "{case}");
            }
        }
    }
    assert!(accepted >= 60, "{accepted}");
    let known = table["reasons"].as_object().unwrap();
    let known: BTreeSet<&str> = known.keys().map(String::as_str).collect();
    assert_eq!(used, known);
}

/// What an agent of its own answers to this case, in the table's form.
fn answer(case: &Value) -> Value {
    let state = tempfile::tempdir().unwrap();
    let (manager, gate) = FakeManager::new();
    let (mut environment, signals) = fake::environment(vec![manager.clone()], state.path());
    environment.shutdown.request = Box::new(|_| Ok(()));
    environment.open_rescue = Box::new(|_| Ok(()));
    let served = Served::serving((environment, signals), (manager, gate), state, |_| {});
    let body = case.get("body").and_then(Value::as_str).unwrap_or_default();
    let bytes = match case.get("base64").and_then(Value::as_str) {
        Some(encoded) => BASE64_STANDARD.decode(encoded).unwrap(),
        None => body.as_bytes().to_vec(),
    };
    let opener = body.contains("\"gate\"").then(|| {
        let gate = served.gate.clone();
        thread::spawn(move || {
            thread::sleep(PAUSE);
            gate.send(Ok(Value::Null)).unwrap();
        })
    });
    let text = |name: &str| case[name].as_str().unwrap();
    let kind = case.get("content_type").and_then(Value::as_str);
    let header = match kind.unwrap_or("application/json") {
        "" => String::new(),
        kind => format!("Content-Type: {kind}\r\n"),
    };
    let mut stream = served.connect();
    let head = format!(
        "{} {} HTTP/1.1\r\nHost: agent.test:9999\r\nContent-Length: {}\r\n{header}\r\n",
        text("method"),
        text("target"),
        bytes.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&bytes).unwrap();
    let reply = receive(&stream, text("method"));
    assert_eq!(openapi::fault(text("method"), text("target"), &reply), None);
    let mut answer = said(&reply);
    let listed = served.get(&format!("/v1/commands/?agent_token={TOKEN}"));
    answer["status"] = json!(reply.status);
    answer["listed"] = match listed.status {
        200 => listed.json()["commands"]
            .as_array()
            .unwrap()
            .iter()
            .map(|command| command["command_name"].clone())
            .collect(),
        status => json!(status),
    };
    if let Some(opener) = opener {
        opener.join().unwrap();
    }
    answer
}

fn said(reply: &Reply) -> Value {
    if let Some(location) = reply.header("location") {
        return json!({ "location": location });
    }
    let body = reply.json();
    if let Some(fault) = body.get("faultstring") {
        return json!({ "fault": fault });
    }
    if body.get("command_name").is_some() {
        return command(&body);
    }
    match body["commands"].as_array() {
        Some(commands) => json!({"commands": commands.iter().map(command).collect::<Vec<_>>()}),
        None => json!({"names": body.as_object().unwrap().keys().collect::<BTreeSet<_>>()}),
    }
}

/// A command's result without what is another one each time.
fn command(result: &Value) -> Value {
    let mut answer = json!({
        "command": result["command_name"],
        "ends": result["command_status"],
    });
    let error = &result["command_error"];
    if !error.is_null() {
        answer["error"] = error["type"].clone();
        answer["details"] = error["details"].clone();
        return answer;
    }
    let mut outcome = result["command_result"].clone();
    match (result["command_name"].as_str().unwrap(), &mut outcome) {
        ("collect_system_logs", Value::Object(logs)) => {
            let archive = logs["system_logs"].as_str().unwrap();
            BASE64_STANDARD.decode(archive).unwrap();
            logs["system_logs"] = json!("in base64");
        }
        ("get_hardware_info", inventory @ Value::Object(_)) => *inventory = json!("an inventory"),
        ("get_partition_uuids", uuids @ Value::Object(_)) => *uuids = json!("UUIDs"),
        _ => {}
    }
    answer["result"] = outcome;
    answer
}
