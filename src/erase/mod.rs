//! Erasing disks.
//!
//! A device goes through three rooms of this house: the guard says whether it may be touched at
//! all ([`Guard`]), the plan says how ([`Plan`]), and a method does it and proves it
//! ([`overwrite()`], `metadata`). Several devices run side by side in [`in_parallel`], which
//! collects every failure: nothing that failed is ever reported as erased.

mod device;
mod devices;
mod error;
mod flags;
mod guard;
mod keystream;
mod metadata;
mod overwrite;
mod plan;
mod samples;
mod signatures;

#[cfg(test)]
mod fake_medium;

pub use device::{erase_device, erase_metadata};
pub use devices::{Failure, Outcome, in_parallel};
pub use error::EraseError;
pub use flags::EraseFlags;
pub use guard::{Guard, Policy, ReadOnly, Verdict, runs_in_ramdisk};
pub use overwrite::{Overwritten, overwrite};
pub use plan::{Method, Plan};
