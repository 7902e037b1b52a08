//! The rooms of the house and the arrows between them (ARCHITECTURE.md): every `crate::room` that
//! a source file names must point down or stay on its floor, and no two rooms may name each other.

mod circles;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Floors from top to bottom; the number is the height.
const FLOORS: &[(&str, u8)] = &[
    ("cli", 6),
    ("agent", 6),
    ("init", 6),
    ("api", 5),
    ("conductor", 5),
    ("command", 5),
    ("hardware", 4),
    ("deploy", 3),
    ("erase", 3),
    ("inventory", 3),
    ("raid", 3),
    ("stream", 2),
    ("block", 2),
    ("net", 2),
    ("sys", 1),
    // May be named from any floor, and names none.
    ("config", 0),
];

#[test]
fn the_house_has_only_the_arrows_that_the_plan_allows() {
    let arrows = arrows(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(
        arrows.len() > 20,
        "the reader of `use crate::` found only {} arrows",
        arrows.len()
    );
    let wrong = violations(&arrows);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_arrow_up_and_a_circle_are_found() {
    let up = [(
        ("sys".to_owned(), "block".to_owned()),
        "src/sys/a.rs".to_owned(),
    )];
    assert_eq!(violations(&up.into()).len(), 1);
    let circle = [
        (
            ("net".to_owned(), "block".to_owned()),
            "src/net/a.rs".to_owned(),
        ),
        (
            ("block".to_owned(), "net".to_owned()),
            "src/block/a.rs".to_owned(),
        ),
    ];
    assert_eq!(violations(&circle.into()).len(), 1);
    let unknown = [(
        ("sys".to_owned(), "utils".to_owned()),
        "src/sys/a.rs".to_owned(),
    )];
    assert_eq!(violations(&unknown.into()).len(), 1);
}

#[test]
fn grouped_and_nested_imports_are_read() {
    let found = rooms_named("use crate::{block::gpt, sys};\nlet x = crate::net::http::client();");
    assert_eq!(
        found.into_iter().collect::<Vec<_>>(),
        ["block", "net", "sys"]
    );
}

type Arrows = BTreeMap<(String, String), String>;

/// (from room, to room) with one file that draws the arrow.
fn arrows(source: &Path) -> Arrows {
    let mut arrows = Arrows::new();
    for file in rust_files(source) {
        let relative = file.strip_prefix(source).expect("found below it");
        let room = relative.components().next().expect("not empty").as_os_str();
        let room = Path::new(room)
            .file_stem()
            .expect("named")
            .to_string_lossy()
            .into_owned();
        // `fuzzing` is the list of all rooms' fuzz targets.
        if ["lib", "main", "fuzzing"].contains(&room.as_str()) {
            continue;
        }
        for target in rooms_named(&fs::read_to_string(&file).expect("readable source")) {
            if target != room {
                arrows.insert((room.clone(), target), relative.display().to_string());
            }
        }
    }
    arrows
}

fn violations(arrows: &Arrows) -> Vec<String> {
    let floors: BTreeMap<&str, u8> = FLOORS.iter().copied().collect();
    let mut wrong = Vec::new();
    for ((from, to), file) in arrows {
        let (Some(from_floor), Some(to_floor)) =
            (floors.get(from.as_str()), floors.get(to.as_str()))
        else {
            wrong.push(format!(
                "{file}: {from} → {to}: a room that is not in the plan"
            ));
            continue;
        };
        if to_floor > from_floor && to != "config" {
            wrong.push(format!("{file}: {from} → {to} points up"));
        }
        if from < to && arrows.contains_key(&(to.clone(), from.clone())) {
            wrong.push(format!("{file}: {from} and {to} name each other"));
        }
    }
    wrong
}

/// Every room that follows a `crate::`, also within one level of braces.
fn rooms_named(text: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    for (at, _) in code.match_indices("crate::") {
        // `farrier_plugin::…` and `$crate::` end differently; an identifier before it is another path.
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut item = String::new();
            for character in group.chars() {
                match character {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        rooms.insert(first_segment(&item));
                        item.clear();
                    }
                    _ if depth == 0 => item.push(character),
                    _ => {}
                }
            }
            rooms.insert(first_segment(&item));
        } else {
            rooms.insert(first_segment(rest));
        }
    }
    rooms.remove("");
    rooms
}

fn first_segment(path: &str) -> String {
    path.trim_start()
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("readable directory") {
        let path = entry.expect("readable entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
