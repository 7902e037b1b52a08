//! Erasing disks.
//!
//! A step ([`EraseStep`]) begins with a look at all devices: the guard says whether each may be touched at
//! all ([`Policy`]), the plan says how and why ([`plan::Plan`]). In a device's turn a method erases it and proves
//! that ([`medium::overwrite`], `metadata`), and the record keeps what was done ([`record::EraseRecord`]). Several
//! devices run side by side in [`in_parallel`], which collects every failure: nothing that failed is ever
//! reported as erased.

mod drive;
mod error;
mod flags;
mod guard;
mod medium;
mod method;
mod plan;
mod proof;
mod record;
mod step;

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;

pub(crate) use drive::nvme::identify::read_capabilities;
pub(crate) use error::EraseError;
pub(crate) use flags::{EraseFlags, may_wipe_special_filesystems};
pub(crate) use guard::{Policy, ReadOnly};
pub(crate) use method::category::Category;
#[cfg(test)]
pub(crate) use plan::Plan;
#[cfg(test)]
pub(crate) use record::fake_receiver;
pub(crate) use record::{RecordStore, identity};
pub(crate) use step::{Aim, EraseStep, Foreseen, Order, in_parallel, passwords_left};
