//! A conductor that reads results without the token (contract/control-plane 5.7).

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::settings::Warnings;
use super::{Boot, Caller};
use crate::agent::serving;
use crate::agent::status::Status;
use crate::command::TokenlessRead;
use crate::conductor::fake::{Conductor, NODE};

impl Caller {
    /// The answer to a read without the token.
    async fn read_without_token(&self) -> (u16, Value) {
        let answer = self.http.get(format!("{}/v1/commands/", self.url));
        let answer = answer.send().await.unwrap();
        let status = answer.status().as_u16();
        let body = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        (status, body)
    }

    async fn steps(&self) {
        let node = json!({"node": {"uuid": NODE}, "ports": []});
        self.issue("clean.get_clean_steps", node).await;
    }
}

#[test]
fn a_refusal_is_trouble_until_the_conductor_is_admitted() {
    let status = Status::default();
    let tell = |is_conductor, is_admitted| {
        let read = TokenlessRead {
            peer: "192.0.2.7".parse().unwrap(),
            is_conductor,
            is_admitted,
        };
        serving::tell_read(&read, true, &status);
        status.last_trouble()
    };
    assert_eq!(tell(false, false), None);
    assert_eq!(tell(false, true), None);
    let refused = tell(true, false).unwrap();
    assert!(refused.contains("and is refused"), "{refused}");
    assert_eq!(tell(false, false), Some(refused));
    assert_eq!(tell(true, true), None);
}

/// Of a step that has failed an empty list would make one that is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_agent_does_not_say_that_nothing_ran() {
    let conductor = Conductor::of_one_token().await;
    let mut boot = Boot::new(&conductor);
    boot.options.allow_reads_without_token = true;
    let agent = boot.start();
    let heartbeat = conductor.wait_for("/v1/heartbeat", 1).await.remove(0);
    let caller = Caller::of(&heartbeat);
    let (status, list) = caller.read_without_token().await;
    assert_eq!((status, list), (200, json!({"commands": []})));
    caller.steps().await;
    let (status, list) = caller.read_without_token().await;
    assert_eq!(status, 200);
    assert_eq!(list["commands"][0]["command_name"], "get_clean_steps");

    let agent = boot.start_again(agent).await;
    let heartbeat = conductor.wait_for("/v1/heartbeat", 2).await.remove(1);
    let caller = Caller::of(&heartbeat);
    assert_eq!(caller.read_without_token().await.0, 401);
    caller.steps().await;
    let (status, list) = caller.read_without_token().await;
    assert_eq!(status, 200);
    assert_eq!(list["commands"].as_array().unwrap().len(), 2);
    agent.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_conductor_is_named_in_the_log_with_what_helps() {
    let lines = Warnings::collect();
    let conductor = Conductor::friendly().await;
    let boot = Boot::new(&conductor);
    let agent = boot.start();
    let heartbeat = conductor.wait_for("/v1/heartbeat", 1).await.remove(0);
    let caller = Caller::of(&heartbeat);
    for _ in 0..5 {
        assert_eq!(caller.read_without_token().await.0, 401);
    }
    let told = "the conductor at 127.0.0.1 reads results without the token and is refused: its Ironic is older than \
                29.0.0 (26.1.2, 24.1.4, 23.0.5 in their series); update Ironic, or set the kernel parameter \
                ipa-allow-reads-without-token=1";
    let until = Instant::now() + Duration::from_secs(60);
    let count = || {
        let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().filter(|line| line.as_str() == told).count()
    };
    while count() == 0 {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(count(), 1);
    agent.abort();
}
