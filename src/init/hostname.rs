//! The name of a machine that nobody has named.

use std::fs;
use std::io;
use std::path::Path;

/// Where the kernel keeps it.
pub(super) const HOSTNAME: &str = "/proc/sys/kernel/hostname";

/// What the kernel says before anybody has set a name.
const UNSET: &str = "(none)";

/// Name the machine `localhost`, as systemd does in the reference's ramdisk, unless it has a name
/// (from the kernel parameter `hostname`). The inventory tells the name, and `(none)` is none.
pub(super) fn set_default(file: &Path) -> io::Result<()> {
    if fs::read_to_string(file)?.trim() == UNSET {
        fs::write(file, "localhost")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_a_name_is_localhost() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hostname");
        for (before, after) in [("(none)\n", "localhost"), ("web1\n", "web1\n")] {
            fs::write(&file, before).unwrap();
            set_default(&file).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), after);
        }
    }
}
