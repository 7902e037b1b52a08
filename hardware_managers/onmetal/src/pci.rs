//! Addresses of PCI functions, as the kernel and as the card's tool write them.

use std::fmt;

/// `domain:bus:device.function`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct PciAddress {
    /// 16 bits on most machines; more behind Intel's VMD.
    pub(crate) domain: u32,
    /// Bus.
    pub(crate) bus: u8,
    /// Device, 0 to 31.
    pub(crate) device: u8,
    /// Function, 0 to 7.
    pub(crate) function: u8,
}

/// What the tool prints: the low byte of the domain, bus, device, function (contract/onmetal 12.4).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct ToolAddress(pub(crate) [u8; 4]);

impl PciAddress {
    /// Reads the kernel's form, `0000:05:00.0`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, function) = text.split_once('.')?;
        let mut parts = address.split(':');
        let domain = parts.next().filter(|part| part.len() >= 4)?;
        let (bus, device) = (parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        Some(Self {
            domain: hexadecimal(domain, 8)?,
            bus: byte(bus)?,
            device: byte(device).filter(|device| *device < 32)?,
            function: byte(function).filter(|function| *function < 8)?,
        })
    }

    /// As the tool would print it.
    pub(crate) fn for_tool(self) -> ToolAddress {
        let [.., low] = self.domain.to_be_bytes();
        ToolAddress([low, self.bus, self.device, self.function])
    }
}

impl ToolAddress {
    /// Reads the tool's form, `00:05:00:00`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':').map(byte);
        let address = [
            parts.next()??,
            parts.next()??,
            parts.next()??,
            parts.next()??,
        ];
        parts.next().is_none().then_some(Self(address))
    }
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            domain,
            bus,
            device,
            function,
        } = self;
        write!(f, "{domain:04x}:{bus:02x}:{device:02x}.{function}")
    }
}

impl fmt::Display for ToolAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [domain, bus, device, function] = self.0;
        write!(f, "{domain:02x}:{bus:02x}:{device:02x}:{function:02x}")
    }
}

fn byte(text: &str) -> Option<u8> {
    hexadecimal(text, 2).and_then(|number| u8::try_from(number).ok())
}

/// Digits only: `from_str_radix` alone would take a sign.
fn hexadecimal(text: &str, most: usize) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if text.is_empty() || text.len() > most || !digits {
        return None;
    }
    u32::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    #[test]
    fn the_tool_shows_the_low_byte_of_the_domain() {
        let address = PciAddress::parse("10000:e1:1f.7").unwrap();
        assert_eq!(address.domain, 0x10000);
        assert_eq!(address.for_tool(), ToolAddress([0, 0xe1, 0x1f, 7]));
        assert_eq!(address.to_string(), "10000:e1:1f.7");
    }

    #[test]
    fn other_texts_are_no_addresses() {
        for text in [
            "",
            "host3",
            "0000:05:00",
            "0000:05:00.8",
            "0000:05:20.0",
            "05:00.0",
            "+000:05:00.0",
            "0000:05:00.0.0",
            "0000:05:00:00",
        ] {
            assert_eq!(PciAddress::parse(text), None, "{text}");
        }
        for text in [
            "",
            "00:05:00",
            "00:05:00.0",
            "00:05:00:00:00",
            "00:05:00:100",
            "0:5:+0:0",
        ] {
            assert_eq!(ToolAddress::parse(text), None, "{text}");
        }
        assert_eq!(
            ToolAddress::parse("0:5:0:0"),
            Some(ToolAddress([0, 5, 0, 0]))
        );
    }

    proptest! {
        #[test]
        fn both_forms_come_back_as_they_were(
            domain in any::<u32>(), bus in any::<u8>(), device in 0_u8..32, function in 0_u8..8,
        ) {
            let address = PciAddress { domain, bus, device, function };
            assert_eq!(PciAddress::parse(&address.to_string()), Some(address));
            let shown = address.for_tool();
            assert_eq!(ToolAddress::parse(&shown.to_string()), Some(shown));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in ".*") {
            let _ = (PciAddress::parse(&text), ToolAddress::parse(&text));
        }
    }
}
