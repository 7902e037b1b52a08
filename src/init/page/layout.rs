//! The fixed lines of the page, for a screen of so many columns. Nothing here is told by anything but text in and text out.

use super::facts::Facts;
use crate::sys::console_fact::ConsoleFact;
use crate::sys::virtual_terminal::Size;

/// The lines of the page, whatever is known: a page that grew and shrank would take lines of the log with it, which the
/// kernel writes to beside us and nobody else keeps.
pub(super) const HEIGHT: u16 = 15;

/// The fewest lines of the log that are worth a page above them.
const LOG: u16 = 8;

/// The fewest columns in which the page says something.
const COLUMNS: u16 = 40;

/// What stands before each value.
const LABEL: usize = 11;

/// The longest bar.
const BAR: usize = 24;

/// How a line shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Style {
    Plain,
    /// Dark on light, over the whole width.
    Title,
    /// What went wrong.
    Alarm,
}

/// One line of a screen: visible ASCII, not wider than it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Row {
    pub(super) text: String,
    pub(super) style: Style,
}

/// Whether a screen of this size has room for the page. Others get plain lines.
pub(super) fn fits(size: Size) -> bool {
    size.rows >= HEIGHT + LOG && size.columns >= COLUMNS
}

/// The page, [`HEIGHT`] lines.
pub(super) fn rows(facts: &Facts, columns: u16) -> Vec<Row> {
    let columns = usize::from(columns);
    let told = |fact| facts.told(fact);
    let serial = match told(ConsoleFact::Serial) {
        "" => &facts.machine.name,
        serial => serial,
    };
    let doing = match told(ConsoleFact::Doing) {
        "" => &facts.own,
        doing => doing,
    };
    let node = match (told(ConsoleFact::Name), told(ConsoleFact::Node)) {
        (name, uuid) if name.is_empty() || uuid.is_empty() => format!("{name}{uuid}"),
        (name, uuid) => format!("{name}, {uuid}"),
    };
    let mut rows = vec![title(&facts.machine.uuid, columns)];
    let mut add = |label, value: &str, lines, style| {
        rows.extend(field(label, value, lines, columns, style));
    };
    add("server", serial, 1, Style::Plain);
    add("node", &node, 1, Style::Plain);
    add("cards", &facts.cards, 2, Style::Plain);
    add("switch", told(ConsoleFact::Switch), 1, Style::Plain);
    add("BMC", told(ConsoleFact::Bmc), 1, Style::Plain);
    add("conductor", told(ConsoleFact::Conductor), 1, Style::Plain);
    add("now", doing, 1, Style::Plain);
    let progress = progress(told(ConsoleFact::Progress), columns.saturating_sub(LABEL));
    add("", &progress, 1, Style::Plain);
    add("trouble", told(ConsoleFact::Trouble), 2, Style::Alarm);
    add("to do", told(ConsoleFact::Advice), 2, Style::Alarm);
    rows.push(Row {
        text: "-".repeat(columns),
        style: Style::Plain,
    });
    rows
}

/// Whose page this is, and on the right the machine's UUID, by which a conductor may know it before the node is known. On a
/// narrow screen the UUID is alone.
fn title(uuid: &str, columns: usize) -> Row {
    let left = concat!(" farrier ", env!("CARGO_PKG_VERSION"));
    let right = if uuid.is_empty() {
        String::new()
    } else {
        ascii(&format!("UUID {uuid} "))
    };
    let text = if left.len() + right.len() < columns {
        format!("{left}{right:>0$}", columns - left.len())
    } else {
        format!("{:columns$}", format!(" {}", ascii(uuid)))
    };
    Row {
        text: cut(&text, columns),
        style: Style::Title,
    }
}

/// A label, and beside it a value in so many lines.
fn field(label: &str, value: &str, lines: usize, columns: usize, style: Style) -> Vec<Row> {
    let value = if value.is_empty() && !label.is_empty() {
        "-"
    } else {
        value
    };
    let style = if value == "-" { Style::Plain } else { style };
    let mut texts = wrapped(value, columns.saturating_sub(LABEL), lines);
    texts.resize(lines, String::new());
    texts
        .into_iter()
        .enumerate()
        .map(|(number, text)| Row {
            text: format!("{:LABEL$}{text}", if number == 0 { label } else { "" })
                .trim_end()
                .to_owned(),
            style,
        })
        .collect()
}

/// A bar and what stands beside it. The bar gives way to the words.
fn progress(told: &str, columns: usize) -> String {
    let Some((percent, words)) = told.split_once(' ') else {
        return String::new();
    };
    let Some(percent) = percent.parse::<usize>().ok().filter(|of| *of <= 100) else {
        return words.to_owned();
    };
    let words = format!("{percent:3} %  {words}");
    let width = columns.saturating_sub(words.chars().count() + 3).min(BAR);
    if width < 5 {
        return words.trim_start().to_owned();
    }
    let full = percent * width / 100;
    format!("[{}{}] {words}", "#".repeat(full), "-".repeat(width - full))
}

/// The text in at most so many lines of so many columns, broken at blanks where there are any, and with an ellipsis where
/// it does not fit.
pub(super) fn wrapped(text: &str, columns: usize, lines: usize) -> Vec<String> {
    let text = ascii(text);
    let mut rest = text.as_str();
    let mut found = Vec::new();
    while !rest.is_empty() && found.len() < lines {
        if found.len() + 1 == lines || rest.len() <= columns {
            found.push(cut(rest, columns));
            break;
        }
        // The blank may be the column behind the line.
        let at = rest[..=columns]
            .rfind(' ')
            // A line that is left half empty wastes the room.
            .filter(|at| *at > columns / 2)
            .unwrap_or(columns);
        found.push(rest[..at].trim_end().to_owned());
        rest = rest[at..].trim_start();
    }
    found
}

/// At most so many columns of a text that is ASCII.
fn cut(text: &str, columns: usize) -> String {
    if text.len() <= columns {
        return text.to_owned();
    }
    match columns.checked_sub(3) {
        Some(kept) => format!("{}...", &text[..kept]),
        None => text[..columns].to_owned(),
    }
}

/// The text as each screen shows it, a column for each character.
pub(super) fn ascii(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            ' '..='~' => character,
            _ => '?',
        })
        .collect()
}
