//! Which request means what (contract/control-plane 5.2).

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::{Method, Request, StatusCode, Uri};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tracing::error;
use url::form_urlencoded;

use super::answer::{self, Answer};
use super::page::{self, About, Page};
use super::places::Seat;
use super::resources::{self, Found, Resource};
use super::tokenless_reads::{Sight, TokenlessReads};
use super::{Token, body};
use crate::command::{Command, CommandTable};
use crate::net::statsd::Timers;

/// Bodies that are parsed at once. More wait: each may hold a config drive.
const BODIES: usize = 2;

/// The longest name and port in bytes that links are made of (RFC 1035 2.3.4).
const HOST_LIMIT: usize = 253 + ":65535".len();

/// A query above this many bytes has no right token: a conductor's has a hundred.
const QUERY_LIMIT: usize = 4096;

/// What every request needs.
pub(super) struct Routes {
    table: Arc<CommandTable>,
    token: Token,
    tokenless: TokenlessReads,
    scheme: &'static str,
    about: About,
    timers: Timers,
    bodies: Semaphore,
}

/// The query parameter that is true where the answer is to wait for the command's end.
pub(super) const WAIT: &str = "wait";

/// The query parameter that shows the token.
pub(super) const AGENT_TOKEN: &str = "agent_token";

/// The query parameters that mean something.
#[derive(Default)]
struct Query {
    wait: bool,
    /// `None` where there is none, not even an empty one.
    token: Option<String>,
}

#[derive(Serialize)]
struct CommandList {
    commands: Vec<Arc<Command>>,
}

impl Routes {
    /// Routes to this table.
    pub(super) fn new(
        table: Arc<CommandTable>,
        token: Token,
        tokenless: TokenlessReads,
        scheme: &'static str,
        about: About,
        timers: Timers,
    ) -> Self {
        Self {
            table,
            token,
            tokenless,
            scheme,
            about,
            timers,
            bodies: Semaphore::new(BODIES),
        }
    }

    /// Answer one request of the connection that has this place.
    pub(super) async fn answer(&self, request: Request<Incoming>, seat: &Seat) -> Answer {
        let started = Instant::now();
        let (head, body) = request.into_parts();
        let query = query(&head.uri);
        let is_admitted = query
            .token
            .as_deref()
            .is_some_and(|token| self.token.admits(token));
        if is_admitted {
            seat.trust();
        }
        // Nothing is taken in for those who have not shown the token.
        let discard = async |body| {
            if is_admitted {
                body::discard(body).await;
            }
        };
        let path = merged(head.uri.path());
        let decoded = percent_decode_str(&path).decode_utf8_lossy();
        let Some(found) = resources::find(&decoded) else {
            discard(body).await;
            return answer::not_found();
        };
        let resource = found.resource;
        if !resource.takes(&head.method) {
            discard(body).await;
            return answer::method_not_allowed(resource.methods());
        }
        let elsewhere = match &path {
            path if found.lacks_slash => Some(format!("{path}/")),
            Cow::Owned(path) => Some(path.clone()),
            Cow::Borrowed(_) => None,
        };
        if let Some(path) = elsewhere {
            discard(body).await;
            return answer::redirect(&match head.uri.query() {
                Some(query) => format!("{path}?{query}"),
                None => path,
            });
        }
        let issues = head.method == Method::POST;
        let timer = timer(resource, issues);
        let answer = match resource {
            Resource::Root => answer::varying(if page::is_preferred(&head.headers) {
                answer::page(Page::of(&self.table, &self.about).to_html())
            } else {
                answer::ok(&self.root(&head))
            }),
            Resource::Version => answer::ok(&self.version(&head)),
            Resource::Status => answer::ok(&json!({
                "started_at": self.about.started_at,
                "version": self.about.version,
            })),
            Resource::Commands | Resource::Command => match (issues, is_admitted) {
                (true, true) => {
                    self.tokenless.commanded(seat);
                    self.issue(body, &query).await
                }
                (true, false) => unauthorized(),
                (false, _) => self.read(&found, is_admitted, &query, seat).await,
            },
        };
        if answer.status().is_success()
            && let Some(name) = timer
        {
            self.timers.took(name, started.elapsed());
        }
        answer
    }

    /// Commands, or one, for those who may see them.
    async fn read(
        &self,
        found: &Found<'_>,
        is_admitted: bool,
        query: &Query,
        seat: &Seat,
    ) -> Answer {
        let sight = if is_admitted {
            self.tokenless.read_with_token();
            Sight::Results
        } else if query.token.is_none() {
            self.tokenless.sight(seat)
        } else {
            Sight::Nothing
        };
        let is_one = found.resource == Resource::Command;
        let listed = (sight != Sight::Nothing && !is_one).then(|| self.table.list());
        let is_seen = sight == Sight::Results || listed.as_ref().is_some_and(Vec::is_empty);
        if query.token.is_none()
            && let Some(read) = self.tokenless.news(seat, is_seen)
        {
            self.table.was_read_without_token(read);
        }
        match listed {
            None if is_seen => self.show(found.id, query).await,
            Some(commands) if is_seen => answer::ok(&CommandList { commands }),
            _ => unauthorized(),
        }
    }

    async fn show(&self, id: &str, query: &Query) -> Answer {
        match self.table.find(id) {
            Ok(command) => result(&command, query).await,
            Err(error) => answer::refusal(&error),
        }
    }

    async fn issue(&self, body: Incoming, query: &Query) -> Answer {
        let read = {
            // Never closed, so a permit always comes.
            let _permit = self.bodies.acquire().await;
            body::read(body).await
        };
        let request = match read {
            Ok(request) => request,
            Err(answer) => return answer,
        };
        // A synchronous command runs in there. It goes on when the client goes away.
        let table = Arc::clone(&self.table);
        match spawn_blocking(move || table.issue(request)).await {
            Ok(Ok(command)) => result(&command, query).await,
            Ok(Err(error)) => answer::refusal(&error),
            Err(panic) => {
                error!(%panic, "issuing a command ended in a panic");
                answer::http_fault(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "The command could not be issued because of a defect of the agent.",
                )
            }
        }
    }

    fn root(&self, head: &hyper::http::request::Parts) -> Value {
        let version = json!({"id": "v1", "links": self.links(head)});
        json!({
            "name": "OpenStack Ironic Python Agent API",
            "description": "Ironic Python Agent is a provisioning agent for OpenStack Ironic",
            "versions": [version],
            "default_version": version,
        })
    }

    fn version(&self, head: &hyper::http::request::Parts) -> Value {
        let both = |name: &str| {
            json!([
                {"href": self.href(head, &format!("v1/{name}")), "rel": "self"},
                {"href": self.href(head, name), "rel": "bookmark"},
            ])
        };
        json!({
            "commands": both("commands"),
            "status": both("status"),
            "media_types": [{
                "base": "application/json",
                "type": "application/vnd.openstack.ironic-python-agent.v1+json",
            }],
            "id": "v1",
            "links": self.links(head),
        })
    }

    fn links(&self, head: &hyper::http::request::Parts) -> Value {
        json!([
            {"href": self.href(head, "v1"), "rel": "self"},
            {
                "href": "https://docs.openstack.org/ironic-python-agent/",
                "rel": "describedby",
                "type": "text/html",
            },
        ])
    }

    /// A URL of this server, by the name that the client has for it.
    fn href(&self, head: &hyper::http::request::Parts, path: &str) -> String {
        let host = head
            .headers
            .get(HOST)
            .and_then(|host| host.to_str().ok())
            // It comes back eight times.
            .filter(|host| host.len() <= HOST_LIMIT)
            .unwrap_or("localhost");
        format!("{}://{host}/{path}", self.scheme)
    }
}

/// The command as it is now, or at its end where the client wants to wait for that.
async fn result(command: &Arc<Command>, query: &Query) -> Answer {
    if query.wait {
        command.finished().await;
    }
    answer::ok(command)
}

/// The path with one slash in place of several, as the reference redirects to; it refuses one that begins with two.
fn merged(path: &str) -> Cow<'_, str> {
    if !path.contains("//") || path.starts_with("//") {
        return path.into();
    }
    let mut merged = String::with_capacity(path.len());
    for letter in path.chars() {
        if letter != '/' || !merged.ends_with('/') {
            merged.push(letter);
        }
    }
    merged.into()
}

fn unauthorized() -> Answer {
    answer::http_fault(StatusCode::UNAUTHORIZED, "Token invalid.")
}

/// The reference's name for how long such a request takes (contract/control-plane 10.5).
fn timer(resource: Resource, issues: bool) -> Option<&'static str> {
    match resource {
        Resource::Status => Some("get_status"),
        Resource::Command => Some("get_command"),
        Resource::Commands if issues => Some("run_command"),
        Resource::Commands => Some("list_commands"),
        Resource::Root | Resource::Version => None,
    }
}

fn query(uri: &Uri) -> Query {
    let mut wait = None;
    let mut token = None;
    // Of a parameter that comes twice the first counts, as in the reference.
    let text = uri.query().unwrap_or_default();
    if text.len() > QUERY_LIMIT {
        return Query {
            wait: false,
            token: Some(String::new()),
        };
    }
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        match name.as_ref() {
            WAIT => wait = wait.or(Some(value.eq_ignore_ascii_case("true"))),
            AGENT_TOKEN => token = token.or(Some(value.into_owned())),
            _ => {}
        }
    }
    Query {
        wait: wait.unwrap_or_default(),
        token,
    }
}
