//! What this machine is: read from sysfs, procfs, SMBIOS and the kernel.
