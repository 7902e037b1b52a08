//! Network namespaces for tests, which therefore need root; without it such a test says so and ends.

use std::panic::resume_unwind;
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::sys::process::Program;

/// Run this on a thread in a network namespace of its own, where `/sys/class/net` shows that
/// namespace's interfaces: none but `lo`, which is down. Threads started inside are inside too, and
/// everything is gone when the last has ended.
pub(crate) fn inside(test: impl FnOnce() + Send + 'static) {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("not run: needs root for a network namespace");
        return;
    }
    let result = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
        let none = None::<&str>;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(none, "/", none, private, none).unwrap();
        mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), none).unwrap();
        test();
    })
    .join();
    if let Err(panic) = result {
        resume_unwind(panic);
    }
}

/// Run `ip` with these words.
pub(crate) fn ip(words: &str) {
    let program = words
        .split_whitespace()
        .fold(Program::new("/sbin/ip"), Program::arg);
    program.run().unwrap();
}
