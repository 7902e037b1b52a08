//! The kernel: ioctl, sysfs, mounts, processes, power. The only room with unsafe code, and the only
//! one that starts programs.

pub mod aligned;
pub mod block_device;
#[cfg(test)]
pub(crate) mod loop_device;
pub mod addresses;
pub mod ethtool;
pub mod clock;
#[expect(unsafe_code, reason = "ioctl")]
pub mod link;
pub mod log;
mod mask;
pub mod process;
#[cfg(test)]
pub(crate) mod recording;
pub mod root;
