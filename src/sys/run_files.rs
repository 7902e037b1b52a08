//! Everything that farrier keeps below `/run/farrier`, in one list: whoever writes a file names it
//! by its constant here, and the log archive goes through the list. So no file can be written for
//! the archive and be missing there.

use std::fs;
use std::io;
use std::path::Path;

use tracing::{error, info};

use super::private_file;

/// The directory, a tmpfs that only root can enter.
pub(crate) const DIRECTORY: &str = "/run/farrier";

/// The phases of the boot (see [`super::boot_times`]).
pub(crate) const BOOT_TIMES: &str = "/run/farrier/boot-times";

/// What udev, modprobe and dhcpcd said: `<program>.log`, and `<program>.log.1` before it.
pub(crate) const PROGRAM_LOGS: &str = "/run/farrier/log";

/// What PID 1 said of cards whose drivers asked for firmware that is not here, a line each.
pub(crate) const MISSING_FIRMWARE: &str = "/run/farrier/missing-firmware";

/// What the network gave, a JSON file for each interface and protocol.
pub(crate) const LEASES: &str = "/run/farrier/leases";

/// What `/etc/resolv.conf` is a link to.
pub(crate) const RESOLV_CONF: &str = "/run/farrier/resolv.conf";

/// What dhcpcd was told.
pub(crate) const DHCPCD_CONF: &str = "/run/farrier/dhcpcd.conf";

/// The parameters that virtual media brought (see [`super::kernel_parameters`]).
pub(crate) const PARAMETERS: &str = "/run/farrier/parameters.txt";

/// The network data that virtual media brought, as it was there (`network_data.json`).
pub(crate) const NETWORK_DATA: &str = "/run/farrier/network_data.json";

/// What a plan of the network leaves to dhcpcd.
pub(crate) const NETWORK: &str = "/run/farrier/network.json";

/// The agent's log.
pub(crate) const AGENT_LOG: &str = "/run/farrier/agent.log";

/// Erase records, by step and device.
pub(crate) const ERASE_RECORDS: &str = "/run/farrier/erase";

/// What must survive the agent's end: journal and token lie here.
pub(crate) const STATE: &str = "/run/farrier/state";

/// The token, the certificate's key and the node, in [`STATE`].
pub(crate) const AGENT_STATE: &str = "/run/farrier/state/agent.json";

/// The command journal, in [`STATE`].
pub(crate) const COMMANDS: &str = "/run/farrier/state/commands.jsonl";

/// How the last agent ended, in [`STATE`].
pub(crate) const LAST_EXIT: &str = "/run/farrier/state/last-exit";

/// There once udev has handled every device that was there at boot.
pub(crate) const SETTLED: &str = "/run/farrier/settled";

/// There once the agent has locked the machine down. Its network stays down from then on.
pub(crate) const LOCKED_DOWN: &str = "/run/farrier/locked-down";

/// The reference's marker of a rescue system, the one file here that lies elsewhere: other parts of a
/// ramdisk may write it, too. PID 1 starts no agent where it is.
pub(crate) const RESCUED: &str = "/etc/.rescued";

/// Where root asks the agent what it is doing (`farrier status`).
pub(crate) const CONTROL_SOCKET: &str = "/run/farrier/agent.sock";

/// Where PID 1 hears messages.
pub(crate) const INIT_SOCKET: &str = "/run/farrier/init.sock";

/// Private host keys of the SSH server, and the number of its process once it listens.
pub(crate) const SSH: &str = "/run/farrier/ssh";

/// Where media are mounted.
pub(crate) const MOUNT_POINTS: &str = "/run/farrier/mnt";

/// What becomes of a file in the log archive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Archived {
    /// It is the member of this name; of a directory every file in it, below this name.
    As(&'static str),
    /// It is the member of this name: lines of JSON, without `result` in any.
    WithoutResults(&'static str),
    /// Who keeps it hands it in, as this member or below this name; empty: under names of its own.
    ByItsKeeper(&'static str),
    /// It is left out, for this reason.
    LeftOut(&'static str),
}

/// Files with secrets of the operator's: the token, the certificate's key, and what steps were given.
const SECRETS: [&str; 3] = [AGENT_STATE, COMMANDS, PARAMETERS];

/// Remove what holds secrets of the operator's: somebody else logs in from now on. No agent can go on
/// with this node afterwards.
pub(crate) fn forget_secrets(root: &Path) {
    for path in SECRETS {
        let path = root.join(path.trim_start_matches('/'));
        // Under the other it is written before it is whole, by somebody who may have been killed.
        for path in [private_file::new_of(&path), path] {
            match fs::remove_file(&path) {
                Ok(()) => info!(path = %path.display(), "removed: this machine is handed over"),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => error!(path = %path.display(), %error, "not removed"),
            }
        }
    }
}

/// All of them.
pub(crate) const ALL: &[(&str, Archived)] = &[
    (AGENT_LOG, Archived::ByItsKeeper("journal")),
    (ERASE_RECORDS, Archived::ByItsKeeper("")),
    (BOOT_TIMES, Archived::As("boot-times")),
    (PROGRAM_LOGS, Archived::As("log")),
    (MISSING_FIRMWARE, Archived::As("missing-firmware")),
    (LEASES, Archived::As("leases")),
    (
        RESOLV_CONF,
        Archived::LeftOut("/etc/resolv.conf leads to it and is collected"),
    ),
    (DHCPCD_CONF, Archived::As("dhcpcd.conf")),
    (PARAMETERS, Archived::As("parameters.txt")),
    (NETWORK_DATA, Archived::As("network_data.json")),
    (NETWORK, Archived::As("network.json")),
    // Results repeat the arguments of steps, among them the config drive.
    (COMMANDS, Archived::WithoutResults("commands.jsonl")),
    (LAST_EXIT, Archived::As("last-exit")),
    (
        AGENT_STATE,
        Archived::LeftOut("it holds the token and the certificate's key"),
    ),
    (
        STATE,
        Archived::LeftOut("its files are listed by themselves"),
    ),
    (
        SETTLED,
        Archived::LeftOut("empty; boot-times has the moment"),
    ),
    (
        RESCUED,
        Archived::LeftOut("empty, and no agent runs where it is"),
    ),
    (
        LOCKED_DOWN,
        Archived::LeftOut("empty, and nobody collects logs after it"),
    ),
    (CONTROL_SOCKET, Archived::LeftOut("a socket")),
    (INIT_SOCKET, Archived::LeftOut("a socket")),
    (
        SSH,
        Archived::LeftOut("private keys; their fingerprints are on the console"),
    ),
    (
        MOUNT_POINTS,
        Archived::LeftOut("what is mounted is another's"),
    ),
    (
        DIRECTORY,
        Archived::LeftOut("its files are listed by themselves"),
    ),
];

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// The code of a source file: without comments, and without the tests at its end.
    fn code(path: &Path) -> String {
        let text = fs::read_to_string(path).unwrap();
        let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
        text[..end]
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .map(|line| format!("{line}\n"))
            .collect()
    }

    /// The modules that this file declares for tests alone.
    fn test_modules(path: &Path) -> Vec<String> {
        let text = fs::read_to_string(path).unwrap();
        let mut lines = text.lines();
        let mut names = Vec::new();
        while let Some(line) = lines.next() {
            if line.starts_with("#[cfg(")
                && line.contains("test")
                && let Some((_, name)) = lines.next().unwrap_or_default().split_once("mod ")
            {
                names.push(name.trim_end_matches([';', '{', ' ']).to_owned());
            }
        }
        names
    }

    fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }

    #[test]
    fn nobody_keeps_a_file_that_is_not_on_the_list() {
        let mut found = Vec::new();
        sources(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
            &mut found,
        );
        let tests: Vec<String> = found.iter().flat_map(|path| test_modules(path)).collect();
        found.retain(|path| {
            let mut parts = path.components().map(|part| {
                let part = part.as_os_str().to_string_lossy();
                part.trim_end_matches(".rs").to_owned()
            });
            !parts.any(|part| tests.contains(&part))
        });
        assert!(found.len() > 200, "{}", found.len());
        let mut constants = 0;
        for path in found {
            let code = code(&path);
            if path.ends_with("src/sys/run_files.rs") {
                constants = code.matches("pub(crate) const ").count() - 1;
                continue;
            }
            for place in ["run/farrier", "/var/log"] {
                assert!(
                    !code.contains(place),
                    "{} names a file in {place}, which belongs into src/sys/run_files.rs",
                    path.display()
                );
            }
        }
        // Each constant is on the list, which is a constant itself.
        assert_eq!(constants, ALL.len());
    }

    #[test]
    fn secrets_that_were_being_written_are_forgotten_too() {
        let root = tempfile::tempdir().unwrap();
        let state = root.path().join(&STATE[1..]);
        fs::create_dir_all(&state).unwrap();
        for path in [
            "state/agent.json",
            "state/agent.json.new",
            "state/commands.jsonl",
            "state/last-exit",
            "parameters.txt",
            "parameters.txt.new",
        ] {
            fs::write(root.path().join(&DIRECTORY[1..]).join(path), "secret").unwrap();
        }
        forget_secrets(root.path());
        let names = |directory: &Path| -> Vec<String> {
            let entries = fs::read_dir(directory).unwrap();
            let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
            entries
                .map(|entry| name(entry).into_string().unwrap())
                .collect()
        };
        assert_eq!(names(&state), ["last-exit"]);
        assert_eq!(names(&root.path().join(&DIRECTORY[1..])), ["state"]);
    }

    #[test]
    fn what_is_left_out_has_a_reason_and_names_are_used_once() {
        let mut names = std::collections::BTreeSet::new();
        for (path, archived) in ALL {
            match archived {
                Archived::As(name) | Archived::WithoutResults(name) => {
                    assert!(names.insert(name), "{name}");
                }
                Archived::ByItsKeeper(_) => {}
                Archived::LeftOut(reason) => assert!(!reason.is_empty(), "{path}"),
            }
        }
    }
}
