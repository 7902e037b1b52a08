//! The page at `/` for browsers.

use super::*;

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

fn ask(served: &Served, method: &str, accept: &str) -> Reply {
    let mut stream = served.connect();
    let head = format!("{method} / HTTP/1.1\r\nHost: agent.test:9999\r\nAccept: {accept}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    receive(&stream, method)
}

#[test]
fn a_browser_sees_what_anybody_may_know_and_no_more() {
    let served = Served::with(|settings| {
        settings.look = Arc::new(|| Glance {
            phase: "cleaning".to_owned(),
            trouble: Some("conductor"),
        });
    });
    served.post(true, &execute("clean", &json!({"step": "no_such_step"})));
    served.start_gate();
    // The command tells how far it is when it has begun.
    let until = Instant::now() + Duration::from_secs(60);
    let page = loop {
        let page = ask(&served, "GET", BROWSER);
        assert_eq!(page.status, 200);
        if page.body.contains("<progress max=100") {
            break page;
        }
        assert!(Instant::now() < until, "{}", page.body);
    };
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("vary", "Accept"),
        ("server", "ironic-python-agent"),
    ] {
        assert_eq!(page.header(name), Some(value), "{name}");
    }
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    for part in [
        "<h1>cleaning</h1>",
        "<progress max=100 value=50></progress>",
        "<p>50 %</p>",
        "<dd class=trouble>conductor",
        "<dd class=trouble>HardwareManagerMethodNotFound",
        "<dd>2026-",
        "<dd>13.0.0",
    ] {
        assert!(page.body.contains(part), "{part} in {}", page.body);
    }
    for secret in [
        "no_such_step",
        "gate",
        "127.0.0.1",
        "1be2",
        "agent.test",
        TOKEN,
    ] {
        assert!(!page.body.contains(secret), "{secret} in {}", page.body);
    }
    let head = ask(&served, "HEAD", BROWSER);
    assert_eq!(head.status, 200);
    assert_eq!(
        head.header("content-length"),
        Some(page.body.len().to_string().as_str())
    );
}

#[test]
fn a_program_gets_json_as_ever() {
    let served = Served::new();
    let usual = served.get("/");
    for accept in ["*/*", "application/json", "text/html;q=0.1,*/*;q=0.2"] {
        let reply = ask(&served, "GET", accept);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("vary"), Some("Accept"));
        assert_eq!(reply.json(), usual.json());
    }
    // Below, nobody gets a page.
    let mut stream = served.connect();
    let head = format!("GET /v1/status HTTP/1.1\r\nHost: h\r\nAccept: {BROWSER}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let reply = receive(&stream, "GET");
    assert_eq!(reply.header("content-type"), Some("application/json"));
}
