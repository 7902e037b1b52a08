//! The kernel: ioctl, sysfs, mounts, processes, power. The only room with unsafe code, and the only
//! one that starts programs.

pub mod addresses;
pub mod block_device;
pub mod boot_times;
pub mod clock;
pub mod control_group;
pub mod core_dumps;
pub mod device_mapper;
pub(crate) mod device_number;
pub mod digest;
pub mod efivars;
pub mod ethtool;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub mod hex;
pub mod ipmi;
pub mod kernel_log;
pub mod kernel_parameters;
pub mod link;
pub mod log;
#[cfg(test)]
pub(crate) mod loop_device;
pub mod loopback;
mod mask;
pub mod md_array;
#[cfg(any(test, fuzzing))]
pub(crate) mod memory_medium;
pub mod mount;
pub(crate) mod mount_table;
pub mod mounted;
pub mod netlink;
#[cfg(test)]
pub(crate) mod network_namespace;
pub mod nvme;
pub mod out_of_memory;
pub mod packet;
pub mod page_cache;
pub mod plugin_process;
pub mod power;
pub mod printable;
pub mod private_file;
pub mod process;
pub(crate) mod rate;
pub mod read_only;
#[cfg(test)]
pub(crate) mod recording;
pub mod root;
pub mod run_files;
pub mod scsi;
pub mod service;
pub mod sg;
#[cfg(test)]
pub(crate) mod test_program;
pub mod text_encoding;
pub mod witness;
