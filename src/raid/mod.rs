//! Software RAID (contract/data-plane 6): what a node wants, what there is, making the one of the other.

pub(crate) mod array;
mod error;
mod level;
pub(crate) mod mdadm;

#[expect(unused_imports, reason = "the steps are being built")]
pub(crate) use array::{Array, Member, arrays};
#[expect(unused_imports, reason = "the steps are being built")]
pub(crate) use error::RaidError;
#[expect(unused_imports, reason = "the steps are being built")]
pub(crate) use level::Level;
