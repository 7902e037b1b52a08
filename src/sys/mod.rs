//! The kernel: ioctl, sysfs, mounts, processes, power. The only room with unsafe code, and the only
//! one that starts programs.

pub mod aligned;
pub mod block_device;
#[cfg(test)]
pub(crate) mod loop_device;
pub mod addresses;
pub mod ethtool;
pub mod process;
#[cfg(test)]
pub(crate) mod recording;
pub mod root;
