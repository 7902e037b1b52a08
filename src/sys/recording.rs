//! Recorded trees for tests, unpacked from a listing.
//!
//! A listing is text, since sysfs is mostly links and one-line files:
//!
//! ```text
//! # a comment
//! /sys/class/net/lo/                      a directory
//! /sys/block/vda -> ../devices/x/vda      a link
//! /sys/devices/x/vda/size = 10485760      a file of one line
//! /dev/vda =                              an empty file
//! /sys/devices/x/vpd #= 00 80 "abc"       a file of bytes, hexadecimal and text
//! /sys/firmware/dmi/tables/DMI #<<        the same in several lines, up to a single dot
//! /run/udev/data/b254:0 <<                a file of lines, up to a single dot
//! E:ID_SERIAL=n1-0
//! .
//! @each 0-63                              what is between is there for each number, with it for {}
//! /sys/devices/system/cpu/cpu{}/topology/core_id = {}
//! @end
//! ```

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::sys::root::Root;

/// Where the recorded machines are.
const MACHINES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/machines");

/// The names of all machines that there are recordings of, sorted.
pub(crate) fn machines() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(MACHINES)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| place(name).is_dir())
        .collect();
    names.sort();
    assert!(!names.is_empty());
    names
}

/// The directory of a machine: `tree.txt` and what is kept beside it.
pub(crate) fn place(machine: &str) -> PathBuf {
    Path::new(MACHINES).join(machine)
}

/// A directory for thousands of small files: in memory where possible, since a busy disk takes ten
/// seconds for them.
pub(crate) fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// A recorded machine, gone when dropped.
pub(crate) struct Recording {
    dir: TempDir,
}

impl Recording {
    /// The machine of this name under `tests/fixtures/machines`.
    pub(crate) fn of(machine: &str) -> Self {
        let listing = place(machine).join("tree.txt");
        Self::unpack(&fs::read_to_string(listing).unwrap())
    }

    /// The machine of this listing.
    pub(crate) fn unpack(listing: &str) -> Self {
        let dir = scratch();
        let recording = Self { dir };
        recording.add(listing);
        recording
    }

    /// Put more into the tree, or something else in its place.
    pub(crate) fn add(&self, listing: &str) {
        let listing = expanded(listing);
        let mut lines = listing.lines();
        while let Some(line) = lines.next() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some((path, target)) = line.split_once(" -> ") {
                symlink(target, self.make_room(path)).unwrap();
            } else if let Some(path) = line.strip_suffix(" #<<") {
                let bytes: Vec<u8> = lines
                    .by_ref()
                    .take_while(|line| *line != ".")
                    .flat_map(parse_bytes)
                    .collect();
                fs::write(self.make_room(path), bytes).unwrap();
            } else if let Some((path, bytes)) = line.split_once(" #= ") {
                fs::write(self.make_room(path), parse_bytes(bytes)).unwrap();
            } else if let Some((path, text)) = line.split_once(" = ") {
                fs::write(self.make_room(path), format!("{text}\n")).unwrap();
            } else if let Some(path) = line.strip_suffix(" =") {
                fs::write(self.make_room(path), "").unwrap();
            } else if let Some(path) = line.strip_suffix(" <<") {
                let text: Vec<&str> = lines.by_ref().take_while(|line| *line != ".").collect();
                fs::write(self.make_room(path), text.join("\n") + "\n").unwrap();
            } else if let Some(path) = line.strip_suffix('/') {
                fs::create_dir_all(self.make_room(path)).unwrap();
            } else {
                panic!("not a line of a listing: {line}");
            }
        }
    }

    /// The root to read it by.
    pub(crate) fn root(&self) -> Root {
        Root::at(self.dir.path())
    }

    /// The place of a path, with the directories above it and nothing in it.
    fn make_room(&self, path: &str) -> PathBuf {
        let place = self.dir.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        if place.is_symlink() || place.is_file() {
            fs::remove_file(&place).unwrap();
        }
        place
    }
}

/// The listing with each `@each` written out. They do not stand in each other.
fn expanded(listing: &str) -> String {
    let mut expanded = String::new();
    let mut lines = listing.lines();
    while let Some(line) = lines.next() {
        let Some(range) = line.strip_prefix("@each ") else {
            expanded.push_str(line);
            expanded.push('\n');
            continue;
        };
        let (first, last) = range.split_once('-').unwrap();
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "@end").collect();
        for number in first.parse::<u32>().unwrap()..=last.parse().unwrap() {
            for line in &body {
                expanded.push_str(&line.replace("{}", &number.to_string()));
                expanded.push('\n');
            }
        }
    }
    expanded
}

fn parse_bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, part) in text.split('"').enumerate() {
        if index % 2 == 1 {
            bytes.extend_from_slice(part.as_bytes());
        } else {
            bytes.extend(
                part.split_whitespace()
                    .map(|digits| u8::from_str_radix(digits, 16).unwrap()),
            );
        }
    }
    bytes
}
