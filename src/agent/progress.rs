//! What the person at the console sees of a command: what it does, a bar, the rate, the remaining time.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::interval;

use super::network_watch::missing_firmware;
use super::status::Status;
use super::trouble::{Topic, Trouble};
use crate::command::CommandTable;
use crate::hardware::Managers;
use crate::inventory::driverless;
use crate::sys::log;
use crate::sys::root::Root;

/// How often the page is told.
const PERIOD: Duration = Duration::from_secs(1);

/// Each so many times there is a line for serial consoles, which keep up, and a screenful spans two minutes.
const LINE: u32 = 5;

/// Show the progress of whatever command runs, and what commands have told of the node and its disk, for ever. Lines go to
/// the console only: the log has the commands' own events.
pub(super) async fn show(
    table: Arc<CommandTable>,
    managers: Arc<Managers>,
    root: Root,
    status: Arc<Status>,
) -> Infallible {
    let mut ticks = interval(PERIOD);
    let mut until_line = 0;
    loop {
        ticks.tick().await;
        tell_disk(&managers, &root, &status);
        if let Some(node) = managers.node() {
            status.node_document(&node);
        }
        let Some(command) = table.running() else {
            status.running(None, "");
            until_line = 0;
            continue;
        };
        let Some(pace) = command.pace() else {
            status.running(Some(command.in_words()), "");
            continue;
        };
        let percent = pace.percent();
        let percent = percent.map_or_else(|| "-".to_owned(), |percent| percent.to_string());
        let progress = format!("{percent} {}", pace.in_words());
        status.running(Some(command.in_words()), &progress);
        if until_line == 0 {
            log::console(&format!("farrier | {}: {pace}", command.name()));
            until_line = LINE;
        }
        until_line -= 1;
    }
}

/// Tell whether there is a disk to deploy to.
pub(super) fn tell_disk(managers: &Managers, root: &Root, status: &Status) {
    let missing = managers.missing_disk();
    let trouble = missing
        .map(|missing| Trouble::no_disk(&missing, &driverless(root), &missing_firmware(root)));
    status.is(Topic::Disk, trouble);
}
