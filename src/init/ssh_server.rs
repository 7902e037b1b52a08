//! The SSH server of the ramdisk: dropbear, for as long as somebody may log in, and not before.
//!
//! PID 1 supervises it under the name `farrier-ssh`: a program that makes what a login needs (host keys, a shell, names
//! for busybox's tools), says the fingerprints on the consoles and then becomes dropbear. Nothing of that is there after
//! a boot: host keys of an image would be everybody's, and a ramdisk that nobody logs in to has no port to find.

use std::fs;
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use farrier_plugin::chain;

use super::supervisor::Rule;
use super::{message, support_login};
use crate::sys::private_file;
use crate::sys::process::{ProcessError, Program};
use crate::sys::root::Root;
use crate::sys::run_files::{self, LOCKED_DOWN};
use crate::sys::service::Service;

const PROGRAM: &str = "/usr/bin/farrier-ssh";
const DROPBEAR: &str = "/usr/sbin/dropbear";
const DROPBEARKEY: &str = "/usr/bin/dropbearkey";
const BUSYBOX: &str = "/usr/bin/busybox";

/// The shell of all users, a name of busybox.
const SHELL: &str = "/usr/bin/sh";

/// Where busybox's tools get their names: behind all that is there under its own name, and where no program of the agent
/// is looked for, which would meet other options than it knows.
const TOOLS: &str = "/usr/local/bin";

/// Both are made in no time. A client in FIPS mode knows no ed25519; RSA would cost an emulated or old processor seconds,
/// for clients that are older than either.
const HOST_KEYS: [&str; 2] = ["ed25519", "ecdsa"];

const PORT: u16 = 22;

/// What a server that listens must do within this time after it was asked for. The conductor waits a minute for the
/// answer to a command (`[agent]command_timeout`).
const PATIENCE: Duration = Duration::from_secs(30);

const LOOK: Duration = Duration::from_millis(50);

/// Who may log in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Login {
    /// The user `rescue`, with the password of a rescue; never root.
    Rescue,
    /// root, with a key; never with a password.
    Support,
}

impl Login {
    /// All of them. One server runs at a time: there is one port.
    pub(super) const ALL: [Self; 2] = [Self::Rescue, Self::Support];

    /// The name of its program for PID 1, and of its log.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rescue => "ssh-rescue",
            Self::Support => "ssh-support",
        }
    }

    /// The program that PID 1 starts.
    pub(super) fn service(self) -> Service {
        Service::new(PROGRAM).args([self.name()])
    }

    /// dropbear's own: in the foreground, told on stderr, no forwarding of ports in either direction, which would be a
    /// way into networks that the server is in. Wrong passwords end a connection after ten, each slowed down; a name is
    /// never locked, since then a stranger could lock out the one who has the password.
    fn arguments(self) -> Vec<String> {
        let mut arguments: Vec<String> = ["-F", "-E", "-j", "-k", "-p"].map(str::to_owned).into();
        arguments.push(PORT.to_string());
        for kind in HOST_KEYS {
            arguments.extend(["-r".to_owned(), host_key(kind)]);
        }
        // Written once it listens.
        arguments.extend(["-P".to_owned(), self.listens()]);
        arguments.push(
            match self {
                Self::Rescue => "-w",
                Self::Support => "-s",
            }
            .to_owned(),
        );
        arguments
    }

    /// The file that is there once its server listens.
    fn listens(self) -> String {
        format!("{}/{}.pid", run_files::SSH, self.name())
    }

    /// When PID 1 starts its program again.
    pub(super) fn rule(self) -> Rule {
        match self {
            Self::Rescue => Rule::Unless(&[LOCKED_DOWN]),
            // It ends with success where the key is refused, which the next start would be, too.
            Self::Support => Rule::UntilDone(&[LOCKED_DOWN]),
        }
    }

    fn told(self) -> &'static str {
        match self {
            Self::Rescue => "the user rescue may log in by SSH with the password of this rescue",
            Self::Support => "root may log in by SSH with the key of sshkey",
        }
    }
}

/// Why nobody can log in.
#[derive(Debug, thiserror::Error)]
pub(super) enum SshError {
    #[error("This system has no SSH server of a farrier ramdisk ({path} is not there)")]
    NotHere { path: &'static str },
    #[error("Could not make {path} for SSH logins")]
    Make {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("Could not make an SSH host key")]
    HostKey(#[source] ProcessError),
    #[error("dropbearkey tells no fingerprint of {path}")]
    NoFingerprint { path: String },
    #[error("Could not name busybox's tools in {TOOLS}")]
    Tools(#[source] ProcessError),
    #[error("Could not start {DROPBEAR}")]
    Start(#[source] io::Error),
    #[error(
        "The SSH server does not listen {} s after it was asked for; the console and \
         {}/{name}.log say why",
        PATIENCE.as_secs(),
        run_files::PROGRAM_LOGS
    )]
    Silent { name: &'static str },
}

/// Whether this is a ramdisk of ours, with an SSH server in it.
pub(super) fn is_here() -> Result<(), SshError> {
    let is_missing = |path: &&str| !Path::new(path).exists();
    match [message::SOCKET, PROGRAM, DROPBEAR]
        .into_iter()
        .find(is_missing)
    {
        Some(path) => Err(SshError::NotHere { path }),
        None => Ok(()),
    }
}

/// Have PID 1 start the server for the user `rescue`, and wait until it greets. Where it does not, nothing runs.
pub(super) fn open_for_rescue() -> Result<(), SshError> {
    let login = Login::Rescue;
    message::open_rescue_login();
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if runs(Path::new(&login.listens()), Path::new(DROPBEAR)) && greets(PORT) {
            return Ok(());
        }
        thread::sleep(LOOK);
    }
    close_for_rescue();
    Err(SshError::Silent { name: login.name() })
}

/// Have PID 1 end that server again.
pub(super) fn close_for_rescue() {
    message::close_rescue_login();
}

/// Whether the process whose number this file has is of this program. The file of a server that was killed stays, and the
/// one that greets is then another's, who takes no password.
fn runs(number: &Path, program: &Path) -> bool {
    let process = || {
        let pid: u32 = fs::read_to_string(number).ok()?.trim().parse().ok()?;
        fs::read_link(format!("/proc/{pid}/exe")).ok()
    };
    process().is_some_and(|running| fs::canonicalize(program).is_ok_and(|path| path == running))
}

/// Whether an SSH server says its first words on this port (RFC 4253 4.2).
fn greets(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let greeting = || {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut greeting = [0; 4];
        stream.read_exact(&mut greeting)?;
        io::Result::Ok(greeting)
    };
    greeting().is_ok_and(|greeting| greeting == *b"SSH-")
}

/// The program.
pub(super) fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    let Some(login) = Login::ALL.into_iter().find(|login| login.name() == name) else {
        eprintln!("farrier-ssh is started by PID 1 of the ramdisk");
        return ExitCode::FAILURE;
    };
    let admitted = match login {
        Login::Rescue => Ok(true),
        Login::Support => support_login::admit(&Root::system()).map_err(|source| SshError::Make {
            path: format!("/{}", support_login::FILE),
            source,
        }),
    };
    let error = match admitted.and_then(|is_admitted| prepare_if(is_admitted, login)) {
        // Nobody is to be let in; the consoles say why.
        Ok(None) => return ExitCode::SUCCESS,
        Ok(Some(fingerprints)) => {
            message::say(login.told());
            for fingerprint in fingerprints {
                message::say(&format!("SSH host key {fingerprint}"));
            }
            SshError::Start(Service::new(DROPBEAR).args(login.arguments()).become_it())
        }
        Err(error) => error,
    };
    message::say(&chain(&error));
    ExitCode::FAILURE
}

fn prepare_if(is_admitted: bool, login: Login) -> Result<Option<Vec<String>>, SshError> {
    is_admitted.then(|| prepare(login)).transpose()
}

/// Everything before the server, some of it made by an earlier start. The fingerprints of the host keys.
fn prepare(login: Login) -> Result<Vec<String>, SshError> {
    let make = |path: &str, made: io::Result<()>| match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(SshError::Make {
            path: path.to_owned(),
            source: error,
        }),
        _ => Ok(()),
    };
    make(
        run_files::SSH,
        private_file::make_directory(Path::new(run_files::SSH)),
    )?;
    // Of a server that has ended.
    let _ = fs::remove_file(login.listens());
    make(SHELL, symlink("busybox", SHELL))?;
    make(TOOLS, fs::create_dir_all(TOOLS))?;
    // It leaves alone what is there, which may be a part: of a start that was ended in the midst of it.
    let install = Program::new(BUSYBOX).arg("--install").arg("-s").arg(TOOLS);
    install.run().map_err(SshError::Tools)?;
    HOST_KEYS.into_iter().map(fingerprint).collect()
}

/// The fingerprint of a host key, which is made where there is none that can be read.
fn fingerprint(kind: &str) -> Result<String, SshError> {
    let path = host_key(kind);
    let dropbearkey = || Program::new(DROPBEARKEY).arg("-f").arg(path.as_str());
    let shown = match dropbearkey().arg("-y").run() {
        Ok(shown) => shown,
        Err(_) => {
            // One that was being made when its maker was killed.
            let _ = fs::remove_file(&path);
            let made = dropbearkey().arg("-t").arg(kind).run();
            made.map_err(SshError::HostKey)?
        }
    };
    read_fingerprint(kind, &shown.stdout).ok_or(SshError::NoFingerprint { path })
}

/// As OpenSSH's clients show it, from dropbearkey's text for people.
fn read_fingerprint(kind: &str, shown: &str) -> Option<String> {
    let fingerprint = shown
        .lines()
        .find_map(|line| line.strip_prefix("Fingerprint: "))?;
    let hash = fingerprint
        .split_whitespace()
        .find(|word| word.starts_with("SHA256:"))?;
    Some(format!("{kind} {hash}"))
}

fn host_key(kind: &str) -> String {
    format!("{}/{kind}", run_files::SSH)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn nobody_but_the_one_who_is_meant_may_log_in() {
        let of = |login: Login| login.arguments().join(" ");
        let (rescue, support) = (of(Login::Rescue), of(Login::Support));
        // No root, and no passwords.
        assert!(
            rescue.ends_with(" -w") && !rescue.contains(" -s"),
            "{rescue}"
        );
        assert!(
            support.ends_with(" -s") && !support.contains(" -w"),
            "{support}"
        );
        for arguments in [rescue, support] {
            assert!(arguments.contains("-j -k"), "{arguments}");
            assert!(!arguments.contains("-B"), "{arguments}");
        }
    }

    #[test]
    fn nobody_logs_in_after_a_lock_down() {
        for login in Login::ALL {
            let (Rule::Unless(markers) | Rule::UntilDone(markers)) = login.rule() else {
                panic!("{login:?} is started whatever happened");
            };
            assert_eq!(markers, [LOCKED_DOWN]);
        }
    }

    #[test]
    fn a_server_that_was_killed_is_not_taken_for_one_that_listens() {
        let directory = tempfile::tempdir().unwrap();
        let number = directory.path().join("ssh-rescue.pid");
        let this = std::env::current_exe().unwrap();
        assert!(!runs(&number, &this));
        fs::write(&number, format!("{}\n", std::process::id())).unwrap();
        assert!(runs(&number, &this));
        assert!(!runs(&number, Path::new("/bin/sh")), "of another program");
        // Beyond what the kernel gives a process at all.
        fs::write(&number, format!("{}\n", (1 << 22) + 1)).unwrap();
        assert!(!runs(&number, &this));
        fs::write(&number, "").unwrap();
        assert!(!runs(&number, &this));
    }

    #[test]
    fn fingerprints_are_told_as_clients_show_them() {
        // dropbearkey 2025.88 of Debian 13.
        let shown = "Public key portion is:\n\
             ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDdzyx root@farrier\n\
             Fingerprint: SHA256:8eKTgmjTTvyNTLFZpdnHqCjJKp8Uo7D9cRZKZfAQgXU\n";
        assert_eq!(
            read_fingerprint("ed25519", shown).unwrap(),
            "ed25519 SHA256:8eKTgmjTTvyNTLFZpdnHqCjJKp8Uo7D9cRZKZfAQgXU"
        );
        assert_eq!(read_fingerprint("ed25519", "Fingerprint: \n"), None);
        assert_eq!(read_fingerprint("ed25519", ""), None);
    }

    #[test]
    fn a_port_counts_as_open_when_an_ssh_server_greets_there() {
        for (greeting, is_one) in [
            ("SSH-2.0-dropbear\r\n", true),
            ("HTTP/1.1 400", false),
            ("", false),
        ] {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            let server = thread::spawn(move || {
                let (mut peer, _) = listener.accept().unwrap();
                peer.write_all(greeting.as_bytes()).unwrap();
            });
            assert_eq!(greets(port), is_one, "{greeting}");
            server.join().unwrap();
            assert!(!greets(port));
        }
    }
}
