//! The kernel: ioctl, sysfs, mounts, processes, power. The only room with unsafe code, and the only
//! one that starts programs.

pub mod aligned;
pub mod block_device;
pub mod boot_times;
pub mod clock;
pub mod link;
pub mod log;
#[cfg(test)]
pub(crate) mod loop_device;
pub mod loopback;
mod mask;
pub mod mount;
pub mod mounted;
pub mod power;
pub mod process;
pub mod service;
