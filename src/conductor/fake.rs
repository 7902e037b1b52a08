//! A conductor for tests, in this process: answers as it is told, faults included, and remembers
//! what it was asked.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// What it was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) version: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) body: Value,
    pub(crate) at: Instant,
}

/// What it answers.
pub(crate) enum Answer {
    /// This status with this JSON.
    Json(u16, Value),
    /// This status with this text.
    Text(u16, &'static str),
    /// This status with these headers and bytes; `Date` among them takes the place of the real one.
    Raw(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// This status, and this place to go to.
    Redirect(u16, String),
    /// Close the connection without a word.
    Drop,
    /// Never answer.
    Silence,
}

/// The conductor.
pub(crate) struct Conductor {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    news: Arc<Notify>,
    task: tokio::task::JoinHandle<()>,
}

pub(crate) const NODE: &str = "2564c0a3-dd23-551f-a25c-1af767f45a81";
pub(crate) const TOKEN: &str = "made-up_for_tests_and_as_long_as_a_real_one";

impl Conductor {
    /// Start one with these answers. The count is how many requests there were before with the
    /// same method and path.
    pub(crate) async fn start(
        answer: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let news = Arc::new(Notify::new());
        let (answer, record, notify) = (Arc::new(answer), Arc::clone(&asked), Arc::clone(&news));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (answer, record) = (Arc::clone(&answer), Arc::clone(&record));
                let notify = Arc::clone(&notify);
                tokio::spawn(async move {
                    let service = service_fn(|request| {
                        respond(
                            request,
                            Arc::clone(&answer),
                            Arc::clone(&record),
                            Arc::clone(&notify),
                        )
                    });
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            address,
            asked,
            news,
            task,
        }
    }

    /// One that knows the node and takes everything.
    pub(crate) async fn friendly() -> Self {
        Self::start(|asked, _| friendly(asked)).await
    }

    /// One that hands out the token with the first lookup and masks it after that, as Ironic does.
    pub(crate) async fn of_one_token() -> Self {
        Self::start(|asked, before| match asked.path.as_str() {
            "/v1/lookup" if before > 0 => Answer::Json(200, lookup("******")),
            _ => friendly(asked),
        })
        .await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The requests whose path starts like this.
    pub(crate) fn asked_for(&self, path: &str) -> Vec<Asked> {
        let mut asked = self.asked();
        asked.retain(|asked| asked.path.starts_with(path));
        asked
    }

    /// Wait for so many requests whose path starts like this, at most a minute.
    pub(crate) async fn wait_for(&self, path: &str, count: usize) -> Vec<Asked> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let news = self.news.notified();
            let asked = self.asked_for(path);
            if asked.len() >= count {
                return asked;
            }
            tokio::time::timeout_at(deadline, news)
                .await
                .unwrap_or_else(|_| panic!("no {count} x {path} in {:#?}", self.asked()));
        }
    }
}

impl Drop for Conductor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The answers of a conductor that knows the node.
pub(crate) fn friendly(asked: &Asked) -> Answer {
    match asked.path.as_str() {
        "/" => Answer::Json(200, root()),
        "/v1/lookup" => Answer::Json(200, lookup(TOKEN)),
        "/v1/continue_inspection" => Answer::Json(202, json!({"uuid": NODE})),
        path if path.starts_with("/v1/heartbeat/") => Answer::Text(202, ""),
        _ => Answer::Json(404, json!({"error_message": {"faultstring": "Not found"}})),
    }
}

/// As recorded from Ironic 39.0.0.
pub(crate) fn root() -> Value {
    json!({
        "name": "OpenStack Ironic API",
        "default_version": {
            "id": "v1", "status": "CURRENT", "min_version": "1.1", "version": "1.115"
        },
        "versions": []
    })
}

/// As recorded from Ironic 39.0.0.
pub(crate) fn lookup(token: &str) -> Value {
    json!({
        "node": {
            "uuid": NODE,
            "properties": {"cpu_arch": "x86_64", "capabilities": "boot_mode:bios"},
            "instance_info": {},
            "driver_internal_info": {"agent_secret_token": "******"},
            "links": []
        },
        "config": {
            "metrics": {"backend": "noop"},
            "metrics_statsd": {"statsd_host": "localhost", "statsd_port": 8125},
            "heartbeat_timeout": 60,
            "agent_containers": {"runner": "podman"},
            "agent_token": token,
            "agent_token_required": true,
            "agent_md5_checksum_enable": true,
            "disable_deep_image_inspection": false,
            "permitted_image_formats": ["raw", "gpt", "qcow2", "iso"],
            "agent_skip_bmc_detect": true,
            "enable_bios_bootloader_install": false,
            "tls_min_version": "1.3",
            "tls_cipher_suites": null
        }
    })
}

async fn respond(
    request: Request<Incoming>,
    answer: Arc<impl Fn(&Asked, usize) -> Answer>,
    record: Arc<Mutex<Vec<Asked>>>,
    notify: Arc<Notify>,
) -> Result<Response<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
    let header = |name: &str| {
        let value = request.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    let mut asked = Asked {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        version: header("X-OpenStack-Ironic-API-Version"),
        request_id: header("X-OpenStack-Request-ID"),
        body: Value::Null,
        at: Instant::now(),
    };
    assert_eq!(header("Content-Type").as_deref(), Some("application/json"));
    assert_eq!(header("Accept").as_deref(), Some("application/json"));
    let body = request.into_body().collect().await?.to_bytes();
    if !body.is_empty() {
        asked.body = serde_json::from_slice(&body)?;
    }
    let before = {
        let mut all = record.lock().unwrap();
        let before = all
            .iter()
            .filter(|other| other.method == asked.method && other.path == asked.path)
            .count();
        all.push(asked.clone());
        before
    };
    notify.notify_waiters();
    let mut headers = Vec::new();
    let (status, body) = match answer(&asked, before) {
        Answer::Json(status, value) => (status, value.to_string().into_bytes()),
        Answer::Text(status, text) => (status, text.as_bytes().to_vec()),
        Answer::Raw(status, more, body) => {
            headers = more;
            (status, body)
        }
        Answer::Redirect(status, to) => {
            headers.push(("Location", to));
            (status, b"<html>Moved</html>".to_vec())
        }
        Answer::Drop => return Err("dropped as the test wants it".into()),
        Answer::Silence => {
            std::future::pending::<Infallible>().await;
            return Err("never".into());
        }
    };
    if headers.iter().all(|(name, _)| *name != "Date") {
        let now = httpdate::fmt_http_date(std::time::SystemTime::now());
        headers.push(("Date", now));
    }
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::new(Bytes::from(body)))?)
}
