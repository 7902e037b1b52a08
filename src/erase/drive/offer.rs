//! A drive that erases itself: what it offers, for a plan to choose from, and how that is begun.

use farrier_plugin::BlockDevice;

use crate::erase::drive::error::DriveError;
use crate::erase::drive::watch::Watch;
use crate::erase::method::{Method, Sanitize, Scope};

/// A drive of one kind of commands, as far as it erases itself.
pub(in crate::erase) trait Drive {
    /// What it can do of what is allowed. `Err` says in words why the device is no such drive.
    fn offer(&self, device: &BlockDevice, allowed: &Allowed) -> Result<Offers, String>;

    /// What must be before a marker can be written: the drive answers reads and writes, and will
    /// take the method.
    fn prepare(&self, method: Method, watch: &Watch<'_>) -> Result<(), DriveError>;

    /// Have the drive erase itself. Nothing stops it once it has begun.
    fn run(&self, method: Method, watch: &Watch<'_>) -> Result<(), DriveError>;
}

/// What drives may be asked for.
#[derive(Clone, Copy, Debug)]
pub(in crate::erase) struct Allowed {
    /// Format and sanitize of NVMe.
    pub(in crate::erase) nvme: bool,
    /// Secure erase and sanitize of ATA.
    pub(in crate::erase) ata: bool,
    /// Sanitize of SCSI.
    pub(in crate::erase) scsi_sanitize: bool,
    /// Format of SCSI.
    pub(in crate::erase) scsi_format: bool,
}

/// One thing that a drive can do, or cannot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::erase) struct Offer {
    /// What it is about, as people are told of it where it is left out.
    pub(in crate::erase) what: &'static str,
    pub(in crate::erase) answer: Answer,
}

/// Whether the drive can.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::erase) enum Answer {
    /// It can, by this method, which touches so much; and why one would.
    Can(Method, Scope, String),
    /// It has no such thing, or must not be asked for it, and why.
    Lacks(String),
    /// It has it, and cannot do it now, and why: that is a failed method, not a missing one.
    Blocked(String),
}

/// All that a drive says of itself, what is to be tried first at the beginning.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::erase) struct Offers {
    pub(in crate::erase) list: Vec<Offer>,
    /// The NVMe subsystem that the device is in.
    pub(in crate::erase) subsystem: Option<Subsystem>,
}

/// What a controller of NVMe erases together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::erase) struct Subsystem {
    pub(in crate::erase) name: String,
    /// The devices of all of its namespaces.
    pub(in crate::erase) devices: Vec<String>,
    /// Namespaces that exist and have no device here.
    pub(in crate::erase) without_device: Vec<u32>,
}

impl Offers {
    /// The device alone is erased by this.
    pub(super) fn can(&mut self, what: &'static str, method: Method, reason: impl Into<String>) {
        self.reaches(what, method, Scope::Device, reason);
    }

    /// So much is erased by this.
    pub(super) fn reaches(
        &mut self,
        what: &'static str,
        method: Method,
        scope: Scope,
        reason: impl Into<String>,
    ) {
        self.answer(what, Answer::Can(method, scope, reason.into()));
    }

    pub(super) fn lacks(&mut self, what: &'static str, reason: impl Into<String>) {
        self.answer(what, Answer::Lacks(reason.into()));
    }

    pub(super) fn blocked(&mut self, what: &'static str, reason: String) {
        self.answer(what, Answer::Blocked(reason));
    }

    fn answer(&mut self, what: &'static str, answer: Answer) {
        self.list.push(Offer { what, answer });
    }
}

/// The sanitize operations to try, those of them that the drive has: an overwrite takes as long as
/// writing, and is of no use beside either of the others.
pub(super) fn worthwhile(
    quick: [(bool, Sanitize); 2],
    overwrite: bool,
) -> impl Iterator<Item = Sanitize> {
    let alone = overwrite && !quick.iter().any(|(has, _)| *has);
    quick
        .into_iter()
        .chain([(alone, Sanitize::Overwrite)])
        .filter_map(|(has, operation)| has.then_some(operation))
}
