//! The record of commands that outlives the agent.
//!
//! The conductor takes an empty command list for a finished reboot and goes on to the next step
//! (contract/control-plane 12). An agent that crashed in the middle of an erase and came back with
//! an empty list would turn that erase into a done one. So every command is written down before it
//! runs and when it has ended, in a file that a restart of the agent finds and a reboot of the
//! machine does not: it lies on a tmpfs, and it names the boot it belongs to, in case it does not.
//!
//! A line is complete when it ends in a newline: the last one may be cut, which means that the
//! command it speaks of had not started, or that its end was not shown to anybody.

mod error;
mod line;

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use farrier_plugin::{ErrorKind, ManagerError};
use tracing::{info, warn};
use uuid::Uuid;

use super::omission::bounded;
use super::outcome::{Command, Outcome};
use crate::sys::run_files;
pub(crate) use error::JournalError;
use error::WriteError;
use line::{Entry, Line};

/// The file in the state directory.
const FILE: &str = run_files::COMMANDS.split_at(run_files::STATE.len() + 1).1;

/// What PID 1 writes beside it about the end of the last agent, for people: `signal 9`.
pub(crate) const LAST_EXIT: &str = run_files::LAST_EXIT.split_at(run_files::STATE.len() + 1).1;

/// What the kernel calls this boot: another random UUID after each.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A journal above this many bytes is not ours. One that would grow beyond is full: it lies in
/// memory, and a boot has some dozens of commands of a few KiB.
const SIZE_LIMIT: u64 = 64 * 1024 * 1024;

/// So many bytes are kept free for the ends of commands that have started: what ended well must not
/// become a failure because there was no room to say so.
const RESERVE: u64 = 1024 * 1024;

/// A result that takes more than this many bytes of JSON is left out. After a restart of the agent
/// the conductor has long read it, and [`RESERVE`] has room for the ends of some that run at once.
const RESULT_LIMIT: usize = 256 * 1024;

/// How long a lock that somebody holds is tried again, and the pause between.
const LOCK_LIMIT: Duration = Duration::from_secs(2);
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// The open journal.
#[derive(Debug)]
pub(super) struct Journal(Mutex<Tail>);

/// The end of the file, where lines are added.
#[derive(Debug)]
struct Tail {
    file: File,
    /// The bytes of all complete lines.
    length: u64,
}

impl Journal {
    /// Whether an agent has opened one in this state directory.
    pub(super) fn is_there(directory: &Path) -> bool {
        directory.join(FILE).exists()
    }

    /// Open the journal of this state directory and this boot, or start one. The commands come back
    /// in the order of their issue; those that were running are failed now, in the file too. The error of an
    /// erase tells what the machine shows of its work.
    pub(super) fn open(
        directory: &Path,
        left_behind: Option<&str>,
    ) -> Result<(Self, Vec<Command>), JournalError> {
        let boot = fs::read_to_string(BOOT_ID).map_err(|source| JournalError::Access {
            path: BOOT_ID.into(),
            source,
        })?;
        Self::open_for(directory, boot.trim(), left_behind)
    }

    fn open_for(
        directory: &Path,
        boot: &str,
        left_behind: Option<&str>,
    ) -> Result<(Self, Vec<Command>), JournalError> {
        let path = directory.join(FILE);
        let access = |source| JournalError::Access {
            path: path.clone(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(access)?;
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
            .map_err(access)?;
        match lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::InUse { path }),
            Err(TryLockError::Error(source)) => return Err(access(source)),
        }

        let mut text = Vec::new();
        (&mut file)
            .take(SIZE_LIMIT + 1)
            .read_to_end(&mut text)
            .map_err(access)?;
        if text.len() as u64 > SIZE_LIMIT {
            return Err(access(io::ErrorKind::FileTooLarge.into()));
        }
        let complete = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        if complete < text.len() {
            warn!(
                bytes = text.len() - complete,
                "the agent ended while it wrote its journal; the cut line is dropped"
            );
            file.set_len(complete as u64).map_err(access)?;
        }
        let entries = match line::parse(&path, &text[..complete])? {
            Some((written, entries)) if written == boot => Some(entries),
            Some(_) => {
                // A reboot ends every command, and the conductor waits for an empty list.
                info!("the command journal is of an earlier boot and starts anew");
                file.set_len(0).map_err(access)?;
                None
            }
            None => None,
        };

        let is_new = entries.is_none();
        let journal = Self(Mutex::new(Tail {
            file,
            length: if is_new { 0 } else { complete as u64 },
        }));
        let failed = |error| {
            access(match error {
                WriteError::Full { .. } => io::ErrorKind::FileTooLarge.into(),
                WriteError::Write(error) => error,
            })
        };
        if is_new {
            journal
                .append(
                    &Line::Journal {
                        version: line::VERSION,
                        boot: boot.to_owned(),
                    },
                    SIZE_LIMIT,
                )
                .map_err(failed)?;
        }
        let exit = last_exit(directory);
        let interrupted = |name: &str, erases: bool| {
            interrupted(name, exit.as_deref(), left_behind.filter(|_| erases))
        };
        let commands = journal
            .fail_unfinished(entries.unwrap_or_default(), interrupted)
            .map_err(failed)?;
        Ok((journal, commands))
    }

    /// A command, or one that erases disks, is about to run. It must not where this fails.
    pub(super) fn started(&self, id: Uuid, name: &str, erases: bool) -> Result<(), WriteError> {
        let line = Line::Started {
            id,
            name: name.to_owned(),
            erases,
            at: now(),
        };
        self.append(&line, SIZE_LIMIT - RESERVE)
    }

    /// A command has ended.
    pub(super) fn ended(&self, id: Uuid, outcome: &Outcome) -> Result<(), WriteError> {
        let line = Line::Ended {
            id,
            status: outcome.status,
            error: outcome.error.clone(),
            result: bounded(&outcome.result, RESULT_LIMIT),
            at: now(),
        };
        self.append(&line, SIZE_LIMIT)
    }

    /// A command that started is not to be listed.
    pub(super) fn refused(&self, id: Uuid) -> Result<(), WriteError> {
        self.append(&Line::Refused { id }, SIZE_LIMIT)
    }

    /// From now on it counts as this long.
    #[cfg(test)]
    pub(super) fn fill_for_test(&self, free: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).length = SIZE_LIMIT - free;
    }

    /// From now on nothing can be written, as when the tmpfs is full.
    #[cfg(test)]
    pub(super) fn break_for_test(&self) {
        let full = OpenOptions::new().append(true).open("/dev/full");
        self.0.lock().unwrap_or_else(PoisonError::into_inner).file = full.unwrap();
    }

    fn append(&self, line: &Line, limit: u64) -> Result<(), WriteError> {
        let mut text = serde_json::to_vec(line).map_err(io::Error::from)?;
        text.push(b'\n');
        let mut tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.length + text.len() as u64 > limit {
            return Err(WriteError::Full {
                length: tail.length,
            });
        }
        if let Err(error) = tail.file.write_all(&text) {
            // A half-written line must not run into the next one. Where it cannot be taken back, the
            // next start finds the damage and serves nothing, which is safe.
            let _ = tail.file.set_len(tail.length);
            return Err(error.into());
        }
        tail.length += text.len() as u64;
        Ok(())
    }

    fn fail_unfinished(
        &self,
        entries: Vec<Entry>,
        interrupted: impl Fn(&str, bool) -> ManagerError,
    ) -> Result<Vec<Command>, WriteError> {
        let mut commands = Vec::new();
        for entry in entries {
            let Entry {
                id,
                name,
                erases,
                outcome,
            } = entry;
            let outcome = match outcome {
                Some(outcome) => outcome,
                None => {
                    let outcome = Outcome::failed(&interrupted(&name, erases));
                    self.ended(id, &outcome)?;
                    outcome
                }
            };
            commands.push(Command::over(id, name, outcome));
        }
        Ok(commands)
    }
}

/// The error of a command during which the agent ended.
fn interrupted(name: &str, last_exit: Option<&str>, left_behind: Option<&str>) -> ManagerError {
    let how = last_exit.map_or_else(String::new, |exit| format!(" ({exit})"));
    let left = left_behind.map_or_else(String::new, |left| format!(". {left}"));
    ManagerError::new(
        ErrorKind::CommandExecution,
        format!(
            "The agent ended{how} and was restarted while {name} was running. How far it came is \
             not known: nothing that it worked on counts as done{left}"
        ),
    )
}

/// Lock it for this agent alone. A program that the agent before this one was starting when it ended
/// keeps the lock until its exec, so a lock that is held is tried again for a moment.
fn lock(file: &File) -> Result<(), TryLockError> {
    let until = Instant::now() + LOCK_LIMIT;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(LOCK_PAUSE),
            outcome => return outcome,
        }
    }
}

/// One line of what PID 1 wrote about the agent before this one.
fn last_exit(directory: &Path) -> Option<String> {
    let text = fs::read_to_string(directory.join(LAST_EXIT)).ok()?;
    let line: String = text
        .lines()
        .next()?
        .chars()
        .filter(|character| !character.is_control())
        .take(200)
        .collect();
    Some(line.trim().to_owned()).filter(|line| !line.is_empty())
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// For a fuzz target: read these lines.
#[cfg(any(test, fuzzing))]
pub(super) fn parse(lines: &[u8]) {
    let _ = line::parse(Path::new("journal"), lines);
}

/// For a test of PID 1: what is said of a command that was running in this directory when the agent
/// ended so.
#[cfg(test)]
pub(crate) fn interrupted_in(directory: &Path, end: impl FnOnce()) -> String {
    let (journal, _) = Journal::open(directory, None).unwrap();
    journal
        .started(Uuid::new_v4(), "execute_clean_step", false)
        .unwrap();
    drop(journal);
    end();
    let (_journal, commands) = Journal::open(directory, None).unwrap();
    commands[0]
        .outcome()
        .unwrap()
        .error
        .clone()
        .unwrap()
        .details
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use farrier_plugin::LARGE_STRING;
    use serde_json::json;

    use super::*;
    use crate::command::outcome::Status;

    fn journal_of(directory: &Path) -> PathBuf {
        directory.join(FILE)
    }

    fn seen(commands: &[Command]) -> Vec<(String, Status)> {
        commands
            .iter()
            .map(|command| (command.name().to_owned(), command.status()))
            .collect()
    }

    /// One command that ended, one that was refused, one that still runs.
    fn write_three(directory: &Path) -> (Uuid, Uuid) {
        let (journal, before) = Journal::open(directory, None).unwrap();
        assert!(before.is_empty());
        let (done, refused, running) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
        journal.started(done, "get_clean_steps", false).unwrap();
        journal
            .ended(done, &Outcome::succeeded(json!({"clean_steps": {}})))
            .unwrap();
        journal.started(refused, "finalize_rescue", false).unwrap();
        journal.refused(refused).unwrap();
        journal
            .started(running, "execute_clean_step", false)
            .unwrap();
        (done, running)
    }

    #[test]
    fn what_was_running_has_failed_and_stays_so() {
        let directory = tempfile::tempdir().unwrap();
        let (done, running) = write_three(directory.path());
        fs::write(directory.path().join(LAST_EXIT), "signal 9\nmore\n").unwrap();
        for _ in 0..2 {
            let (_journal, commands) = Journal::open(directory.path(), None).unwrap();
            assert_eq!(
                seen(&commands),
                [
                    ("get_clean_steps".to_owned(), Status::Succeeded),
                    ("execute_clean_step".to_owned(), Status::Failed),
                ]
            );
            assert_eq!((commands[0].id(), commands[1].id()), (done, running));
            assert_eq!(
                commands[0].outcome().unwrap().result,
                json!({"clean_steps": {}})
            );
            let error = commands[1].outcome().unwrap().error.clone().unwrap();
            assert_eq!(error.type_name, "CommandExecutionError");
            assert_eq!(
                error.details,
                "The agent ended (signal 9) and was restarted while execute_clean_step was \
                 running. How far it came is not known: nothing that it worked on counts as done"
            );
            // The second round must find the failure in the file, not make it up again.
            fs::remove_file(directory.path().join(LAST_EXIT)).ok();
        }
    }

    #[test]
    fn a_journal_cut_anywhere_never_shows_a_good_end_that_was_not_written() {
        let directory = tempfile::tempdir().unwrap();
        write_three(directory.path());
        let whole = fs::read(journal_of(directory.path())).unwrap();
        for length in 0..whole.len() {
            let directory = tempfile::tempdir().unwrap();
            fs::write(journal_of(directory.path()), &whole[..length]).unwrap();
            let complete = whole[..length].split_inclusive(|byte| *byte == b'\n');
            let ends = complete
                .filter(|line| line.ends_with(b"\n") && line.starts_with(b"{\"ended\""))
                .count();
            let (journal, commands) = Journal::open(directory.path(), None).unwrap();
            let good = seen(&commands)
                .iter()
                .filter(|(_, status)| *status == Status::Succeeded)
                .count();
            assert_eq!(good, ends, "cut at {length}");
            assert!(
                seen(&commands)
                    .iter()
                    .all(|(_, status)| *status != Status::Running)
            );
            // It can be written on after the cut.
            journal.started(Uuid::new_v4(), "sync", false).unwrap();
            drop(journal);
            assert_eq!(
                Journal::open(directory.path(), None).unwrap().1.len(),
                commands.len() + 1
            );
        }
    }

    #[test]
    fn damage_is_named_and_nothing_is_opened() {
        let directory = tempfile::tempdir().unwrap();
        write_three(directory.path());
        let text = fs::read_to_string(journal_of(directory.path())).unwrap();
        let id = Uuid::new_v4();
        let damages = [
            (text.replacen("started", "sta\u{0}ted", 1), 2),
            (text.replacen("SUCCEEDED", "FINE", 1), 3),
            (
                text.lines()
                    .skip(1)
                    .map(|line| format!("{line}\n"))
                    .collect(),
                1,
            ),
            (text.replacen("\"version\":1", "\"version\":2", 1), 1),
            (format!("{text}{{\"refused\":{{\"id\":\"{id}\"}}}}\n"), 7),
            (format!("{text}\n"), 7),
            ("\n\n".to_owned(), 1),
        ];
        for (damaged, expected) in damages {
            fs::write(journal_of(directory.path()), &damaged).unwrap();
            match Journal::open(directory.path(), None) {
                Err(JournalError::Damaged { line, .. }) => assert_eq!(line, expected, "{damaged}"),
                other => panic!("{other:?} for {damaged}"),
            }
        }
    }

    #[test]
    fn a_reboot_empties_the_list_wherever_the_file_lies() {
        let directory = tempfile::tempdir().unwrap();
        write_three(directory.path());
        let (journal, commands) =
            Journal::open_for(directory.path(), "another boot", None).unwrap();
        assert!(commands.is_empty());
        journal.started(Uuid::new_v4(), "sync", false).unwrap();
        drop(journal);
        let (_journal, commands) =
            Journal::open_for(directory.path(), "another boot", None).unwrap();
        assert_eq!(seen(&commands), [("sync".to_owned(), Status::Failed)]);
    }

    #[test]
    fn only_root_reads_it_and_only_one_agent_has_it() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("farrier");
        let (_journal, _) = Journal::open(&state, None).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&state), mode(&journal_of(&state))), (0o700, 0o600));
        assert!(matches!(
            Journal::open(&state, None),
            Err(JournalError::InUse { .. })
        ));
    }

    /// As a program does that the agent before this one was starting.
    #[test]
    fn a_lock_that_is_held_for_a_moment_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        drop(Journal::open(directory.path(), None).unwrap());
        let held = File::open(journal_of(directory.path())).unwrap();
        held.lock().unwrap();
        let holder = thread::spawn(move || {
            thread::sleep(Duration::from_millis(300));
            drop(held);
        });
        Journal::open(directory.path(), None).unwrap();
        holder.join().unwrap();
    }

    #[test]
    fn what_cannot_be_opened_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(journal_of(directory.path())).unwrap();
        assert!(matches!(
            Journal::open(directory.path(), None),
            Err(JournalError::Access { .. })
        ));

        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/null", journal_of(directory.path())).unwrap();
        assert!(matches!(
            Journal::open(directory.path(), None),
            Err(JournalError::Access { .. })
        ));
    }

    #[test]
    fn log_archives_are_not_kept() {
        let directory = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(directory.path(), None).unwrap();
        let id = Uuid::new_v4();
        journal.started(id, "collect_system_logs", false).unwrap();
        let logs = "H".repeat(LARGE_STRING + 1);
        journal
            .ended(id, &Outcome::succeeded(json!({"system_logs": logs})))
            .unwrap();
        drop(journal);
        let (_, commands) = Journal::open(directory.path(), None).unwrap();
        assert_eq!(
            commands[0].outcome().unwrap().result,
            json!({"system_logs": "<65537 bytes omitted>"})
        );
    }
}
