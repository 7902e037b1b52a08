//! The cases of `tests/fixtures/proxies/cases.json`: where curl and the reference's HTTP library
//! sent a request, and where it goes here. `tests/proxies/reference.py` wrote them.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use url::Url;

use super::Proxies;

fn table() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/proxies/cases.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The proxy with what it is told of the user, `direct`, or `refused`.
fn answer(case: &Value) -> Value {
    let environment = |name: &str| case["environment"].get(name)?.as_str().map(str::to_owned);
    let Ok(proxies) = Proxies::new(&[], None, environment) else {
        return json!("refused");
    };
    let url = Url::parse(case["url"].as_str().unwrap()).unwrap();
    match proxies.towards(&url) {
        None => json!("direct"),
        Some(proxy) => {
            let mut answer = json!({
                "scheme": proxy.url.scheme(),
                "port": proxy.url.port_or_known_default().unwrap(),
            });
            if let Some(value) = &proxy.authorization {
                answer["authorization"] = json!(value.to_str().unwrap());
            }
            answer
        }
    }
}

#[test]
fn each_request_goes_where_the_table_says() {
    let table = table();
    let cases = table["cases"].as_array().unwrap();
    assert!(cases.len() >= 30);
    let wrong: Vec<String> = cases
        .iter()
        .map(|case| (case, answer(case)))
        .filter(|(case, answer)| *answer != case["farrier"])
        .map(|(case, answer)| format!("{case}\n    answered {answer}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where curl and the library agree, a row that is like neither needs a reason; where they do not,
/// every row does.
#[test]
fn curl_and_the_library_are_left_only_for_a_reason() {
    let table = table();
    let mut used = BTreeSet::new();
    for case in table["cases"].as_array().unwrap() {
        let like_both = case["farrier"] == case["curl"] && case["farrier"] == case["requests"];
        assert_eq!(!like_both, case.get("why").is_some(), "{case}");
        used.extend(case.get("why").and_then(Value::as_str));
    }
    let known = table["reasons"].as_object().unwrap();
    let known: BTreeSet<&str> = known.keys().map(String::as_str).collect();
    assert_eq!(used, known);
}

#[test]
fn an_image_s_own_proxies_come_before_the_environments() {
    let environment = |name: &str| match name {
        "http_proxy" => Some("http://env:1".to_owned()),
        "ALL_PROXY" => Some("all:2".to_owned()),
        "no_proxy" => Some("near.test".to_owned()),
        _ => None,
    };
    let proxy = |own: &[(&str, &str)], no_proxy, url: &str| {
        let own: Vec<_> = own
            .iter()
            .map(|(scheme, url)| ((*scheme).to_owned(), (*url).to_owned()))
            .collect();
        let proxies = Proxies::new(&own, no_proxy, environment).unwrap();
        let proxy = proxies.towards(&Url::parse(url).unwrap());
        proxy.map(|proxy| proxy.url.to_string())
    };
    let is = |url: &str| Some(url.to_owned());
    assert_eq!(proxy(&[], None, "http://far.test"), is("http://env:1/"));
    assert_eq!(proxy(&[], None, "https://far.test"), is("http://all:2/"));
    assert_eq!(proxy(&[], None, "https://near.test"), None);
    assert_eq!(
        proxy(&[], Some("far.test"), "https://near.test"),
        is("http://all:2/")
    );
    let own = [("https", "own:3"), ("http", "")];
    assert_eq!(proxy(&own, None, "https://far.test"), is("http://own:3/"));
    assert_eq!(proxy(&own, None, "http://far.test"), None);
}

#[test]
fn what_is_no_proxy_is_refused_without_its_password() {
    for text in [
        "socks5://me:secret@127.0.0.1:1080",
        "http://me:secret@ho st:1",
        "http://me:secret@host:99999",
        "http://me:secret@",
    ] {
        let error = Proxies::new(&[], None, |name| {
            (name == "https_proxy").then(|| text.to_owned())
        })
        .unwrap_err();
        let mut chain = format!("{error:?} {error}");
        assert!(chain.contains("https_proxy"), "{chain}");
        chain.retain(|letter| !letter.is_whitespace());
        assert!(!chain.contains("secret"), "{chain}");
    }
    // What is never used is no error.
    let proxies = Proxies::new(&[], Some("*"), |_| Some("socks5://127.0.0.1".to_owned())).unwrap();
    assert!(
        proxies
            .towards(&Url::parse("http://far.test").unwrap())
            .is_none()
    );
}
