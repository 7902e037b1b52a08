//! How long a plugin may take to answer, by what it is asked.

use std::time::Duration;

use farrier_plugin::protocol::Method;
use farrier_plugin::protocol::method::LimitClass;

/// How long one call may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    /// Until its answer; then, and at a cancel, the plugin is told to stop.
    pub(super) limit: Duration,
    /// From then until it is killed. None for the greeting: who has not answered that knows of no
    /// cancel.
    pub(super) grace: Duration,
}

/// The time limits of one plugin's calls.
#[derive(Clone, Copy, Debug)]
pub(in crate::hardware) struct Limits {
    /// To start, and to answer the greeting: an interpreter takes a second in an emulated machine.
    pub(super) greeting: Deadline,
    /// To find its hardware, at the start and after a restart: some vendors' tools look for their
    /// cards for a minute.
    pub(super) initialization: Deadline,
    /// About one device of a listing that waits for it.
    pub(super) device: Deadline,
    /// Shorter than the agent waits for disks in all, so that the error names the plugin.
    pub(super) disk_wait: Deadline,
    /// Questions that are answered from what the machine says at once.
    pub(super) question: Deadline,
    /// A step, an erase, a boot loader's installation.
    pub(super) step: Deadline,
    /// The pause before the first restart; each further one in a row doubles it.
    pub(super) pause: Duration,
}

impl Limits {
    /// The limits of the protocol, and this one for steps.
    pub(in crate::hardware) const fn new(step: Duration) -> Self {
        // A step may have to bring a card back to rest. A short call has to end soon after its
        // limit: a conductor waits for what needs it, and 40 s and this is less than the wait for disks.
        const LONG_GRACE: u64 = 10;
        const SHORT_GRACE: u64 = 2;
        const fn seconds(limit: u64, grace: u64) -> Deadline {
            Deadline {
                limit: Duration::from_secs(limit),
                grace: Duration::from_secs(grace),
            }
        }
        Self {
            greeting: seconds(30, 0),
            initialization: seconds(120, LONG_GRACE),
            device: seconds(10, SHORT_GRACE),
            disk_wait: seconds(40, SHORT_GRACE),
            question: seconds(60, SHORT_GRACE),
            step: Deadline {
                limit: step,
                grace: Duration::from_secs(LONG_GRACE),
            },
            pause: Duration::from_secs(1),
        }
    }

    /// The limit of this method.
    pub(super) const fn of(&self, method: Method) -> Deadline {
        match method.limit() {
            LimitClass::Initialization => self.initialization,
            LimitClass::Device => self.device,
            LimitClass::DiskWait => self.disk_wait,
            LimitClass::Question => self.question,
            LimitClass::Work => self.step,
        }
    }
}
