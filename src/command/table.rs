//! The commands that were issued, and issuing one (contract/control-plane 5.3).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use farrier_plugin::{Context, ErrorKind, ManagerError, StepKind, panic_text};
use tracing::{error, info, warn};
use uuid::Uuid;

use super::context::CommandContext;
use super::definition::{Definition, Mode, split};
use super::environment::{Environment, Signal, TokenlessRead};
use super::flow;
use super::journal::{Journal, JournalError};
use super::outcome::{Command, CutOff, Outcome, Status};
use super::parameters::{Parameters, invalid};
use super::registry;
use super::request::Request;
use super::rescue;
use super::results::Results;
use super::steps::{self, failure};
use super::system;
use super::words;

/// Stack of a command's thread. Decoders keep tables on the stack; unused pages cost nothing.
const STACK: usize = 4 * 1024 * 1024;

/// How long a command waits for the one that runs, where it waits at all. The conductor's request ends
/// after 60 s by default (`[agent]command_timeout`).
const PATIENCE: Duration = Duration::from_secs(50);

/// All commands of this boot.
pub struct CommandTable {
    environment: Environment,
    journal: Journal,
    commands: Mutex<Vec<Arc<Command>>>,
    results: Results,
    under_way: Mutex<UnderWay>,
    /// Held from the look whether a command has ended until that is written and shown: an end has one
    /// line in the journal.
    writing_ends: Mutex<()>,
    /// Held while a command is issued, and for a synchronous command until its end: a second POST
    /// waits, reading does not.
    issuing: Mutex<()>,
    /// [`PATIENCE`], but for tests.
    patience: Duration,
}

/// What has begun and not ended, and whether anything may still begin.
#[derive(Default)]
struct UnderWay {
    command: Option<Arc<Command>>,
    cut_off: Option<CutOff>,
}

impl CommandTable {
    /// Whether an agent before this one had a table in this state directory, so that a command of its can have been
    /// cut short.
    pub(crate) fn was_open(state_directory: &Path) -> bool {
        Journal::is_there(state_directory)
    }

    /// The table with the commands that the journal in the state directory has. A command that was
    /// running when the last agent ended is listed as failed.
    pub fn open(environment: Environment) -> Result<Arc<Self>, JournalError> {
        let (journal, commands) = Journal::open(
            &environment.state_directory,
            environment.left_behind.as_deref(),
        )?;
        for command in &commands {
            if command.status() != Status::Succeeded {
                warn!(
                    command = command.name(),
                    "has not succeeded under the agent that ran before"
                );
            }
        }
        let commands: Vec<_> = commands.into_iter().map(Arc::new).collect();
        let results = Results::default();
        commands.iter().for_each(|command| results.keep(command));
        Ok(Arc::new(Self {
            environment,
            journal,
            commands: Mutex::new(commands),
            results,
            under_way: Mutex::default(),
            writing_ends: Mutex::new(()),
            issuing: Mutex::new(()),
            patience: PATIENCE,
        }))
    }

    /// List a step as failed that was running when the machine was started anew, so that the
    /// conductor does not take an agent which has run nothing for the end of that step. Gives what
    /// went wrong; `None` where other commands are listed, after which Ironic draws no such conclusion:
    /// it counts `get_*_steps` for nothing.
    pub fn fail_interrupted_step(&self, kind: StepKind, step: &str) -> Option<String> {
        let word = kind.word();
        let is_fresh = self
            .list()
            .iter()
            .all(|command| command.name() == format!("get_{word}_steps"));
        if !is_fresh {
            return None;
        }
        let left = self.environment.left_behind.as_ref();
        let left = left.filter(|_| steps::is_erase(step));
        let left = left.map_or_else(String::new, |left| format!(". {left}"));
        let error = ManagerError::new(
            failure(kind),
            format!(
                "The server was started anew in the middle of {word} step {step}, and nobody had \
                 asked for that. How far the step came is not known: nothing that it worked on \
                 counts as done{left}"
            ),
        );
        self.list_as_failed(&format!("execute_{word}_step"), &error);
        Some(error.chain())
    }

    /// Every command, oldest first.
    pub fn list(&self) -> Vec<Arc<Command>> {
        self.commands
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Tell the agent that results were read without the token.
    pub(crate) fn was_read_without_token(&self, read: TokenlessRead) {
        self.environment.send(Signal::Read(read));
    }

    /// The command of this id.
    pub fn find(&self, id: &str) -> Result<Arc<Command>, ManagerError> {
        let named = |wanted: &Uuid| wanted.to_string() == id;
        let wanted = Uuid::parse_str(id).ok().filter(named);
        let commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        commands
            .iter()
            .find(|command| Some(command.id()) == wanted)
            .cloned()
            .ok_or_else(|| {
                ManagerError::new(
                    ErrorKind::RequestedObjectNotFound,
                    format!("Command Result with id {id} not found."),
                )
            })
    }

    /// The command that runs, where one does: for the console. Synchronous commands do not count,
    /// as on the wire.
    pub fn running(&self) -> Option<Arc<Command>> {
        let commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let last = commands.last().cloned();
        last.filter(|command| command.status() == Status::Running)
    }

    /// The command that failed last, where one did.
    pub fn last_failure(&self) -> Option<Arc<Command>> {
        let commands = self.list();
        let mut failed = commands
            .into_iter()
            .rev()
            .filter(|command| matches!(command.status(), Status::Failed | Status::VersionMismatch));
        failed.next()
    }

    /// The agent ends: no command begins any more, and the one under way, a synchronous one included, is
    /// told to stop. Returns it where there is one; [`CommandTable::give_up_after`] follows.
    ///
    /// From now on it cannot succeed: what it gives after it was told is that of a work cut short, and a
    /// manager that stops in order may call that a result. A flow that came to the lock-down at its end can.
    pub(crate) fn cut_off(&self, why: CutOff) -> Option<Arc<Command>> {
        let command = {
            let mut under_way = self.under_way();
            under_way.cut_off = Some(why);
            under_way.command.clone()
        }
        // The one that asks for the lock-down is about to end, and well.
        .filter(|command| command.name() != system::LOCKDOWN)?;
        warn!(command = command.name(), "is told to stop, because {why}");
        command.cut_off(why);
        Some(command)
    }

    /// Block until the command that was told to stop has ended, for this long at most. Then it is journalled
    /// and listed as failed whatever it still does: nobody would hear of its end.
    pub(crate) fn give_up_after(&self, grace: Duration, command: &Arc<Command>) {
        if command.ends_within(grace) {
            return;
        }
        // What a drive does by itself is told so, with the password that it has meanwhile.
        let at = command.pace().map_or_else(String::new, |pace| {
            format!(" It was at: {}.", pace.progress().what)
        });
        let error = ManagerError::new(
            ErrorKind::CommandExecution,
            format!(
                "it has not stopped {} s later, and may go on.{at} Nothing that it works on counts as done",
                grace.as_secs()
            ),
        );
        self.end(command, Outcome::failed(&error));
    }

    /// Issue a command. Blocks: until the end of a synchronous command, and until other requests
    /// are through. An asynchronous command comes back running.
    ///
    /// # Errors
    ///
    /// What the POST is answered with instead of a result (contract/control-plane 5.5); such a
    /// request leaves no trace in the list. Once its name is known, `rescue.finalize_rescue` has
    /// none: its errors are results, because Ironic would answer them by sending the password in
    /// plain text. A busy agent refuses it like all others, which Ironic takes for what it is.
    pub fn issue(self: &Arc<Self>, request: Request) -> Result<Arc<Command>, ManagerError> {
        split(&request.name)?;
        let _issuing = self.turn(&request.name)?;
        let definition = registry::find(&request.name)?;
        let parameters = Parameters::new(request.params, request.large);
        info!(command = request.name, "issued");
        let misfit = definition
            .signature
            .check(definition.name, parameters.values())
            .err();
        let issued = match (definition.mode, misfit) {
            (Mode::Sync, Some(misfit)) => Err(invalid(misfit)),
            (Mode::Sync, None) => self.run_here(definition, &parameters),
            (Mode::Async, misfit) => self.run_beside(definition, parameters, misfit),
        };
        match issued {
            Err(error) if definition.name == rescue::FINALIZE => {
                Ok(self.list_as_failed(definition.name, &error))
            }
            issued => issued,
        }
    }

    /// The right to issue this command: held by one request at a time, and given while no command
    /// runs.
    fn turn(&self, name: &str) -> Result<MutexGuard<'_, ()>, ManagerError> {
        let until = Instant::now() + self.patience;
        loop {
            let issuing = self.issuing.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(running) = self.running() else {
                return Ok(issuing);
            };
            if !registry::is_patient(name) {
                return Err(ManagerError::new(
                    ErrorKind::AgentIsBusy,
                    format!("executing command {}", running.name()),
                ));
            }
            // Others are to be told at once that they cannot have it.
            drop(issuing);
            if !running.ends_within(until.saturating_duration_since(Instant::now())) {
                // Neither a 409 nor the words of one: Ironic looks at both.
                return Err(ManagerError::new(
                    ErrorKind::CommandExecution,
                    format!(
                        "{name} has waited {} s for {}, which still runs: ask again when it has \
                         ended",
                        self.patience.as_secs(),
                        running.name()
                    ),
                ));
            }
        }
    }

    fn run_here(
        &self,
        definition: &'static Definition,
        parameters: &Parameters,
    ) -> Result<Arc<Command>, ManagerError> {
        let command = self.begin(definition, steps::erases(parameters.values()))?;
        let ended = guarded(definition, || {
            (definition.validate)(&self.environment, parameters)?;
            let context = CommandContext::new(Arc::clone(&command));
            (definition.run)(&self.environment, &context, parameters)
        });
        match ended {
            Err(error) if refuses(&error) => {
                self.withdraw(&command);
                Err(error)
            }
            ended => {
                self.end(&command, outcome(definition, ended));
                // As in the reference, the result appears in the list when it is final.
                self.push(&command);
                match broken_off(&command) {
                    Some(error) if definition.name != rescue::FINALIZE => Err(error),
                    _ => Ok(command),
                }
            }
        }
    }

    fn run_beside(
        self: &Arc<Self>,
        definition: &'static Definition,
        parameters: Parameters,
        misfit: Option<String>,
    ) -> Result<Arc<Command>, ManagerError> {
        // In this order, as the reference: an image that is missing is told as one without an id.
        let validated = guarded(definition, || {
            (definition.validate)(&self.environment, &parameters)
        });
        match validated {
            Ok(()) => {}
            Err(error) if refuses(&error) => return Err(error),
            Err(error) => return self.fail_at_once(definition, &error),
        }
        if let Some(misfit) = misfit {
            let error = ManagerError::new(ErrorKind::CommandExecution, misfit);
            return self.fail_at_once(definition, &error);
        }
        let command = self.begin(definition, steps::erases(parameters.values()))?;
        command.put_in_words(words::of_command(definition.name, parameters.values()));
        self.push(&command);
        let locks_down = definition.name == flow::START && flow::ends_in_lock_down(&parameters);
        let (table, running) = (Arc::clone(self), Arc::clone(&command));
        let spawned = thread::Builder::new()
            .name("command".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                let context = CommandContext::new(Arc::clone(&running));
                let context: &dyn Context = &context;
                let ended = guarded(definition, || {
                    (definition.run)(&table.environment, context, &parameters)
                });
                // A config drive must not outlive the command.
                drop(parameters);
                let is_whole = locks_down && ended.is_ok();
                table.end_as(&running, outcome(definition, ended), is_whole);
                table.environment.send(Signal::HeartbeatNow);
            });
        if let Err(error) = spawned {
            let error = ManagerError::new(
                ErrorKind::CommandExecution,
                format!("No thread could be started for {}", definition.name),
            )
            .with_source(error);
            self.end(&command, Outcome::failed(&error));
            self.environment.send(Signal::HeartbeatNow);
        }
        Ok(command)
    }

    fn fail_at_once(
        &self,
        definition: &Definition,
        error: &ManagerError,
    ) -> Result<Arc<Command>, ManagerError> {
        // It ends at once, with nothing erased.
        let command = self.begin(definition, false)?;
        self.end(&command, Outcome::failed(error));
        self.push(&command);
        self.environment.send(Signal::HeartbeatNow);
        Ok(command)
    }

    /// List a command as failed that does not run, also where it cannot be written down.
    fn list_as_failed(&self, name: &str, error: &ManagerError) -> Arc<Command> {
        let command = Arc::new(Command::running(Uuid::new_v4(), name));
        let outcome = Outcome::failed(error);
        match self.journal.started(command.id(), command.name(), false) {
            Ok(()) => self.end(&command, outcome),
            // An end without a start would be a damaged journal to the next agent.
            Err(error) => {
                error!(%error, "the command journal could not be written");
                self.show_end(&command, outcome);
            }
        }
        self.push(&command);
        command
    }

    /// Write down that it starts. Where that fails, nothing runs.
    fn begin(&self, definition: &Definition, erases: bool) -> Result<Arc<Command>, ManagerError> {
        let command = Arc::new(Command::running(Uuid::new_v4(), definition.name));
        let mut under_way = self.under_way();
        if let Some(why) = under_way.cut_off {
            // No 409: Ironic takes that to some commands for an answer.
            return Err(ManagerError::new(
                ErrorKind::CommandExecution,
                format!("The agent begins no command any more, because {why}"),
            ));
        }
        self.journal
            .started(command.id(), command.name(), erases)
            .map_err(|error| {
                ManagerError::new(
                    ErrorKind::CommandExecution,
                    "The command journal could not be written, so the command does not run",
                )
                .with_source(error)
            })?;
        under_way.command = Some(Arc::clone(&command));
        Ok(command)
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn no_longer_under_way(&self, command: &Command) {
        let mut under_way = self.under_way();
        if under_way
            .command
            .as_ref()
            .is_some_and(|other| other.id() == command.id())
        {
            under_way.command = None;
        }
    }

    /// Write down how it ended, then show it. Where writing fails, a restart would list it as
    /// failed, which errs on the safe side. Only the first end counts: one that was given up may still end.
    fn end(&self, command: &Arc<Command>, outcome: Outcome) {
        self.end_as(command, outcome, false);
    }

    /// The same; `is_whole` where nothing of it can have been cut short.
    fn end_as(&self, command: &Arc<Command>, outcome: Outcome, is_whole: bool) {
        let _writing = self.writing_ends();
        if command.status() != Status::Running {
            return;
        }
        self.no_longer_under_way(command);
        let outcome = match command.why_cut_off() {
            Some(why) if !is_whole => outcome.cut_off(command.name(), why),
            _ => outcome,
        };
        if let Err(error) = self.journal.ended(command.id(), &outcome) {
            error!(%error, "the command journal could not be written");
        }
        self.show_end(command, outcome);
    }

    /// It was refused, and leaves no trace.
    fn withdraw(&self, command: &Command) {
        let _writing = self.writing_ends();
        if command.status() != Status::Running {
            return;
        }
        self.no_longer_under_way(command);
        if let Err(error) = self.journal.refused(command.id()) {
            error!(%error, "the command journal could not be written");
        }
    }

    fn writing_ends(&self) -> MutexGuard<'_, ()> {
        self.writing_ends
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn show_end(&self, command: &Arc<Command>, outcome: Outcome) {
        match &outcome.error {
            None => info!(command = command.name(), "succeeded"),
            Some(error) => error!(
                command = command.name(),
                error = error.type_name,
                details = error.details,
                "failed"
            ),
        }
        command.end(outcome);
        self.results.keep(command);
    }

    fn push(&self, command: &Arc<Command>) {
        self.commands
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(command));
    }
}

/// Errors that answer the POST and are not recorded: the reference's InvalidContentError family, and
/// a required manager that is missing. Ironic 39 takes the result of a failed `get_clean_steps` for
/// steps, and its `last_error` is "'NoneType' object is not iterable"; of an answer from 400 on it
/// tells the text.
pub(super) const REFUSING: [ErrorKind; 4] = [
    ErrorKind::InvalidContent,
    ErrorKind::InvalidCommand,
    ErrorKind::InvalidCommandParams,
    ErrorKind::HardwareManagerConfiguration,
];

fn refuses(error: &ManagerError) -> bool {
    REFUSING.contains(&error.kind())
}

/// What the POST of a synchronous command is answered with that was told to stop and failed: of its result
/// Ironic 39 would tell as little as of those that [`REFUSING`] is about. It is recorded all the same.
fn broken_off(command: &Command) -> Option<ManagerError> {
    command.why_cut_off()?;
    let details = command.outcome()?.error.clone()?.details;
    Some(ManagerError::new(ErrorKind::CommandExecution, details))
}

fn outcome(definition: &Definition, ended: Result<serde_json::Value, ManagerError>) -> Outcome {
    match ended {
        Ok(result) => Outcome::succeeded(definition.wrap(result)),
        Err(error) => Outcome::failed(&error),
    }
}

/// Run a command's code; a panic is an error like others. What the code shares with the rest is
/// behind locks that recover from a panic.
fn guarded<T>(
    definition: &Definition,
    code: impl FnOnce() -> Result<T, ManagerError>,
) -> Result<T, ManagerError> {
    catch_unwind(AssertUnwindSafe(code)).unwrap_or_else(|panic| {
        Err(ManagerError::new(
            ErrorKind::CommandExecution,
            format!(
                "{} ended in a panic, which is a defect of the agent: {}",
                definition.name,
                panic_text(panic.as_ref())
            ),
        ))
    })
}

#[cfg(test)]
mod tests;
