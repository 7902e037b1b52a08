//! When the page is drawn on one screen, and what goes beside it.

use std::fs::File;
use std::io::Write;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::facts::Page;
use super::layout;
use super::screen::Screen;
use crate::init::outlet::{COUNT, Piece, Stale, plain};
use crate::init::repeats::{Repeats, Told};
use crate::sys::virtual_terminal::{self, Shown, Size};

/// The pause between two drawings, and between two counts of a line that comes again. A BMC sends
/// each to whoever looks, over a line that may be slow.
const PAUSE: Duration = Duration::from_millis(500);

/// How often a screen is read, for its size, and for what the kernel wrote over the page.
const LOOK: Duration = Duration::from_secs(2);

/// How often the page is drawn all over where the screen cannot be read.
const BLIND: Duration = Duration::from_secs(10);

/// One screen, its page and its log.
#[derive(Debug)]
pub(in crate::init) struct Drawing {
    page: Page,
    /// Whether the page has changed since it was drawn.
    stale: Stale,
    screen: Screen,
    repeats: Repeats,
    next_draw: Instant,
    next_look: Instant,
    next_blind: Instant,
}

impl Drawing {
    /// A screen that has nothing of ours yet.
    pub(in crate::init) fn new(page: Page, stale: Stale, now: Instant) -> Self {
        Self {
            page,
            stale,
            screen: Screen::default(),
            repeats: Repeats::new(COUNT),
            next_draw: now,
            next_look: now,
            next_blind: now,
        }
    }

    /// Draw on the virtual terminal of this name, for as long as somebody can send.
    pub(in crate::init) fn run(mut self, name: &str, mut device: File, queue: &Receiver<Piece>) {
        let shown = || virtual_terminal::shown(name);
        loop {
            let pause = self.next().saturating_duration_since(Instant::now());
            let piece = match queue.recv_timeout(pause) {
                Ok(piece) => Some(piece),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if let Some(piece) = piece {
                // Written before the screen is read again. A terminal that has hung up fails at every write; it may come back.
                let _ = device.write_all(&self.take(piece, shown, Instant::now()));
            }
            let bytes = self.draw(virtual_terminal::size(&device), shown, Instant::now());
            let _ = device.write_all(&bytes);
        }
    }

    /// When there is something to do, whatever comes until then.
    fn next(&self) -> Instant {
        let draw = self.stale.is_set().then_some(self.next_draw);
        [draw, self.repeats.next()]
            .into_iter()
            .flatten()
            .fold(self.next_look, Instant::min)
    }

    /// What is written at once of a piece, on a screen that shows this.
    pub(super) fn take(
        &mut self,
        piece: Piece,
        shown: impl Fn() -> Option<Shown>,
        now: Instant,
    ) -> Vec<u8> {
        match piece {
            Piece::Line(line) if self.screen.is_drawn() && self.page.says(&line) => Vec::new(),
            Piece::Line(line) => {
                let told = self.repeats.take(line.to_string(), now);
                let mut bytes = Vec::new();
                for told in told {
                    // The count of the line before comes first, where that line stands.
                    let shown = if told.count > 1 { shown() } else { None };
                    bytes.extend(self.log(&told, shown.as_ref()));
                }
                bytes
            }
            Piece::Page => Vec::new(),
        }
    }

    /// What is written because its time has come, on a screen of this size that shows this.
    pub(super) fn draw(
        &mut self,
        size: Option<Size>,
        shown: impl Fn() -> Option<Shown>,
        now: Instant,
    ) -> Vec<u8> {
        let mut bytes = Vec::new();
        if now >= self.next_look || (self.stale.is_set() && now >= self.next_draw) {
            // Before the facts are read: what changes from now on is drawn next time.
            self.stale.clear();
            self.next_draw = now + PAUSE;
            self.next_look = now + LOOK;
            let Some(size) = size.filter(|size| !self.stale.is_left() && layout::fits(*size))
            else {
                self.repeats.set_pause(COUNT);
                return self.screen.leave();
            };
            let shown = shown();
            let is_blind = shown.is_none();
            let is_doubtful = is_blind && now >= self.next_blind;
            if is_doubtful {
                self.next_blind = now + BLIND;
            }
            self.repeats.set_pause(if is_blind { COUNT } else { PAUSE });
            let facts = self.page.facts();
            bytes = self.screen.draw(&facts, size, shown.as_ref(), is_doubtful);
        }
        if let Some(told) = self.repeats.due(now) {
            let shown = shown();
            bytes.extend(self.log(&told, shown.as_ref()));
        }
        bytes
    }

    fn log(&mut self, told: &Told, shown: Option<&Shown>) -> Vec<u8> {
        if self.screen.is_drawn() {
            self.screen.log(told, shown)
        } else {
            let mut line = layout::ascii(plain(told).trim_end_matches('\n'));
            line.push_str("\r\n");
            line.into_bytes()
        }
    }
}
