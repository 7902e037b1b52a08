//! An erase that a drive does by itself, followed to its end.

use std::thread;
use std::time::{Duration, Instant};

use farrier_plugin::{Context, Progress};
use tracing::{info, warn};

use crate::erase::drive::command::CommandError;
use crate::erase::drive::error::{DriveError, Fault};
use crate::erase::method::Sanitize;

/// How often a drive is asked how far it is.
const POLL: Duration = Duration::from_secs(2);

/// Unanswered questions in a row that are too many: the kernel may reset the drive meanwhile.
pub(super) const MOST_SILENCE: u32 = 30;

/// Drives of ATA and SCSI give no estimate. Block erase and a new key take minutes; an overwrite
/// reaches every sector, for which no disk needs longer than at a quarter of the speed of a slow
/// one.
const LIMIT: Duration = Duration::from_secs(8 * 3600);
const SLOWEST_WRITE: u64 = 20 << 20;

/// One erase: how it is told about, and how often it is asked for.
pub(in crate::erase) struct Watch<'a> {
    pub(in crate::erase) context: &'a dyn Context,
    pub(in crate::erase) device: &'a str,
    /// Bytes of the device, the unit of progress.
    pub(in crate::erase) size: u64,
    pub(in crate::erase) pause: Duration,
}

/// Whether it was told that a cancel has no effect.
#[derive(Default)]
pub(super) struct GoesOn(bool);

impl GoesOn {
    /// Tell once, after a cancel.
    pub(super) fn look(&mut self, watch: &Watch<'_>) {
        if !self.0 && watch.context.is_cancelled() {
            self.0 = true;
            warn!(
                device = watch.device,
                "the drive erases itself and cannot be stopped: told to stop, it goes on"
            );
        }
    }
}

/// How a drive is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::erase) enum Standing<T> {
    /// It erases itself; in 65536ths.
    Running(u16),
    /// It does no longer.
    Ended(T),
}

impl<'a> Watch<'a> {
    /// Of this device of so many bytes.
    pub(in crate::erase) fn new(context: &'a dyn Context, device: &'a str, size: u64) -> Self {
        Self {
            context,
            device,
            size,
            pause: POLL,
        }
    }

    /// How long an ATA drive or a SCSI disk may write over itself.
    pub(super) fn longest(&self) -> Duration {
        LIMIT + Duration::from_secs(self.size / SLOWEST_WRITE)
    }

    /// How long an ATA drive or a SCSI disk may sanitize itself.
    pub(super) fn limit(&self, operation: Sanitize) -> Duration {
        match operation {
            Sanitize::Overwrite => self.longest(),
            Sanitize::Block | Sanitize::Crypto => LIMIT,
        }
    }

    /// Before the drive begins, a cancel is heard.
    pub(in crate::erase) fn demand_wanted(&self) -> Result<(), DriveError> {
        if self.context.is_cancelled() {
            return Err(Fault::Cancelled.of(self.device));
        }
        Ok(())
    }

    /// Tell that the drive has begun.
    pub(super) fn begun(&self, what: &str) {
        info!(
            device = self.device,
            what, "the drive erases itself; it cannot be stopped"
        );
    }

    /// Wait for what somebody else began, where the drive stands so now: nothing stops it, and
    /// nothing else can begin. A cancel ends the wait, since nothing of this command has begun.
    pub(super) fn wait_for_earlier<T>(
        &self,
        now: Standing<T>,
        limit: Duration,
        ask: impl Fn() -> Result<Standing<T>, CommandError>,
    ) -> Result<T, DriveError> {
        match now {
            Standing::Ended(how) => Ok(how),
            Standing::Running(_) => {
                warn!(
                    device = self.device,
                    "the drive still erases itself from before; waiting for it"
                );
                let what = "an earlier erase of its own";
                self.follow(what, limit, ask, || self.demand_wanted())
            }
        }
    }

    /// Ask the drive until it erases itself no longer, and say how that ended. A drive that is
    /// silent for some questions is busy, and after [`MOST_SILENCE`] its last error is the answer.
    pub(super) fn until_ended<T>(
        &self,
        what: &str,
        limit: Duration,
        ask: impl Fn() -> Result<Standing<T>, CommandError>,
    ) -> Result<T, DriveError> {
        let mut goes_on = GoesOn::default();
        self.follow(what, limit, ask, || {
            goes_on.look(self);
            Ok(())
        })
    }

    fn follow<T>(
        &self,
        what: &str,
        limit: Duration,
        ask: impl Fn() -> Result<Standing<T>, CommandError>,
        mut before_pause: impl FnMut() -> Result<(), DriveError>,
    ) -> Result<T, DriveError> {
        let started = Instant::now();
        let mut silence = 0;
        while started.elapsed() < limit {
            match ask() {
                Ok(Standing::Running(part)) => {
                    silence = 0;
                    let done = u128::from(self.size) * u128::from(part) / 65_536;
                    self.report(what, done as u64);
                }
                Ok(Standing::Ended(how)) => return Ok(how),
                Err(source) => {
                    silence += 1;
                    if silence >= MOST_SILENCE {
                        return Err(Fault::SanitizeStatus.after(self.device, source));
                    }
                }
            }
            before_pause()?;
            thread::sleep(self.pause);
        }
        Err(Fault::TooLong(limit).of(self.device))
    }

    /// Tell how many bytes are erased.
    pub(super) fn report(&self, what: &str, done: u64) {
        self.context.report_progress(Progress {
            what: format!("erasing {}: {what}, which cannot be stopped", self.device),
            done,
            total: Some(self.size),
        });
    }
}
