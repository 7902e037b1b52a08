//! The programs that PID 1 keeps running, and what happens when one ends.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::console::Console;
use super::log::{self, LogFile};
use super::restart::BackOff;
use crate::sys::run_files;
use crate::sys::service::{Ending, Service, Started};

/// What a program is to PID 1.
#[derive(Clone, Debug)]
pub(super) enum Rule {
    /// Runs once; its end is only an event.
    Once,
    /// Is started again whenever it ends.
    Always,
    /// Is started again unless one of these files is there, and then never.
    Unless(&'static [&'static str]),
    /// The same, until it ends with success.
    UntilDone(&'static [&'static str]),
}

/// Where the output of a program goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Output {
    /// To all consoles as it is.
    Consoles,
    /// To a bounded file in [`log::DIRECTORY`].
    Log,
}

/// All programs of PID 1.
#[derive(Debug)]
pub(super) struct Supervisor {
    console: Console,
    programs: Vec<Program>,
}

#[derive(Debug)]
struct Program {
    name: &'static str,
    service: Service,
    rule: Rule,
    output: Output,
    state: State,
    back_off: BackOff,
    /// Whether its end is asked for, so that it stays off.
    is_held: bool,
}

#[derive(Debug)]
enum State {
    /// Not started yet, or ended and free to be started.
    Off,
    /// Never again.
    Over,
    Running {
        pid: i32,
        since: Instant,
    },
    Pausing {
        until: Instant,
    },
}

impl Supervisor {
    pub(super) fn new(console: Console) -> Self {
        Self {
            console,
            programs: Vec::new(),
        }
    }

    /// Add a program, not started yet.
    pub(super) fn add(&mut self, name: &'static str, service: Service, rule: Rule, output: Output) {
        self.programs.push(Program {
            name,
            service,
            rule,
            output,
            state: State::Off,
            back_off: BackOff::default(),
            is_held: false,
        });
    }

    /// Whether there is a program of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.programs.iter().any(|program| program.name == name)
    }

    /// Once a program that runs has ended, it stays off until it is started; one that pauses is off at once.
    pub(super) fn hold(&mut self, name: &str) {
        for program in self.programs.iter_mut().filter(|one| one.name == name) {
            program.is_held = true;
            if matches!(program.state, State::Pausing { .. }) {
                program.state = State::Off;
            }
        }
    }

    /// Start a program that is off; one that runs or pauses is left alone.
    pub(super) fn start(&mut self, name: &str) {
        let console = self.console.clone();
        for program in self
            .programs
            .iter_mut()
            .filter(|program| program.name == name)
        {
            program.is_held = false;
            if matches!(program.state, State::Off) {
                program.launch(&console);
            }
        }
    }

    /// The process of a program that runs.
    pub(super) fn pid(&self, name: &str) -> Option<i32> {
        self.programs
            .iter()
            .find_map(|program| match program.state {
                State::Running { pid, .. } if program.name == name => Some(pid),
                _ => None,
            })
    }

    /// A process of whatever kind has ended. Returns the program's name if it was one of ours;
    /// orphans are not.
    pub(super) fn ended(&mut self, pid: i32, ending: Ending) -> Option<&'static str> {
        let console = self.console.clone();
        let program = self.programs.iter_mut().find(
            |program| matches!(program.state, State::Running { pid: running, .. } if running == pid),
        )?;
        program.ended(ending, &console);
        Some(program.name)
    }

    /// Start every program whose pause is over.
    pub(super) fn start_due(&mut self, now: Instant) {
        let console = self.console.clone();
        for program in &mut self.programs {
            if matches!(program.state, State::Pausing { until } if until <= now) {
                program.launch(&console);
            }
        }
    }

    /// When the next pause is over.
    pub(super) fn next_start(&self) -> Option<Instant> {
        self.programs
            .iter()
            .filter_map(|program| match program.state {
                State::Pausing { until } => Some(until),
                _ => None,
            })
            .min()
    }
}

impl Program {
    fn launch(&mut self, console: &Console) {
        if let Some(marker) = self.rule.marker() {
            self.over(marker, console);
            return;
        }
        match self.service.start() {
            Ok(Started { pid, output }) => {
                self.doing(console, "starting the agent");
                self.state = State::Running {
                    pid,
                    since: Instant::now(),
                };
                if let Some(output) = output {
                    collect(self.name, self.output, output, console.clone());
                }
            }
            Err(error) => {
                let pause = self.back_off.after(Duration::ZERO);
                self.say(
                    console,
                    &format!(
                        "{} could not be started ({error}); next try in {} s",
                        self.name,
                        pause.as_secs()
                    ),
                );
                self.state = State::Pausing {
                    until: Instant::now() + pause,
                };
            }
        }
    }

    /// Say what becomes of it; of the agent on the page, too, where it has nothing more to say for itself.
    fn say(&self, console: &Console, text: &str) {
        console.say(text);
        self.doing(console, text);
    }

    fn doing(&self, console: &Console, text: &str) {
        if self.name == "agent" {
            console.doing(text);
        }
    }

    /// Nothing starts it again. In a rescue system somebody else logs in, and an agent that was killed
    /// has left its token.
    fn over(&mut self, marker: &str, console: &Console) {
        self.state = State::Over;
        if marker == run_files::RESCUED {
            run_files::forget_secrets(Path::new("/"));
            self.doing(console, "rescue: the agent has ended, a person may log in");
        } else {
            self.doing(
                console,
                "locked down: the agent has ended, the network is off",
            );
        }
    }

    fn ended(&mut self, ending: Ending, console: &Console) {
        let run = match self.state {
            State::Running { since, .. } => since.elapsed(),
            _ => Duration::ZERO,
        };
        self.state = State::Off;
        if let Some(marker) = self.rule.marker() {
            self.over(marker, console);
            console.say(&format!(
                "{} ended with {ending} and is not started again: {marker} is there",
                self.name
            ));
            return;
        }
        match self.rule {
            Rule::UntilDone(_) if ending == Ending::Exit(0) => {}
            Rule::Once => {
                if ending != Ending::Exit(0) {
                    console.say(&format!("{} ended with {ending}", self.name));
                }
            }
            // Its starter does so when its time has come.
            _ if self.is_held => {}
            Rule::Always | Rule::Unless(_) | Rule::UntilDone(_) => {
                let pause = self.back_off.after(run);
                let again = match self.back_off.in_a_row() {
                    0 | 1 => String::new(),
                    times => format!(
                        " (it has ended {times} times in a row, now after {} s)",
                        run.as_secs()
                    ),
                };
                self.say(
                    console,
                    &format!(
                        "{} ended with {ending}; starting it again in {} s{again}",
                        self.name,
                        pause.as_secs()
                    ),
                );
                self.state = State::Pausing {
                    until: Instant::now() + pause,
                };
            }
        }
    }
}

impl Rule {
    /// The file that forbids another start, if one is there.
    fn marker(&self) -> Option<&'static str> {
        match self {
            Self::Unless(markers) | Self::UntilDone(markers) => markers
                .iter()
                .find(|marker| Path::new(marker).exists())
                .copied(),
            Self::Once | Self::Always => None,
        }
    }
}

/// Move the output of a program to where it belongs, on a thread that ends with it.
fn collect(
    name: &'static str,
    output: Output,
    pipe: impl std::io::Read + Send + 'static,
    console: Console,
) {
    let collector = move || match output {
        Output::Log => match LogFile::open(Path::new(log::DIRECTORY), name) {
            Ok(mut log) => log.collect(pipe),
            Err(error) => console.say(&format!("No log of {name} is kept: {error}")),
        },
        Output::Consoles => console.copy(pipe),
    };
    // Without the thread the pipe closes and the program loses its output, not its life: SIGPIPE
    // aside, which std ignores for us and services handle.
    let _ = thread::Builder::new()
        .name(format!("{name} output"))
        .spawn(collector);
}

#[cfg(test)]
mod tests {
    use nix::sys::wait::waitpid;
    use nix::unistd::Pid;

    use super::*;

    /// A supervisor of `/bin/true` under this rule. Nothing here starts a thread that writes to a
    /// real console: there is none.
    fn supervisor(rule: Rule) -> Supervisor {
        let mut supervisor = Supervisor::new(Console::nowhere());
        supervisor.add("program", Service::new("/bin/true"), rule, Output::Consoles);
        supervisor
    }

    /// Start it, wait for its end and report that.
    fn run(supervisor: &mut Supervisor) {
        supervisor.start("program");
        let pid = supervisor.pid("program").unwrap();
        waitpid(Pid::from_raw(pid), None).unwrap();
        assert_eq!(supervisor.ended(pid, Ending::Exit(1)), Some("program"));
    }

    #[test]
    fn a_service_is_started_again_after_a_pause() {
        let mut supervisor = supervisor(Rule::Always);
        run(&mut supervisor);
        let due = supervisor.next_start().unwrap();
        supervisor.start("program");
        supervisor.start_due(due - Duration::from_millis(1));
        assert_eq!(supervisor.pid("program"), None);
        supervisor.start_due(due);
        waitpid(Pid::from_raw(supervisor.pid("program").unwrap()), None).unwrap();
    }

    /// Whatever a conductor says to an agent, one that ends of it again and again is started ever more
    /// rarely, and the console says so each time.
    #[test]
    fn a_program_that_ends_again_and_again_is_started_ever_more_rarely() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("console");
        std::fs::write(&path, "").unwrap();
        let mut supervisor = Supervisor::new(Console::at(&path));
        let service = Service::new("/bin/true");
        supervisor.add("program", service, Rule::Always, Output::Consoles);
        supervisor.start("program");
        for pause in [1, 2, 4, 8, 16, 32, 60, 60].map(Duration::from_secs) {
            let pid = supervisor.pid("program").unwrap();
            waitpid(Pid::from_raw(pid), None).unwrap();
            let before = Instant::now();
            supervisor.ended(pid, Ending::Exit(101));
            let due = supervisor.next_start().unwrap();
            let counted_from = due - pause;
            assert!(
                counted_from >= before && counted_from <= Instant::now(),
                "{pause:?}"
            );
            supervisor.start_due(due);
        }
        let pid = supervisor.pid("program").unwrap();
        waitpid(Pid::from_raw(pid), None).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let said = loop {
            let said = std::fs::read_to_string(&path).unwrap();
            if said.lines().count() >= 8 || Instant::now() > deadline {
                break said;
            }
            thread::sleep(Duration::from_millis(10));
        };
        let lines: Vec<_> = said.lines().collect();
        for (line, text) in [
            (
                0,
                "program ended with exit status 101; starting it again in 1 s",
            ),
            (1, "in 2 s (it has ended 2 times in a row, now after "),
            (7, "in 60 s (it has ended 8 times in a row, now after "),
        ] {
            assert!(lines[line].contains(text), "{said}");
        }
    }

    #[test]
    fn what_is_held_stays_off_until_it_is_started() {
        let mut supervisor = supervisor(Rule::Always);
        supervisor.start("program");
        let pid = supervisor.pid("program").unwrap();
        supervisor.hold("program");
        waitpid(Pid::from_raw(pid), None).unwrap();
        supervisor.ended(pid, Ending::Exit(0));
        assert_eq!(supervisor.next_start(), None);
        run(&mut supervisor);
        assert!(supervisor.next_start().is_some());
        supervisor.hold("program");
        assert_eq!(supervisor.next_start(), None);
    }

    #[test]
    fn what_is_done_is_not_started_again() {
        let mut supervisor = supervisor(Rule::UntilDone(&[]));
        run(&mut supervisor);
        let due = supervisor.next_start().unwrap();
        supervisor.start_due(due);
        let pid = supervisor.pid("program").unwrap();
        waitpid(Pid::from_raw(pid), None).unwrap();
        supervisor.ended(pid, Ending::Exit(0));
        assert_eq!(supervisor.next_start(), None);
    }

    #[test]
    fn what_runs_once_can_be_asked_for_again() {
        let mut supervisor = supervisor(Rule::Once);
        run(&mut supervisor);
        assert_eq!(supervisor.next_start(), None);
        run(&mut supervisor);
    }

    #[test]
    fn nothing_starts_an_agent_that_has_handed_over() {
        let directory = tempfile::tempdir().unwrap();
        let marker = directory.path().join("rescued");
        let path: &'static str = Box::leak(marker.to_str().unwrap().to_owned().into_boxed_str());
        let markers: &'static [&'static str] = Box::leak(Box::new(["/does/not/exist", path]));

        // The marker is there when it ends.
        let mut handed_over = supervisor(Rule::Unless(markers));
        handed_over.start("program");
        let pid = handed_over.pid("program").unwrap();
        std::fs::write(&marker, "").unwrap();
        waitpid(Pid::from_raw(pid), None).unwrap();
        handed_over.ended(pid, Ending::Signal(nix::sys::signal::Signal::SIGKILL));
        std::fs::remove_file(&marker).unwrap();
        handed_over.start("program");
        assert_eq!(
            (handed_over.pid("program"), handed_over.next_start()),
            (None, None)
        );

        // The marker comes in the pause before the next start.
        let mut pausing = supervisor(Rule::Unless(markers));
        run(&mut pausing);
        std::fs::write(&marker, "").unwrap();
        pausing.start_due(pausing.next_start().unwrap());
        assert_eq!((pausing.pid("program"), pausing.next_start()), (None, None));
    }

    #[test]
    fn an_orphan_is_nobodys_program() {
        let mut supervisor = supervisor(Rule::Always);
        assert_eq!(supervisor.ended(1, Ending::Exit(0)), None);
    }
}
