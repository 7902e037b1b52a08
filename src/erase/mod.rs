//! Erasing disks.
//!
//! The guard says whether a device may be touched at all ([`Guard`]), the plan says how and why
//! ([`Plan`]), a method does it and proves it ([`overwrite()`], `metadata`), and the record keeps
//! what was done ([`EraseRecord`], [`Records`], [`deliver`]). Several devices run side by side in [`in_parallel`], which
//! collects every failure: nothing that failed is ever reported as erased.

mod drive;
mod error;
mod flags;
mod guard;
mod medium;
mod method;
mod plan;
mod proof;
mod record;
mod signatures;
mod step;

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;

pub use drive::command::CommandError;
pub use drive::error::{Aftermath, DriveError, Fault};
pub use drive::nvme::identify::read_capabilities;
pub use error::EraseError;
pub use flags::EraseFlags;
pub use guard::{Guard, Policy, ReadOnly, Verdict};
pub use medium::overwrite::{Passes, overwrite};
pub use method::category::{Category, Storage};
pub use method::{Method, Sanitize, Scope};
pub use plan::{LeftOut, Plan, Planned};
pub use proof::Verification;
pub use record::{DeliveryError, EraseRecord, Records, deliver, identity};
pub use step::{
    Failure, Outcome, Plans, Scopes, erase_device, erase_metadata, in_parallel, release,
    take_passwords_off,
};
