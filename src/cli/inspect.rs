//! `farrier inspect`: what an inspection collects of this machine, handed in without an agent.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use farrier_plugin::{SilentContext, chain};
use tracing::level_filters::LevelFilter;
use tracing::{info, warn};

use super::terminal::{complain, say_json};
use super::{machine, run};
use crate::agent::StandaloneInspection;
use crate::config::{Flags, Live};
use crate::hardware::Managers;
use crate::sys::root::Root;
use crate::sys::{kernel_parameters, log};

/// Inspect this machine and hand the data in, without being an agent.
///
/// Where it goes, and what is collected, is what the same options say to the agent. Ends with 0 where all was collected and
/// handed in; with --introspection_daemon it does not end.
#[derive(Parser)]
#[command(args_override_self = true)]
pub(super) struct Arguments {
    /// Answer with the data as JSON instead of handing it in.
    #[arg(long, conflicts_with = "introspection_daemon")]
    print: bool,
    #[command(flatten)]
    flags: Flags,
}

/// Inspect this machine.
pub(super) fn main(arguments: Arguments) -> ExitCode {
    let root = Path::new("/");
    let parameters = kernel_parameters::all(&Root::system());
    let loaded = match machine::load(parameters, root, arguments.flags) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    log::set_debug(loaded.options.debug);
    log::start_on_terminal(LevelFilter::DEBUG);
    for path in &loaded.files {
        info!(path = %path.display(), "configuration");
    }
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    let is_daemon = loaded.options.introspection_daemon;
    let live = Live::new(loaded.options);
    // As beside an agent, who alone connects disks on storage networks.
    let managers = match Managers::discover(live.clone(), &SilentContext) {
        Ok(managers) => managers,
        Err(error) => return failed(&error.chain()),
    };
    let runtime = match run::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&chain(&error)),
    };
    let inspection = StandaloneInspection::new(managers, live, root);
    let result = runtime.block_on(async {
        if arguments.print {
            let data = inspection.collect().await?;
            say_json(&format!("{}\n", String::from_utf8_lossy(&data.body)));
            return data.whole();
        }
        if is_daemon {
            inspection.always().await;
        }
        inspection.once().await
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&chain(&error)),
    }
}

fn failed(why: &str) -> ExitCode {
    complain(why);
    ExitCode::FAILURE
}
