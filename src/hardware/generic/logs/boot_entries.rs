//! What the firmware would start, as `efibootmgr -v` shows it.

use std::fmt::Write as _;

use crate::sys::root::Root;

/// `Boot####`, `BootOrder`, `BootCurrent` and `BootNext` belong to this vendor
/// (UEFI specification 2.10, section 3.3, EFI_GLOBAL_VARIABLE).
const EFI_GLOBAL: &str = "-8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// Boot entries and their order; nothing on a machine without UEFI.
pub(super) fn boot_entries(root: &Root) -> String {
    const EFIVARS: &str = "/sys/firmware/efi/efivars";
    let mut text = String::new();
    for file in root.names(EFIVARS) {
        let Some(name) = file.strip_suffix(EFI_GLOBAL) else {
            continue;
        };
        if !name.starts_with("Boot") {
            continue;
        }
        // Four bytes of attributes come before the value (Documentation/filesystems/efivarfs.rst).
        let Ok(content) = root.read(format!("{EFIVARS}/{file}")) else {
            continue;
        };
        let value = content.get(4..).unwrap_or_default();
        let numbers = || -> String {
            let words: Vec<String> = value
                .chunks_exact(2)
                .map(|word| format!("{:04X}", u16::from_le_bytes([word[0], word[1]])))
                .collect();
            words.join(",")
        };
        let shown = match name {
            "BootOrder" | "BootCurrent" | "BootNext" => numbers(),
            _ if is_load_option(name) => load_option(value),
            _ => continue,
        };
        let _ = writeln!(text, "{name}: {shown}");
    }
    text
}

fn is_load_option(name: &str) -> bool {
    name.strip_prefix("Boot").is_some_and(|number| {
        number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// Activity and description of an EFI_LOAD_OPTION (UEFI specification 2.10, section 3.1.3), and its
/// device path in hexadecimal.
fn load_option(value: &[u8]) -> String {
    let (Some(attributes), Some(rest)) = (value.get(..4), value.get(6..)) else {
        return "malformed".to_owned();
    };
    let description: Vec<u16> = rest
        .chunks_exact(2)
        .map(|word| u16::from_le_bytes([word[0], word[1]]))
        .take_while(|word| *word != 0)
        .collect();
    let path_start = (description.len() + 1) * 2;
    let path: String = rest
        .get(path_start..)
        .unwrap_or_default()
        .iter()
        .take(512)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!(
        "{} {:?} {path}",
        if attributes[0] & 1 == 1 {
            "active"
        } else {
            "inactive"
        },
        String::from_utf16_lossy(&description)
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::tree;
    use super::*;

    #[test]
    fn boot_entries_are_readable() {
        let mut option = vec![7, 0, 0, 0];
        option.extend_from_slice(&[1, 0, 0, 0, 4, 0]);
        option.extend("Debian".encode_utf16().flat_map(u16::to_le_bytes));
        option.extend_from_slice(&[0, 0, 0x7f, 0xff, 4, 0]);
        let variable = |name: &str| format!("/sys/firmware/efi/efivars/{name}{EFI_GLOBAL}");
        let (_dir, root) = tree(&[
            (&variable("Boot0003"), &option),
            (&variable("Boot0004"), &[7, 0]),
            (&variable("BootOrder"), &[7, 0, 0, 0, 3, 0, 1, 0]),
            (&variable("BootOptionSupport"), &[7, 0, 0, 0, 1, 0, 0, 0]),
        ]);
        assert_eq!(
            boot_entries(&root),
            "Boot0003: active \"Debian\" 7fff0400\nBoot0004: malformed\nBootOrder: 0003,0001\n"
        );
    }
}
