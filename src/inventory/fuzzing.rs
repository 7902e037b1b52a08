//! The fuzz targets of this room.

use super::Smbios;

/// The firmware's table, behind an entry point of 24 bytes.
pub(crate) fn smbios(data: &[u8]) {
    let Some((entry_point, table)) = data.split_at_checked(24) else {
        return;
    };
    let smbios = Smbios::new(entry_point, table.to_vec());
    smbios.firmware();
    smbios.system();
    smbios.processor_version();
    smbios.installed_memory();
    for structure in smbios.structures() {
        for offset in 0..8 {
            structure.string(offset);
            structure.double_word(offset);
        }
    }
}
