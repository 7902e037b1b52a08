//! The kernel: ioctl, sysfs, mounts, processes, power. The only room with unsafe code, and the only
//! one that starts programs.

pub mod aligned;
pub mod block_device;
pub mod clock;
pub mod link;
pub mod log;
#[cfg(test)]
pub(crate) mod loop_device;
mod mask;
pub mod mounted;
pub mod power;
pub mod process;
