//! Erasing by what every medium takes: reads, writes, discards.

pub(super) mod discard;
mod metadata;
pub(super) mod overwrite;

#[cfg(test)]
pub(super) mod fake;
