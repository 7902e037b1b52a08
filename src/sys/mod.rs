//! The kernel: ioctl, sysfs, mounts, processes, power. The only room with unsafe code, and the only
//! one that starts programs.

pub(crate) mod addresses;
pub(crate) mod block_device;
pub(crate) mod boot_times;
pub(crate) mod clock;
pub(crate) mod confined_process;
pub(crate) mod confinement;
pub(crate) mod console_fact;
pub(crate) mod control_group;
pub(crate) mod core_dumps;
pub(crate) mod device_mapper;
pub(crate) mod device_number;
pub(crate) mod digest;
pub(crate) mod efivars;
pub(crate) mod ethtool;
pub(crate) mod extended_attributes;
pub(crate) mod file_system_mount;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub(crate) mod hex;
pub(crate) mod ipmi;
#[cfg(test)]
pub(crate) mod json_schema;
pub(crate) mod kernel_log;
pub(crate) mod kernel_parameters;
pub(crate) mod link;
pub(crate) mod log;
#[cfg(test)]
pub(crate) mod loop_device;
pub(crate) mod loop_range;
pub(crate) mod loopback;
mod mask;
pub(crate) mod md_array;
#[cfg(any(test, fuzzing))]
pub(crate) mod memory_medium;
pub(crate) mod mount;
pub(crate) mod mount_table;
pub(crate) mod mounted;
pub(crate) mod netlink;
#[cfg(test)]
pub(crate) mod network_namespace;
pub(crate) mod nvme;
pub(crate) mod nvme_fabrics;
pub(crate) mod out_of_memory;
pub(crate) mod packet;
pub(crate) mod page_cache;
pub(crate) mod plugin_process;
pub(crate) mod power;
pub(crate) mod printable;
pub(crate) mod private_file;
pub(crate) mod process;
pub(crate) mod rate;
pub(crate) mod read_only;
#[cfg(test)]
pub(crate) mod recording;
pub(crate) mod root;
pub(crate) mod run_files;
pub(crate) mod scsi;
pub(crate) mod service;
pub(crate) mod sg;
pub(crate) mod swap;
#[cfg(test)]
pub(crate) mod test_program;
pub(crate) mod text_encoding;
pub(crate) mod virtual_terminal;
pub(crate) mod witness;
