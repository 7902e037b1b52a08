//! The manual (docs/man) and the completions of shells (docs/completions): made of the command line, and
//! kept so that whoever packs the agent has them.
//!
//! `make docs` writes them, that is `FARRIER_SNAPSHOTS=write cargo test --test manual`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use farrier::testing::cli::command_line;

/// Set to `write`, what is kept is replaced.
const VARIABLE: &str = "FARRIER_SNAPSHOTS";

const FOLDERS: [&str; 2] = ["docs/man", "docs/completions"];

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
    assert_eq!(command.get_subcommands().count(), 6);
}
