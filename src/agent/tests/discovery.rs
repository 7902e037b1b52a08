//! An announced conductor that is not there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use farrier_plugin::SilentContext;

use super::{announced, small_machine};
use crate::agent::discovery::{Discovery, Looking};
use crate::agent::inspection::Inspection;
use crate::agent::lookup::{Addresses, find_node};
use crate::agent::state::StateFile;
use crate::agent::status::Status;
use crate::conductor::fake::{Conductor, NODE};
use crate::conductor::{Client, LookupTimes, ServiceKind};
use crate::config::{Live, Options};
use crate::hardware::Managers;
use crate::net::resolver::Resolver;

#[tokio::test]
async fn an_announcement_that_leads_nowhere_is_asked_for_again() {
    let conductor = Conductor::friendly().await;
    let root = tempfile::tempdir().unwrap();
    let options = Options {
        // As it was announced first, by a conductor that has gone.
        api_url: vec!["http://127.0.0.1:1/".to_owned()],
        inspection_collectors: Some("default".to_owned()),
        http_request_timeout: 60,
        ..Options::default()
    };
    let live = Live::new(options);
    let machine = Arc::new(small_machine());
    let managers = Managers::from_managers(live.clone(), vec![machine], &SilentContext);
    let managers = Arc::new(managers.unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let port = conductor.address.port();
    let rounds = Arc::clone(&asked);
    let look = move |kind, _, _| -> Looking {
        assert_eq!(kind, ServiceKind::Api);
        // Nobody, then again the one that has gone, then the one that is there.
        let found = match rounds.fetch_add(1, Ordering::SeqCst) {
            0 => None,
            1 => Some(announced(1)),
            _ => Some(announced(port)),
        };
        Box::pin(async { found })
    };
    let discovery = Discovery::by(&live, vec![ServiceKind::Api], look);
    let resolver = Resolver::default();
    let client = Arc::new(Client::new(&live.current(), resolver.clone()).unwrap());
    let mut state = StateFile::open(root.path());
    let status = Arc::new(Status::default());
    // Tells nobody yet; what is collected goes to the conductor that is found.
    state.change(|kept| kept.inspected = true);
    let mut inspection = Inspection::begin(
        &managers,
        &live.current(),
        &client,
        &resolver,
        &mut state,
        root.path(),
        &status,
    )
    .await;
    let times = LookupTimes {
        timeout: Duration::from_secs(60),
        interval: Duration::ZERO,
    };
    let addresses = Addresses::new(root.path(), &managers, &status);
    let answer = find_node(
        times,
        &client,
        &discovery,
        addresses,
        &mut inspection,
        &mut state,
        &status,
    );
    let answer = tokio::time::timeout(Duration::from_secs(60), answer).await;
    assert_eq!(answer.unwrap().uuid, NODE);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    assert_eq!(live.current().api_url, [format!("{}/", conductor.url())]);
    assert_eq!(client.urls().len(), 1);
}
