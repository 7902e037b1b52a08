//! What the person at the console sees of a long command: a bar, the rate, the remaining time.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::interval;

use crate::command::CommandTable;
use crate::sys::log;

/// How often a line is shown. A serial console keeps up, and a screenful spans two minutes.
const PERIOD: Duration = Duration::from_secs(5);

/// Show the progress of whatever command runs, for ever. The lines go to the console only: the log
/// has the commands' own events.
pub(super) async fn show(table: Arc<CommandTable>) -> Infallible {
    let mut ticks = interval(PERIOD);
    loop {
        ticks.tick().await;
        if let Some(command) = table.running()
            && let Some(pace) = command.pace()
        {
            log::console(&format!("farrier | {}: {pace}", command.name()));
        }
    }
}
