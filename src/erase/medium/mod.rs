//! Erasing by what every medium takes: reads, writes, discards.

pub(super) mod discard;
mod metadata;
pub(super) mod overwrite;
pub(super) mod pieces;

#[cfg(test)]
pub(super) mod fake;
