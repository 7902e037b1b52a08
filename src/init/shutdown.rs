//! The orderly end: programs first, the agent before all others, then the disks, then the power.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::console::Console;
use super::supervisor::Supervisor;
use crate::sys::mount::unmount_devices;
use crate::sys::service::{dead_children, signal_everyone, terminate};
use crate::sys::{page_cache, power};

/// What the agent gets to stop its command, to tell the conductor and to close its connections: it takes
/// half a minute at most for that, and less than a second where nothing runs.
const AGENT: Duration = Duration::from_secs(35);

/// What all others get.
const OTHERS: Duration = Duration::from_secs(2);

/// Switch the machine off, for SIGTERM and for Ctrl-Alt-Del (SIGINT) alike. Not a restart for the
/// latter: a machine that boots its ramdisk again looks to the conductor as if it had done a
/// reboot that a step asked for.
pub(super) fn power_off(console: &Console, supervisor: &Supervisor, signal: Signal) -> ! {
    console.say(&format!("{signal}: switching off"));
    console.doing("switching off");
    if let Some(agent) = supervisor.pid("agent") {
        terminate(agent);
        wait(AGENT, || !Path::new(&format!("/proc/{agent}")).exists());
        console.agent_ended();
    }
    signal_everyone(Signal::SIGTERM);
    wait(OTHERS, nobody_left);
    signal_everyone(Signal::SIGKILL);
    page_cache::sync();
    unmount_devices();
    page_cache::sync();
    loop {
        if let Err(error) = power::request(power::Transition::PowerOff) {
            console.say(&format!("The machine stays on: {error}"));
        }
        thread::sleep(Duration::from_secs(10));
    }
}

/// Reap until this is so, or the time is over.
fn wait(limit: Duration, done: impl Fn() -> bool) {
    let started = Instant::now();
    while started.elapsed() < limit {
        dead_children();
        if done() {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whether only PID 1 and the kernel's own threads are left: those have no command line.
fn nobody_left() -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return true;
    };
    !processes.flatten().any(|entry| {
        let name = entry.file_name();
        let is_other = name
            .to_str()
            .is_some_and(|name| name != "1" && name.bytes().all(|byte| byte.is_ascii_digit()));
        is_other && std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| !line.is_empty())
    })
}
