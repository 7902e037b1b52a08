//! What Ironic said to the reference, in `tests/fixtures/transcripts`, said to this agent: the same status comes back, and the
//! same shape.

use super::*;

const TRANSCRIPTS: [(&str, &str, usize); 2] = [
    (
        "clean-after-undeploy.jsonl",
        include_str!("../../../tests/fixtures/transcripts/clean-after-undeploy.jsonl"),
        7,
    ),
    (
        "deploy-raw.jsonl",
        include_str!("../../../tests/fixtures/transcripts/deploy-raw.jsonl"),
        7,
    ),
];

#[test]
fn recorded_requests_are_answered_as_they_were_recorded() {
    for (name, transcript, count) in TRANSCRIPTS {
        let served = Served::new();
        let (mut node, mut paused) = (Value::Null, None);
        let mut replayed = 0;
        for (line, text) in transcript.lines().enumerate() {
            let recorded: Value = serde_json::from_str(text).unwrap();
            if recorded["direction"] != "ironic->agent" {
                continue;
            }
            let mut request = recorded["request"].clone();
            match request.pointer_mut("/params/node") {
                Some(whole) if whole.is_object() => node = whole.clone(),
                // It was cut out where it came again.
                Some(again) => *again = node.clone(),
                None => {}
            }
            let place = format!("{name}:{}", line + 1);
            // A step runs for as long as it was seen to, and has ended where it had.
            if was_running(&recorded["response"]) {
                paused.get_or_insert_with(|| served.manager.pause.lock().unwrap());
            } else {
                paused = None;
                while served.list().iter().any(was_running) {
                    thread::sleep(Duration::from_millis(5));
                }
            }
            let wrong = replay(&served, &recorded, &request);
            assert!(wrong.is_empty(), "{place}: {}", wrong.join("; "));
            replayed += 1;
        }
        assert_eq!(replayed, count, "{name}");
    }
}

/// Whether this is a command that runs, or a list with one.
fn was_running(answer: &Value) -> bool {
    let commands = answer["commands"].as_array();
    answer["command_status"] == "RUNNING" || commands.is_some_and(|all| all.iter().any(was_running))
}

/// Send it, and say where the answer is another one than it was.
fn replay(served: &Served, recorded: &Value, request: &Value) -> Vec<String> {
    let (path, token) = recorded["path"]
        .as_str()
        .and_then(|path| path.split_once("agent_token="))
        .unwrap();
    assert_eq!(token.len(), TOKEN.len());
    let body = match request {
        Value::Null => String::new(),
        request => request.to_string(),
    };
    let reply = served.exchange(
        recorded["method"].as_str().unwrap(),
        &format!("{path}agent_token={TOKEN}"),
        body.as_bytes(),
    );
    let mut wrong = Vec::new();
    if recorded["status"] != reply.status {
        wrong.push(format!(
            "status {} for {}",
            reply.status, recorded["status"]
        ));
    }
    assert_eq!(reply.header("content-type"), Some("application/json"));
    compare("", &recorded["response"], &reply.json(), &mut wrong);
    wrong
}

/// The same members, of the same types; of lists, elements of which each is like one that was recorded.
fn compare(place: &str, recorded: &Value, ours: &Value, wrong: &mut Vec<String>) {
    match (recorded, ours) {
        (Value::Object(theirs), Value::Object(members)) => {
            let names = |object: &serde_json::Map<String, Value>| {
                let mut names: Vec<_> = object.keys().cloned().collect();
                names.sort();
                names
            };
            if names(theirs) != names(members) {
                wrong.push(format!(
                    "{place}: {:?} for {:?}",
                    names(members),
                    names(theirs)
                ));
                return;
            }
            for (name, value) in theirs {
                compare(&format!("{place}/{name}"), value, &members[name], wrong);
            }
        }
        (Value::Array(theirs), Value::Array(items)) if place == "/commands" => {
            if theirs.len() != items.len() {
                wrong.push(format!("{} commands for {}", items.len(), theirs.len()));
            }
            for (index, (recorded, ours)) in theirs.iter().zip(items).enumerate() {
                compare(&format!("/command {index}"), recorded, ours, wrong);
            }
        }
        (Value::Array(theirs), Value::Array(items)) => {
            let is_like = |item: &Value| {
                theirs.iter().any(|recorded| {
                    let mut other = Vec::new();
                    compare(place, recorded, item, &mut other);
                    other.is_empty()
                })
            };
            if theirs.is_empty() != items.is_empty() || !items.iter().all(is_like) {
                wrong.push(format!("{place}: {ours} for {recorded}"));
            }
        }
        // What the conductor compares must be the same, not only alike.
        _ if ["/command_name", "/command_status", "/step", "/interface"]
            .iter()
            .any(|name| place.ends_with(name)) =>
        {
            if recorded != ours {
                wrong.push(format!("{place}: {ours} for {recorded}"));
            }
        }
        _ => {
            if std::mem::discriminant(recorded) != std::mem::discriminant(ours) {
                wrong.push(format!("{place}: {ours} for {recorded}"));
            }
        }
    }
}

/// The comparison sees a difference.
#[test]
fn other_shapes_are_seen() {
    let recorded = json!({"commands": [{"command_name": "sync", "command_result": null}]});
    for (ours, expected) in [
        (recorded.clone(), 0),
        (json!({"commands": []}), 1),
        (json!({"commands": {}}), 1),
        (json!({"commands": [{"command_name": "sync"}]}), 1),
        (
            json!({"commands": [{"command_name": "lockdown", "command_result": {}}]}),
            2,
        ),
    ] {
        let mut wrong = Vec::new();
        compare("", &recorded, &ours, &mut wrong);
        assert_eq!(wrong.len(), expected, "{wrong:?}");
    }
}
