//! How long a plugin may take to answer, by what it is asked.

use std::time::Duration;

use super::connection::Deadline;

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
        const fn seconds(seconds: u64) -> Deadline {
            Deadline(Duration::from_secs(seconds))
        }
        Self {
            greeting: seconds(30),
            initialization: seconds(120),
            device: seconds(10),
            disk_wait: seconds(40),
            question: seconds(60),
            step: Deadline(step),
            pause: Duration::from_secs(1),
        }
    }

    /// The limit of this method.
    pub(super) fn of(&self, method: &str) -> Deadline {
        match method {
            "handshake" => self.greeting,
            "initialize" => self.initialization,
            "filter_device" | "get_interface_info" => self.device,
            "wait_for_disks" => self.disk_wait,
            "execute_step" | "erase_block_device" | "erase_devices" | "install_bootloader" => {
                self.step
            }
            _ => self.question,
        }
    }
}
