//! One line on the terminal that is written over and over.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use farrier_plugin::{Context, Progress};

use crate::command::Pace;
use crate::sys::printable;

/// How often the line is written anew.
const REFRESH: Duration = Duration::from_millis(200);

/// Shows progress on the terminal, if there is one, and hears of Ctrl-C.
pub(super) struct ProgressLine {
    shown: Mutex<Shown>,
    interrupted: Arc<AtomicBool>,
}

#[derive(Default)]
struct Shown {
    pace: Option<Pace>,
    when: Option<Instant>,
}

impl ProgressLine {
    pub(super) fn new() -> Self {
        Self {
            shown: Mutex::default(),
            interrupted: Arc::default(),
        }
    }

    /// From now on, Ctrl-C ends the work in order: it is cancelled, and says so. A second one ends
    /// the program.
    pub(super) fn hear_interrupts(&self) {
        let interrupted = Arc::clone(&self.interrupted);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build();
            let Ok(runtime) = runtime else { return };
            while runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
                if interrupted.swap(true, Ordering::Relaxed) {
                    // What a shell expects of a program that a SIGINT ended.
                    std::process::exit(130);
                }
            }
        });
    }

    /// Take the line away.
    pub(super) fn clear(&self) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.when.take().is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

impl Context for ProgressLine {
    fn report_progress(&self, progress: Progress) {
        let now = Instant::now();
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let stage = match &mut shown.pace {
            Some(pace) => {
                let stage = pace.progress().what != progress.what;
                pace.tell(progress, now);
                stage
            }
            none => {
                *none = Some(Pace::new(progress, now));
                true
            }
        };
        let is_due = stage || shown.when.is_none_or(|when| now - when > REFRESH);
        if !is_due || !std::io::stderr().is_terminal() {
            return;
        }
        shown.when = Some(now);
        if let Some(pace) = &shown.pace {
            // A terminal that is gone is nobody's loss.
            let pace = pace.to_string();
            let _ = write!(std::io::stderr(), "\r{}\x1b[K", printable::line(&pace));
        }
    }

    fn is_cancelled(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}
