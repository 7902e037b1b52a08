//! The status for who asks: by the API what anybody may know.

use super::Status;
use crate::api::Glance;

impl Status {
    /// What anybody may know: no address, no name, no text of others.
    pub(in crate::agent) fn glance(&self) -> Glance {
        let facts = self.lock();
        let now = if facts.is_ending {
            "ending"
        } else {
            facts.now()
        };
        // Behind the colon stands which step, a name of the conductor's.
        let phase = now.split(':').next().unwrap_or_default();
        Glance {
            phase: phase.to_owned(),
            trouble: facts.worst().map(|told| told.trouble.topic.word()),
        }
    }
}
