//! What an agent leaves to the next one of the same boot.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use farrier_plugin::SilentContext;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::{Boot, Caller, ended, small_machine};
use crate::agent::life::relookup;
use crate::agent::{AgentError, state};
use crate::conductor::Client;
use crate::conductor::fake::{Answer, Conductor, NODE, TOKEN, friendly, lookup};
use crate::config::Live;
use crate::hardware::Managers;
use crate::net::resolver::Resolver;
use crate::sys::log::SHOWN;

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_agent_is_the_same_agent() {
    let conductor = Conductor::of_one_token().await;
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
    let conductor = Conductor::of_one_token().await;
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

/// Whether the other node's answer brings a token or not: this machine was booted as another.
#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_agent_stays_the_node_that_it_was() {
    const OTHER: &str = "7f2c1c5e-3f0b-4a52-9a4e-6f6f0c0f1a11";
    for token in ["******", "another-token-of-at-least-32-characters"] {
        let conductor = Conductor::start(move |asked, before| match asked.path.as_str() {
            "/v1/lookup" if matches!(before, 1 | 2) => {
                let mut other = lookup(token);
                other["node"]["uuid"] = json!(OTHER);
                Answer::Json(200, other)
            }
            "/v1/lookup" if before > 2 => Answer::Json(200, lookup("******")),
            _ => friendly(asked),
        })
        .await;
        let boot = Boot::new(&conductor);
        let agent = boot.start();
        let first = conductor.wait_for("/v1/heartbeat", 1).await.remove(0);
        let agent = boot.start_again(agent).await;
        // The answers about the other node are told and not taken.
        let second = conductor.wait_for("/v1/heartbeat", 2).await.remove(1);
        assert_eq!((first.path, first.body), (second.path, second.body));
        assert_eq!(conductor.asked_for("/v1/lookup").len(), 4);
        let shown = SHOWN.lock().unwrap();
        let told = |text: &String| text.contains(&conductor.url()) && text.contains(OTHER);
        assert!(shown.iter().any(told));
        agent.abort();
    }
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

/// The hints of another node would choose this machine's disk.
#[tokio::test(flavor = "multi_thread")]
async fn a_later_lookup_with_another_node_brings_nothing() {
    let conductor = Conductor::start(|asked, before| match asked.path.as_str() {
        "/v1/lookup" => {
            let mut answer = lookup("******");
            answer["node"]["properties"] = json!({"root_device": {"name": "/dev/sdz"}});
            match before {
                0 => answer["node"]["uuid"] = json!("7f2c1c5e-3f0b-4a52-9a4e-6f6f0c0f1a11"),
                // The same node, written in another way.
                _ => answer["node"]["uuid"] = json!(NODE.to_uppercase()),
            }
            Answer::Json(200, answer)
        }
        _ => friendly(asked),
    })
    .await;
    let boot = Boot::new(&conductor);
    let live = Live::new(boot.options.clone());
    live.change(|options| options.lookup_interval = 1);
    let machine = Arc::new(small_machine());
    let managers = Managers::from_managers(live.clone(), vec![machine], &SilentContext);
    let managers = Arc::new(managers.unwrap());
    let client = Client::new(&live.current(), Resolver::default()).unwrap();
    let root = boot.path().to_owned();
    let relookup = relookup(live, root, &managers, &Arc::new(client));
    let answers = spawn_blocking(move || {
        managers.set_node(serde_json::from_value(json!({"uuid": NODE})).unwrap());
        [relookup(), relookup()]
    });
    let [other, same] = answers.await.unwrap();
    assert_eq!(other, None);
    assert!(same.unwrap().0.contains_key("properties"));
    assert_eq!(conductor.asked_for("/v1/lookup").len(), 2);
}
