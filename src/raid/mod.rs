//! Software RAID (contract/data-plane 6): what a node wants, what there is, making the one of the other.

pub(crate) mod array;
mod assemble;
#[cfg(test)]
mod cases;
mod choice;
pub(crate) mod config;
mod configuration;
mod create;
mod delete;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod kept;
mod layout;
mod level;
mod machine;
pub(crate) mod mdadm;
mod member_mark;
mod member_table;
mod number;
mod root_volume;
mod validation;

pub(crate) use array::{Array, Member, arrays};
pub(crate) use assemble::assemble;
pub(crate) use configuration::Order;
pub(crate) use delete::{Deletion, delete};
pub(crate) use error::RaidError;
pub(crate) use level::RaidLevel;
pub(crate) use number::free_device;
pub(crate) use root_volume::{RootVolume, root_volume};
