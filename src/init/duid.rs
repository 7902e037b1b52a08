//! What this machine calls itself in DHCPv6: its DUID (RFC 8415, section 11).
//!
//! A name from the UUID in the firmware (RFC 6355) is the same at every boot, and the one that iPXE uses. (UEFI
//! firmware of EDK II writes the first three numbers of the UUID the other way round, as SMBIOS has them in memory,
//! and is another client to the server.) dhcpcd 9 makes it by itself; dhcpcd 10 no longer looks at the UUID, whatever `duid` in its configuration
//! says, and would take the time of day: another client at every boot. Either keeps to a name in its file.

use std::fs;
use std::io;
use std::path::Path;

/// Where dhcpcd keeps its name.
const FILE: &str = "var/lib/dhcpcd/duid";

const UUID: &str = "sys/class/dmi/id/product_uuid";

/// Tells dhcpcd the name, below `root`. `false` where the firmware has no UUID to make one from.
pub(super) fn write(root: &Path) -> io::Result<bool> {
    let Some(name) = fs::read_to_string(root.join(UUID))
        .ok()
        .and_then(|uuid| of_uuid(uuid.trim()))
    else {
        return Ok(false);
    };
    fs::write(root.join(FILE), name + "\n")?;
    Ok(true)
}

/// DUID-UUID, type 4, in dhcpcd's words: bytes in hexadecimal with colons. None for what is no UUID,
/// and for those of all zeros or ones, with which SMBIOS says that there is none.
fn of_uuid(uuid: &str) -> Option<String> {
    let digits: Vec<char> = uuid.chars().filter(|digit| *digit != '-').collect();
    if digits.len() != 32
        || !digits.iter().all(char::is_ascii_hexdigit)
        || ['0', 'f']
            .iter()
            .any(|none| digits.iter().all(|digit| digit.eq_ignore_ascii_case(none)))
    {
        return None;
    }
    let mut name = "00:04".to_owned();
    for byte in digits.chunks(2) {
        name.push(':');
        name.extend(byte.iter().map(char::to_ascii_lowercase));
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_made_from_the_firmwares_uuid() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("sys/class/dmi/id")).unwrap();
        fs::create_dir_all(root.path().join("var/lib/dhcpcd")).unwrap();
        assert!(!write(root.path()).unwrap());
        let uuid = root.path().join(UUID);
        fs::write(&uuid, "3C41CDEF-c29c-516a-8ab1-373e5e72280a\n").unwrap();
        assert!(write(root.path()).unwrap());
        assert_eq!(
            fs::read_to_string(root.path().join(FILE)).unwrap(),
            "00:04:3c:41:cd:ef:c2:9c:51:6a:8a:b1:37:3e:5e:72:28:0a\n"
        );
    }

    #[test]
    fn no_name_is_made_from_what_is_no_uuid() {
        for uuid in [
            "",
            "Not Settable",
            "00000000-0000-0000-0000-000000000000",
            "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
            "3c41cdef-c29c-516a-8ab1-373e5e72280",
        ] {
            assert_eq!(of_uuid(uuid), None, "{uuid}");
        }
    }
}
