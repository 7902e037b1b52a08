//! The kernel: ioctl, sysfs, mounts, processes, power. The only room with unsafe code, and the only
//! one that starts programs.

pub mod addresses;
pub mod boot_times;
pub mod ethtool;
pub mod loopback;
pub mod mount;
pub mod power;
pub mod process;
pub mod root;
pub mod service;
#[cfg(test)]
pub(crate) mod recording;
