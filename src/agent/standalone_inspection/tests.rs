use farrier_plugin::SilentContext;
use serde_json::json;
use tokio::time::timeout;

use super::*;
use crate::agent::discovery::Looking;
use crate::agent::tests::{announced, small_machine};
use crate::conductor::fake::{Answer, Conductor, NODE, friendly};

struct Machine {
    root: tempfile::TempDir,
    options: Options,
}

impl Machine {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
            options: Options {
                inspection_collectors: Some("default,usb-devices".to_owned()),
                ..Options::default()
            },
        }
    }

    fn inspection(&self) -> StandaloneInspection {
        let live = Live::new(self.options.clone());
        let machine = Arc::new(small_machine());
        let managers = Managers::from_managers(live.clone(), vec![machine], &SilentContext);
        StandaloneInspection::new(managers.unwrap(), live, self.root.path())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_is_handed_in_and_nothing_else_is_asked() {
    let conductor = Conductor::friendly().await;
    let mut machine = Machine::new();
    let url = format!("{}/v1/continue_inspection", conductor.url());
    machine.options.inspection_callback_url = vec![url];
    // Where nothing is asked of the API, it may be anywhere.
    machine.options.api_url = vec!["mdns".to_owned()];
    let inspection = machine.inspection();
    inspection.once().await.unwrap();
    let asked = conductor.asked();
    assert_eq!(asked.len(), 1, "{asked:#?}");
    assert_eq!(asked[0].path, "/v1/continue_inspection");
    let body = &asked[0].body;
    assert!(body["error"].is_null());
    assert!(body["inventory"]["interfaces"][0]["mac_address"].is_string());
    assert!(body["usb_devices"].is_array());
    let shown = inspection.collect().await.unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&shown.body).unwrap();
    assert_eq!(&shown, body, "what --print shows");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_collected_is_an_error_after_the_rest_was_handed_in() {
    let conductor = Conductor::friendly().await;
    let mut machine = Machine::new();
    machine.options.api_url = vec![conductor.url()];
    machine.options.inspection_collectors = Some("no-such".to_owned());
    let error = machine.inspection().once().await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("Failed to load collector [\"no-such\"]"),
        "{error}"
    );
    let data = conductor.asked_for("/v1/continue_inspection").remove(0);
    assert!(
        error
            .to_string()
            .ends_with(data.body["error"].as_str().unwrap())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_place_to_go_nothing_is_collected() {
    let mut machine = Machine::new();
    machine.options.inspection_collectors = None;
    machine.options.api_url = vec!["http://127.0.0.1:1/".to_owned()];
    let error = machine.inspection().once().await.unwrap_err();
    assert!(matches!(error, InspectionError::NoUrl), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inspection_service_is_found_by_multicast_dns_each_time_anew() {
    let conductor = Conductor::start(|_, _| Answer::Json(200, json!({"uuid": NODE}))).await;
    let port = conductor.address.port();
    let mut machine = Machine::new();
    machine.options.use_mdns = true;
    // The callback URL is what mDNS is for here.
    machine.options.api_url = vec!["http://127.0.0.1:1/".to_owned()];
    let inspection = machine.inspection();
    let found = |at: Option<u16>| {
        move |kind, _, _| -> Looking {
            assert_eq!(kind, ServiceKind::Inspection);
            Box::pin(async move { at.map(announced) })
        }
    };
    inspection.once_by(found(Some(port))).await.unwrap();
    assert_eq!(conductor.asked_for("/v1/continue").len(), 1);
    let error = inspection.once_by(found(None)).await.unwrap_err();
    assert!(
        matches!(
            error,
            InspectionError::NotAnnounced(ServiceKind::Inspection)
        ),
        "{error}"
    );
    inspection.once_by(found(Some(port))).await.unwrap();
    assert_eq!(conductor.asked().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_on_outlives_a_failure() {
    let conductor = Conductor::start(|asked, before| match before {
        0 => Answer::Text(400, "not now"),
        _ => friendly(asked),
    })
    .await;
    let mut machine = Machine::new();
    machine.options.inspection_callback_url =
        vec![format!("{}/v1/continue_inspection", conductor.url())];
    let inspection = machine.inspection();
    let always = timeout(
        Duration::from_secs(60),
        inspection.each(Duration::from_millis(20)),
    );
    tokio::select! {
        ended = always => panic!("{ended:?}"),
        asked = conductor.wait_for("/v1/continue_inspection", 4) => assert!(asked.len() >= 4),
    }
}

#[test]
fn failures_stretch_the_interval_to_four_times_and_a_success_ends_that() {
    let period = Duration::from_secs(300);
    let mut interval = period;
    for (is_failed, seconds) in [
        (false, 300),
        (true, 810),
        (true, 1200),
        (true, 1200),
        (false, 300),
        (false, 300),
    ] {
        interval = next_interval(interval, period, is_failed);
        assert_eq!(interval.as_secs(), seconds);
    }
}
