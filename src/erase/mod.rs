//! Erasing disks.
//!
//! The guard says whether a device may be touched at all ([`Guard`]), the plan says how and why
//! ([`Plan`]), a method does it and proves it ([`overwrite()`], `metadata`), and the record keeps
//! what was done ([`EraseRecord`], [`Records`], [`deliver`]). Several devices run side by side in [`in_parallel`], which
//! collects every failure: nothing that failed is ever reported as erased.

mod ata;
mod category;
mod delivery;
mod device;
mod devices;
mod discard;
mod drive_command;
mod drive_error;
mod drive_method;
mod error;
mod flags;
mod guard;
mod keystream;
mod metadata;
mod nvme;
mod nvme_method;
mod overwrite;
mod plan;
mod plans;
mod proof;
mod record;
mod records;
mod release;
mod samples;
mod scopes;
mod scsi;
mod signatures;

#[cfg(test)]
mod fake_medium;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;

pub use category::{Category, Storage};
pub use delivery::{DeliveryError, deliver};
pub use device::{erase_device, erase_metadata};
pub use devices::{Failure, Outcome, in_parallel};
pub use drive_command::CommandError;
pub use drive_error::{Aftermath, DriveError};
pub use drive_method::take_passwords_off;
pub use error::EraseError;
pub use flags::EraseFlags;
pub use guard::{Guard, Policy, ReadOnly, Verdict, runs_in_ramdisk};
pub use nvme::read_capabilities;
pub use overwrite::{Passes, overwrite};
pub use plan::{LeftOut, Method, Plan, Planned, Sanitize, Scope};
pub use plans::Plans;
pub use proof::Verification;
pub use record::{EraseRecord, identity};
pub use records::Records;
pub use release::release;
pub use scopes::Scopes;
