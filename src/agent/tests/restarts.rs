//! What an agent leaves to the next one of the same boot.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use super::{Boot, Caller, ended};
use crate::agent::{AgentError, state};
use crate::conductor::fake::{Answer, Conductor, NODE, TOKEN, friendly, lookup};

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_agent_is_the_same_agent() {
    let conductor = Conductor::start(|asked, before| match asked.path.as_str() {
        "/v1/lookup" if before > 0 => Answer::Json(200, lookup("******")),
        _ => friendly(asked),
    })
    .await;
    let boot = Boot::new(&conductor);
    let agent = boot.start();
    let first = conductor.wait_for("/v1/heartbeat", 1).await.remove(0);
    let agent = boot.start_again(agent).await;
    let second = conductor.wait_for("/v1/heartbeat", 2).await.remove(1);
    assert_eq!(first.body, second.body);
    Caller::of(&second).commands().await;
    agent.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_agent_inspects_nothing_again_and_knows_what_came_of_it() {
    let conductor = Conductor::start(|asked, before| match asked.path.as_str() {
        "/v1/lookup" if before > 0 => Answer::Json(200, lookup("******")),
        _ => friendly(asked),
    })
    .await;
    let mut boot = Boot::new(&conductor);
    boot.options.inspection_collectors = Some("default".to_owned());
    let agent = boot.start();
    conductor.wait_for("/v1/heartbeat", 1).await;
    let agent = boot.start_again(agent).await;
    conductor.wait_for("/v1/heartbeat", 2).await;
    assert_eq!(conductor.asked_for("/v1/continue_inspection").len(), 1);
    let lookups = conductor.asked_for("/v1/lookup");
    assert!(lookups[1].query.ends_with(&format!("&node_uuid={NODE}")));
    assert_eq!(lookups[0].query, lookups[1].query);
    agent.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_kept_for_its_node_alone() {
    let conductor = Conductor::start(|asked, before| match asked.path.as_str() {
        "/v1/lookup" if before > 0 => {
            let mut other = lookup("******");
            other["node"]["uuid"] = json!("7f2c1c5e-3f0b-4a52-9a4e-6f6f0c0f1a11");
            Answer::Json(200, other)
        }
        _ => friendly(asked),
    })
    .await;
    let boot = Boot::new(&conductor);
    let agent = boot.start();
    conductor.wait_for("/v1/heartbeat", 1).await;
    let result = ended(boot.start_again(agent).await).await;
    assert!(matches!(result, Err(AgentError::NoToken)), "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_token_an_agent_serves_nothing() {
    let conductor = Conductor::start(|asked, _| match asked.path.as_str() {
        "/v1/lookup" => Answer::Json(200, lookup("******")),
        _ => friendly(asked),
    })
    .await;
    let boot = Boot::new(&conductor);
    let result = ended(boot.start()).await;
    assert!(matches!(result, Err(AgentError::NoToken)), "{result:?}");
    assert!(conductor.asked_for("/v1/heartbeat").is_empty());
    let port = ("127.0.0.1", boot.options.listen_port);
    assert!(std::net::TcpStream::connect(port).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_holds_no_more_than_it_must() {
    let conductor = Conductor::friendly().await;
    let boot = Boot::new(&conductor);
    let agent = boot.start();
    conductor.wait_for("/v1/heartbeat", 1).await;
    let path = state::directory(boot.path()).join("agent.json");
    let kept: BTreeMap<String, Value> = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!(kept["token"], TOKEN);
    assert_eq!(kept["node"]["uuid"], NODE);
    agent.abort();
}
