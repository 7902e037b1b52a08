//! The kernel: ioctl, sysfs, mounts, processes, power. The only room with unsafe code, and the only
//! one that starts programs.

pub mod clock;
#[expect(unsafe_code, reason = "ioctl")]
pub mod link;
pub mod log;
mod mask;
pub mod process;
