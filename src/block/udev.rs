//! The udev database: what udev's rules found out about a device, kept as one text file each under
//! `/run/udev/data`.
//!
//! The format is udev's own and not promised by it, but has not changed since version 190 and is
//! read by others (libblockdev, node_exporter): one record a line, its kind in the first letter.
//! Kinds other than properties (`E:`) and links (`S:`) are of no use here.

use std::collections::BTreeMap;

use crate::sys::root::Root;

/// What udev knows of one device. Empty where udev does not run or has not come to it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct UdevRecord {
    properties: BTreeMap<String, String>,
    links: Vec<String>,
}

impl UdevRecord {
    /// The record of the block device with this number.
    pub(crate) fn of_block_device(root: &Root, major: u32, minor: u32) -> Self {
        root.text(format!("/run/udev/data/b{major}:{minor}"))
            .map(|text| Self::parse(&text))
            .unwrap_or_default()
    }

    /// Read a record. Lines that do not parse are left out.
    pub(crate) fn parse(text: &str) -> Self {
        let mut record = Self::default();
        for line in text.lines() {
            if let Some(link) = line.strip_prefix("S:") {
                record.links.push(format!("/dev/{link}"));
            } else if let Some((name, value)) = line
                .strip_prefix("E:")
                .and_then(|rest| rest.split_once('='))
                && !value.is_empty()
            {
                record.properties.insert(name.to_owned(), value.to_owned());
            }
        }
        record
    }

    /// A property that is not empty.
    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str)
    }

    /// The first of these properties that there is.
    pub(crate) fn first_of(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.property(name))
    }

    /// The links that udev made, as absolute paths.
    pub(crate) fn links(&self) -> &[String] {
        &self.links
    }
}

/// Undo udev's encoding of unsafe bytes as `\xNN` (the `_ENC` properties).
pub(crate) fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = bytes[at..]
            .strip_prefix(b"\\x")
            .and_then(|rest| std::str::from_utf8(rest.get(..2)?).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(byte) => {
                plain.push(byte);
                at += 4;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RECORD: &str = "S:disk/by-path/pci-0000:00:06.0\nS:disk/by-id/virtio-n1-0\nI:28606038\n\
        E:ID_SERIAL=n1-0\nE:ID_PATH=pci-0000:00:06.0\nE:EMPTY=\nE:ID_MODEL_ENC=QEMU\\x20HARDDISK\\x20\\x20\nG:systemd\nQ:systemd\nV:1\n";

    #[test]
    fn properties_and_links() {
        let record = UdevRecord::parse(RECORD);
        assert_eq!(record.property("ID_SERIAL"), Some("n1-0"));
        assert_eq!(record.property("EMPTY"), None);
        assert_eq!(
            record.first_of(&["ID_SERIAL_SHORT", "ID_SERIAL"]),
            Some("n1-0")
        );
        assert_eq!(
            record.links(),
            [
                "/dev/disk/by-path/pci-0000:00:06.0",
                "/dev/disk/by-id/virtio-n1-0"
            ]
        );
        assert_eq!(
            unescape(record.property("ID_MODEL_ENC").unwrap()),
            "QEMU HARDDISK  "
        );
    }

    #[test]
    fn a_broken_escape_stays() {
        assert_eq!(unescape("a\\x2"), "a\\x2");
        assert_eq!(unescape("a\\xzz\\x41"), "a\\xzzA");
    }

    proptest! {
        #[test]
        fn any_text_parses(text in ".*") {
            let record = UdevRecord::parse(&text);
            for value in record.properties.values() {
                prop_assert!(!value.is_empty());
                unescape(value);
            }
        }

        #[test]
        fn what_is_written_is_read(properties in proptest::collection::btree_map("[A-Z_]{1,12}", "[ -~]{1,20}", 0..8)) {
            let text: String = properties.iter().map(|(name, value)| format!("E:{name}={value}\n")).collect();
            prop_assert_eq!(UdevRecord::parse(&text).properties, properties);
        }

        #[test]
        fn escaping_is_undone(text in "\\PC{0,20}") {
            let escaped: String = text.bytes().map(|byte| format!("\\x{byte:02x}")).collect();
            prop_assert_eq!(unescape(&escaped), text);
        }
    }
}
