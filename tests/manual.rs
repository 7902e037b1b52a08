//! The manual (docs/man) and the completions of shells (docs/completions), made of the command line and
//! kept so that whoever packs the agent has them; and the table of options in the operators' guide
//! (docs/operators/options.md).
//!
//! `make docs` writes them, that is `FARRIER_SNAPSHOTS=write cargo test --test manual`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use farrier::testing::cli::command_line;
use farrier::testing::config::{Row, rows};

/// Set to `write`, what is kept is replaced.
const VARIABLE: &str = "FARRIER_SNAPSHOTS";

const FOLDERS: [&str; 2] = ["docs/man", "docs/completions"];

/// The page whose tables are made here, below this line.
const OPTIONS: &str = "docs/operators/options.md";
const MADE: &str = "<!-- From here on written from src/config/options.rs by `make docs`. -->\n";

#[test]
fn manual_and_completions_are_those_of_the_command_line() {
    let mut made = BTreeMap::new();
    let mut command = command_line().disable_help_subcommand(true);
    command.build();
    pages(&command, &mut made);
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command_line(), "farrier", &mut script);
        let name = match shell {
            Shell::Zsh => "_farrier".to_owned(),
            shell => format!("farrier.{shell}"),
        };
        made.insert(Path::new("docs/completions").join(name), script);
    }

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os(VARIABLE).is_some_and(|value| value == "write") {
        for folder in FOLDERS.map(|folder| root.join(folder)) {
            // Also what is of a sub-command that is gone.
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).unwrap();
        }
        for (path, text) in &made {
            fs::write(root.join(path), text).unwrap();
        }
    }
    let mut kept = BTreeMap::new();
    for folder in FOLDERS {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_owned();
            kept.insert(name, fs::read(path).unwrap());
        }
    }
    let differing: BTreeSet<&PathBuf> = made
        .keys()
        .chain(kept.keys())
        .filter(|path| made.get(*path) != kept.get(*path))
        .collect();
    assert!(
        differing.is_empty(),
        "`make docs` would change: {differing:?}"
    );
}

#[test]
fn options_of_the_guide_are_those_of_the_agent() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(OPTIONS);
    let kept = fs::read_to_string(&path).unwrap();
    let (head, _) = kept.split_once(MADE).unwrap();
    let made = format!("{head}{MADE}{}", tables(&rows()));
    if std::env::var_os(VARIABLE).is_some_and(|value| value == "write") {
        fs::write(&path, made).unwrap();
    } else {
        assert!(made == kept, "`make docs` would change {OPTIONS}");
    }
}

/// A table for each group, under its heading.
fn tables(rows: &[Row]) -> String {
    let mut groups: Vec<&str> = rows.iter().map(|row| row.group).collect();
    groups.dedup();
    let mut text = String::new();
    for group in groups {
        text.push_str(&format!(
            "\n## [{group}]\n\n| Option, kernel parameter | Value | What it is for |\n|---|---|---|\n"
        ));
        for row in rows.iter().filter(|row| row.group == group) {
            let kernel = row.kernel.map(|name| format!("<br>`{name}`"));
            let secret = if row.secret { ", kept secret" } else { "" };
            let default = match row.default.as_str() {
                "" => String::new(),
                value => format!("; default `{value}`"),
            };
            text.push_str(&format!(
                "| `{}`{} | {}{secret}{default} | {} |\n",
                row.name,
                kernel.unwrap_or_default(),
                values(row.reader),
                // What a table's cell ends with.
                row.purpose.replace('|', "\\|"),
            ));
        }
    }
    text
}

/// What a reader of options takes, in a person's words.
fn values(reader: &str) -> String {
    let words = |list: &str| {
        let list = list.replace(['"', '[', ']', '&', ')'], "");
        let words: Vec<String> = list.split(", ").map(|word| format!("`{word}`")).collect();
        words.join(" or ")
    };
    if let Some(words_of) = reader.strip_prefix("one_of(") {
        return words(words_of);
    }
    if let Some(range) = reader.strip_prefix("number(") {
        let range = range.trim_end_matches(')').replace('_', "");
        return match range.split_once("..=") {
            // MAX is more than anybody means.
            Some((first, "MAX")) => format!("a number, {first} or more"),
            Some((first, last)) => format!("a number, {first} to {last}"),
            None => panic!("no words for the range {range}"),
        };
    }
    match reader {
        "boolean" => "`true` or `false`",
        "text" | "trimmed" | "secret" => "text",
        "path" => "a path",
        "list" => "words, comma separated",
        "directories" => "absolute paths, comma separated",
        "urls" => "URLs, comma separated, or `mdns`",
        "secret_url" => "a URL",
        "address" => "an IP address",
        "addresses" => "IP addresses, comma separated",
        "seconds" => "seconds, a fraction counts",
        "tls_version" => "`1.2` or `1.3`",
        "curve" => "`p256`, `p384` or `p521`",
        "api_version" => "`1.N`",
        other => panic!("no words for the reader {other}"),
    }
    .to_owned()
}

/// The page of this command, and those of its sub-commands.
fn pages(command: &Command, made: &mut BTreeMap<PathBuf, Vec<u8>>) {
    let page = Man::new(command.clone()).section("8");
    let path = Path::new("docs/man").join(page.get_filename());
    let mut text = Vec::new();
    if command.get_name() == "run" {
        // The same flags, so the same page.
        text.extend(b".so man8/farrier.8\n");
    } else {
        page.render(&mut text).expect("written to memory");
    }
    made.insert(path, text);
    for command in command.get_subcommands() {
        pages(command, made);
    }
}

#[test]
fn every_command_and_flag_says_what_it_is_for() {
    fn check(command: &Command) {
        assert!(command.get_about().is_some(), "{}", command.get_name());
        for flag in command.get_arguments().filter(|flag| !flag.is_hide_set()) {
            assert!(flag.get_help().is_some(), "{}: {flag}", command.get_name());
        }
        command.get_subcommands().for_each(check);
    }
    // Before clap adds flags of its own, which have help.
    let command = command_line();
    command.clone().debug_assert();
    check(&command);
    assert_eq!(command.get_subcommands().count(), 9);
}
