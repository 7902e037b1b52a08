//! `farrier run`: be the agent.

use std::path::Path;
use std::process::ExitCode;

use tokio::runtime::{Builder, Runtime};
use tracing::{debug, error, info, warn};

use farrier_plugin::SilentContext;

use super::{machine, terminal};
use crate::agent::{self, AgentError, Demands, End, Setup};
use crate::config::{Flags, Live, Loaded};
use crate::hardware::Managers;
use crate::init;
use crate::net::links;
use crate::sys::{boot_times, log, out_of_memory, power, printable};

/// Threads that wait for the network; commands and hardware have threads of their own.
const WORKERS: usize = 2;

/// Stack of those threads and of the blocking ones, bytes. Unused pages cost nothing.
const STACK: usize = 1024 * 1024;

/// Be the agent with these flags.
pub(super) fn main(flags: Flags) -> ExitCode {
    let root = Path::new("/");
    let (loaded, notes) = match load(root, flags) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    log::start(loaded.options.debug);
    std::panic::set_hook(Box::new(|panic| {
        error!(%panic, "a defect of the agent");
        log::flush();
    }));
    info!(
        version = env!("FARRIER_VERSION"),
        wire_version = agent::VERSION,
        "farrier starts"
    );
    // Elsewhere it is a program like any other.
    if Path::new(boot_times::PATH).exists() {
        out_of_memory::protect();
    }
    for note in notes {
        info!("{note}");
    }
    for path in &loaded.files {
        info!(path = %path.display(), "configuration");
    }
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    debug!(options = ?loaded.options, "in force");
    let code = be_agent(loaded, root);
    log::flush();
    code
}

/// The options, also of virtual media.
fn load(root: &Path, flags: Flags) -> Result<(Loaded, Vec<String>), ExitCode> {
    let (parameters, prepared) = agent::prepare_virtual_media(root);
    let mut notes = prepared.notes;
    for error in prepared.failures {
        // Before there is a log: to the console.
        terminal::complain(&farrier_plugin::chain(&error));
        notes.push(farrier_plugin::chain(&error));
    }
    Ok((machine::load(parameters, root, flags)?, notes))
}

fn be_agent(loaded: Loaded, root: &Path) -> ExitCode {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let demands = Demands::default();
    let setup = Setup {
        options: Live::new(loaded.options),
        root: root.to_owned(),
        discover: Box::new(|options| Managers::take_over(options, &SilentContext)),
        shutdown: Box::new(power::request),
        open_rescue: Box::new({
            let root = root.to_owned();
            move |hash| init::open_rescue(&root, hash)
        }),
        asked_to_end: Box::pin(demands.clone().next()),
    };
    let code = match runtime.block_on(agent::live(setup)) {
        Ok(End::Terminated) => {
            info!("ended as the system asked");
            ExitCode::SUCCESS
        }
        Ok(End::Rescued) => {
            log::show(
                "farrier | this machine is a rescue system (/etc/.rescued is there); no agent serves in it",
            );
            ExitCode::SUCCESS
        }
        Ok(End::LockedDown) => {
            links::set_all_down(root);
            idle(
                &runtime,
                demands,
                "this machine is locked down: its network is down and nothing is served",
            )
        }
        // Starting again would not help, and must not look as if it did.
        Err(error @ AgentError::Journal(_)) => {
            failed(&error);
            idle(&runtime, demands, "waiting to be rebooted")
        }
        Err(error @ AgentError::NoToken) => {
            failed(&error);
            links::set_all_down(root);
            idle(
                &runtime,
                demands,
                "the network is down; waiting to be rebooted by the conductor",
            )
        }
        Err(error) => {
            failed(&error);
            ExitCode::FAILURE
        }
    };
    // Dropped, it would wait for whatever still blocks a thread, and with it PID 1.
    runtime.shutdown_background();
    code
}

/// Stay, so that PID 1 starts no other agent, until the system asks for the end, which it may have done
/// while the agent was still finishing.
fn idle(runtime: &Runtime, demands: Demands, why: &str) -> ExitCode {
    log::show(&format!("farrier | {why}"));
    runtime.block_on(demands.next());
    ExitCode::SUCCESS
}

/// What waits for the network runs on.
pub(super) fn runtime() -> Result<Runtime, AgentError> {
    Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_stack_size(STACK)
        .thread_name("farrier")
        .enable_all()
        .build()
        .map_err(AgentError::Runtime)
}

fn failed(error: &AgentError) -> ExitCode {
    log::show(&format!(
        "farrier | {}",
        printable::line(&farrier_plugin::chain(error))
    ));
    ExitCode::FAILURE
}
