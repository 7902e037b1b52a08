//! The kernel: ioctl, sysfs, mounts, processes, power. The only room with unsafe code, and the only
//! one that starts programs.

pub mod addresses;
pub mod aligned;
pub mod block_device;
pub mod clock;
pub mod ethtool;
pub mod ipmi;
pub mod kernel_log;
#[expect(unsafe_code, reason = "ioctl")]
pub mod link;
pub mod log;
#[cfg(test)]
pub(crate) mod loop_device;
mod mask;
#[cfg(test)]
pub(crate) mod memory_medium;
pub mod page_cache;
pub mod process;
#[cfg(test)]
pub(crate) mod recording;
pub mod root;
