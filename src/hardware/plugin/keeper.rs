//! The life of one plugin: started once and kept; after a crash started again, a little later each
//! time, and only as the manager that it was.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use farrier_plugin::protocol::parameters::Nothing;
use farrier_plugin::protocol::{self, Greeting, Introduction, Method};
use farrier_plugin::{Context, SilentContext, chain};
use serde_json::{Value, json};
use tracing::{error, info, warn};

use super::callbacks::{Callbacks, NoCallbacks};
use super::connection::Connection;
use super::{Found, Limits, PluginError};

const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Ends in a row, without a call that was answered between them, after which it is dropped.
const ENDS: u32 = 5;

/// One plugin, running or not.
pub(super) struct Keeper {
    found: Found,
    limits: Limits,
    introduction: Introduction,
    state: Mutex<State>,
}

struct State {
    connection: Arc<Connection>,
    /// How often it ended since the last call that it answered.
    ends: u32,
    last_start: Instant,
    /// Whether it was initialised, so that a restart does it again.
    is_initialized: bool,
    dropped: Option<String>,
}

impl Keeper {
    /// Start a plugin and hear who it is.
    pub(super) fn start(found: Found, limits: Limits) -> Result<Self, PluginError> {
        let (connection, introduction) = greet(&found, limits)?;
        Ok(Self {
            found,
            limits,
            introduction,
            state: Mutex::new(State {
                connection: Arc::new(connection),
                ends: 0,
                last_start: Instant::now(),
                is_initialized: false,
                dropped: None,
            }),
        })
    }

    /// Who it is.
    pub(super) fn introduction(&self) -> &Introduction {
        &self.introduction
    }

    /// The plugin's name.
    pub(super) fn name(&self) -> &str {
        &self.found.name
    }

    /// Why it is not used any more, where that is so.
    pub(super) fn dropped(&self) -> Option<String> {
        self.state().dropped.clone()
    }

    /// Whether it is in the middle of as many calls as it takes.
    pub(super) fn is_busy(&self) -> bool {
        let connection = Arc::clone(&self.state().connection);
        connection.is_busy()
    }

    /// Call a method of it, starting it again first where it has ended.
    pub(super) fn call(
        &self,
        method: Method,
        params: Value,
        context: &dyn Context,
        callbacks: &mut dyn Callbacks,
    ) -> Result<Value, PluginError> {
        let connection = self.running()?;
        let result = connection.call(
            method.as_str(),
            params,
            self.limits.of(method),
            context,
            callbacks,
        );
        let mut state = self.state();
        if connection.ended().is_none() {
            state.ends = 0;
        }
        if method == Method::Initialize && result.is_ok() {
            state.is_initialized = true;
        }
        result
    }

    /// The running plugin. Whoever comes while it is being restarted waits.
    fn running(&self) -> Result<Arc<Connection>, PluginError> {
        let mut state = self.state();
        while let Some(why) = state.connection.ended() {
            if let Some(why) = &state.dropped {
                return Err(PluginError::Dropped { why: why.clone() });
            }
            state.ends += 1;
            if state.ends >= ENDS {
                let error = PluginError::KeepsEnding {
                    name: self.found.name.clone(),
                    times: state.ends,
                    why,
                };
                return Err(self.drop_for(&mut state, error));
            }
            let pause = LONGEST_PAUSE.min(self.limits.pause * 2u32.pow(state.ends - 1));
            thread::sleep((state.last_start + pause).saturating_duration_since(Instant::now()));
            warn!(
                manager = self.found.name,
                why, "starting a hardware manager again"
            );
            state.last_start = Instant::now();
            match greet(&self.found, self.limits) {
                Ok((_, introduction)) if introduction != self.introduction => {
                    let error = PluginError::Changed {
                        name: self.found.name.clone(),
                    };
                    return Err(self.drop_for(&mut state, error));
                }
                Ok((connection, _)) => {
                    if state.is_initialized
                        && let Err(error) = initialize(&connection, self.limits)
                    {
                        // As at the agent's start: its other methods say what they cannot do.
                        warn!(
                            manager = self.found.name,
                            error = chain(&error),
                            "could not be initialised again"
                        );
                    }
                    state.connection = Arc::new(connection);
                }
                // It counts as one more end.
                Err(error) => warn!(
                    manager = self.found.name,
                    error = chain(&error),
                    "could not be started again"
                ),
            }
        }
        Ok(Arc::clone(&state.connection))
    }

    /// Whether it has this method.
    pub(super) fn has(&self, method: Method) -> bool {
        self.introduction.has(method)
    }

    fn drop_for(&self, state: &mut State, error: PluginError) -> PluginError {
        if state.dropped.is_none() {
            error!(manager = self.found.name, %error, "a hardware manager is not used any more");
            state.dropped = Some(error.to_string());
        }
        error
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Start a plugin and hear who it is.
pub(super) fn greet(
    found: &Found,
    limits: Limits,
) -> Result<(Connection, Introduction), PluginError> {
    let connection = Connection::open(found)?;
    let refused = |why: String| PluginError::Introduction {
        name: found.name.clone(),
        why,
    };
    let greeting = json!(Greeting {
        protocol: vec![protocol::VERSION],
        message_limit: protocol::MESSAGE_LIMIT as u64,
        agent: concat!("farrier ", env!("FARRIER_VERSION")).to_owned(),
    });
    let answer = connection
        .call(
            protocol::HANDSHAKE,
            greeting,
            limits.greeting,
            &SilentContext,
            &mut NoCallbacks,
        )
        .map_err(|error| match error {
            // Its own words, such as why a library cannot be loaded.
            PluginError::Failed { failure, .. } => refused(failure.message),
            error => error,
        })?;
    let introduction: Introduction =
        serde_json::from_value(answer).map_err(|error| refused(error.to_string()))?;
    if introduction.protocol != protocol::VERSION {
        return Err(refused(format!(
            "it wants version {} of the protocol, the agent speaks {}",
            introduction.protocol,
            protocol::VERSION
        )));
    }
    for (what, text) in [
        ("class_name", &introduction.class_name),
        ("name", &introduction.name),
        ("version", &introduction.version),
    ] {
        // They go into JSON keys at the conductor, into its database and into messages.
        if text.is_empty() || text.len() > 128 || text.chars().any(char::is_control) {
            return Err(refused(format!(
                "its {what} must be 1 to 128 characters without control characters"
            )));
        }
    }
    let first = Method::EvaluateHardwareSupport;
    if !introduction.has(first) {
        return Err(refused(format!("it lacks the method {first}")));
    }
    connection.allow(introduction.capabilities.concurrent_calls);
    info!(
        manager = introduction.name,
        version = introduction.version,
        plugin = found.name,
        "a hardware manager introduced itself"
    );
    Ok((connection, introduction))
}

fn initialize(connection: &Connection, limits: Limits) -> Result<(), PluginError> {
    connection
        .call(
            Method::Initialize.as_str(),
            json!(Nothing {}),
            limits.of(Method::Initialize),
            &SilentContext,
            &mut NoCallbacks,
        )
        .map(|_| ())
}
