//! Erasing disks.
//!
//! The guard says whether a device may be touched at all ([`Guard`]), the plan says how and why
//! ([`Plan`]), a method does it and proves it ([`overwrite()`], `metadata`), and the record keeps
//! what was done ([`EraseRecord`], [`Records`], [`deliver`]). Several devices run side by side in [`in_parallel`], which
//! collects every failure: nothing that failed is ever reported as erased.

mod delivery;
mod device;
mod devices;
mod drive;
mod error;
mod flags;
mod guard;
mod medium;
mod method;
mod passwords;
mod plan;
mod plans;
mod proof;
mod record;
mod records;
mod release;
mod scopes;
mod signatures;

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;

pub use delivery::{DeliveryError, deliver};
pub use device::{erase_device, erase_metadata};
pub use devices::{Failure, Outcome, in_parallel};
pub use drive::command::CommandError;
pub use drive::error::{Aftermath, DriveError};
pub use drive::nvme::identify::read_capabilities;
pub use error::EraseError;
pub use flags::EraseFlags;
pub use guard::{Guard, Policy, ReadOnly, Verdict};
pub use medium::overwrite::{Passes, overwrite};
pub use method::category::{Category, Storage};
pub use method::{Method, Sanitize, Scope};
pub use passwords::take_passwords_off;
pub use plan::{LeftOut, Plan, Planned};
pub use plans::Plans;
pub use proof::Verification;
pub use record::{EraseRecord, identity};
pub use records::Records;
pub use release::release;
pub use scopes::Scopes;
