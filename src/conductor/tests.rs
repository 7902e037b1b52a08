//! The client against a conductor in this process.

use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use url::Url;

use super::fake::{Answer, Conductor, NODE, TOKEN, friendly, lookup, root};
use super::{
    ApiVersion, Beat, Client, ConductorError, InspectionOutcome, LookupTimes, TokenAnswer,
};
use crate::config::Options;
use crate::net::resolver::Resolver;

/// One that waits for an answer as long as a busy machine may need for it.
fn client(urls: &[String]) -> Client {
    client_within(60, urls)
}

fn client_within(seconds: u64, urls: &[String]) -> Client {
    let options = Options {
        api_url: urls.to_vec(),
        global_request_id: Some("req-18d2d8ff-b1ad-4467-8c35-9ab01e87acf8".to_owned()),
        http_request_timeout: seconds,
        ..Options::default()
    };
    Client::new(&options, Resolver::default()).unwrap()
}

fn beat() -> Beat {
    Beat {
        node_uuid: NODE.to_owned(),
        callback_url: "https://10.77.0.90:9999".to_owned(),
        agent_token: Some(TOKEN.to_owned()),
        agent_version: "13.0.0+farrier.0.1.0".to_owned(),
        agent_verify_ca: Some("-----BEGIN CERTIFICATE-----\n".to_owned()),
    }
}

fn addresses() -> Vec<String> {
    vec![
        "52:54:00:1a:b0:01".to_owned(),
        "52:54:00:1a:b0:02".to_owned(),
    ]
}

#[tokio::test]
async fn the_requests_are_those_of_the_recording() {
    let conductor = Conductor::friendly().await;
    let client = client(&[conductor.url()]);
    let answer = client.lookup(&addresses(), None).await.unwrap();
    assert_eq!(answer.uuid, NODE);
    client.lookup(&addresses(), Some(NODE)).await.unwrap();
    client.heartbeat(&beat()).await.unwrap();
    let asked = conductor.asked();
    let seen: Vec<_> = asked
        .iter()
        .map(|asked| {
            (
                asked.method.as_str(),
                asked.path.as_str(),
                asked.query.as_str(),
                asked.version.as_deref(),
            )
        })
        .collect();
    let addresses = "addresses=52%3A54%3A00%3A1a%3Ab0%3A01%2C52%3A54%3A00%3A1a%3Ab0%3A02";
    assert_eq!(
        seen,
        [
            ("GET", "/", "", None),
            ("GET", "/v1/lookup", addresses, Some("1.62")),
            (
                "GET",
                "/v1/lookup",
                &format!("{addresses}&node_uuid={NODE}"),
                Some("1.62")
            ),
            ("POST", &format!("/v1/heartbeat/{NODE}"), "", Some("1.68")),
        ]
    );
    assert!(asked.iter().all(
        |asked| asked.request_id.as_deref() == Some("req-18d2d8ff-b1ad-4467-8c35-9ab01e87acf8")
    ));
    assert_eq!(
        asked[3].body,
        json!({
            "callback_url": "https://10.77.0.90:9999",
            "agent_token": TOKEN,
            "agent_version": "13.0.0+farrier.0.1.0",
            "agent_verify_ca": "-----BEGIN CERTIFICATE-----\n"
        })
    );
}

#[tokio::test]
async fn an_old_conductor_gets_what_it_understands() {
    for (version, header, fields) in [
        ("1.30", "1.30", vec!["callback_url"]),
        ("1.36", "1.36", vec!["agent_version", "callback_url"]),
        (
            "1.62",
            "1.62",
            vec!["agent_token", "agent_version", "callback_url"],
        ),
    ] {
        let conductor = Conductor::start(move |asked, _| match asked.path.as_str() {
            "/" => Answer::Json(200, json!({"default_version": {"version": version}})),
            _ => friendly(asked),
        })
        .await;
        client(&[conductor.url()]).heartbeat(&beat()).await.unwrap();
        let asked = conductor.asked_for("/v1/heartbeat").remove(0);
        assert_eq!(asked.version.as_deref(), Some(header));
        let mut names: Vec<_> = asked.body.as_object().unwrap().keys().collect();
        names.sort();
        assert_eq!(names, fields);
    }
}

#[tokio::test]
async fn an_unknown_version_is_asked_again() {
    let conductor = Conductor::start(|asked, before| match asked.path.as_str() {
        "/" if before == 0 => Answer::Text(500, "oops"),
        _ => friendly(asked),
    })
    .await;
    let client = client(&[conductor.url()]);
    assert_eq!(client.version().await, ApiVersion::FALLBACK);
    assert_eq!(client.version().await, ApiVersion(115));
    assert_eq!(client.version().await, ApiVersion(115));
    assert_eq!(conductor.asked().len(), 2);
}

#[tokio::test]
async fn no_token_is_lost_to_a_version_that_cannot_be_asked_for_just_now() {
    let conductor = Conductor::start(|asked, before| match asked.path.as_str() {
        "/" if before == 0 => Answer::Drop,
        "/" if before == 1 => Answer::Text(503, "starting"),
        _ => friendly(asked),
    })
    .await;
    let client = client(&[conductor.url()]);
    for _ in 0..2 {
        client.lookup(&addresses(), None).await.unwrap_err();
    }
    assert!(conductor.asked_for("/v1").is_empty());
    client.lookup(&addresses(), None).await.unwrap();
    let asked = conductor.asked_for("/v1/lookup").remove(0);
    assert_eq!(asked.version.as_deref(), Some("1.62"));
}

#[tokio::test]
async fn a_conductor_that_tells_no_version_is_asked_by_the_oldest() {
    let conductor = Conductor::start(|asked, _| match asked.path.as_str() {
        "/" => Answer::Text(404, "nothing here"),
        _ => friendly(asked),
    })
    .await;
    let client = client(&[conductor.url()]);
    // Not before it was asked for its version again.
    for _ in 0..2 {
        let error = client.lookup(&addresses(), None).await.unwrap_err();
        assert!(error.to_string().contains("nothing here"), "{error}");
    }
    client.lookup(&addresses(), None).await.unwrap();
    let asked = conductor.asked_for("/v1/lookup");
    assert!(
        asked
            .iter()
            .all(|asked| asked.version.as_deref() == Some("1.31"))
    );
    assert_eq!(conductor.asked().len(), 6);
}

#[tokio::test]
async fn a_version_that_is_no_version_at_first_costs_no_token() {
    for root in [
        Answer::Text(404, "nothing here"),
        Answer::Text(200, "<html>Please wait</html>"),
        Answer::Json(200, json!({"default_version": {"version": "2.0"}})),
        Answer::Json(
            200,
            json!({"default_version": {"version": "1.99999999999"}}),
        ),
    ] {
        let first = Mutex::new(Some(root));
        let conductor = Conductor::start(move |asked, _| {
            let first = (asked.path == "/").then(|| first.lock().unwrap().take());
            first.flatten().unwrap_or_else(|| friendly(asked))
        })
        .await;
        let client = client(&[conductor.url()]);
        client.lookup(&addresses(), None).await.unwrap_err();
        let answer = client.lookup(&addresses(), None).await.unwrap();
        assert_eq!(answer.config.token(), TokenAnswer::New(TOKEN.to_owned()));
        let asked = conductor.asked_for("/v1/lookup");
        assert_eq!(asked[1].version.as_deref(), Some("1.62"));
        assert!(client.version().await >= ApiVersion::AGENT_VERIFY_CA);
    }
}

#[tokio::test]
async fn a_lookups_answer_tells_the_version_that_the_root_does_not() {
    for status in [200, 404] {
        let conductor = Conductor::start(move |asked, before| match asked.path.as_str() {
            "/" => Answer::Text(403, "not for agents"),
            "/v1/lookup" if before == 0 => {
                let headers = vec![("X-OpenStack-Ironic-API-Maximum-Version", "1.115".to_owned())];
                let body = lookup("").to_string().into_bytes();
                Answer::Raw(status, headers, body)
            }
            _ => friendly(asked),
        })
        .await;
        let client = client(&[conductor.url()]);
        let answer = client.lookup(&addresses(), None).await.unwrap();
        assert_eq!(answer.config.token(), TokenAnswer::New(TOKEN.to_owned()));
        assert_eq!(client.version().await, ApiVersion(115));
        let asked = conductor.asked_for("/v1/lookup");
        let versions: Vec<_> = asked.iter().map(|asked| asked.version.as_deref()).collect();
        assert_eq!(versions, [Some("1.31"), Some("1.62")]);
    }
}

#[tokio::test]
async fn a_configured_version_is_not_asked_for() {
    let conductor = Conductor::friendly().await;
    let options = Options {
        api_url: vec![conductor.url()],
        ironic_api_version: Some("1.65".to_owned()),
        ..Options::default()
    };
    let client = Client::new(&options, Resolver::default()).unwrap();
    client.heartbeat(&beat()).await.unwrap();
    assert_eq!(conductor.asked().len(), 1);
    assert_eq!(conductor.asked()[0].version.as_deref(), Some("1.65"));
}

#[tokio::test]
async fn the_conductor_that_answers_comes_first() {
    let silent = Conductor::start(|_, _| Answer::Silence).await;
    let dropping = Conductor::start(|_, _| Answer::Drop).await;
    let good = Conductor::friendly().await;
    let urls = [
        "http://127.0.0.1:1".to_owned(),
        silent.url(),
        dropping.url(),
        good.url(),
    ];
    let client = client_within(3, &urls);
    client.heartbeat(&beat()).await.unwrap();
    let asked_before = silent.asked().len();
    assert_eq!(client.urls()[0].as_str(), format!("{}/", good.url()));
    client.heartbeat(&beat()).await.unwrap();
    assert_eq!(silent.asked().len(), asked_before);
}

#[tokio::test]
async fn an_error_status_does_not_move_on_to_the_next_conductor() {
    let refusing = Conductor::start(|asked, _| match asked.path.as_str() {
        "/" => Answer::Json(200, root()),
        _ => Answer::Json(
            409,
            json!({"error_message": {"faultstring": "Node is locked by host x"}}),
        ),
    })
    .await;
    let other = Conductor::friendly().await;
    let client = client(&[refusing.url(), other.url()]);
    let error = client.heartbeat(&beat()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "The conductor has the node locked: Error 409: Node is locked by host x"
    );
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn errors_name_the_url_without_its_query() {
    let conductor = Conductor::start(|_, _| Answer::Text(200, "no JSON")).await;
    let answered = client(&[conductor.url()])
        .lookup(&addresses(), None)
        .await
        .unwrap_err();
    assert!(
        matches!(answered, ConductorError::Answer { .. }),
        "{answered}"
    );
    let absent = client(&["http://127.0.0.1:1".to_owned()])
        .lookup(&addresses(), None)
        .await
        .unwrap_err();
    // Nothing more is asked of a conductor that tells no version.
    for (error, url) in [(answered, "/v1/lookup"), (absent, "http://127.0.0.1:1/")] {
        let text = farrier_plugin::chain(&error);
        assert!(!text.contains("addresses="), "{text}");
        assert!(text.contains(url), "{text}");
    }
}

#[tokio::test]
async fn a_lookup_outlasts_every_fault() {
    let conductor = Conductor::start(|asked, before| match asked.path.as_str() {
        "/" => Answer::Json(200, root()),
        _ => match before {
            0 => Answer::Drop,
            1 => Answer::Text(500, "Internal Server Error"),
            2 => Answer::Json(404, json!({"error_message": {"faultstring": "not found"}})),
            3 => Answer::Text(200, "{"),
            4 => Answer::Json(200, json!({"node": {}})),
            _ => Answer::Json(200, lookup("******")),
        },
    })
    .await;
    let client = client(&[conductor.url()]);
    let told = Mutex::new(0);
    let lookup = LookupTimes {
        timeout: Duration::from_secs(600),
        interval: Duration::ZERO,
    };
    let addresses = addresses();
    // No pauses to speak of: only the order of answers matters here.
    let answer = lookup
        .run_with(
            || client.lookup(&addresses, None),
            |_| *told.lock().unwrap() += 1,
            |_| Duration::from_millis(1),
        )
        .await
        .unwrap();
    assert_eq!(answer.config.token(), TokenAnswer::GivenBefore);
    assert_eq!(*told.lock().unwrap(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_never_succeeds_ends_after_its_time() {
    let lookup = LookupTimes {
        timeout: Duration::from_secs(600),
        interval: Duration::from_secs(1),
    };
    let tries = Mutex::new(Vec::new());
    let started = Instant::now();
    let error = lookup
        .run_with(
            || {
                tries.lock().unwrap().push(started.elapsed().as_secs_f64());
                async { Err(ConductorError::NoUrl) }
            },
            |_| {},
            |tries| super::retry::lookup_pause(tries, lookup.interval),
        )
        .await
        .unwrap_err();
    assert!(matches!(error, ConductorError::NoUrl));
    let tries = tries.into_inner().unwrap();
    assert!((600.0..661.0).contains(tries.last().unwrap()), "{tries:?}");
    assert!(tries.len() >= 10, "{tries:?}");
    for pair in tries.windows(2) {
        assert!((1.0..60.1).contains(&(pair[1] - pair[0])), "{tries:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_locked_node_is_asked_for_after_5_10_and_30_seconds() {
    let lookup = LookupTimes {
        timeout: Duration::from_secs(100),
        interval: Duration::ZERO,
    };
    let tries = Mutex::new(Vec::new());
    let started = Instant::now();
    let conflict = || ConductorError::Conflict {
        text: "locked".to_owned(),
    };
    lookup
        .run_with(
            || {
                tries.lock().unwrap().push(started.elapsed().as_secs());
                async move { Err(conflict()) }
            },
            |_| {},
            |_| Duration::ZERO,
        )
        .await
        .unwrap_err();
    assert_eq!(tries.into_inner().unwrap(), [0, 5, 15, 45, 75, 105]);
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_has_something_to_do_first_is_not_kept_from_it() {
    let lookup = LookupTimes {
        timeout: Duration::from_secs(600),
        interval: Duration::from_secs(2),
    };
    let tries = Mutex::new(Vec::new());
    let started = Instant::now();
    lookup
        .run(
            || {
                tries.lock().unwrap().push(started.elapsed().as_secs_f64());
                async { Err(ConductorError::NoUrl) }
            },
            |_| {},
            || Duration::from_secs(7),
        )
        .await
        .unwrap_err();
    let tries = tries.into_inner().unwrap();
    assert!(tries.len() > 600 / 8, "{tries:?}");
    for pair in tries.windows(2) {
        assert!((2.0..7.1).contains(&(pair[1] - pair[0])), "{tries:?}");
    }
}

#[tokio::test]
async fn inspection_data_are_posted_without_a_version() {
    let conductor = Conductor::friendly().await;
    let client = client(&[]);
    let url = Url::parse(&format!("{}/v1/continue_inspection", conductor.url())).unwrap();
    let unreachable = Url::parse("http://127.0.0.1:1/v1/continue_inspection").unwrap();
    let outcome = client
        .post_inspection(&[unreachable, url], br#"{"error": null}"#)
        .await
        .unwrap();
    assert_eq!(
        outcome,
        InspectionOutcome {
            node_uuid: Some(NODE.to_owned())
        }
    );
    let asked = conductor.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].version, None);
    assert_eq!(asked[0].body, json!({"error": null}));
}

#[tokio::test]
async fn refused_inspection_data_are_not_posted_again() {
    let conductor = Conductor::start(|_, _| {
        Answer::Json(404, json!({"error_message": {"faultstring": "no node"}}))
    })
    .await;
    let url = Url::parse(&format!("{}/v1/continue_inspection", conductor.url())).unwrap();
    let error = client(&[])
        .post_inspection(&[url], b"{}")
        .await
        .unwrap_err();
    assert!(error.to_string().ends_with("Error 404: no node"), "{error}");
    assert_eq!(conductor.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn inspection_data_are_posted_five_times_where_nobody_answers() {
    let nobody = Url::parse("http://127.0.0.1:1/v1/continue_inspection").unwrap();
    let started = Instant::now();
    let error = client(&[]).post_inspection(&[nobody], b"{}").await;
    assert!(matches!(error, Err(ConductorError::Unreachable { .. })));
    // The pauses between five tries; one more or less would be 12 s more or less.
    let took = started.elapsed().as_secs_f64();
    assert!((27.9..30.0).contains(&took), "{took}");
}

#[tokio::test]
async fn a_locked_node_gets_its_inspection_data_later() {
    let conductor = Conductor::start(|asked, before| match before {
        0 => Answer::Text(409, "locked"),
        _ => friendly(asked),
    })
    .await;
    let url = Url::parse(&format!("{}/v1/continue_inspection", conductor.url())).unwrap();
    client(&[]).post_inspection(&[url], b"{}").await.unwrap();
    let asked = conductor.asked();
    assert_eq!(asked.len(), 2);
    let pause = asked[1].at - asked[0].at;
    assert!((4.9..40.0).contains(&pause.as_secs_f64()), "{pause:?}");
}

/// A conductor that sends every request of this path elsewhere.
async fn redirecting(path: &'static str, status: u16, to: String) -> Conductor {
    Conductor::start(move |asked, _| match asked.path.as_str() {
        asked_path if asked_path.starts_with(path) => Answer::Redirect(status, to.clone()),
        _ => friendly(asked),
    })
    .await
}

#[tokio::test]
async fn a_heartbeat_that_is_redirected_elsewhere_is_none() {
    let portal = Conductor::start(|_, _| Answer::Text(202, "")).await;
    let login = format!("{}/login?session=secret", portal.url());
    for status in [301, 302, 303, 307, 308] {
        let conductor = redirecting("/v1/heartbeat", status, login.clone()).await;
        let error = client(&[conductor.url()])
            .heartbeat(&beat())
            .await
            .unwrap_err();
        let text = farrier_plugin::chain(&error);
        assert!(text.contains(&format!("the answer is {status}")), "{text}");
        assert!(text.contains(&format!("{}/login,", portal.url())), "{text}");
        assert!(!text.contains("secret") && !text.contains(TOKEN), "{text}");
    }
    assert!(portal.asked().is_empty());
}

#[tokio::test]
async fn a_post_that_would_become_a_get_is_none() {
    // Whatever answers the GET, it took no heartbeat.
    let conductor = Conductor::start(|asked, _| match asked.method.as_str() {
        "POST" => Answer::Redirect(302, "/accepted".to_owned()),
        _ if asked.path == "/accepted" => Answer::Text(202, ""),
        _ => friendly(asked),
    })
    .await;
    let client = client(&[conductor.url()]);
    let error = client.heartbeat(&beat()).await.unwrap_err();
    assert!(
        matches!(error, ConductorError::Redirected { .. }),
        "{error}"
    );
    let url = Url::parse(&format!("{}/v1/continue_inspection", conductor.url())).unwrap();
    let error = client.post_once(&[url], b"{}").await.unwrap_err();
    assert!(
        matches!(error, ConductorError::Redirected { .. }),
        "{error}"
    );
    assert!(error.is_transient());
    assert!(conductor.asked_for("/accepted").is_empty());
}

#[tokio::test]
async fn a_conductor_behind_another_path_gets_the_whole_request() {
    for status in [307, 308] {
        let conductor = Conductor::start(move |asked, _| match asked.path.strip_prefix("/new") {
            Some(rest) => {
                let mut asked = asked.clone();
                asked.path = rest.to_owned();
                friendly(&asked)
            }
            None => Answer::Redirect(status, format!("/new{}?{}", asked.path, asked.query)),
        })
        .await;
        let client = client(&[conductor.url()]);
        client.lookup(&addresses(), None).await.unwrap();
        client.heartbeat(&beat()).await.unwrap();
        let beat = conductor.asked_for("/new/v1/heartbeat").remove(0);
        assert_eq!(
            (beat.method.as_str(), beat.version.as_deref()),
            ("POST", Some("1.68"))
        );
        assert_eq!(beat.body["agent_token"], TOKEN);
    }
}

#[tokio::test]
async fn a_lookup_stays_with_its_conductor() {
    let other = Conductor::friendly().await;
    let conductor = redirecting("/v1/lookup", 302, format!("{}/v1/lookup", other.url())).await;
    let error = client(&[conductor.url()])
        .lookup(&addresses(), None)
        .await
        .unwrap_err();
    assert!(
        matches!(error, ConductorError::Redirected { .. }),
        "{error}"
    );
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn a_page_is_no_answer_to_inspection_data() {
    let portal = Conductor::start(|_, _| Answer::Text(200, "<html>Please log in</html>")).await;
    let url = Url::parse(&format!("{}/v1/continue_inspection", portal.url())).unwrap();
    let error = client(&[]).post_once(&[url], b"{}").await.unwrap_err();
    assert!(matches!(error, ConductorError::Answer { .. }), "{error}");
    assert!(error.is_transient());
}

#[test]
fn urls_that_cannot_be_used_are_named() {
    for url in ["mdns", "ftp://h", "nonsense"] {
        let options = Options {
            api_url: vec![url.to_owned()],
            ..Options::default()
        };
        let error = Client::new(&options, Resolver::default()).unwrap_err();
        assert!(error.to_string().contains(url), "{error}");
    }
}
