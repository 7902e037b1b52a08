//! Hardware addresses as the kernel line, virtual media and firmware name them.

use std::fmt;

/// A hardware address of six bytes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct HardwareAddress(pub(crate) [u8; 6]);

impl HardwareAddress {
    /// Read an address in any form that is met: `aa:bb:cc:dd:ee:ff` (iPXE's `${mac}`, network data),
    /// `aa-bb-cc-dd-ee-ff` (`${mac:hexhyp}`) and `01-aa-bb-cc-dd-ee-ff` (PXELINUX, with the ARP
    /// hardware type in front). Anything else is `None`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let separator = if text.contains(':') { ':' } else { '-' };
        let bytes: Vec<u8> = text
            .split(separator)
            .map(hexadecimal_byte)
            .collect::<Option<_>>()?;
        let address = match bytes.len() {
            6 => &bytes[..],
            7 => &bytes[1..],
            _ => return None,
        };
        address.try_into().ok().map(Self)
    }
}

impl fmt::Display for HardwareAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.map(|byte| format!("{byte:02x}"));
        f.write_str(&bytes.join(":"))
    }
}

fn hexadecimal_byte(text: &str) -> Option<u8> {
    // from_str_radix alone would take a sign and any length.
    let right = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    right.then(|| u8::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ADDRESS: HardwareAddress = HardwareAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

    #[test]
    fn every_form_of_bootif_is_read() {
        for text in [
            "52:54:00:12:34:56",
            "52-54-00-12-34-56",
            "01-52-54-00-12-34-56",
            "52-54-00-12-34-56",
        ] {
            assert_eq!(HardwareAddress::parse(text), Some(ADDRESS), "{text}");
        }
        assert_eq!(
            HardwareAddress::parse("01-AA-BB-CC-DD-EE-FF"),
            Some(HardwareAddress([0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]))
        );
        for text in [
            "",
            "eth0",
            "52:54:00:12:34",
            "52:54:00:12:34:5",
            "+1:54:00:12:34:56",
            "::::::",
        ] {
            assert_eq!(HardwareAddress::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_address_in_any_form_comes_back(bytes: [u8; 6], prefix: Option<u8>) {
            let colons = bytes.map(|byte| format!("{byte:02x}")).join(":");
            prop_assert_eq!(HardwareAddress::parse(&colons), Some(HardwareAddress(bytes)));
            let mut hyphens = colons.replace(':', "-");
            if let Some(prefix) = prefix {
                hyphens = format!("{prefix:02x}-{hyphens}");
            }
            prop_assert_eq!(HardwareAddress::parse(&hyphens), Some(HardwareAddress(bytes)));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            let _ = HardwareAddress::parse(&text);
        }
    }
}
