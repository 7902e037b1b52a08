//! Who may log in by SSH now, and the one server for that: there is one port.

use std::path::Path;

use super::ssh_server::Login;
use super::supervisor::{Output, Supervisor};
use super::support_login;
use crate::config::KernelParameters;
use crate::sys::service::{Ending, terminate};

#[derive(Debug, Default)]
pub(super) struct Logins {
    wanted: Option<Login>,
    /// The texts of parameters by which a person of support was let in.
    support: Vec<String>,
}

impl Logins {
    /// Let the user of a rescue in, and no person of support any more.
    pub(super) fn open_rescue(&mut self, supervisor: &mut Supervisor) {
        self.let_in(supervisor, Some(Login::Rescue));
    }

    /// The rescue has failed: a person of support comes in as before.
    pub(super) fn close_rescue(&mut self, supervisor: &mut Supervisor) {
        let has_support = supervisor.has(Login::Support.name());
        self.let_in(supervisor, has_support.then_some(Login::Support));
    }

    /// An agent that has ended without this marker had not become a rescue system, even where it had come as far as the
    /// login: the next agent has the machine, and no user of a rescue is in it.
    pub(super) fn agent_ended(&mut self, supervisor: &mut Supervisor, rescued: &Path) {
        if self.wanted == Some(Login::Rescue) && !rescued.exists() {
            self.close_rescue(supervisor);
        }
    }

    /// Let a person of support in where a parameter in these texts says so; in a rescue system the machine is another's. A
    /// server that has the key of the kernel line takes that of virtual media when it is started again. Each agent says that
    /// media were looked at: what is as it was starts nothing.
    pub(super) fn admit_support(&mut self, supervisor: &mut Supervisor, mut texts: Vec<String>) {
        texts.retain(|text| support_login::is_wanted(&KernelParameters::parse(text)));
        if texts.is_empty() || self.support == texts || self.wanted == Some(Login::Rescue) {
            return;
        }
        self.support = texts;
        if let Some(pid) = supervisor.pid(Login::Support.name()) {
            terminate(pid);
        }
        self.let_in(supervisor, Some(Login::Support));
    }

    /// Let this one in, and nobody else. Sessions that are open stay.
    fn let_in(&mut self, supervisor: &mut Supervisor, login: Option<Login>) {
        self.wanted = login;
        for other in Login::ALL {
            if Some(other) == login {
                continue;
            }
            supervisor.hold(other.name());
            if let Some(pid) = supervisor.pid(other.name()) {
                terminate(pid);
            }
        }
        self.start(supervisor);
    }

    /// Whether this program is an SSH server after whose end the one that is wanted has to be started. One that is refused
    /// its key has nothing to do.
    pub(super) fn frees_port(&self, name: &str, ending: Ending) -> bool {
        let is_other = |login: &Login| Some(*login) != self.wanted || ending != Ending::Exit(0);
        let mut each = Login::ALL.iter();
        each.any(|login| login.name() == name && is_other(login))
    }

    /// Start the server that is wanted once no other has the port.
    pub(super) fn start(&self, supervisor: &mut Supervisor) {
        let Some(login) = self.wanted else {
            return;
        };
        let runs = |login: &Login| supervisor.pid(login.name()).is_some();
        if Login::ALL.iter().any(runs) {
            return;
        }
        if !supervisor.has(login.name()) {
            supervisor.add(login.name(), login.service(), login.rule(), Output::Log);
        }
        supervisor.start(login.name());
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use nix::sys::signal::Signal;
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    use nix::unistd::Pid;

    use super::*;
    use crate::init::console::Console;
    use crate::init::supervisor::Rule;
    use crate::sys::service::Service;

    /// The programs are not there outside a ramdisk: a start of one is a pause before the next try.
    #[test]
    fn one_login_at_a_time_and_support_only_where_it_is_asked_for() {
        let mut supervisor = Supervisor::new(Console::nowhere());
        let mut logins = Logins::default();
        let (support, rescue) = (Login::Support.name(), Login::Rescue.name());
        let texts = |text: &str| vec!["quiet".to_owned(), text.to_owned()];
        logins.admit_support(&mut supervisor, texts("quiet nosshkey=x"));
        assert!(!supervisor.has(support));
        logins.admit_support(&mut supervisor, texts("sshkey=\"ssh-ed25519 x\""));
        assert!(supervisor.has(support) && !supervisor.has(rescue));
        logins.open_rescue(&mut supervisor);
        assert!(supervisor.has(rescue));
        // Virtual media are looked at again by each agent.
        logins.admit_support(&mut supervisor, texts("sshkey=\"ssh-ed25519 y\""));
        assert_eq!(logins.wanted, Some(Login::Rescue));
        logins.close_rescue(&mut supervisor);
        assert_eq!(logins.wanted, Some(Login::Support));
    }

    /// The server that runs stands for itself: it would end, and be started again.
    #[test]
    fn a_server_with_the_same_parameters_is_not_started_again() {
        let mut supervisor = Supervisor::new(Console::nowhere());
        let program = Service::new("/bin/sleep").args(["60"]);
        supervisor.add(Login::Support.name(), program, Rule::Always, Output::Log);
        let mut logins = Logins::default();
        let texts = |key: &str| vec![format!("quiet sshkey=\"{key}\"")];
        let runs = |supervisor: &Supervisor| {
            let pid = Pid::from_raw(supervisor.pid(Login::Support.name()).unwrap());
            thread::sleep(Duration::from_millis(200));
            match waitpid(pid, Some(WaitPidFlag::WNOHANG)).unwrap() {
                WaitStatus::StillAlive => true,
                ended => {
                    assert_eq!(ended, WaitStatus::Signaled(pid, Signal::SIGTERM, false));
                    false
                }
            }
        };
        for (key, is_the_same) in [("x", true), ("x", true), ("y", false)] {
            logins.admit_support(&mut supervisor, texts(key));
            assert_eq!(runs(&supervisor), is_the_same, "{key}");
        }
    }

    /// It was killed between the two, and the next one serves the conductor.
    #[test]
    fn an_agent_that_ended_in_the_midst_of_a_rescue_leaves_no_login() {
        let directory = tempfile::tempdir().unwrap();
        let marker = directory.path().join("rescued");
        let mut supervisor = Supervisor::new(Console::nowhere());
        let mut logins = Logins::default();
        logins.open_rescue(&mut supervisor);
        std::fs::write(&marker, "").unwrap();
        logins.agent_ended(&mut supervisor, &marker);
        assert_eq!(logins.wanted, Some(Login::Rescue));
        std::fs::remove_file(&marker).unwrap();
        logins.agent_ended(&mut supervisor, &marker);
        assert_eq!(logins.wanted, None);
        assert_eq!(supervisor.next_start(), None);
    }

    #[test]
    fn a_refused_key_is_not_judged_again_and_again() {
        let logins = Logins {
            wanted: Some(Login::Support),
            ..Logins::default()
        };
        let name = Login::Support.name();
        assert!(!logins.frees_port(name, Ending::Exit(0)));
        assert!(logins.frees_port(name, Ending::Signal(Signal::SIGTERM)));
        assert!(logins.frees_port(Login::Rescue.name(), Ending::Exit(0)));
        assert!(!logins.frees_port("dhcpcd", Ending::Exit(1)));
    }
}
