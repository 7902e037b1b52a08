//! The kernel: ioctl, sysfs, mounts, processes, power. The only room with unsafe code, and the only
//! one that starts programs.

pub mod addresses;
pub mod aligned;
pub mod block_device;
pub mod boot_times;
pub mod clock;
pub mod ethtool;
pub mod link;
pub mod log;
pub mod loopback;
mod mask;
pub mod mount;
pub mod power;
pub mod process;
pub mod root;
pub mod service;
#[expect(unsafe_code, reason = "ioctl")]
#[cfg(test)]
pub(crate) mod loop_device;
#[cfg(test)]
pub(crate) mod memory_medium;
#[cfg(test)]
pub(crate) mod recording;
