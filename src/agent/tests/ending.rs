//! What an agent does with its command when it ends.

use std::net::TcpStream;
use std::time::Instant;

use serde_json::{Value, json};

use super::{Boot, Caller, ended};
use crate::agent::End;
use crate::agent::ending::REPORT;
use crate::agent::markers::Marker;
use crate::agent::state;
use crate::conductor::fake::{Conductor, NODE};

fn until_told() -> (&'static str, Value) {
    let step = json!({"interface": "deploy", "step": "until_told"});
    let parameters = json!({"step": step, "node": {"uuid": NODE}, "ports": []});
    ("clean.execute_clean_step", parameters)
}

/// The conductor hears that it was cut off, from an agent that it can still ask; the next agent knows it.
#[tokio::test(flavor = "multi_thread")]
async fn at_sigterm_the_command_is_told_to_stop_and_the_conductor_hears_of_it() {
    let conductor = Conductor::friendly().await;
    let boot = Boot::new(&conductor);
    let agent = boot.start();
    let heartbeat = conductor.wait_for("/v1/heartbeat", 1).await.remove(0);
    let caller = Caller::of(&heartbeat);
    let (name, parameters) = until_told();
    let running = caller.begin(name, parameters).await;
    assert_eq!(running["command_status"], "RUNNING", "{running}");

    boot.asked_to_end.notify_one();
    conductor.wait_for("/v1/heartbeat", 2).await;
    let expected = "execute_clean_step was told to stop, because the agent was asked to end (SIGTERM). \
                    What it had done by then does not count as done";
    let listed = caller.commands().await["commands"][0].clone();
    assert_eq!(listed["command_status"], "FAILED", "{listed}");
    assert!(
        listed["command_error"]["details"]
            .to_string()
            .contains(expected),
        "{listed}"
    );
    // Nothing new begins in the time that is left.
    let refused = caller.begin("standby.sync", json!({})).await;
    assert!(
        refused["faultstring"]
            .to_string()
            .contains("no command any more"),
        "{refused}"
    );
    assert_eq!(ended(agent).await.unwrap(), End::Terminated);

    let agent = boot.start();
    let heartbeat = conductor.wait_for("/v1/heartbeat", 3).await.remove(2);
    let listed = Caller::of(&heartbeat).commands().await["commands"][0].clone();
    assert_eq!(listed["command_status"], "FAILED", "{listed}");
    assert!(
        listed["command_error"]["details"]
            .to_string()
            .contains(expected),
        "{listed}"
    );
    agent.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_with_nothing_to_do_ends_at_once() {
    let conductor = Conductor::friendly().await;
    let boot = Boot::new(&conductor);
    let agent = boot.start();
    conductor.wait_for("/v1/heartbeat", 1).await;
    let asked = Instant::now();
    boot.asked_to_end.notify_one();
    assert_eq!(ended(agent).await.unwrap(), End::Terminated);
    assert!(asked.elapsed() < REPORT, "{asked:?}");
    let port = ("127.0.0.1", boot.options.listen_port);
    assert!(TcpStream::connect(port).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_down_agent_stops_serving_and_stays_so() {
    let conductor = Conductor::friendly().await;
    let boot = Boot::new(&conductor);
    let agent = boot.start();
    let heartbeat = conductor.wait_for("/v1/heartbeat", 1).await.remove(0);
    let result = Caller::of(&heartbeat)
        .issue("system.lockdown", json!({}))
        .await;
    assert_eq!(result["command_status"], "SUCCEEDED", "{result}");
    assert_eq!(ended(agent).await.unwrap(), End::LockedDown);
    let port = ("127.0.0.1", boot.options.listen_port);
    assert!(TcpStream::connect(port).is_err());
    assert_eq!(Marker::found(boot.path()), Some(Marker::LockedDown));
    let asked = conductor.asked().len();
    assert_eq!(ended(boot.start()).await.unwrap(), End::LockedDown);
    assert_eq!(conductor.asked().len(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rescue_ends_the_agent_after_its_answer_and_for_good() {
    let conductor = Conductor::friendly().await;
    let boot = Boot::new(&conductor);
    let agent = boot.start();
    let heartbeat = conductor.wait_for("/v1/heartbeat", 1).await.remove(0);
    let kept =
        ["agent.json", "commands.jsonl"].map(|name| state::directory(boot.path()).join(name));
    assert!(kept.iter().all(|path| path.exists()), "{kept:?}");
    let result = Caller::of(&heartbeat)
        .issue(
            "rescue.finalize_rescue",
            json!({"rescue_password": "open sesame"}),
        )
        .await;
    assert_eq!(result["command_status"], "SUCCEEDED", "{result}");
    assert_eq!(ended(agent).await.unwrap(), End::Rescued);
    let port = ("127.0.0.1", boot.options.listen_port);
    assert!(TcpStream::connect(port).is_err());
    // Token, key and journal: somebody else logs in.
    assert!(kept.iter().all(|path| !path.exists()), "{kept:?}");
    let asked = conductor.asked().len();
    assert_eq!(ended(boot.start()).await.unwrap(), End::Rescued);
    assert_eq!(conductor.asked().len(), asked);
}
