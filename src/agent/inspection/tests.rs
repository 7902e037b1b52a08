//! When inspection data is handed in again, and which.

use std::sync::atomic::{AtomicUsize, Ordering};

use farrier_plugin::{HardwareManager, SilentContext};

use super::*;
use crate::agent::discovery::Looking;
use crate::agent::tests::{announced, small_machine};
use crate::conductor::ServiceKind;
use crate::conductor::fake::{Answer, Conductor, NODE, friendly};
use crate::config::Live;
use crate::hardware::fake::FakeManager;

#[test]
fn the_urls_are_the_contracts() {
    let mut options = Options {
        api_url: vec![
            "http://10.0.0.1:6385/".to_owned(),
            "https://h/base".to_owned(),
        ],
        ..Options::default()
    };
    assert!(urls(&options).is_empty());
    options.inspection_collectors = Some(String::new());
    assert!(urls(&options).is_empty());
    options.inspection_collectors = Some("default".to_owned());
    let texts = |options: &Options| urls(options).iter().map(Url::to_string).collect::<Vec<_>>();
    assert_eq!(
        texts(&options),
        [
            "http://10.0.0.1:6385/v1/continue_inspection",
            "https://h/base/v1/continue_inspection"
        ]
    );
    options.inspection_callback_url = vec!["http://x:1/v1/continue_inspection".to_owned()];
    assert_eq!(texts(&options), ["http://x:1/v1/continue_inspection"]);
    options.inspection_callback_url = vec!["mdns".to_owned()];
    assert!(texts(&options).is_empty());
}

/// An inspection whose first round has failed, and the machine that it is about.
fn failed_at_first(
    conductor: &Conductor,
    root: &Path,
) -> (Inspection, Arc<FakeManager>, StateFile) {
    let options = Options {
        api_url: vec![conductor.url()],
        inspection_collectors: Some("default".to_owned()),
        ..Options::default()
    };
    let machine = Arc::new(small_machine());
    let manager: Arc<dyn HardwareManager> = Arc::clone(&machine) as _;
    let managers =
        Managers::from_managers(Live::new(options.clone()), vec![manager], &SilentContext);
    let state = StateFile::open(root);
    let inspection = Inspection {
        managers: Arc::new(managers.unwrap()),
        client: Arc::new(Client::new(&options, Resolver::default()).unwrap()),
        status: Arc::default(),
        urls: urls(&options),
        options: Arc::new(options),
        root: root.to_owned(),
        inspected: Inspected::default(),
        fruitless: 0,
        pending: Some(Pending {
            tries: 1,
            due: Instant::now(),
            data: None,
            unanswered: true,
        }),
        pause: |_| Duration::from_millis(20),
    };
    (inspection, machine, state)
}

#[tokio::test]
async fn what_was_refused_is_collected_anew_and_what_nobody_saw_is_kept() {
    let conductor = Conductor::start(|asked, before| match before {
        0 | 1 => Answer::Text(503, "starting"),
        2 => Answer::Text(404, "not known"),
        _ => friendly(asked),
    })
    .await;
    let root = tempfile::tempdir().unwrap();
    let (mut inspection, machine, mut state) = failed_at_first(&conductor, root.path());
    let mut gathered = Vec::new();
    for _ in 0..4 {
        sleep_until(Instant::now() + inspection.due_in()).await;
        inspection.again_if_due(&mut state).await;
        gathered.push(machine.gathered.load(Ordering::SeqCst));
    }
    assert_eq!(gathered, [1, 1, 1, 2]);
    assert_eq!(inspection.inspected().node_uuid.as_deref(), Some(NODE));
    assert_eq!(inspection.inspected().excuse, None);
    assert!(state.kept().inspected);
    inspection.again_if_due(&mut state).await;
    inspection.over(&mut state).await;
    assert_eq!(
        conductor.asked().len(),
        4,
        "what was delivered is not sent again"
    );
}

#[tokio::test]
async fn what_the_conductor_never_saw_is_handed_in_after_the_lookup() {
    let conductor = Conductor::friendly().await;
    for unanswered in [true, false] {
        let root = tempfile::tempdir().unwrap();
        let (mut inspection, _, mut state) = failed_at_first(&conductor, root.path());
        inspection.pending.as_mut().unwrap().unanswered = unanswered;
        inspection.over(&mut state).await;
        assert_eq!(inspection.due_in(), Duration::MAX);
        assert_eq!(state.kept().inspected, unanswered);
    }
    assert_eq!(conductor.asked().len(), 1);
}

#[tokio::test]
async fn nothing_is_handed_in_while_a_command_runs() {
    let conductor = Conductor::friendly().await;
    let root = tempfile::tempdir().unwrap();
    let (mut inspection, _, mut state) = failed_at_first(&conductor, root.path());
    let looks = AtomicUsize::new(0);
    // The third time a command comes in the middle of collecting, the fifth time none.
    let is_idle = || matches!(looks.fetch_add(1, Ordering::SeqCst), 2 | 5 | 6);
    let nowhere = |_, _, _| -> Looking { unreachable!("nothing was found with multicast DNS") };
    let discovery = Discovery::by(&Live::new(Options::default()), Vec::new(), nowhere);
    inspection
        .until_delivered(&mut state, &discovery, is_idle)
        .await;
    assert_eq!(looks.into_inner(), 7);
    assert_eq!(conductor.asked().len(), 1);
    assert!(state.kept().inspected);
}

#[tokio::test]
async fn old_data_and_data_of_another_network_is_not_fresh() {
    let mut data = Data {
        body: Vec::new(),
        failures: None,
        at: Instant::now(),
        addresses: address::all().unwrap_or_default(),
    };
    assert!(data.is_fresh());
    data.addresses.push(InterfaceAddress {
        interface: "eno1".to_owned(),
        address: "192.0.2.7".parse().unwrap(),
    });
    assert!(!data.is_fresh());
    data.addresses.pop();
    tokio::time::pause();
    tokio::time::advance(FRESH).await;
    assert!(!data.is_fresh());
}

#[tokio::test]
async fn data_that_leads_nowhere_goes_where_is_announced_next() {
    let conductor =
        Conductor::start(|_, _| Answer::Json(202, serde_json::json!({"uuid": NODE}))).await;
    let root = tempfile::tempdir().unwrap();
    let (mut inspection, _, mut state) = failed_at_first(&conductor, root.path());
    let live = Live::new(Options {
        inspection_callback_url: vec!["http://127.0.0.1:1/v1/continue".to_owned()],
        ..Options::default()
    });
    inspection.urls = urls(&live.current());
    let port = conductor.address.port();
    let look = move |_, _, _| -> Looking { Box::pin(async move { Some(announced(port)) }) };
    let discovery = Discovery::by(&live, vec![ServiceKind::Inspection], look);
    let delivered = inspection.until_delivered(&mut state, &discovery, || true);
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, delivered).await.unwrap();
    assert_eq!(conductor.asked_for("/v1/continue").len(), 1);
    assert!(state.kept().inspected);
}
