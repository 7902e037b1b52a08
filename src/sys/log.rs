//! The log: one structured line for each event, on the console and in a file of bounded size, with
//! secrets masked.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

pub use super::mask::hide;
pub(crate) use super::mask::{hide_given, is_secret_name, mask, mask_bytes, mask_cut};
use super::{clock, printable, private_file, run_files};

/// A file of this many bytes is put aside for a new one; one old file is kept.
const FILE_LIMIT: u64 = 2 * 1024 * 1024;

/// A line is cut after about this many bytes: what a program prints and a peer sends must not push
/// everything else out of the file.
const LINE_LIMIT: usize = 8 * 1024;

/// Bytes kept in memory where no file can be written.
const RING_LIMIT: usize = 512 * 1024;

/// Lines that may wait for a slow console. Further ones are left out there and counted.
const CONSOLE_QUEUE: usize = 1024;

/// Start logging: `info` and above, or `debug` and above. Later calls change nothing. The log is kept
/// on a tmpfs, so that it outlives a crash of the agent.
pub(crate) fn start(debug: bool) {
    start_at(Path::new(run_files::AGENT_LOG), debug);
}

/// The same for a person at a terminal, from this level on: on stderr, and kept nowhere.
pub fn start_on_terminal(level: LevelFilter) {
    let _ = tracing_subscriber::registry()
        .with(level)
        .with(Lines)
        .try_init();
}

/// Everything that is kept of the log, oldest line first.
pub(crate) fn text() -> Vec<u8> {
    STORE.get().map_or_else(Vec::new, |store| {
        store.lock().unwrap_or_else(PoisonError::into_inner).text()
    })
}

/// Show these lines to the person at the console, and keep them in the log. Foreign text that becomes a
/// part of one goes through [`printable::line`] before.
pub(crate) fn show(lines: &str) {
    #[cfg(test)]
    SHOWN
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(lines.to_owned());
    for line in lines.lines() {
        emit(format!(
            "{}\n",
            printable::line(&mask_cut(line, LINE_LIMIT))
        ));
    }
}

/// Show a line to the person at the console without keeping it: for what changes all the time.
pub(crate) fn console(line: &str) {
    to_console(format!(
        "{}\n",
        printable::line(&mask_cut(line, LINE_LIMIT))
    ));
}

/// Wait until the console has taken what was logged, at most a second. Called before the process
/// ends.
pub(crate) fn flush() {
    let Some(console) = CONSOLE.get() else { return };
    let (done, taken) = sync_channel(1);
    if console.send(Entry::Flush(done)).is_ok() {
        let _ = taken.recv_timeout(Duration::from_secs(1));
    }
}

/// Log `debug` from now on, or no longer: what the conductor announces comes after the start.
pub(crate) fn set_debug(debug: bool) {
    let before = DEBUG.swap(debug, Ordering::Relaxed);
    if before != debug {
        // Each place that logs remembers whether anybody listens.
        tracing::callsite::rebuild_interest_cache();
    }
}

/// What tests have shown, each call an entry.
#[cfg(test)]
pub(crate) static SHOWN: Mutex<Vec<String>> = Mutex::new(Vec::new());

static DEBUG: AtomicBool = AtomicBool::new(false);
static STORE: OnceLock<Mutex<Store>> = OnceLock::new();
static CONSOLE: OnceLock<SyncSender<Entry>> = OnceLock::new();
static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// What the console's thread is sent.
enum Entry {
    Line(String),
    Flush(SyncSender<()>),
}

fn start_at(path: &Path, debug: bool) {
    if STORE.set(Mutex::new(Store::open(path))).is_err() {
        return;
    }
    let (sender, receiver) = sync_channel(CONSOLE_QUEUE);
    // A serial line takes 11 KB/s; events must not wait for it, so a thread does.
    let started = thread::Builder::new()
        .name("console".to_owned())
        .stack_size(64 * 1024)
        .spawn(move || write_console(&receiver));
    if started.is_ok() {
        let _ = CONSOLE.set(sender);
    }
    DEBUG.store(debug, Ordering::Relaxed);
    // A second subscriber can exist in tests only; then the first keeps the events.
    let _ = tracing_subscriber::registry().with(Lines).try_init();
}

fn write_console(receiver: &Receiver<Entry>) {
    while let Ok(entry) = receiver.recv() {
        write_entry(entry);
        let left_out = LEFT_OUT.swap(0, Ordering::Relaxed);
        if left_out > 0 {
            let _ = writeln!(
                io::stderr(),
                "(the console is slow: {left_out} lines left out)"
            );
        }
    }
}

fn write_entry(entry: Entry) {
    match entry {
        Entry::Line(line) => {
            let _ = io::stderr().write_all(line.as_bytes());
        }
        Entry::Flush(done) => {
            let _ = done.send(());
        }
    }
}

fn emit(line: String) {
    if let Some(store) = STORE.get() {
        store
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .append(line.as_bytes());
    }
    to_console(line);
}

fn to_console(line: String) {
    let Some(console) = CONSOLE.get() else {
        let _ = io::stderr().write_all(line.as_bytes());
        return;
    };
    match console.try_send(Entry::Line(line)) {
        Ok(()) => {}
        Err(TrySendError::Full(_)) => {
            LEFT_OUT.fetch_add(1, Ordering::Relaxed);
        }
        Err(TrySendError::Disconnected(entry)) => write_entry(entry),
    }
}

/// Makes a line of each event.
struct Lines;

/// Down to where events of our own are kept.
fn level() -> Level {
    if DEBUG.load(Ordering::Relaxed) {
        Level::DEBUG
    } else {
        Level::INFO
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _context: Context<'_, S>) -> bool {
        // What libraries say below a warning is about themselves.
        let ours = metadata.target().starts_with("farrier");
        let limit = if ours { level() } else { Level::WARN };
        *metadata.level() <= limit
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::from_level(level()))
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let target = metadata.target();
        let room = target.strip_prefix("farrier::").unwrap_or(target);
        let mut line = format!(
            "{} {:5} {room}: {}{}",
            clock::utc_text(SystemTime::now()),
            metadata.level().as_str(),
            fields.message,
            fields.others
        );
        line = mask_cut(&line, LINE_LIMIT);
        line.push('\n');
        emit(line);
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field.name(), &format!("{value:?}"));
    }
}

impl Fields {
    fn add(&mut self, name: &str, value: &str) {
        // Before it is copied and escaped; masked here, because the cut hides where a secret ends.
        let cut = (value.len() > LINE_LIMIT).then(|| mask_cut(value, LINE_LIMIT));
        let value = cut.as_deref().unwrap_or(value);
        if name == "message" {
            // A line break inside a message would forge a second event.
            self.message = printable::line(value).into_owned();
        } else if value.is_empty()
            || value.contains(|sign: char| sign.is_whitespace() || sign == '"')
        {
            // Writing to a String cannot fail.
            let _ = write!(self.others, " {name}={value:?}");
        } else {
            let _ = write!(self.others, " {name}={}", printable::line(value));
        }
    }
}

/// The file, or the memory where there is none.
struct Store {
    path: PathBuf,
    file: Option<File>,
    size: u64,
    ring: VecDeque<u8>,
}

impl Store {
    fn open(path: &Path) -> Self {
        let mut store = Self {
            path: path.to_owned(),
            file: None,
            size: 0,
            ring: VecDeque::new(),
        };
        if let Some(directory) = path.parent() {
            let _ = private_file::make_directory(directory);
        }
        store.reopen();
        store
    }

    fn reopen(&mut self) {
        self.file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.path)
            .ok();
        self.size = self
            .file
            .as_ref()
            .and_then(|file| file.metadata().ok())
            .map_or(0, |metadata| metadata.len());
    }

    fn append(&mut self, line: &[u8]) {
        if self.size + line.len() as u64 > FILE_LIMIT && self.file.is_some() {
            let _ = fs::rename(&self.path, self.old());
            self.reopen();
        }
        if let Some(file) = &mut self.file
            && file.write_all(line).is_ok()
        {
            self.size += line.len() as u64;
            return;
        }
        self.ring.extend(line);
        let excess = self.ring.len().saturating_sub(RING_LIMIT);
        self.ring.drain(..excess);
    }

    fn text(&self) -> Vec<u8> {
        let mut text = fs::read(self.old()).unwrap_or_default();
        text.extend(fs::read(&self.path).unwrap_or_default());
        text.extend(&self.ring);
        text
    }

    fn old(&self) -> PathBuf {
        self.path.with_extension("log.1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_can_be_changed_later() {
        let subscriber = tracing_subscriber::registry().with(Lines);
        tracing::subscriber::with_default(subscriber, || {
            // One place in the code, which remembers.
            let is_kept = || tracing::enabled!(Level::DEBUG);
            assert!(!is_kept());
            set_debug(true);
            assert!(is_kept());
            set_debug(false);
            assert!(!is_kept());
        });
    }

    #[test]
    fn the_file_is_bounded_and_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(&directory.path().join("run/agent.log"));
        let line = [b'x'; 1023];
        for count in 0..6 * 1024u32 {
            store.append(&line);
            store.append(if count % 2 == 0 { b"\n" } else { b";" });
        }
        store.append(b"last\n");
        let text = store.text();
        assert!(text.len() as u64 <= 2 * FILE_LIMIT);
        assert!(text.ends_with(b"last\n"));
        assert!(store.ring.is_empty());
    }

    #[test]
    fn without_a_file_the_ring_keeps_the_newest() {
        let mut store = Store::open(Path::new("/proc/no/such/agent.log"));
        for _ in 0..1024 {
            store.append(&[b'y'; 1024]);
        }
        store.append(b"last\n");
        assert_eq!(store.text().len(), RING_LIMIT);
        assert!(store.text().ends_with(b"last\n"));
    }

    #[test]
    fn a_line_is_cut_whatever_is_logged() {
        let value = format!("{} agent_token=abcdef", "x\n".repeat(LINE_LIMIT));
        let mut fields = Fields::default();
        fields.add("said", &value);
        fields.add("message", &value);
        for text in [&fields.message, &fields.others] {
            assert!(text.len() < 2 * LINE_LIMIT, "{}", text.len());
            assert!(text.contains("bytes left out"), "{text}");
            assert!(!text.contains("abcdef"));
        }
        let line = format!("{}{}", fields.message, fields.others);
        assert!(mask_cut(&line, LINE_LIMIT).len() < LINE_LIMIT + 40);
    }

    #[test]
    fn fields_follow_the_message_in_one_line() {
        let mut fields = Fields::default();
        fields.add("node", "abc");
        fields.add("message", "two\nlines");
        fields.add("reason", "has spaces");
        assert_eq!(fields.message, "two\\nlines");
        assert_eq!(fields.others, " node=abc reason=\"has spaces\"");
    }

    #[test]
    fn no_foreign_text_forges_a_line_or_moves_the_cursor() {
        for forger in [
            "\r",
            "\n",
            "\u{1b}[1A\u{1b}[2K",
            "\u{8}",
            "\u{9b}2J",
            "\u{85}",
            "\u{2028}",
            "\u{202e}",
        ] {
            for name in ["message", "error"] {
                for text in [format!("a{forger}b"), format!("a {forger}b")] {
                    let mut fields = Fields::default();
                    fields.add(name, &text);
                    let line = fields.message + &fields.others;
                    assert!(line.chars().all(printable::is_visible), "{line:?}");
                }
            }
        }
    }

    #[test]
    fn the_log_and_its_directory_are_roots_alone() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/agent.log");
        Store::open(&path).append(b"a line\n");
        for (path, mode) in [(path.parent().unwrap(), 0o700), (&path, 0o600)] {
            let found = fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(found, mode, "{}", path.display());
        }
    }
}
