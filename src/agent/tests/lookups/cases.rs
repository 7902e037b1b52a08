//! What conductors say, and what is to come of it.

use serde_json::json;

use super::{Case, changed, looked_up, raw, setting, text};
use crate::conductor::fake::{Answer, Asked, NODE, TOKEN, friendly, lookup, root};

/// All cases.
pub(super) fn all() -> Vec<Case> {
    let groups = [
        timeouts(),
        configs(),
        ciphers(),
        tokens(),
        nodes(),
        bodies(),
        statuses(),
        headers(),
        roots(),
        heartbeats(),
    ];
    groups.into_iter().flatten().collect()
}

fn timeouts() -> Vec<Case> {
    let told = "for heartbeat_timeout";
    let mut cases: Vec<Case> = [
        json!(0),
        json!(-1),
        json!(1e-9),
        json!(5e-324),
        json!(1e300),
        json!(-1e300),
        json!(u64::MAX),
        json!(i64::MIN),
        json!("300"),
        json!(""),
        json!(true),
        json!(null),
        json!([300]),
        json!({"seconds": 300}),
    ]
    .into_iter()
    .map(|value| setting("heartbeat_timeout", value).says(told))
    .collect();
    let digits = "9".repeat(400);
    for number in ["NaN", "Infinity", "1e400", "0x10", "01", &digits] {
        let title = format!("heartbeat_timeout: {}", &number[..number.len().min(9)]);
        let body = text("heartbeat_timeout", number);
        cases.push(raw(title, 200, Vec::new(), body).only_says("that is no JSON"));
    }
    for number in [
        "300.000000000000000000000000000000000001",
        "3e2",
        "-0.0e0",
        "1E+2",
    ] {
        let title = format!("heartbeat_timeout: {number}");
        cases.push(raw(
            title,
            200,
            Vec::new(),
            text("heartbeat_timeout", number),
        ));
    }
    cases
}

fn configs() -> Vec<Case> {
    let mut cases = Vec::new();
    for (title, value) in [
        ("null", json!(null)),
        ("list", json!([1, 2])),
        ("text", json!("yes")),
        ("empty", json!({})),
    ] {
        let answer = changed(|answer| answer["config"] = value);
        let case = looked_up(format!("config: {title}"), answer);
        cases.push(case.closed().says("gave no token"));
    }
    let old = changed(|answer| {
        answer.as_object_mut().unwrap().remove("config");
        answer["heartbeat_timeout"] = json!(1e300);
    });
    cases.push(
        looked_up("the old form", old)
            .closed()
            .says("for heartbeat_timeout"),
    );
    // Every other setting at once, of each kind.
    for (title, value) in [
        ("null", json!(null)),
        ("true", json!(true)),
        ("a number", json!(-1e300)),
        ("a long text", json!("x".repeat(100_000))),
        ("control characters", json!("\u{0}\n\u{1b}[2J")),
        ("a list", json!([1, null, "x", []])),
        (
            "an object",
            json!({"backend": 5, "runner": [], "allowed_containers": {"a": 1}}),
        ),
    ] {
        let answer = changed(|answer| {
            let config = answer["config"].as_object_mut().unwrap();
            for (name, setting) in config.iter_mut() {
                if !["agent_token", "heartbeat_timeout"].contains(&name.as_str()) {
                    *setting = value.clone();
                }
            }
            config.insert("a\nnew one".to_owned(), value.clone());
        });
        cases.push(looked_up(format!("settings: {title}"), answer));
    }
    for version in [json!("1.0"), json!("TLSv1.2"), json!(1.3), json!("")] {
        cases.push(setting("tls_min_version", version));
    }
    cases
}

fn ciphers() -> Vec<Case> {
    let with = |least: &str, list: &str| {
        let answer = changed(|answer| {
            answer["config"]["tls_min_version"] = json!(least);
            answer["config"]["tls_cipher_suites"] = json!(list);
        });
        let shown: String = list.chars().take(40).collect();
        looked_up(format!("{least}, {shown:?}"), answer)
    };
    let mut cases: Vec<Case> = [
        "",
        "ECDHE+AESGCM:!aNULL",
        "HIGH:!aNULL:!MD5",
        "DEFAULT:@SECLEVEL=2",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "FOO:AES128",
        "aRSA",
    ]
    .map(|list| with("1.2", list))
    .into();
    let long = "AES128+".repeat(100_000);
    for list in [
        "AES128-SHA",
        "RC4-MD5",
        "HIGH:*",
        "ALL:@FOO",
        "ALL:!ALL",
        "\u{0}",
        "Ä",
        &long,
    ] {
        cases.push(with("1.2", list).says("TLS 1.2 is off"));
    }
    cases.push(with("1.3", "RC4-MD5"));
    cases
}

fn tokens() -> Vec<Case> {
    let mut cases = Vec::new();
    let long = "x".repeat(1 << 20);
    for token in [
        json!(""),
        json!(null),
        json!(5),
        json!([TOKEN]),
        json!("short"),
        json!(long),
    ] {
        cases.push(setting("agent_token", token).closed().says("gave no token"));
    }
    let masked = setting("agent_token", json!("******"));
    cases.push(Case {
        idles: true,
        ..masked.only_says("has given out this node's token before")
    });
    for token in ["x".repeat(32), "ä".repeat(40), "a\r\nb\0 ".repeat(10)] {
        cases.push(setting("agent_token", json!(token)).closed());
    }
    cases
}

fn nodes() -> Vec<Case> {
    let mut cases = Vec::new();
    for (title, node) in [
        ("null", json!(null)),
        ("list", json!([])),
        ("text", json!(NODE)),
    ] {
        let answer = changed(|answer| answer["node"] = node);
        cases.push(looked_up(format!("node: {title}"), answer).only_says("no node"));
    }
    let upper = NODE.to_uppercase();
    for uuid in [json!(upper), json!(NODE.replace('-', ""))] {
        let answer = changed(|answer| answer["node"]["uuid"] = uuid.clone());
        cases.push(looked_up(format!("uuid: {uuid}"), answer));
    }
    for uuid in [
        json!(null),
        json!(5),
        json!(""),
        json!("../../x"),
        json!("x".repeat(100_000)),
    ] {
        let answer = changed(|answer| answer["node"]["uuid"] = uuid.clone());
        let title: String = format!("uuid: {uuid}").chars().take(40).collect();
        cases.push(looked_up(title, answer).only_says("a node without a UUID"));
    }
    for (name, value) in [
        ("properties", json!("x")),
        ("properties", json!({"root_device": 5, "capabilities": [1]})),
        (
            "properties",
            json!({"root_device": {"size": "<in> ", "name": {"a": 1}}}),
        ),
        (
            "properties",
            json!({"root_device": {"serial": "s== ".repeat(10_000)}}),
        ),
        ("instance_info", json!([])),
        ("driver_internal_info", json!("x")),
        (
            "driver_internal_info",
            json!({"clean_steps": 5, "clean_step_index": -1}),
        ),
        (
            "driver_internal_info",
            json!({"clean_steps": [], "clean_step_index": u64::MAX}),
        ),
        ("extra", json!("x".repeat(1 << 20))),
    ] {
        let title: String = format!("{name}: {value}").chars().take(60).collect();
        let answer = changed(|answer| answer["node"][name] = value);
        cases.push(looked_up(title, answer));
    }
    cases
}

fn bodies() -> Vec<Case> {
    let good = lookup(TOKEN).to_string();
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let twice = good.replacen('{', r#"{"node": {"uuid": 5}, "config": null, "#, 1);
    let deep = good.replacen(
        '{',
        &format!("{{\"x\": {}1{},", "[".repeat(100), "]".repeat(100)),
        1,
    );
    let mut cases = vec![
        raw("duplicate keys", 200, Vec::new(), twice.into_bytes()),
        raw("100 levels", 200, Vec::new(), deep.into_bytes()),
    ];
    let not_json = "that is no JSON";
    for (title, body, says) in [
        ("nothing", Vec::new(), not_json),
        ("half", good.as_bytes()[..good.len() / 2].to_vec(), not_json),
        ("a page", b"<html>Log in</html>".to_vec(), not_json),
        ("100,000 levels", vec![b'['; 100_000], not_json),
        ("Latin-1", b"{\"node\": \"\xe4\"}".to_vec(), not_json),
        ("UTF-16", utf16, not_json),
        ("5 MB", vec![b' '; 5 << 20], "more than"),
        ("null", b"null".to_vec(), "no JSON object"),
        ("a list", b"[]".to_vec(), "no JSON object"),
        ("a number", b"5".to_vec(), "no JSON object"),
        ("empty", b"{}".to_vec(), "no node"),
    ] {
        cases.push(raw(format!("body: {title}"), 200, Vec::new(), body).only_says(says));
    }
    let encoded = vec![("Content-Encoding", "gzip".to_owned())];
    cases.push(raw("gzip that is none", 200, encoded, good.into_bytes()));
    cases
}

fn statuses() -> Vec<Case> {
    let mut cases = Vec::new();
    for (status, says) in [
        (201, "Error 201"),
        (204, "Error 204"),
        (206, "Error 206"),
        (301, "Error 301"),
        (304, "304"),
        (400, "Error 400"),
        (401, "Error 401"),
        (403, "Error 403"),
        (404, "Error 404"),
        (406, "Error 406"),
        (409, "node locked"),
        (429, "Error 429"),
        (500, "Error 500"),
        (503, "Error 503"),
        (599, "Error 599"),
    ] {
        let retry = vec![("Retry-After", "99999999999999999999".to_owned())];
        let body = if matches!(status, 204 | 304) {
            ""
        } else {
            "\u{1b}[2J no"
        };
        let case = raw(status.to_string(), status, retry, body.into());
        cases.push(case.only_says(says));
    }
    let elsewhere = |to: &str| vec![("Location", to.to_owned())];
    for (to, says) in [
        ("http://127.0.0.1:1/login", "did not take the request"),
        ("ftp://h/", "did not take the request"),
        ("http://[", "Error 302"),
        ("", "did not take the request"),
    ] {
        let case = raw(format!("302 to {to}"), 302, elsewhere(to), Vec::new());
        cases.push(case.only_says(says));
    }
    cases
}

fn headers() -> Vec<Case> {
    let mut cases = Vec::new();
    for date in [
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Wed, 01 Oct 9999 00:00:00 GMT",
        "Sat, 01 Jan 10000 00:00:00 GMT",
        "Tue, 19 Jan 2038 03:14:08 GMT",
        "Fri, 01 Jan 2500 00:00:00 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Wed, 31 Dec 1969 23:59:59 GMT",
        "Mon, 30 Feb 2026 00:00:00 GMT",
        "",
        "now",
    ] {
        let answers = move |asked: &Asked, _| {
            let date = vec![("Date", date.to_owned())];
            match friendly(asked) {
                Answer::Json(status, body) => {
                    Answer::Raw(status, date, body.to_string().into_bytes())
                }
                Answer::Text(status, body) => Answer::Raw(status, date, body.into()),
                other => other,
            }
        };
        // Whoever calls does not have that date.
        cases.push(Case::new(format!("date: {date}"), answers).closed());
    }
    for version in ["", "latest", "2.0", "1.99999999999", "-1", "1.115"] {
        let header = vec![("X-OpenStack-Ironic-API-Maximum-Version", version.to_owned())];
        let body = lookup(TOKEN).to_string().into_bytes();
        cases.push(raw(format!("version: {version}"), 200, header, body));
    }
    cases
}

fn roots() -> Vec<Case> {
    let always = |title: &str, status: u16, body: &'static str| {
        Case::new(format!("root: {title}"), move |asked, _| {
            match asked.path.as_str() {
                "/" => Answer::Text(status, body),
                _ => friendly(asked),
            }
        })
    };
    let mut cases = vec![
        // After the third try, by the oldest version and so without TLS.
        always("404", 404, "no").closed().says("Error 404"),
        always("no version", 200, "{}")
            .closed()
            .says("no default_version.version"),
        always("503", 503, "starting").only_says("Error 503"),
        always("302 without a place", 302, "")
            .closed()
            .says("Error 302"),
        Case::new("root: a portal", |_, _| {
            Answer::Redirect(302, "http://127.0.0.1:1/login".to_owned())
        })
        .only_says("did not take the request"),
    ];
    for failing in ["drop", "500", "404", "a page"] {
        let case = Case::new(
            format!("root: once {failing}"),
            move |asked, before| match asked.path.as_str() {
                "/" if before == 0 => match failing {
                    "drop" => Answer::Drop,
                    "500" => Answer::Text(500, "oops"),
                    "404" => Answer::Text(404, "no"),
                    _ => Answer::Text(200, "<html>"),
                },
                "/" => Answer::Json(200, root()),
                _ => friendly(asked),
            },
        );
        cases.push(case);
    }
    cases
}

fn heartbeats() -> Vec<Case> {
    let answered = |title: &str, status: u16, body: Vec<u8>, says: &'static str| {
        let case = Case::new(format!("heartbeat: {title}"), move |asked, _| {
            if asked.path.starts_with("/v1/heartbeat") {
                let retry = vec![("Retry-After", "-1".to_owned())];
                return Answer::Raw(status, retry, body.clone());
            }
            friendly(asked)
        });
        case.says(says)
    };
    vec![
        answered("202 with a page", 202, b"<html>".to_vec(), "ready for"),
        answered("202 with 5 MB", 202, vec![b'x'; 5 << 20], "more than"),
        answered("200", 200, b"{}".to_vec(), "Error 200"),
        answered("204", 204, Vec::new(), "Error 204"),
        answered("302", 302, Vec::new(), "Error 302"),
        answered("400", 400, vec![0xff; 1000], "Error 400"),
        answered("406", 406, Vec::new(), "Error 406"),
        answered("409", 409, vec![b'['; 100_000], "node locked"),
        answered("503", 503, Vec::new(), "Error 503"),
    ]
}
