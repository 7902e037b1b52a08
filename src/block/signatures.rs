//! What libblkid recognises on a device.

use std::path::Path;

use libblkid_rs::{
    BlkidErr, BlkidFullprobeRet, BlkidProbe, BlkidProbeRet, BlkidSublks, BlkidSublksFlags,
};

/// Results of one probe; more would be a loop in the library.
const MOST_SIGNATURES: usize = 64;

/// Something that is recognised on a device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Signature {
    /// File system or member type by libblkid's name (`ext4`, `linux_raid_member`), or `partition
    /// table` and its kind.
    pub(crate) kind: String,
    /// First byte of its magic number, where libblkid says it: it does for file systems and
    /// members, not for partition tables.
    pub(crate) offset: Option<u64>,
}

/// What a device holds, as far as it tells whether the device may be touched.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Contents {
    /// File system or member type.
    pub(crate) kind: Option<String>,
    /// Its label.
    pub(crate) label: Option<String>,
    /// The types in its partition table: GUIDs in lower case, or `0xfb`.
    pub(crate) partition_types: Vec<String>,
}

/// All signatures on a device or plain file.
pub(crate) fn find(path: &Path) -> Result<Vec<Signature>, BlkidErr> {
    let mut probe = BlkidProbe::new_from_filename(path)?;
    probe.enable_superblocks(true)?;
    probe.set_superblock_flags(BlkidSublksFlags::new(vec![
        BlkidSublks::Type,
        BlkidSublks::Magic,
        // A superblock with a wrong checksum still mounts somewhere.
        BlkidSublks::Badcsum,
    ]))?;
    probe.enable_partitions(true)?;
    let mut signatures = Vec::new();
    while signatures.len() < MOST_SIGNATURES && probe.do_probe()? == BlkidProbeRet::Success {
        let value = |name| probe.lookup_value(name).ok();
        if let Some(kind) = value("TYPE") {
            signatures.push(Signature {
                kind,
                offset: value("SBMAGIC_OFFSET").and_then(|offset| offset.parse().ok()),
            });
        }
        if let Some(kind) = value("PTTYPE") {
            signatures.push(Signature {
                kind: format!("{kind} partition table"),
                offset: value("PTMAGIC_OFFSET").and_then(|offset| offset.parse().ok()),
            });
        }
    }
    Ok(signatures)
}

/// What the device at this path holds.
pub(crate) fn contents(path: &Path) -> Result<Contents, BlkidErr> {
    let mut contents = Contents::default();
    let mut probe = BlkidProbe::new_from_filename(path)?;
    probe.enable_superblocks(true)?;
    probe.set_superblock_flags(BlkidSublksFlags::new(vec![
        BlkidSublks::Type,
        BlkidSublks::Label,
    ]))?;
    if probe.do_probe()? == BlkidProbeRet::Success {
        contents.kind = probe.lookup_value("TYPE").ok();
        contents.label = probe.lookup_value("LABEL").ok();
    }
    let mut probe = BlkidProbe::new_from_filename(path)?;
    probe.enable_superblocks(false)?;
    probe.enable_partitions(true)?;
    if probe.do_fullprobe()? != BlkidFullprobeRet::Success {
        return Ok(contents);
    }
    // No list where there is no table.
    let Ok(mut partitions) = probe.get_partitions() else {
        return Ok(contents);
    };
    for index in 0..partitions.number_of_partitions()? {
        let partition = partitions.get_partition(index)?;
        // GPT types are text, MBR types a number.
        let kind = match partition.get_type_string() {
            Ok(guid) if !guid.is_empty() => guid.to_ascii_lowercase(),
            _ => format!("0x{:02x}", partition.get_type()),
        };
        contents.partition_types.push(kind);
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::Program;

    fn blank(bytes: u64) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(bytes).unwrap();
        file
    }

    #[test]
    fn a_file_system_has_its_magic_number_at_its_place() {
        let file = blank(8 << 20);
        assert!(find(file.path()).unwrap().is_empty());
        Program::new("/usr/sbin/mkfs.ext4")
            .arg("-q")
            .arg(file.path().display().to_string())
            .run()
            .unwrap();
        assert_eq!(
            find(file.path()).unwrap(),
            [Signature {
                kind: "ext4".to_owned(),
                offset: Some(1024 + 56)
            }]
        );
        assert_eq!(contents(file.path()).unwrap().kind.as_deref(), Some("ext4"));
    }

    #[test]
    fn partition_types_are_read_from_both_kinds_of_table() {
        let gpt = blank(64 << 20);
        Program::new("/usr/sbin/sgdisk")
            .arg("-n1:0:+8M")
            .arg("-t1:AA31E02A-400F-11DB-9590-000C2911D1B8")
            .arg("-n2:0:+8M")
            .arg("-t2:8300")
            .arg(gpt.path().display().to_string())
            .run()
            .unwrap();
        assert_eq!(
            contents(gpt.path()).unwrap().partition_types,
            [
                "aa31e02a-400f-11db-9590-000c2911d1b8",
                "0fc63daf-8483-4772-8e79-3d69d8477de4"
            ]
        );

        let mbr = blank(64 << 20);
        let mut sector = vec![0; 512];
        sector[446..462].copy_from_slice(&[0, 0, 0, 0, 0xfb, 0, 0, 0, 0, 8, 0, 0, 0, 64, 0, 0]);
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        std::os::unix::fs::FileExt::write_all_at(mbr.as_file(), &sector, 0).unwrap();
        assert_eq!(contents(mbr.path()).unwrap().partition_types, ["0xfb"]);
    }

    #[test]
    fn a_device_that_is_not_there_is_an_error() {
        assert!(find(Path::new("/nonexistent")).is_err());
    }
}
