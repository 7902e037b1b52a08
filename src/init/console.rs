//! The kernel's consoles. `/dev/console` is only the last `console=` of the kernel command line; a
//! person may be looking at any, so everything goes to all of them: as lines to a serial one, whose log somebody reads later, and
//! below a page (see [`super::page`]) to a screen.
//!
//! A serial line that nobody reads can stop for ever. Each console therefore has a thread and a
//! bounded queue of its own: what does not fit is dropped, and neither PID 1 nor the
//! agent ever waits for a console.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::lines;
use super::outlet::{Outlet, Piece, write_lines};
use super::page::{Drawing, Page};
use crate::sys::boot_times::since_kernel_start;
use crate::sys::console_fact::ConsoleFact;
use crate::sys::printable;
use crate::sys::virtual_terminal;

/// All active consoles. Clones write to the same ones.
#[derive(Clone, Debug)]
pub(super) struct Console {
    outlets: Vec<Outlet>,
    page: Page,
}

impl Console {
    /// The consoles that the kernel names as active, or `/dev/console` where it names none.
    pub(super) fn open() -> Self {
        let page = Page::default();
        let terminal = std::env::var("TERM").unwrap_or_default();
        let outlets: Vec<Outlet> = names(&active())
            .iter()
            .filter_map(|name| start(name, &page, &terminal))
            .collect();
        let console = Self { outlets, page };
        if console
            .outlets
            .iter()
            .any(|outlet| has_page(outlet.name(), &terminal))
        {
            let everywhere = console.clone();
            console.page.watch(move || everywhere.redraw());
        }
        console
    }

    /// No console at all.
    #[cfg(test)]
    pub(super) fn nowhere() -> Self {
        Self {
            outlets: Vec::new(),
            page: Page::default(),
        }
    }

    /// The one at this path.
    #[cfg(test)]
    pub(super) fn at(path: &Path) -> Self {
        let outlet = Outlet::open("test", path, |device, queue, _| write_lines(device, queue));
        Self {
            outlets: outlet.into_iter().collect(),
            page: Page::default(),
        }
    }

    /// Write a line of PID 1's own: the time since the kernel started, and what happened.
    pub(super) fn say(&self, text: &str) {
        let at = since_kernel_start().as_secs_f64();
        self.line(&format!("{at:8.2} s  {text}"));
    }

    /// Say on the page what PID 1 is doing; shown while no agent says what it does.
    pub(super) fn doing(&self, text: &str) {
        if self.page.own(text) {
            self.redraw();
        }
    }

    /// The agent tells this for the page.
    pub(super) fn tell(&self, fact: ConsoleFact, value: &str) {
        if self.page.tell(fact, value) {
            self.redraw();
        }
    }

    /// The agent does nothing any more. Who this server is and what went wrong last stays on the page.
    pub(super) fn agent_ended(&self) {
        for fact in [ConsoleFact::Doing, ConsoleFact::Progress] {
            self.tell(fact, "");
        }
    }

    /// Have a shell on this terminal to itself: no page is drawn there any more.
    pub(super) fn leave(&self, terminal: &str) {
        let terminal = virtual_terminal::named(terminal).unwrap_or_else(|| terminal.to_owned());
        for outlet in self.outlets.iter().filter(|one| one.name() == terminal) {
            outlet.leave();
        }
    }

    /// Write every line that comes out of this pipe until it ends.
    pub(super) fn copy(&self, pipe: impl Read) {
        lines::each(pipe, |line| self.line(line));
    }

    /// Write a line, whatever is in it.
    fn line(&self, line: &str) {
        let line: Arc<str> = printable::line(line).into();
        for outlet in &self.outlets {
            outlet.send(Piece::Line(Arc::clone(&line)));
        }
    }

    fn redraw(&self) {
        for outlet in &self.outlets {
            outlet.redraw();
        }
    }
}

/// The names of the kernel's consoles, the one behind `/dev/console` last (Documentation/ABI/testing/sysfs-tty). Empty where it names none.
pub(super) fn active() -> String {
    fs::read_to_string("/sys/class/tty/console/active").unwrap_or_default()
}

/// The names in this list of [`active`] ones; each virtual terminal once.
fn names(active: &str) -> Vec<String> {
    let mut names = Vec::new();
    for name in active.split_whitespace() {
        let name = virtual_terminal::named(name).unwrap_or_else(|| name.to_owned());
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        names.push("console".to_owned());
    }
    names
}

/// A console, with a page where it is a screen.
fn start(name: &str, page: &Page, terminal: &str) -> Option<Outlet> {
    let path = Path::new("/dev").join(name);
    if !has_page(name, terminal) {
        return Outlet::open(name, &path, |device, queue, _| write_lines(device, queue));
    }
    let page = page.clone();
    let screen = name.to_owned();
    Outlet::open(name, &path, move |device, queue, stale| {
        Drawing::new(page, stale, Instant::now()).run(&screen, device, queue);
    })
}

/// Whether a console is a screen whose terminal knows more than lines. `TERM=` on the kernel's command line comes here; the kernel
/// itself says `linux`.
fn has_page(name: &str, terminal: &str) -> bool {
    virtual_terminal::named(name).is_some() && ["", "linux"].contains(&terminal)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, OpenOptions};
    use std::os::unix::fs::OpenOptionsExt;
    use std::thread;
    use std::time::Duration;

    use nix::fcntl::OFlag;

    use super::*;
    use crate::init::lines::LENGTH;

    #[test]
    fn every_console_that_the_kernel_names_is_one() {
        assert_eq!(names("tty1 ttyS0 tty1\n"), ["tty1", "ttyS0"]);
        assert_eq!(names(""), ["console"]);
    }

    #[test]
    fn only_screens_have_a_page() {
        assert!(has_page("tty1", "linux") && has_page("tty1", ""));
        assert!(!has_page("tty1", "dumb"));
        for name in ["ttyS0", "ttyAMA0", "hvc0", "console"] {
            assert!(!has_page(name, "linux"), "{name}");
        }
    }

    /// Neither a line that nobody reads nor a page that nobody sees keeps anybody waiting.
    #[test]
    fn a_console_that_nobody_reads_stops_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let page = Page::default();
        let mut readers = Vec::new();
        let mut fifo = |name: &str| {
            let fifo = directory.path().join(name);
            nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
            // A reader that never reads.
            readers.push(
                OpenOptions::new()
                    .read(true)
                    .custom_flags(OFlag::O_NONBLOCK.bits())
                    .open(&fifo)
                    .unwrap(),
            );
            fifo
        };
        let serial = fifo("serial");
        let screen = fifo("screen");
        let drawn = page.clone();
        let outlets = [
            Outlet::open("serial", &serial, |device, queue, _| {
                write_lines(device, queue);
            }),
            Outlet::open("screen", &screen, |device, queue, stale| {
                Drawing::new(drawn, stale, Instant::now()).run("screen", device, queue);
            }),
        ];
        let console = Console {
            outlets: outlets.into_iter().flatten().collect(),
            page,
        };
        assert_eq!(console.outlets.len(), 2);
        let started = Instant::now();
        for number in 0..5000 {
            console.say(&format!("{number} {}", "x".repeat(4096)));
            console.tell(ConsoleFact::Doing, &number.to_string());
            console.doing(&number.to_string());
        }
        assert!(started.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn what_a_program_prints_is_lines_that_move_no_cursor() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("console");
        File::create(&path).unwrap();
        let console = Console::at(&path);
        let long = "y".repeat(LENGTH as usize + 1);
        let printed = format!("one\x1b[2J\rtwo\n{long}\nsame\nsame\nlast");
        console.copy(printed.as_bytes());
        drop(console);
        let expected = format!(
            "one\\u{{1b}}[2J\\rtwo\n{}\ny\nsame\nsame (2 times)\nlast\n",
            "y".repeat(LENGTH as usize)
        );
        let deadline = Instant::now() + Duration::from_secs(60);
        while fs::read_to_string(&path).unwrap() != expected {
            assert!(Instant::now() < deadline, "{:?}", fs::read_to_string(&path));
            thread::sleep(Duration::from_millis(10));
        }
    }
}
