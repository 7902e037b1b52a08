//! Passwords that erases which were cut short have left on drives: told at the start, since no step need follow
//! that would find them.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::status::Status;
use crate::erase;
use crate::sys::root::Root;

/// How long from the look on the start waits for the drives, where a command was cut short. One that answers
/// later is told later, and is missing in that command's error.
const LIMIT: Duration = Duration::from_secs(10);

/// A look at the drives, under way.
pub(super) struct LeftPasswords {
    found: UnboundedReceiver<String>,
    until: Instant,
}

impl LeftPasswords {
    /// Ask the drives, beside the start. The thread is its own, since a listing can wait for a drive that does
    /// not answer.
    pub(super) fn look(root: &Path) -> Self {
        let root = Root::at(root);
        let until = Instant::now() + LIMIT;
        let (sender, found) = unbounded_channel();
        // Nobody listens any more where the agent ended meanwhile.
        let tell = move |trouble| drop(sender.send(trouble));
        let spawned = thread::Builder::new()
            .name("passwords".to_owned())
            .spawn(move || erase::passwords_left(&root, until.into_std(), tell));
        if let Err(error) = spawned {
            warn!(%error, "the drives are not asked for passwords");
        }
        Self { found, until }
    }

    /// What was found, in the log and on the console, and as one text for errors; what comes later is told when it
    /// comes. Waits only where the text is wanted: a command was cut short.
    pub(super) async fn told(mut self, is_wanted: bool, status: &Arc<Status>) -> Option<String> {
        let mut told = Vec::new();
        if is_wanted {
            loop {
                match timeout_at(self.until, self.found.recv()).await {
                    Ok(Some(trouble)) => {
                        tell(&trouble, status);
                        told.push(trouble);
                    }
                    Ok(None) => break,
                    Err(_) => {
                        warn!("a drive has not answered yet whether it has a password");
                        break;
                    }
                }
            }
        }
        let status = Arc::clone(status);
        tokio::spawn(async move {
            while let Some(trouble) = self.found.recv().await {
                tell(&trouble, &status);
            }
        });
        (!told.is_empty()).then(|| told.join(". "))
    }
}

fn tell(trouble: &str, status: &Status) {
    warn!("{trouble}");
    status.trouble(trouble);
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::UnboundedSender;
    use tokio::task::yield_now;

    use super::*;

    fn under_way() -> (UnboundedSender<String>, LeftPasswords) {
        let (sender, found) = unbounded_channel();
        let until = Instant::now() + LIMIT;
        (sender, LeftPasswords { found, until })
    }

    async fn is_told(status: &Status, trouble: &str) {
        while status.last_trouble().as_deref() != Some(trouble) {
            yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_drive_that_does_not_answer_hides_none_that_did_and_is_told_later() {
        let status = Arc::default();
        let (sender, look) = under_way();
        for trouble in ["/dev/sda has one", "/dev/sdb too"] {
            sender.send(trouble.to_owned()).unwrap();
        }
        let (begun, told) = (Instant::now(), look.told(true, &status).await);
        assert_eq!(told.as_deref(), Some("/dev/sda has one. /dev/sdb too"));
        assert!(begun.elapsed() >= LIMIT);
        is_told(&status, "/dev/sdb too").await;
        sender.send("/dev/sdc at last".to_owned()).unwrap();
        let late = is_told(&status, "/dev/sdc at last");
        timeout_at(Instant::now() + LIMIT, late).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_start_waits_from_the_look_on_and_only_where_a_command_was_cut_short() {
        let status = Arc::default();
        let (sender, look) = under_way();
        sender.send("/dev/sda has one".to_owned()).unwrap();
        tokio::time::advance(LIMIT).await;
        let asked = Instant::now();
        assert!(look.told(true, &status).await.is_some());
        // But for the grain of the runtime's clock.
        assert!(asked.elapsed() < LIMIT / 2);

        let (sender, look) = under_way();
        let asked = Instant::now();
        assert_eq!(look.told(false, &status).await, None);
        assert!(asked.elapsed() < LIMIT / 2);
        sender.send("/dev/sdb has one".to_owned()).unwrap();
        let told = is_told(&status, "/dev/sdb has one");
        timeout_at(Instant::now() + LIMIT, told).await.unwrap();

        let (sender, look) = under_way();
        drop(sender);
        assert_eq!(look.told(true, &status).await, None);
        assert!(asked.elapsed() < LIMIT / 2);
    }
}
