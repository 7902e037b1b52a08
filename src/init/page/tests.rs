//! The page through a terminal emulator: what is on its screen is what the page says, on any screen, whatever is told.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use vt100::Parser;

use super::drawing::Drawing;
use super::facts::{Facts, Page};
use super::layout::{self, HEIGHT, Style};
use crate::init::outlet::{Piece, Stale};
use crate::sys::console_fact::{self, ConsoleFact};
use crate::sys::printable;
use crate::sys::virtual_terminal::{Shown, Size};

/// What has been used to move cursors and to forge lines.
const HOSTILE: &str = "\u{1b}[2J\u{1b}[Hrow\r\nfarrier | now x\u{9b}1A\u{1b}c\t\u{202e}Größe 文\u{7}\u{1b}]0;x\u{1b}\\";

/// A screen of the kernel's, and a page on it.
struct Bench {
    terminal: RefCell<Parser>,
    size: Size,
    page: Page,
    stale: Stale,
    drawing: Drawing,
    now: Instant,
    can_be_read: bool,
}

impl Bench {
    fn new(rows: u16, columns: u16) -> Self {
        let (page, stale, now) = (Page::default(), Stale::default(), Instant::now());
        Self {
            terminal: RefCell::new(Parser::new(rows, columns, 0)),
            size: Size { rows, columns },
            drawing: Drawing::new(page.clone(), stale.clone(), now),
            page,
            stale,
            now,
            can_be_read: true,
        }
    }

    fn shown(&self) -> Option<Shown> {
        self.can_be_read.then(|| {
            let terminal = self.terminal.borrow();
            let screen = terminal.screen();
            let (row, column) = screen.cursor_position();
            let cells = (0..self.size.rows)
                .flat_map(|row| (0..self.size.columns).map(move |column| (row, column)))
                .map(|(row, column)| {
                    let cell = screen.cell(row, column).unwrap();
                    cell.contents().bytes().next().unwrap_or(b' ')
                })
                .collect();
            Shown { row, column, cells }
        })
    }

    fn write(&self, bytes: &[u8]) {
        self.terminal.borrow_mut().process(bytes);
    }

    fn tell(&self, fact: ConsoleFact, value: &str) {
        // As PID 1 hears it.
        let (fact, value) = console_fact::parse(&format!("FACT={} {value}", fact.key())).unwrap();
        if self.page.tell(fact, &value) {
            self.stale.set();
        }
    }

    fn say(&mut self, line: &str) {
        let line = printable::line(line);
        let shown = self.shown();
        let piece = Piece::Line(line.as_ref().into());
        let bytes = self.drawing.take(piece, || shown.clone(), self.now);
        self.write(&bytes);
    }

    /// What the kernel prints.
    fn printk(&self, line: &str) {
        self.write(format!("{line}\r\n").as_bytes());
    }

    /// Time passes. How many bytes were drawn.
    fn wait(&mut self, seconds: u64) -> usize {
        self.now += Duration::from_secs(seconds);
        let shown = self.shown();
        let bytes = self
            .drawing
            .draw(Some(self.size), || shown.clone(), self.now);
        self.write(&bytes);
        bytes.len()
    }

    fn resize(&mut self, rows: u16, columns: u16) {
        self.size = Size { rows, columns };
        self.terminal
            .borrow_mut()
            .screen_mut()
            .set_size(rows, columns);
    }

    fn rows(&self) -> Vec<String> {
        let terminal = self.terminal.borrow();
        let rows = terminal.screen().rows(0, self.size.columns);
        rows.map(|row| row.trim_end().to_owned()).collect()
    }

    fn log(&self) -> Vec<String> {
        let mut rows = self.rows().split_off(HEIGHT.into());
        while rows.last().is_some_and(String::is_empty) {
            rows.pop();
        }
        rows
    }

    fn assert_page(&self) {
        let expected = layout::rows(&self.page.facts(), self.size.columns);
        assert_eq!(expected.len(), usize::from(HEIGHT));
        let terminal = self.terminal.borrow();
        for (at, row) in expected.iter().enumerate() {
            assert_eq!(self.rows()[at], row.text.trim_end(), "row {at}");
            let cell = terminal.screen().cell(at as u16, 0).unwrap();
            assert_eq!(cell.inverse(), row.style == Style::Title, "row {at}");
        }
        assert!(terminal.screen().cursor_position().0 >= HEIGHT);
    }
}

#[test]
fn the_page_says_who_this_is_and_what_it_does() {
    let mut bench = Bench::new(25, 80);
    for (fact, value) in [
        (ConsoleFact::Name, "rack1-u12"),
        (ConsoleFact::Node, "2564c0a3-dd23-551f-a25c-1af767f45a81"),
        (
            ConsoleFact::Serial,
            "Dell Inc. PowerEdge R650, serial number ABC1234",
        ),
        (ConsoleFact::Switch, "eno1 leaf-7 Ethernet1/3"),
        (ConsoleFact::Bmc, "10.0.0.4"),
        (ConsoleFact::Conductor, "https://ironic.example:6385"),
        (ConsoleFact::Doing, "deploying"),
        (
            ConsoleFact::Progress,
            "25 writing image to /dev/sda, 15 s left, 100 MB/s",
        ),
        (
            ConsoleFact::Trouble,
            "The conductor does not answer: connection refused by 192.0.2.1, port 6385, tried 7 times",
        ),
        (ConsoleFact::Advice, "Look whether Ironic's API runs there."),
    ] {
        bench.tell(fact, value);
    }
    bench.wait(0);
    bench.say("2026-11-30T01:34:04Z INFO  api: listening");
    bench.assert_page();
    let rows = bench.rows();
    assert!(rows[0].starts_with(" farrier "), "{rows:#?}");
    let expected = "\
server     Dell Inc. PowerEdge R650, serial number ABC1234
node       rack1-u12, 2564c0a3-dd23-551f-a25c-1af767f45a81
cards      -

switch     eno1 leaf-7 Ethernet1/3
BMC        10.0.0.4
conductor  https://ironic.example:6385
now        deploying
           [###----------]  25 %  writing image to /dev/sda, 15 s left, 100 MB/s
trouble    The conductor does not answer: connection refused by 192.0.2.1, port
           6385, tried 7 times
to do      Look whether Ironic's API runs there.

--------------------------------------------------------------------------------
01:34:04 INFO  api: listening";
    assert_eq!(rows[1..16].join("\n"), expected);
}

#[test]
fn nothing_is_drawn_where_nothing_changed() {
    let mut bench = Bench::new(25, 80);
    assert!(bench.wait(0) > 0);
    assert_eq!((bench.wait(10), bench.wait(10)), (0, 0));
    bench.tell(ConsoleFact::Doing, "serving");
    assert!(bench.wait(1) < 100, "a line, not the page");
    bench.assert_page();
    bench.tell(ConsoleFact::Doing, "serving");
    assert_eq!(bench.wait(1), 0);
}

/// However often the agent tells something, a screen is drawn twice a second at most, and then with the newest.
#[test]
fn drawings_are_few_and_the_newest_wins() {
    let mut bench = Bench::new(25, 80);
    bench.wait(0);
    let mut drawn = 0;
    for percent in 0..100 {
        bench.tell(ConsoleFact::Progress, &format!("{percent} erasing"));
        bench.now += Duration::from_millis(10);
        drawn += usize::from(bench.wait(0) > 0);
    }
    assert!((1..=2).contains(&drawn), "{drawn}");
    bench.wait(1);
    bench.assert_page();
    assert!(bench.rows()[9].contains("99 %"));
}

#[test]
fn what_the_kernel_prints_scrolls_the_log_and_harms_no_page() {
    let mut bench = Bench::new(25, 80);
    bench.wait(0);
    for number in 0..100 {
        bench.printk(&format!("[{number}] usb 1-1: new device"));
    }
    bench.say("after it");
    bench.assert_page();
    assert_eq!(bench.log().len(), 9);
    assert_eq!(bench.log()[8], "after it");
    assert_eq!(bench.wait(10), 0);
    // In the middle of a drawing the cursor may be anywhere.
    bench.write(b"\x1b[3;1Hkernel: oops\r\n");
    assert!(bench.wait(2) > 0);
    bench.assert_page();
    bench.say("and on");
    assert_eq!(bench.log().last().unwrap(), "and on");
}

#[test]
fn a_screen_that_cannot_be_read_is_drawn_again_from_time_to_time() {
    let mut bench = Bench::new(25, 80);
    bench.can_be_read = false;
    bench.wait(0);
    bench.say("a line");
    bench.write(b"\x1b7\x1b[3;1Hkernel: oops\x1b8");
    bench.wait(10);
    bench.assert_page();
    assert_eq!(bench.log(), ["a line"]);
}

#[test]
fn a_line_that_comes_again_is_counted_in_its_place() {
    let mut bench = Bench::new(25, 80);
    bench.wait(0);
    bench.say("2026-11-30T01:34:04Z WARN  no usable disk");
    for _ in 0..3 {
        bench.wait(3);
        bench.say("2026-11-30T01:34:13Z WARN  no usable disk");
    }
    bench.wait(1);
    assert_eq!(bench.log(), ["01:34:13 [4 times] WARN  no usable disk"]);
    bench.printk("[1] kernel");
    // What waits to be told is told before what comes next, in its place where it has one.
    bench.say("2026-11-30T01:34:16Z WARN  no usable disk");
    bench.wait(1);
    bench.say("2026-11-30T01:34:16Z WARN  no usable disk");
    bench.say("another");
    assert_eq!(
        bench.log(),
        [
            "01:34:13 [4 times] WARN  no usable disk",
            "[1] kernel",
            "01:34:16 [6 times] WARN  no usable disk",
            "another"
        ]
    );
}

#[test]
fn a_screen_that_grows_keeps_its_log() {
    let mut bench = Bench::new(25, 80);
    bench.wait(0);
    for number in 0..20 {
        bench.say(&format!("line {number}"));
    }
    bench.resize(48, 128);
    bench.wait(2);
    bench.assert_page();
    assert_eq!(bench.log().last().unwrap(), "line 19");
    bench.say("more");
    bench.assert_page();
    assert_eq!(bench.log().last().unwrap(), "more");
}

#[test]
fn a_narrow_screen_has_the_uuid_alone_above_the_page() {
    let uuid = "2564c0a3-dd23-551f-a25c-1af767f45a81";
    let title = |uuid: &str, columns: u16| {
        let mut facts = Facts::default();
        facts.machine.uuid = uuid.to_owned();
        layout::rows(&facts, columns).swap_remove(0).text
    };
    let wide = title(uuid, 80);
    assert!(wide.starts_with(" farrier ") && wide.ends_with(&format!("  UUID {uuid} ")));
    assert_eq!(title(uuid, 40), format!(" {uuid}   "));
    assert!(title("", 40).starts_with(" farrier "));
    for (uuid, columns) in [(uuid, 80), (uuid, 40), ("", 40), (&"x".repeat(99), 80)] {
        assert_eq!(title(uuid, columns).len(), usize::from(columns));
    }
}

#[test]
fn a_small_screen_gets_lines() {
    let mut bench = Bench::new(3, 80);
    bench.wait(0);
    bench.say("a line");
    assert_eq!(bench.rows()[0], "a line");
    bench.resize(25, 80);
    bench.wait(2);
    bench.assert_page();
    bench.resize(25, 39);
    bench.wait(2);
    bench.say("lines again");
    assert_eq!(bench.rows()[0], "lines again");
}

#[test]
fn a_shell_has_its_screen_to_itself() {
    let mut bench = Bench::new(25, 80);
    bench.wait(0);
    bench.stale.leave();
    bench.wait(1);
    bench.write(b"# ");
    bench.tell(ConsoleFact::Doing, "serving");
    assert_eq!(bench.wait(10), 0);
    assert_eq!(bench.rows()[0], "#");
    assert!(bench.rows()[1..].iter().all(String::is_empty));
}

#[test]
fn what_the_page_says_is_not_said_again_below_it() {
    let mut bench = Bench::new(25, 80);
    bench.wait(0);
    let lines = [
        "farrier | now        looking up the node",
        "farrier | node       2564c0a3",
        "farrier | deploy.execute_deploy_step: writing image",
        "farrier | trouble    no link",
        "farrier | stopped    an array",
    ];
    bench.say(lines[0]);
    assert_eq!(bench.log(), [lines[0]], "an agent that tells no facts");
    bench.tell(ConsoleFact::Doing, "looking up the node");
    lines.iter().for_each(|line| bench.say(line));
    assert_eq!(bench.log(), [lines[0], lines[3], lines[4]]);
}

#[test]
fn hostile_text_is_text() {
    for (rows, columns) in [(25, 80), (48, 128), (23, 40)] {
        let mut bench = Bench::new(rows, columns);
        let long = HOSTILE.repeat(30);
        for fact in ConsoleFact::ALL {
            bench.tell(fact, &long.replace(['\r', '\n'], " "));
        }
        bench.wait(0);
        bench.say(&long);
        bench.assert_page();
        assert_eq!(bench.log().len(), 4);
        assert!(bench.log()[3].ends_with("..."));
        assert!(bench.rows()[11].contains("..."), "{:?}", bench.rows());
    }
}

/// What may happen to a screen.
#[derive(Clone, Debug)]
enum Event {
    Tell(usize, String),
    Say(String),
    Printk(String),
    Resize(u16, u16),
    Wait(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let text = || {
        prop_oneof![
            any::<String>(),
            "[ -~]{0,200}",
            Just(HOSTILE.to_owned()),
            "[ab]"
        ]
    };
    prop_oneof![
        (0..ConsoleFact::ALL.len(), text()).prop_map(|(fact, value)| Event::Tell(fact, value)),
        text().prop_map(Event::Say),
        "[ -~]{0,200}".prop_map(Event::Printk),
        (2..70u16, 8..200u16).prop_map(|(rows, columns)| Event::Resize(rows, columns)),
        (1..12u64).prop_map(Event::Wait),
    ]
}

proptest! {
    /// Whatever is told and said, on whatever screen: the page is what stands there, and every byte is one that draws.
    #[test]
    fn the_screen_says_what_the_page_says(
        rows in 2..70u16,
        columns in 8..200u16,
        can_be_read in any::<bool>(),
        events in prop::collection::vec(event(), 0..40),
    ) {
        let mut bench = Bench::new(rows, columns);
        bench.can_be_read = can_be_read;
        bench.wait(0);
        for event in events {
            match event {
                Event::Tell(fact, value) => bench.tell(ConsoleFact::ALL[fact], &value.replace(['\r', '\n'], " ")),
                Event::Say(line) => bench.say(&line),
                Event::Printk(line) => bench.printk(&line),
                Event::Resize(rows, columns) => bench.resize(rows, columns),
                Event::Wait(seconds) => { bench.wait(seconds); }
            }
        }
        bench.wait(12);
        if layout::fits(bench.size) {
            bench.assert_page();
            bench.say("the last line");
            bench.assert_page();
            let log = bench.log();
            prop_assert_eq!(log.last().map(String::as_str), Some("the last line"));
        }
    }

    #[test]
    fn wrapped_text_fits(text in any::<String>(), columns in 1..200usize, lines in 1..5usize) {
        let rows = layout::wrapped(&text, columns, lines);
        prop_assert!(rows.len() <= lines);
        prop_assert!(rows.iter().all(|row| row.len() <= columns && row.bytes().all(|byte| (b' '..=b'~').contains(&byte))));
    }

    /// No escape of an input's survives: those that are there are of five kinds, none with anything foreign in it.
    #[test]
    fn only_our_own_escapes_are_written(text in any::<String>()) {
        let mut bench = Bench::new(25, 80);
        for fact in ConsoleFact::ALL {
            bench.page.tell(fact, &text);
        }
        let mut bytes = bench.drawing.draw(Some(bench.size), || None, bench.now);
        bytes.extend(bench.drawing.take(Piece::Line(text.as_str().into()), || None, bench.now));
        let written = String::from_utf8(bytes).unwrap();
        // Behind a full line the kernel has the cursor on its last column, and would erase that.
        let moved = regex_lite::Regex::new("\x1b\\[[0-9;]*[Hr]").unwrap();
        let moved = moved.replace_all(&written, "\n").replace("\x1b[0m", "");
        let erased = regex_lite::Regex::new("[ -~]\x1b\\[[0-9]*[JK]").unwrap();
        prop_assert!(!erased.is_match(&moved), "{moved:?}");
        let ours = regex_lite::Regex::new("\x1b(7|8|\\[[0-9;]*[HJKmr])|\r\n").unwrap();
        let rest = ours.replace_all(&written, "");
        prop_assert!(rest.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{rest:?}");
    }
}
