//! Images that QEMU's own tools make.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A directory with images, and a source of random numbers for wear.
pub(super) struct Workshop {
    directory: tempfile::TempDir,
    state: u64,
}

impl Workshop {
    pub(super) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            state: 0x9e37_79b9_7f4a_7c15,
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn random(&mut self, below: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % below
    }

    /// A raw disk: text that compresses, noise that does not, and nothing.
    pub(super) fn raw(&mut self, name: &str, size: usize) -> PathBuf {
        let mut disk = vec![0; size];
        let mut offset = 0;
        while offset < size {
            let end = size.min(offset + 512 * (1 + self.random(700) as usize));
            match self.random(4) {
                0 => {}
                1 => disk[offset..end].fill_with(|| self.random(256) as u8),
                _ => {
                    let seed = self.random(200) as u8;
                    for (number, byte) in disk[offset..end].iter_mut().enumerate() {
                        *byte = seed.wrapping_add((number / 50 % 40) as u8);
                    }
                }
            }
            offset = end;
        }
        let path = self.path(name);
        std::fs::write(&path, disk).unwrap();
        path
    }

    /// Writes, zeroes and discards of random lengths at random places of an image of this size.
    pub(super) fn wear(&mut self, path: &Path, size: u64, changes: usize) {
        let mut commands = Vec::new();
        for _ in 0..changes {
            let offset = self.random(size / 512) * 512;
            let longest = (size - offset).min(1 << (9 + self.random(10)));
            let length = longest / 512 * 512;
            commands.push(match self.random(10) {
                0 => format!("write -z {offset} {length}"),
                1 => format!("write -z -u {offset} {length}"),
                2 => format!("discard {offset} {length}"),
                _ => format!("write -P {} {offset} {length}", 1 + self.random(255)),
            });
        }
        self.io(path, &commands);
    }

    pub(super) fn io(&self, path: &Path, commands: &[String]) {
        check("qemu-io", &Self::io_arguments(path, commands));
    }

    /// Change an image, and leave it as a crash does.
    pub(super) fn io_and_crash(&self, path: &Path, commands: &[String]) {
        let crash = [commands, &["abort".to_owned()]].concat();
        let output = output("qemu-io", &Self::io_arguments(path, &crash));
        assert!(!output.status.success(), "it was killed");
    }

    fn io_arguments(path: &Path, commands: &[String]) -> Vec<String> {
        let mut arguments = vec!["-f".to_owned(), "qcow2".to_owned()];
        for command in commands {
            arguments.extend(["-c".to_owned(), command.clone()]);
        }
        arguments.push(path.display().to_string());
        arguments
    }

    /// `qemu-img` with these words; `@` stands for the directory.
    pub(super) fn img(&self, line: &str) {
        let directory = format!("{}/", self.directory.path().display());
        let arguments: Vec<String> = line
            .split_whitespace()
            .map(|word| word.replace('@', &directory))
            .collect();
        check("qemu-img", &arguments);
    }

    /// What QEMU reads from an image.
    pub(super) fn converted(&self, path: &Path) -> Vec<u8> {
        let raw = self.path("converted.raw");
        let arguments = ["convert", "-f", "qcow2", "-O", "raw"].map(str::to_owned);
        let paths = [path, &raw].map(|path| path.display().to_string());
        check("qemu-img", &[&arguments[..], &paths[..]].concat());
        std::fs::read(raw).unwrap()
    }
}

fn check(program: &str, arguments: &[String]) {
    let output = output(program, arguments);
    // qemu-io's exit code does not tell of a write that failed.
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && !said.contains("failed"),
        "{program} {arguments:?}: {said}"
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test waits for these as long as they take"
)]
fn output(program: &str, arguments: &[String]) -> Output {
    Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program} (of Debian's qemu-utils): {error}"))
}
