//! For tests: a machine in a folder, with the stand-in of the tool from `tests/fixtures/onmetal`.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use farrier_plugin::{
    BlockDevice, Context, ErrorKind, LogLevel, ManagerError, Node, ProgramOutput, ProgramRequest,
    Progress,
};
use serde_json::{Value, json};

use crate::OnMetalHardwareManager;
use crate::machine::Machine;

pub(crate) const MODEL: &str = "NWD-BLP4-1600";

/// Bytes of a disk: enough for both ends and all places in between.
pub(crate) const SIZE: usize = 4 << 20;

/// A machine with its plugin's folder, its sysfs and its disks.
pub(crate) struct Tree(tempfile::TempDir);

impl Tree {
    pub(crate) fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for folder in ["plugin", "dev", "sys/block", "sys/bus/pci", "sys/bus/scsi"] {
            fs::create_dir_all(tree.path(folder)).unwrap();
        }
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/onmetal");
        for file in ["ddoemcli", "health.txt"] {
            fs::copy(fixtures.join(file), tree.path("plugin").join(file)).unwrap();
        }
        fs::set_permissions(
            tree.path("plugin/ddoemcli"),
            fs::Permissions::from_mode(0o755),
        )
        .unwrap();
        tree.configure("");
        tree.set_cards(&json!([]), "");
        tree
    }

    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(path)
    }

    pub(crate) fn machine(&self) -> Machine {
        Machine::at(self.0.path())
    }

    pub(crate) fn manager(&self) -> OnMetalHardwareManager {
        OnMetalHardwareManager::new(&self.path("plugin"), self.machine())
    }

    /// The least configuration, and these further lines before its card.
    pub(crate) fn configure(&self, more: &str) {
        let text = format!(
            "tool = 'ddoemcli'\nsettle_timeout_s = 1\n{more}\n[[cards]]\nmodel = '{MODEL}'\n"
        );
        fs::write(self.path("plugin/onmetal.toml"), text).unwrap();
    }

    /// A disk below `sys/devices`, full of old data.
    pub(crate) fn add_disk(&self, name: &str, path: &str, model: &str) {
        let mut folder = self.path("sys/devices");
        for part in path.split('/') {
            folder.push(part);
            fs::create_dir_all(&folder).unwrap();
            let link = folder.join("subsystem");
            if part.contains('.') && !part.ends_with(".mmc") && !link.exists() {
                symlink(self.path("sys/bus/pci"), &link).unwrap();
            }
        }
        let device = folder.join(format!("host3/target3:1:0/3:1:0:{}", name.len()));
        let block = device.join("block").join(name);
        fs::create_dir_all(&block).unwrap();
        symlink(self.path("sys/bus/scsi"), device.join("subsystem")).ok();
        fs::write(device.join("model"), format!("{model:<16}\n")).unwrap();
        fs::write(block.join("ro"), "0\n").unwrap();
        symlink(&device, block.join("device")).unwrap();
        symlink(&block, self.path("sys/block").join(name)).unwrap();
        fs::write(self.path("dev").join(name), vec![0x5a; SIZE]).unwrap();
    }

    /// A flash card behind a bridge of its own.
    pub(crate) fn add_card(&self, name: &str, address: &str) {
        self.add_disk(
            name,
            &format!("pci0000:00/0000:00:02.0/0000:{address}"),
            MODEL,
        );
    }

    /// What the stand-in knows: cards as `[id, version, address, disk]`, and how it fails.
    pub(crate) fn set_cards(&self, cards: &Value, mode: &str) {
        let cards: Vec<Value> = cards
            .as_array()
            .unwrap()
            .iter()
            .map(|card| {
                let disk = card[3].as_str().unwrap();
                json!({
                    "id": card[0], "model": MODEL, "version": card[1], "pci": card[2],
                    "device": self.path("dev").join(disk),
                    "sysfs": self.path("sys/block").join(disk),
                })
            })
            .collect();
        let state = json!({ "cards": cards, "latest": "12.22.00.00", "mode": mode });
        fs::write(self.path("plugin/state.json"), state.to_string()).unwrap();
    }

    /// A machine with two cards, the second of an older version.
    pub(crate) fn with_two_cards(mode: &str) -> Self {
        let tree = Self::new();
        tree.add_card("sdb", "05:00.0");
        tree.add_card("sdc", "81:00.0");
        let cards = json!([
            [1, "12.22.00.00", "00:05:00:00", "sdb"],
            [2, "11.00.00.00", "00:81:00:00", "sdc"],
        ]);
        tree.set_cards(&cards, mode);
        tree
    }

    /// The calls of the tool.
    pub(crate) fn calls(&self) -> Vec<String> {
        fs::read_to_string(self.path("plugin/calls.log"))
            .unwrap_or_default()
            .lines()
            .map(|line| {
                let words: Vec<String> = serde_json::from_str(line).unwrap();
                words.join(" ").replace(self.0.path().to_str().unwrap(), "")
            })
            .collect()
    }

    /// The calls of the tool that change something.
    pub(crate) fn changes(&self) -> Vec<String> {
        let mut calls = self.calls();
        calls.retain(|call| call != "-listall");
        calls
    }

    pub(crate) fn disk(&self, name: &str) -> Vec<u8> {
        fs::read(self.path("dev").join(name)).unwrap()
    }

    pub(crate) fn is_zero(&self, name: &str) -> bool {
        self.disk(name).iter().all(|byte| *byte == 0)
    }

    pub(crate) fn is_untouched(&self, name: &str) -> bool {
        self.disk(name).iter().all(|byte| *byte == 0x5a)
    }

    /// An executable file in the plugin's folder.
    pub(crate) fn add_program(&self, name: &str, script: &str) {
        let path = self.path("plugin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// A block device as the agent tells it.
pub(crate) fn device(name: &str, model: &str) -> BlockDevice {
    BlockDevice {
        name: format!("/dev/{name}"),
        model: Some(model.to_owned()),
        size: SIZE as u64,
        serial: Some(format!("SN-{name}")),
        ..BlockDevice::default()
    }
}

/// A node with these members.
pub(crate) fn node(members: Value) -> Node {
    serde_json::from_value(members).unwrap()
}

/// The agent: it runs programs, and keeps what it is told.
#[derive(Default)]
pub(crate) struct Agent {
    pub(crate) disks: Vec<BlockDevice>,
    pub(crate) cancelled: AtomicBool,
    pub(crate) progress: Mutex<Vec<String>>,
    pub(crate) log: Mutex<Vec<String>>,
}

impl Agent {
    pub(crate) fn with_disks(disks: &[(&str, &str)]) -> Self {
        Self {
            disks: disks
                .iter()
                .map(|(name, model)| device(name, model))
                .collect(),
            ..Self::default()
        }
    }
}

impl Context for Agent {
    fn report_progress(&self, progress: Progress) {
        self.progress.lock().unwrap().push(progress.what);
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn log(&self, _level: LogLevel, message: &str) {
        self.log.lock().unwrap().push(message.to_owned());
    }

    fn block_devices(&self, _include_partitions: bool) -> Result<Vec<BlockDevice>, ManagerError> {
        Ok(self.disks.clone())
    }

    #[expect(clippy::disallowed_methods, reason = "the agent's part is played here")]
    fn run_program(&self, program: &ProgramRequest) -> Result<ProgramOutput, ManagerError> {
        assert!(program.path.starts_with('/'), "{}", program.path);
        let failed = |what: String| ManagerError::new(ErrorKind::CommandExecution, what);
        let mut command = std::process::Command::new(&program.path);
        command
            .args(&program.arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // Another test's child, which is about to start its own program, may still hold the file
        // that this one was just written to.
        let busy = |error: &io::Error| error.kind() == io::ErrorKind::ExecutableFileBusy;
        let started = (0..100).find_map(|_| match command.spawn() {
            Err(error) if busy(&error) => {
                sleep(Duration::from_millis(10));
                None
            }
            started => Some(started),
        });
        let mut child = started
            .unwrap_or_else(|| Err(io::ErrorKind::ExecutableFileBusy.into()))
            .map_err(|error| failed(format!("{} could not be run: {error}", program.path)))?;
        let until = Instant::now() + Duration::from_secs(program.timeout_seconds);
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > until {
                child.kill().unwrap();
                child.wait().unwrap();
                return Err(failed(format!(
                    "{} did not end within {} s and was killed",
                    program.path, program.timeout_seconds
                )));
            }
            sleep(Duration::from_millis(5));
        }
        let output = child.wait_with_output().unwrap();
        Ok(ProgramOutput {
            exit_code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}
