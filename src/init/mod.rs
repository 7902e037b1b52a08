//! PID 1 of the ramdisk: mounts, udev, network, and the supervision of the agent.
//!
//! Runs as `farrier init`, or under the name `init` as the kernel starts it. udev and the network
//! start side by side, and the agent beside them: it waits by itself for what it needs. PID 1
//! never ends and never waits for anything but events; every program may die at any time.
//!
//! Files that other rooms meet, all below `/run/farrier`, are listed in [`crate::sys::run_files`].
//!
//! Parameters that come with virtual media are read by the agent, which parses what others made, and
//! not by PID 1, whose end would be the machine's. The agent says when they are known. Until then the
//! network waits where such parameters must be expected; everywhere else it starts at once. So do network data, and
//! dracut's parameters of the kernel line: `farrier-network` reads them and makes what they say, and dhcpcd, which does
//! the rest, starts when that is done.

mod boot_interface;
mod coldplug;
mod console;
mod debug_shell;
mod dhcp_part;
mod duid;
mod firmware;
mod hostname;
mod infiniband;
mod lease;
mod lines;
mod log;
mod logins;
mod message;
mod microcode;
mod mounts;
mod network;
mod network_program;
mod outlet;
mod packet_size;
mod page;
mod phase;
mod port_move;
mod port_program;
mod port_round;
mod power_button;
mod programs;
mod repeats;
mod rescue;
mod restart;
mod seed;
mod shutdown;
mod ssh_server;
mod supervisor;
mod support_login;

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use farrier_plugin::chain;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use self::console::Console;
use self::dhcp_part::DhcpPart;
pub(crate) use self::lease::time_servers;
use self::logins::Logins;
use self::message::Message;
pub(crate) use self::network::gets_no_address;
use self::network::{Network, Restart};
pub(crate) use self::network_program::is_awaited as is_network_awaited;
use self::port_move::{PortMove, Sign, Step};
pub(crate) use self::rescue::open as open_rescue;
use self::ssh_server::Login;
use self::supervisor::Supervisor;
use crate::block::settle;
use crate::command::LAST_EXIT;
use crate::config::KernelParameters;
use crate::net::hardware_address::HardwareAddress;
use crate::sys::boot_times::since_kernel_start;
use crate::sys::root::Root;
use crate::sys::run_files::{self, DIRECTORY, LOCKED_DOWN, RESCUED, SETTLED};
use crate::sys::service::{Ending, dead_children, release, terminate};
use crate::sys::{kernel_parameters, loopback, power};

/// How often the dead are looked for if their signals cannot be received.
const WITHOUT_SIGNALS: Duration = Duration::from_millis(50);

/// How long udev may need until it is ready; it is within half a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// Drivers that hang are no longer waited for after this time; PID 1 and the agent go on anyway.
const SETTLE: Duration = Duration::from_secs(180);

/// What farrier is under a name that its executable was started by, other than `farrier`: `init`
/// for PID 1, as the kernel starts it, `farrier-lease` for the hook of dhcpcd, `farrier-network` for the program that
/// makes a planned network, `farrier-port` for the one that asks a rescued server's network whether it is still the same,
/// and `farrier-ssh` for the one that becomes the SSH server.
pub(crate) fn by_name(name: &str) -> Option<fn() -> ExitCode> {
    match name {
        "init" => Some(main),
        "farrier-lease" => Some(lease::main),
        "farrier-network" => Some(network_program::main),
        "farrier-port" => Some(port_program::main),
        "farrier-ssh" => Some(ssh_server::main),
        _ => None,
    }
}

/// Be PID 1 until the machine is switched off.
pub(crate) fn main() -> ExitCode {
    if std::process::id() != 1 {
        eprintln!("farrier init is PID 1 of the ramdisk and does nothing in a running system");
        return ExitCode::FAILURE;
    }
    let mut init = Init::start();
    loop {
        // If PID 1 ends, the kernel panics and with it ends an erase that was going well.
        match catch_unwind(AssertUnwindSafe(|| init.supervise())) {
            Ok(signal) => shutdown::power_off(&init.console, &init.supervisor, signal),
            Err(_) => {
                init.console
                    .say("PID 1 met a defect of its own and goes on");
                thread::sleep(Duration::from_secs(1));
            }
        }
    }
}

/// Tell PID 1, where there is ours, that virtual media were looked at: what they brought is kept
/// where [`kernel_parameters::all`] reads it.
pub(crate) fn parameters_known() {
    if Path::new(message::SOCKET).exists() {
        message::parameters_known();
    }
}

struct Init {
    console: Console,
    signals: Option<SignalFd>,
    socket: Option<UnixDatagram>,
    supervisor: Supervisor,
    network: Network,
    port: PortMove,
    settled: Option<Instant>,
    logins: Logins,
    /// Until when udev may make the agent wait; `None` once that is decided.
    patience: Option<Instant>,
}

impl Init {
    /// Everything before the first program.
    fn start() -> Self {
        let started = since_kernel_start();
        // Before any thread: one thread that has a signal unblocked is enough for the kernel to
        // let that signal end the whole process, and with PID 1 the machine. Programs get an empty
        // mask from std.
        let signals = signals();
        let failures = mounts::mount_all();
        let console = Console::open();
        console.say(&format!(
            "farrier {} on Linux {}",
            env!("FARRIER_VERSION"),
            kernel_release().unwrap_or_default()
        ));
        console.doing("starting udev");
        for failure in failures {
            console.say(&chain(&failure));
        }
        if let Err(error) = hostname::set_default(Path::new(hostname::HOSTNAME)) {
            console.say(&format!("The host name could not be set ({error})"));
        }
        if let Err(error) = &signals {
            console.say(&format!("Signals cannot be received ({error})"));
        }
        let made = fs::DirBuilder::new().mode(0o700).create(DIRECTORY);
        if let Err(error) = made.and_then(|()| public_root()) {
            console.say(&format!("Could not prepare {DIRECTORY} ({error})"));
        }
        phase::mark(
            &console,
            "kernel",
            &format!("kernel handed over at {:.2} s", started.as_secs_f64()),
        );
        // Ctrl-Alt-Del arrives as SIGINT; loopback serves plug-ins and probes.
        for result in [power::catch_ctrl_alt_del(), loopback::bring_up()] {
            if let Err(error) = result {
                console.say(&format!("Could not set up the kernel ({error})"));
            }
        }
        firmware::watch(console.clone());
        if let Err(error) = microcode::free_memory(Path::new("/")) {
            console.say(&format!("Could not free the memory of microcode ({error})"));
        }
        seed::gather(console.clone());

        let socket = message::listen(Path::new(message::SOCKET)).inspect_err(|error| {
            console.say(&format!("No messages to PID 1 ({error})"));
        });
        // All but the command line's where PID 1 itself was started again.
        let parameters = kernel_parameters::all(&Root::system());
        let is_known = kernel_parameters::are_kept(&Root::system());
        let mut supervisor = Supervisor::new(console.clone());
        programs::add(&mut supervisor);
        debug_shell::add(&console, &mut supervisor, &parameters);
        supervisor.start("udevd");
        supervisor.start("modprobe");
        supervisor.start("shell");
        let awaits_media = parameters.awaits_virtual_media() && !is_known;
        let mut init = Self {
            network: Network::new(boot_address(&console, &parameters), awaits_media),
            port: PortMove::default(),
            console,
            signals: signals.ok(),
            socket: socket.ok(),
            supervisor,
            settled: None,
            logins: Logins::default(),
            patience: Some(Instant::now() + PATIENCE),
        };
        if !awaits_media {
            init.plan_network();
        }
        init.admit_support();
        init
    }

    /// Handle events until a signal asks for the end.
    fn supervise(&mut self) -> Signal {
        loop {
            self.wait();
            let mut agent_ended = false;
            for (pid, ending) in dead_children() {
                match self.supervisor.ended(pid, ending) {
                    Some("agent") => {
                        tell_next_agent(Path::new(run_files::STATE), ending);
                        agent_ended = true;
                        self.logins
                            .agent_ended(&mut self.supervisor, Path::new(RESCUED));
                    }
                    // It was in the way of a plan that came late.
                    Some("dhcpcd") if self.network.awaits_plan() => {
                        self.supervisor.start("network");
                    }
                    Some("dhcpcd") if self.port.has_begun() => self.start_anew(),
                    // Its time was to begin anew, unless it has ended by itself: then this does nothing.
                    Some("port") if ending != Ending::Exit(0) => self.supervisor.start("port"),
                    // One that is refused its key has nothing to do; any other end frees the port for the next.
                    Some(name) if self.logins.frees_port(name, ending) => {
                        self.logins.start(&mut self.supervisor);
                    }
                    _ => {}
                }
            }
            for message in self
                .socket
                .as_ref()
                .map(message::received)
                .unwrap_or_default()
            {
                match message {
                    // Only udev reports so. After a restart of udev the devices are sent again:
                    // it may have died with events in hand.
                    Message::Ready => self.begin(),
                    Message::Settled => self.settled(),
                    Message::Parameters => self.take_parameters(),
                    Message::Network => self.network.planned(DhcpPart::read(&Root::system())),
                    Message::OpenRescueLogin => self.logins.open_rescue(&mut self.supervisor),
                    Message::CloseRescueLogin => self.logins.close_rescue(&mut self.supervisor),
                    Message::Port(sign) => self.take_sign(sign),
                    Message::Say(text) => self.console.say(&text),
                    Message::Fact(fact, value) => self.console.tell(fact, &value),
                }
            }
            if agent_ended {
                // After the messages: what it sent right before its end is no news of the time after it.
                self.console.agent_ended();
            }
            if self.patience.is_some_and(|until| until <= Instant::now()) {
                self.console
                    .say("udev does not report that it is ready; going on");
                self.begin();
            }
            self.look_for_network();
            self.hold_lock_down();
            self.follow_port();
            self.supervisor.start_due(Instant::now());
            if let Some(signal) = self.signal() {
                return signal;
            }
        }
    }

    /// Wait for a signal, a message, or the time of something to do.
    fn wait(&self) {
        let now = Instant::now();
        let next_start = self
            .supervisor
            .next_start()
            .map(|at| at.saturating_duration_since(now));
        let network = Some(self.network.next_look());
        let without_signals = self.signals.is_none().then_some(WITHOUT_SIGNALS);
        let timeout = [next_start, network, without_signals]
            .into_iter()
            .flatten()
            .min();
        let timeout = timeout.map_or(PollTimeout::NONE, |pause| {
            // Rounded up, so that the time has come when poll returns.
            let milliseconds = pause.as_millis().saturating_add(1);
            PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX)
        });
        let mut sources: Vec<PollFd<'_>> = Vec::new();
        sources.extend(
            self.signals
                .as_ref()
                .map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)),
        );
        sources.extend(
            self.socket
                .as_ref()
                .map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)),
        );
        // EINTR, or anything else: the events themselves are looked for next.
        let _ = poll(&mut sources, timeout);
    }

    /// A signal that asks for the end, if one came.
    fn signal(&self) -> Option<Signal> {
        while let Ok(Some(info)) = self.signals.as_ref()?.read_signal() {
            let signal = i32::try_from(info.ssi_signo)
                .ok()
                .and_then(|n| Signal::try_from(n).ok());
            if let Some(signal @ (Signal::SIGTERM | Signal::SIGINT)) = signal {
                return Some(signal);
            }
        }
        None
    }

    /// Send the devices to udev, and start the agent beside.
    fn begin(&mut self) {
        self.patience = None;
        coldplug::trigger(Path::new("/sys"));
        report_settled();
        self.supervisor.start("agent");
    }

    fn settled(&mut self) {
        if self.settled.is_none() {
            self.settled = Some(Instant::now());
            power_button::watch();
            phase::mark(&self.console, "udev", "udev has handled all devices");
        }
        if let Err(error) = fs::write(SETTLED, "") {
            self.console
                .say(&format!("Could not write {SETTLED} ({error})"));
        }
    }

    /// The agent has looked at the virtual media.
    fn take_parameters(&mut self) {
        let parameters = kernel_parameters::all(&Root::system());
        self.network
            .parameters_known(boot_address(&self.console, &parameters));
        self.plan_network();
        if debug_shell::add(&self.console, &mut self.supervisor, &parameters) {
            self.supervisor.start("shell");
        }
        self.admit_support();
    }

    fn admit_support(&mut self) {
        let texts = kernel_parameters::texts(&Root::system());
        self.logins.admit_support(&mut self.supervisor, texts);
    }

    /// Where something says what the network is to be, have it made before dhcpcd asks anywhere. A dhcpcd that runs, since
    /// virtual media came after it, goes first and takes along what it was given; else it would bring up cards that are to
    /// be in a bond.
    fn plan_network(&mut self) {
        let Some(source) = network_program::source(&Root::system()) else {
            return;
        };
        if !self.network.takes_source(source) {
            return;
        }
        self.network.await_plan(Instant::now());
        let dhcpcd = self.supervisor.pid("dhcpcd");
        self.supervisor.hold("dhcpcd");
        // It reads what is there now.
        if let Some(before) = self.supervisor.pid("network") {
            terminate(before);
        }
        match dhcpcd {
            Some(dhcpcd) => release(dhcpcd),
            None => self.supervisor.start("network"),
        }
    }

    /// After a lock-down dhcpcd and a plan's program would still bring up a card that is plugged in, nothing is asked of the
    /// network, and nobody logs in.
    fn hold_lock_down(&self) {
        let logins = Login::ALL.map(Login::name);
        for name in ["dhcpcd", "network", "port"].into_iter().chain(logins) {
            if let Some(program) = self.supervisor.pid(name)
                && Path::new(LOCKED_DOWN).exists()
            {
                terminate(program);
            }
        }
    }

    /// In a rescue system the conductor may move the port to another network.
    fn follow_port(&mut self) {
        if self.port.has_begun() || !Path::new(RESCUED).exists() {
            return;
        }
        self.port.begin();
        self.console.say(
            "a rescue system: every 10 s for 5 minutes the network is asked whether its addresses count, since the port may come into another one",
        );
        self.supervisor.start("port");
    }

    fn take_sign(&mut self, sign: Sign) {
        match self.port.take(sign, Instant::now()) {
            None => {}
            Some(Step::Watch) => match self.supervisor.pid("port") {
                Some(pid) => {
                    self.supervisor.hold("port");
                    terminate(pid);
                }
                None => self.supervisor.start("port"),
            },
            Some(Step::Forget) => {
                self.console
                    .say("the network is another one: what the one before gave is dropped");
                let dhcpcd = self.supervisor.pid("dhcpcd");
                self.supervisor.hold("dhcpcd");
                match dhcpcd {
                    Some(dhcpcd) => release(dhcpcd),
                    None => self.start_anew(),
                }
            }
        }
    }

    /// dhcpcd has ended, in a rescue system. One that nobody asked to waits for its time.
    fn start_anew(&mut self) {
        if let Err(error) = port_move::forget_leases(Path::new("/")) {
            self.console
                .say(&format!("Could not remove leases of DHCPv6 ({error})"));
        }
        self.supervisor.start("dhcpcd");
    }

    fn look_for_network(&mut self) {
        let Some(start) = self
            .network
            .decide(Path::new("/"), self.settled, Instant::now())
        else {
            return;
        };
        match &start.owner {
            Some(owner) => phase::mark(&self.console, "interface", &format!("booted from {owner}")),
            None if start.part.is_some() => {}
            None if self.network.awaits_plan() => self
                .console
                .say("farrier-network does not say what DHCP is to do; asking on all cards"),
            None if self.network.has_boot_interface() => {
                self.console
                    .say("no interface has the address of BOOTIF; starting without it");
            }
            None => {}
        }
        for failure in network::write_configuration(Path::new("/"), &start) {
            self.console.say(&failure);
        }
        if let Some(note) = infiniband::note(Path::new("/")) {
            self.console.say(&note);
        }
        match self.supervisor.pid("dhcpcd") {
            // The boot interface is another than before: its end starts it again.
            Some(pid) if start.restart == Restart::WithoutRoutes => release(pid),
            Some(pid) => terminate(pid),
            None => {}
        }
        self.supervisor.start("dhcpcd");
    }
}

fn boot_address(console: &Console, parameters: &KernelParameters) -> Option<HardwareAddress> {
    let text = parameters.boot_interface()?;
    let address = HardwareAddress::parse(text);
    if address.is_none() {
        console.say(&format!(
            "BOOTIF={text} is no hardware address and is ignored"
        ));
    }
    address
}

/// Wait on a thread until udev has handled what was sent to it, and tell PID 1.
fn report_settled() {
    let wait = || {
        settle::wait(&Root::system(), SETTLE);
        message::settled();
    };
    // Without the thread the phase is not recorded; the agent looks at udev itself.
    let _ = thread::Builder::new().name("settle".to_owned()).spawn(wait);
}

/// Block the signals that PID 1 handles and receive them as a file.
fn signals() -> nix::Result<SignalFd> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT] {
        set.add(signal);
    }
    set.thread_block()?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

/// An archive appended to the ramdisk may have replaced the root directory's mode; services that
/// drop their privileges must be able to look up paths.
fn public_root() -> io::Result<()> {
    fs::set_permissions("/", fs::Permissions::from_mode(0o755))
}

fn kernel_release() -> Option<String> {
    Some(
        fs::read_to_string("/proc/sys/kernel/osrelease")
            .ok()?
            .trim()
            .to_owned(),
    )
}

/// Leave a line for the agent that starts next, which tells the conductor why a command failed. Where
/// there is no state yet, nothing was running.
fn tell_next_agent(state: &Path, ending: Ending) {
    let line = match ending {
        Ending::Exit(_) => format!("{ending}\n"),
        Ending::Signal(signal) => format!("signal {signal}\n"),
    };
    let _ = fs::write(state.join(LAST_EXIT), line);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::interrupted_in;

    #[test]
    fn the_next_agent_says_how_the_last_one_ended() {
        for (ending, told) in [
            (Ending::Signal(Signal::SIGKILL), "(signal SIGKILL)"),
            (Ending::Exit(101), "(exit status 101)"),
        ] {
            let state = tempfile::tempdir().unwrap();
            let path = state.path();
            let error = interrupted_in(path, || tell_next_agent(path, ending));
            assert!(error.contains(told), "{error}");
        }
    }
}
