//! Programs that tests write and start.
//!
//! Another process writes them: a file that this one had open for writing may still be open in a
//! child of another test, which is about to start a program of its own, and cannot be started then.

use std::fs;
use std::path::Path;

use crate::sys::process::Program;

/// A copy that can be started.
pub(crate) fn copy(from: &Path, to: &Path) {
    Program::new("/usr/bin/install")
        .arg("--mode=755")
        .arg(from.to_str().unwrap())
        .arg(to.to_str().unwrap())
        .run()
        .unwrap();
}

/// A program of this text.
pub(crate) fn write(text: &str, to: &Path) {
    let draft = to.with_extension("draft");
    fs::write(&draft, text).unwrap();
    copy(&draft, to);
    fs::remove_file(draft).unwrap();
}
