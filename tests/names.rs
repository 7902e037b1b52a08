//! Names in texts: steps, kernel parameters, flags and files that errors, help and pages speak of.
//! What a text recommends must be there, or its reader has lost an hour.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_step_that_a_text_names_is_offered() {
    let within = |function| part_of("src/hardware/generic/steps.rs", function, "\n}\n");
    let mut offered = quoted(&within("fn offered"));
    // Those with arguments are described by themselves.
    offered.append(&mut quoted(&within("fn clean_uefi_nvram")));
    offered.append(&mut quoted(&within("fn inject_files")));
    offered.append(&mut quoted(&within("fn apply_configuration")));
    assert!(offered.contains("erase_devices") && offered.len() >= 5);
    let known = |step: &str| {
        // Examples of plugins' steps.
        offered.contains(step) || step.starts_with("acme_")
    };
    let mut wrong = Vec::new();
    let mut found = 0;
    for (path, text) in texts() {
        for step in steps_in(&text) {
            found += 1;
            if !known(&step) {
                wrong.push(format!("{}: the step {step}", path.display()));
            }
        }
    }
    assert!(found >= 8, "only {found} names of steps were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_kernel_parameter_that_a_text_names_is_read() {
    // A role and a playbook of Kayobe's, an archive of metal3's, a folder and a file of the reference's.
    const ELSEWHERE: [&str; 4] = [
        "ipa-images",
        "ipa-cacert-bundle",
        "ipa-rescue-config",
        "ipa-rescue-password",
    ];
    let mut read = quoted(&file("src/config/options.rs"));
    // Parameters that no option has are read where they are used.
    for (path, text) in sources() {
        if !path.ends_with("config/options.rs") {
            for word in quoted(&text) {
                read.insert(word.trim_end_matches('=').to_owned());
            }
        }
    }
    let mut wrong = Vec::new();
    let mut found = 0;
    for (path, text) in texts() {
        for word in words(&text).filter(|word| word.starts_with("ipa-") && word.len() > 4) {
            found += 1;
            if !read.contains(word.trim_end_matches('-')) && !ELSEWHERE.contains(&word) {
                wrong.push(format!("{}: {word}", path.display()));
            }
        }
    }
    assert!(found >= 50, "only {found} kernel parameters were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_flag_that_a_page_shows_is_taken() {
    let mut command = farrier::testing::cli::command_line();
    command.build();
    let mut taken = BTreeSet::new();
    flags(&command, &mut taken);
    let mut wrong = Vec::new();
    let mut found = 0;
    for (path, text) in pages() {
        let commands = text.lines().filter_map(|line| {
            let (_, after) = line.split_once("farrier ")?;
            let after = after.split(['`', '|', '#', '>']).next()?;
            ["write", "erase", "inventory", "plugins"]
                .iter()
                .any(|command| after.starts_with(command))
                .then_some(after)
        });
        for flag in commands
            .flat_map(words)
            .filter(|word| word.starts_with("--"))
        {
            found += 1;
            if !taken.contains(flag) {
                wrong.push(format!("{}: {flag}", path.display()));
            }
        }
    }
    assert!(found >= 15, "only {found} flags were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The flags of a command and its sub-commands, with their hyphens.
fn flags(command: &clap::Command, found: &mut BTreeSet<String>) {
    let names = command.get_arguments().filter_map(clap::Arg::get_long);
    found.extend(names.map(|name| format!("--{name}")));
    for command in command.get_subcommands() {
        flags(command, found);
    }
}

#[test]
fn every_file_that_a_text_names_is_there() {
    const FOLDERS: [&str; 8] = [
        "docs/",
        "src/",
        "tests/",
        "image/",
        "fuzz/",
        "benches/",
        "hardware_managers/",
        "dracut/",
    ];
    // Named by a word in capitals; a page of QEMU, and one of metal3.
    const ELSEWHERE: [&str; 3] = [
        "fuzz/regressions/TARGET",
        "docs/interop/qcow2",
        "docs/configuration.md",
    ];
    let mut wrong = Vec::new();
    let mut found = 0;
    for (path, text) in texts() {
        let characters = |at: char| at.is_ascii_alphanumeric() || "_./-".contains(at);
        for word in text.split(|at| !characters(at)) {
            let word = word.trim_end_matches(['.', '-', '/']);
            if FOLDERS.iter().any(|folder| word.starts_with(folder)) && !ELSEWHERE.contains(&word) {
                found += 1;
                if !root().join(word).exists() {
                    wrong.push(format!("{}: {word}", path.display()));
                }
            }
        }
    }
    assert!(found >= 100, "only {found} paths were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_are_found_where_they_stand() {
    let text = "the clean step clean_uefi_nvram removes; step `write_image`, steps a and step by";
    assert_eq!(steps_in(text), ["clean_uefi_nvram", "write_image"]);
    // A text that goes on in the next line of its literal.
    let text = "full; the clean step \\\n                 clean_uefi_nvram removes";
    assert_eq!(steps_in(text), ["clean_uefi_nvram"]);
    assert!(steps_in("find(step).map_or; step = to_owned").is_empty());
    let found: Vec<_> = words("set ipa-api-url, or `ipa-debug=1`").collect();
    assert_eq!(found, ["set", "ipa-api-url", "or", "ipa-debug", "1"]);
    assert_eq!(
        quoted("a \"b\" c \"d e\""),
        ["b", "d e"].map(str::to_owned).into()
    );
}

/// Names with an underscore that follow the word step, with nothing between them but what a text may
/// have there: space, back quotes, the end of a line in a literal or a comment.
fn steps_in(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (_, after) in text
        .match_indices("step")
        .map(|(at, step)| text.split_at(at + step.len()))
    {
        let after = after.strip_prefix('s').unwrap_or(after);
        let name = after.trim_start_matches([' ', '\n', '`', '\\', '/', '!']);
        if name.len() < after.len()
            && let Some(name) = name
                .split(|at: char| !at.is_ascii_alphanumeric() && at != '_')
                .next()
                .filter(|name| name.contains('_'))
            // A file of the folder "step".
            && !after.starts_with(&format!("/{name}.rs"))
        {
            found.push(name.to_owned());
        }
    }
    found
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|at: char| !at.is_ascii_alphanumeric() && at != '_' && at != '-')
        .filter(|word| !word.is_empty())
}

/// What stands between double quotes in one line, and so every word in quotes.
fn quoted(text: &str) -> BTreeSet<String> {
    text.lines()
        .flat_map(|line| line.split('"').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

/// Sources without their tests, and pages: what a person reads, or the agent says.
fn texts() -> Vec<(PathBuf, String)> {
    let mut all = sources();
    all.extend(pages());
    all
}

fn sources() -> Vec<(PathBuf, String)> {
    let is_test = |path: &Path| {
        path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests")
    };
    below(&root().join("src"), "rs")
        .into_iter()
        .filter(|path| !is_test(path))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("readable");
            let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
            (path, text[..end].to_owned())
        })
        .collect()
}

fn pages() -> Vec<(PathBuf, String)> {
    let mut paths = below(&root().join("docs"), "md");
    // What the reference does, with its steps, options and files.
    paths.retain(|path| !path.starts_with(root().join("docs/contract")));
    paths.extend(below(&root().join("image"), "md"));
    for name in [
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "README.md",
        "SECURITY.md",
        "SPECIFICATION.md",
        "tests/lab/README.md",
    ] {
        paths.push(root().join(name));
    }
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("readable");
            (path, text)
        })
        .collect()
}

fn below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(below(&path, extension));
        } else if path.extension().is_some_and(|end| end == extension) {
            found.push(path);
        }
    }
    found
}

fn part_of(path: &str, from: &str, to: &str) -> String {
    let text = file(path);
    let start = text.find(from).expect("is there");
    let length = text[start..].find(to).expect("is there");
    text[start..start + length].to_owned()
}

fn file(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect("readable")
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
