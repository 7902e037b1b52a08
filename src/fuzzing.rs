//! What the fuzz targets in `fuzz/` run: each of them feeds arbitrary bytes to one parser.
//!
//! A target lives in its parser's room, so that the parser itself can stay private.

use crate::{
    block, command, conductor, config, deploy, erase, hardware, inventory, net, raid, stream, sys,
};

/// Name of a target, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("arm", inventory::fuzzing::arm),
    ("ata_identify", erase::fuzzing::ata_identify),
    ("boot_entry", deploy::fuzzing::boot_entry),
    ("certificate", net::fuzzing::certificate),
    ("cipher_list", net::fuzzing::cipher_list),
    ("checksum_file", stream::fuzzing::checksum_file),
    ("command_body", command::fuzzing::command_body),
    ("config_drive", deploy::fuzzing::config_drive),
    ("config_file", config::fuzzing::config_file),
    ("console_fact", sys::fuzzing::console_fact),
    ("content_range", stream::fuzzing::content_range),
    ("dmi", inventory::fuzzing::dmi),
    ("fat", block::fuzzing::fat),
    ("gpt", block::fuzzing::gpt),
    ("grub_files", deploy::fuzzing::grub_files),
    ("image_boot_files", deploy::fuzzing::image_boot_files),
    // The same for each format; what differs is the corpus.
    ("image_bzip2", stream::fuzzing::image),
    ("image_gzip", stream::fuzzing::image),
    ("image_plain", stream::fuzzing::image),
    ("image_qcow2", stream::fuzzing::image),
    ("image_xz", stream::fuzzing::image),
    ("image_zstd", stream::fuzzing::image),
    ("image_info", deploy::fuzzing::image_info),
    ("image_tree", deploy::fuzzing::image_tree),
    ("inject_files", deploy::fuzzing::inject_files),
    ("ipmi_answers", inventory::fuzzing::ipmi_answers),
    ("iso9660", block::fuzzing::iso9660),
    ("journal", command::fuzzing::journal),
    ("kernel_log", sys::fuzzing::kernel_log),
    ("kernel_parameters", config::fuzzing::kernel_parameters),
    ("lldp", inventory::fuzzing::lldp),
    ("loader_table", deploy::fuzzing::loader_table),
    ("lookup_answer", conductor::fuzzing::lookup_answer),
    ("mbr", block::fuzzing::mbr),
    ("name_answer", net::fuzzing::name_answer),
    ("nbft", net::fuzzing::nbft),
    ("network_data", net::fuzzing::network_data),
    ("network_parameters", net::fuzzing::network_parameters),
    ("ntp_answer", net::fuzzing::ntp_answer),
    ("nvme", erase::fuzzing::nvme),
    ("plugin_message", hardware::fuzzing::plugin_message),
    ("port_answer", net::fuzzing::port_answer),
    ("raid_config", raid::fuzzing::raid_config),
    ("raid_superblock", block::fuzzing::raid_superblock),
    ("root_device_hints", block::fuzzing::root_device_hints),
    ("secrets", sys::fuzzing::secrets),
    ("sense", sys::fuzzing::sense),
    ("smbios", inventory::fuzzing::smbios),
    ("support_key", config::fuzzing::support_key),
    ("vpd", block::fuzzing::vpd),
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    /// What a fuzz target once found stays in `fuzz/regressions/TARGET/`.
    #[test]
    fn what_was_found_once_is_survived() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/regressions");
        for (name, target) in TARGETS {
            for file in std::fs::read_dir(folder.join(name)).into_iter().flatten() {
                target(&std::fs::read(file.unwrap().path()).unwrap());
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn every_target_takes_any_bytes(input in prop::collection::vec(any::<u8>(), 0..2000)) {
            TARGETS.iter().for_each(|(_, target)| target(&input));
        }
    }
}
