//! The bytes that bring the page onto a screen, and lines of the log below it.
//!
//! The log has a scrolling region of its own (DECSTBM), in which the cursor always stands at the beginning of an empty line: the
//! kernel writes its messages to the same screen, obeys the region, and so scrolls the log and not the page. What it writes while
//! the page is being drawn, and what a change of the screen's size moves, is seen by reading the screen, and drawn over.

use super::facts::Facts;
use super::layout::{self, HEIGHT, Row, Style};
use crate::init::repeats::{Told, split_time};
use crate::sys::virtual_terminal::{Shown, Size};

/// The most lines of the screen for one line of the log, which a file has whole.
const ROWS: usize = 4;

/// A screen with a page, as it was drawn last.
#[derive(Debug, Default)]
pub(super) struct Screen {
    size: Option<Size>,
    page: Vec<Row>,
    /// How the last line of the log was written.
    last: Vec<String>,
}

impl Screen {
    /// Whether the page is there.
    pub(super) fn is_drawn(&self) -> bool {
        self.size.is_some()
    }

    /// Bring the page onto a screen of this size, which now shows this, if that is known. Nothing where it is there
    /// already and unharmed; all of it where `is_doubtful`.
    pub(super) fn draw(
        &mut self,
        facts: &Facts,
        size: Size,
        shown: Option<&Shown>,
        is_doubtful: bool,
    ) -> Vec<u8> {
        let page = layout::rows(facts, size.columns);
        let is_new = self.size != Some(size);
        let is_harmed = is_doubtful || shown.is_some_and(|shown| !self.is_intact(shown));
        let changed: Vec<usize> = (0..page.len())
            .filter(|at| is_new || is_harmed || self.page.get(*at) != page.get(*at))
            .collect();
        if changed.is_empty() {
            return Vec::new();
        }
        let cursor = shown.map(|shown| shown.row).filter(|row| *row < size.rows);
        let is_below = cursor.is_some_and(|row| row >= HEIGHT);
        let mut bytes = String::from("\x1b7\x1b[0m");
        if is_new && !is_below {
            // What little there is would be covered.
            bytes.push_str("\x1b[r\x1b[H\x1b[2J");
        }
        if is_new || is_harmed {
            self.last.clear();
            bytes.push_str(&format!("\x1b[{};{}r", HEIGHT + 1, size.rows));
        }
        for at in changed {
            paint(&mut bytes, at, &page[at]);
        }
        bytes.push_str(&match (is_new, is_below) {
            (true, false) => format!("\x1b[{};1H", HEIGHT + 1),
            (false, false) if cursor.is_some() => format!("\x1b[{};1H\r\n", size.rows),
            _ => "\x1b8".to_owned(),
        });
        self.size = Some(size);
        self.page = page;
        bytes.into_bytes()
    }

    /// Write a line of the log; one that came again in the place where it was written, if nobody has written since.
    pub(super) fn log(&mut self, told: &Told, shown: Option<&Shown>) -> Vec<u8> {
        let columns = self.size.map_or(80, |size| size.columns);
        let (time, text) = split_time(&told.line);
        // The date is on no screen that somebody looks at now.
        let time = time.get(11..19).unwrap_or(time);
        let text = match (told.count, time) {
            (1, "") => text.to_owned(),
            (1, time) => format!("{time} {text}"),
            (count, time) => format!("{time} [{count} times] {text}")
                .trim_start()
                .to_owned(),
        };
        let rows = layout::wrapped(&text, columns.into(), ROWS);
        let mut bytes = String::from("\x1b[0m");
        let is_in_place = told.count > 1 && shown.is_some_and(|shown| self.is_last(shown));
        if is_in_place {
            bytes.push_str(&format!("\x1b[{}A", self.last.len()));
        }
        for row in &rows {
            // Erased first, as in the page.
            bytes.push_str(&format!("\x1b[K{row}\r\n"));
        }
        if is_in_place {
            // It may have become shorter.
            bytes.push_str("\x1b[J");
        }
        self.last = rows;
        bytes.into_bytes()
    }

    /// Leave the screen to somebody else. Nothing where there was no page.
    pub(super) fn leave(&mut self) -> Vec<u8> {
        self.page.clear();
        self.last.clear();
        match self.size.take() {
            // What would stay of the page would grow old.
            Some(_) => b"\x1b[0m\x1b[r\x1b[H\x1b[2J".to_vec(),
            None => Vec::new(),
        }
    }

    /// Whether the page is there as it was drawn, and the cursor below it.
    fn is_intact(&self, shown: &Shown) -> bool {
        let rows = self.page.iter().enumerate();
        shown.row >= HEIGHT && self.are_at(shown, rows.map(|(at, row)| (at, row.text.as_str())))
    }

    /// Whether the last line of the log stands right above the cursor.
    fn is_last(&self, shown: &Shown) -> bool {
        let Some(first) = usize::from(shown.row).checked_sub(self.last.len()) else {
            return false;
        };
        let rows = self.last.iter().enumerate();
        shown.column == 0
            && !self.last.is_empty()
            && first >= usize::from(HEIGHT)
            && self.are_at(shown, rows.map(|(at, row)| (first + at, row.as_str())))
    }

    fn are_at<'a>(&self, shown: &Shown, rows: impl Iterator<Item = (usize, &'a str)>) -> bool {
        let columns = self.size.map_or(0, |size| usize::from(size.columns));
        let lines: Vec<&[u8]> = shown.cells.chunks(columns.max(1)).collect();
        let mut rows = rows;
        rows.all(|(at, text)| {
            lines
                .get(at)
                .is_some_and(|cells| cells.trim_ascii_end() == text.trim_end().as_bytes())
        })
    }
}

fn paint(bytes: &mut String, at: usize, row: &Row) {
    let style = match row.style {
        Style::Plain => "",
        Style::Title => "\x1b[7m",
        Style::Alarm => "\x1b[1;31m",
    };
    let text = &row.text;
    // Erasing first: behind a line that fills the screen's width the cursor stands on its last column.
    bytes.push_str(&format!("\x1b[{};1H\x1b[K{style}{text}\x1b[0m", at + 1));
}
