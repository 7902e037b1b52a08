//! Whom the kernel kills when memory runs out: plugins first, then the programs that the agent
//! starts, the agent last. Without the agent nobody could say what happened.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::warn;

/// One above the value that forbids it: a machine on which nothing else is left to kill would
/// panic (proc_pid_oom_score_adj(5), -1000 to 1000).
const LAST: &str = "-999";

/// As if nobody had said anything.
const NEUTRAL: &str = "0";

static PROTECTED: AtomicBool = AtomicBool::new(false);

/// Make this process the last to be killed. What it starts inherits that, unless `give_up` takes
/// it away.
pub(crate) fn protect() {
    match fs::write("/proc/self/oom_score_adj", LAST) {
        Ok(()) => PROTECTED.store(true, Ordering::Relaxed),
        Err(error) => warn!(%error, "the agent is not protected from the out-of-memory killer"),
    }
}

/// Make a program that this process has started one like any other, where it would be protected.
///
/// # Errors
/// It has ended already.
pub(super) fn give_up(pid: u32) -> io::Result<()> {
    if PROTECTED.load(Ordering::Relaxed) {
        fs::write(format!("/proc/{pid}/oom_score_adj"), NEUTRAL)?;
    }
    Ok(())
}
