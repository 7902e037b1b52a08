//! Passwords that erases which were cut short have left on drives: told at the start, since no step need follow
//! that would find them.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot::{self, Receiver};
use tokio::time::timeout;
use tracing::warn;

use super::status::Status;
use crate::erase;
use crate::sys::root::Root;

/// How long the start waits for the drives. One that answers later is told later, and is missing in the error of
/// the command that was cut short.
const LIMIT: Duration = Duration::from_secs(10);

/// A look at the drives, under way.
pub(super) struct LeftPasswords(Receiver<Vec<String>>);

impl LeftPasswords {
    /// Ask the drives, beside the start. The thread is its own, since a drive that does not answer holds it.
    pub(super) fn look(root: &Path) -> Self {
        let root = Root::at(root);
        Self::by(move || erase::passwords_left(&root))
    }

    fn by(look: impl FnOnce() -> Vec<String> + Send + 'static) -> Self {
        let (sender, receiver) = oneshot::channel();
        let spawned = thread::Builder::new()
            .name("passwords".to_owned())
            // Nobody listens any more where the agent ended meanwhile.
            .spawn(move || drop(sender.send(look())));
        if let Err(error) = spawned {
            warn!(%error, "the drives are not asked for passwords");
        }
        Self(receiver)
    }

    /// What was found, in the log and on the console, and as one text for errors.
    pub(super) async fn told(mut self, status: &Arc<Status>) -> Option<String> {
        match timeout(LIMIT, &mut self.0).await {
            Ok(found) => tell(&found.ok()?, status),
            Err(_) => {
                warn!("a drive has not answered yet whether it has a password");
                let status = Arc::clone(status);
                tokio::spawn(
                    async move { self.0.await.ok().and_then(|found| tell(&found, &status)) },
                );
                None
            }
        }
    }
}

fn tell(found: &[String], status: &Status) -> Option<String> {
    for trouble in found {
        warn!("{trouble}");
        status.trouble(trouble);
    }
    (!found.is_empty()).then(|| found.join(". "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_drive_that_does_not_answer_holds_up_nothing() {
        let status = Arc::default();
        let one = || vec!["/dev/sda has one".to_owned(), "/dev/sdb too".to_owned()];
        let told = LeftPasswords::by(one).told(&status).await;
        assert_eq!(told.as_deref(), Some("/dev/sda has one. /dev/sdb too"));
        assert_eq!(LeftPasswords::by(Vec::new).told(&status).await, None);

        tokio::time::pause();
        let (answer, silent) = std::sync::mpsc::channel::<()>();
        let look = LeftPasswords::by(move || {
            let _ = silent.recv();
            one()
        });
        assert_eq!(look.told(&status).await, None);
        drop(answer);
    }
}
