//! Erasing disks.
//!
//! The guard says whether a device may be touched at all ([`Guard`]), the plan says how and why
//! ([`Plan`]), a method does it and proves it ([`overwrite()`], `metadata`), and the record keeps
//! what was done ([`EraseRecord`], [`Records`], [`deliver`]). Several devices run side by side in [`in_parallel`], which
//! collects every failure: nothing that failed is ever reported as erased.

mod category;
mod delivery;
mod device;
mod devices;
mod error;
mod flags;
mod guard;
mod keystream;
mod metadata;
mod overwrite;
mod plan;
mod proof;
mod record;
mod records;
mod release;
mod samples;
mod signatures;

#[cfg(test)]
mod fake_medium;

pub use category::{Category, Storage};
pub use delivery::{DeliveryError, deliver};
pub use device::{erase_device, erase_metadata};
pub use devices::{Failure, Outcome, in_parallel};
pub use error::EraseError;
pub use flags::EraseFlags;
pub use guard::{Guard, Policy, ReadOnly, Verdict, runs_in_ramdisk};
pub use overwrite::{Passes, overwrite};
pub use plan::{LeftOut, Method, Plan, Planned, Scope};
pub use proof::Verification;
pub use record::{EraseRecord, identity};
pub use records::Records;
pub use release::release;
