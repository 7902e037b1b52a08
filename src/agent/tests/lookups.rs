//! Whatever a conductor says: the agent serves, or says on the console why not, and nothing ends it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{AgentError, Boot, Caller};
use crate::conductor::fake::{Answer, Asked, Conductor, TOKEN, friendly, lookup};
use crate::sys::log::SHOWN;

mod cases;

/// Agents that live at the same time.
const AT_ONCE: usize = 10;

/// What comes of it is there after this time.
const LIMIT: Duration = Duration::from_secs(240);

type Answering = Box<dyn Fn(&Asked, usize) -> Answer + Send + Sync>;

struct Case {
    title: String,
    answers: Answering,
    /// A heartbeat comes, and the port is open.
    serves: bool,
    /// The conductor's token opens the API by TLS with the certificate of the heartbeat.
    opens: bool,
    /// What the console says.
    says: &'static str,
    /// The agent says that it has no token and idles, as the contract wants.
    idles: bool,
}

impl Case {
    fn new(
        title: impl Into<String>,
        answers: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self {
            title: title.into(),
            answers: Box::new(answers),
            serves: true,
            opens: true,
            says: "",
            idles: false,
        }
    }

    /// It serves, and says this.
    fn says(mut self, says: &'static str) -> Self {
        self.says = says;
        self
    }

    /// It serves nobody that has the usual token.
    fn closed(mut self) -> Self {
        self.opens = false;
        self
    }

    /// It serves nothing, says this and asks again.
    fn only_says(mut self, says: &'static str) -> Self {
        self.serves = false;
        self.says(says)
    }
}

/// The lookup's answer with these changes.
fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut answer = lookup(TOKEN);
    change(&mut answer);
    answer
}

/// A case in which the lookup's answer is this one.
fn looked_up(title: impl Into<String>, answer: Value) -> Case {
    raw(title, 200, Vec::new(), answer.to_string().into_bytes())
}

/// A case in which a member of the lookup's `config` is this.
fn setting(name: &'static str, value: Value) -> Case {
    let shown: String = value.to_string().chars().take(40).collect();
    let answer = changed(|answer| answer["config"][name] = value);
    looked_up(format!("{name}: {shown}"), answer)
}

/// A case in which the lookup is answered so.
fn raw(
    title: impl Into<String>,
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
) -> Case {
    Case::new(title, move |asked, _| match asked.path.as_str() {
        "/v1/lookup" => Answer::Raw(status, headers.clone(), body.clone()),
        _ => friendly(asked),
    })
}

/// The lookup's answer as text, with this in place of a member of `config`.
fn text(name: &str, replacement: &str) -> Vec<u8> {
    let marked = changed(|answer| answer["config"][name] = json!("@@"));
    marked
        .to_string()
        .replace("\"@@\"", replacement)
        .into_bytes()
}

/// What is wrong with what came of it, if anything is.
async fn wrong(case: Case) -> Option<String> {
    let title = case.title.clone();
    let conductor = Conductor::start(case.answers).await;
    let boot = Boot::new(&conductor);
    let agent = boot.start();
    let started = Instant::now();
    let url = conductor.url();
    let said = || {
        let shown = SHOWN.lock().unwrap();
        let of_this = shown.iter().filter(|text| text.contains(&url));
        of_this.cloned().collect::<Vec<_>>().join("\n")
    };
    let beats = || conductor.asked_for("/v1/heartbeat");
    loop {
        let ended = agent.is_finished();
        let has_said = said().contains(case.says);
        if ended || (has_said && beats().is_empty() != case.serves) || started.elapsed() > LIMIT {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    if case.idles {
        let why = agent.await.unwrap().unwrap_err();
        let is_told = matches!(why, AgentError::NoToken) && why.to_string().contains(case.says);
        return (!is_told).then(|| format!("{title}: ended with {why}"));
    }
    let problem = if agent.is_finished() {
        Some(format!("it has ended: {:?}", agent.await))
    } else {
        let problem = match beats().first() {
            Some(beat) if case.serves && case.opens => {
                Caller::of(beat).commands().await;
                None
            }
            Some(_) if case.serves => {
                let port = ("127.0.0.1", boot.options.listen_port);
                let refused = std::net::TcpStream::connect(port).err();
                refused.map(|error| format!("nothing is served: {error}"))
            }
            Some(_) => Some("it reports to the conductor".to_owned()),
            None if case.serves => Some("it does not report to the conductor".to_owned()),
            None => None,
        };
        agent.abort();
        problem
    };
    let said = said();
    let problem = problem.or_else(|| {
        let silent = !said.contains(case.says);
        silent.then(|| format!("it does not say {:?}", case.says))
    });
    problem.map(|problem| format!("{title}: {problem}; it said {said}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_the_conductor_says_the_agent_serves_or_says_why_not() {
    let cases = cases::all();
    assert!(cases.len() > 120, "{}", cases.len());
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for case in cases {
        let places = Arc::clone(&places);
        running.spawn(async move {
            let _place = places.acquire_owned().await;
            wrong(case).await
        });
    }
    let problems: Vec<String> = running.join_all().await.into_iter().flatten().collect();
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}
