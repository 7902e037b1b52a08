//! Microcode for the processors, which a ramdisk with FIRMWARE=1 begins with. The kernel takes it
//! from the archive itself, before it unpacks the ramdisk, and keeps a copy of the one that fits.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// Where the kernel looks for it in the archive (Documentation/arch/x86/microcode.rst).
const FOLDER: &str = "kernel/x86/microcode";

/// Remove the files that the kernel unpacked with all others. Nothing reads them again, and they
/// would take their memory, of all processors there are, for as long as the ramdisk runs.
pub(super) fn free_memory(root: &Path) -> io::Result<()> {
    let folder = root.join(FOLDER);
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        result => result?,
    }
    // What is left above belongs to something else where it is not empty.
    for above in folder.ancestors().skip(1).take(2) {
        if fs::remove_dir(above).is_err() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_microcode_goes() {
        let root = tempfile::tempdir().unwrap();
        // A ramdisk without.
        free_memory(root.path()).unwrap();
        fs::create_dir_all(root.path().join(FOLDER)).unwrap();
        fs::write(root.path().join(FOLDER).join("GenuineIntel.bin"), "x").unwrap();
        free_memory(root.path()).unwrap();
        assert!(root.path().exists() && !root.path().join("kernel").exists());

        // Another early archive: tables for ACPI.
        let tables = root.path().join("kernel/firmware/acpi");
        fs::create_dir_all(&tables).unwrap();
        fs::create_dir_all(root.path().join(FOLDER)).unwrap();
        free_memory(root.path()).unwrap();
        assert!(tables.exists() && !root.path().join("kernel/x86").exists());
    }
}
