//! What firmware of a machine can start.

/// A machine's architecture, in the names that boot files have by it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::deploy) struct Architecture {
    /// As `uname -m` says it, and SUSE's folders: `x86_64`.
    pub(in crate::deploy) machine: &'static str,
    /// At the end of a program's name, in lower case: `x64` (UEFI specification 2.10, 3.5.1.1).
    pub(in crate::deploy) suffix: &'static str,
    /// GRUB's name of the platform: `x86_64-efi`.
    pub(in crate::deploy) grub: &'static str,
    /// The machine type in the header of a program (PE format, "Machine Types").
    machine_type: u16,
}

/// Those that UEFI servers have.
pub(in crate::deploy) const KNOWN: [Architecture; 2] = [
    Architecture {
        machine: "x86_64",
        suffix: "x64",
        grub: "x86_64-efi",
        machine_type: 0x8664,
    },
    Architecture {
        machine: "aarch64",
        suffix: "aa64",
        grub: "arm64-efi",
        machine_type: 0xaa64,
    },
];

/// Bytes from the start of a program that hold its header.
pub(in crate::deploy) const HEADER: usize = 4096;

impl Architecture {
    /// Of the machine that this runs on: firmware of one starts no loader of another.
    ///
    /// `None` on one whose servers have no UEFI.
    pub(in crate::deploy) fn of_this_machine() -> Option<Self> {
        KNOWN
            .into_iter()
            .find(|known| known.machine == std::env::consts::ARCH)
    }

    /// Whether a file that starts so is a program for it, by the header and not by the name: images
    /// for two architectures have both in one folder.
    pub(in crate::deploy) fn runs(&self, start: &[u8]) -> bool {
        machine_type(start) == Some(self.machine_type)
    }

    /// What machines a program is for that starts so, where firmware of this one cannot start it: `aarch64`. `None` for
    /// a program for this machine, of no known kind, or for any machine (EFI byte code), and for a file that is none.
    ///
    /// On x86_64 also one of 32 bits counts as its own: some of these machines have firmware of 32 bits.
    pub(in crate::deploy) fn foreign(&self, start: &[u8]) -> Option<&'static str> {
        let machine_type = machine_type(start)?;
        let (machine, is_of_x86) = match machine_type {
            0x8664 => ("x86_64", true),
            0x014c => ("i386", true),
            0xaa64 => ("aarch64", false),
            0x01c0 | 0x01c2 | 0x01c4 => ("arm", false),
            0x5032 => ("riscv32", false),
            0x5064 => ("riscv64", false),
            0x5128 => ("riscv128", false),
            0x6232 => ("loongarch32", false),
            0x6264 => ("loongarch64", false),
            0x0200 => ("ia64", false),
            _ => return None,
        };
        let is_own = machine == self.machine || (is_of_x86 && self.machine == "x86_64");
        (!is_own).then_some(machine)
    }

    /// The name of the removable loader, in `\EFI\BOOT`: `BOOTX64.EFI`.
    pub(in crate::deploy) fn removable(&self) -> String {
        format!("BOOT{}.EFI", self.suffix.to_uppercase())
    }

    /// The name of a table of loaders that shim's fallback reads: `BOOTX64.CSV`.
    pub(in crate::deploy) fn table(&self) -> String {
        format!("BOOT{}.CSV", self.suffix.to_uppercase())
    }
}

/// The machine type of a program in the PE format; `None` where it is none.
fn machine_type(start: &[u8]) -> Option<u16> {
    let header = start.get(0x3c..0x40).filter(|_| start.starts_with(b"MZ"))?;
    let at = u32::from_le_bytes(header.try_into().ok()?) as usize;
    let rest = start.get(at..)?.strip_prefix(b"PE\0\0")?;
    Some(u16::from_le_bytes(rest.get(..2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::memory_tree::program_for;
    use super::*;

    #[test]
    fn programs_are_known_by_their_headers() {
        let mut program = vec![0; 128];
        program[..2].copy_from_slice(b"MZ");
        program[0x3c] = 0x50;
        program[0x50..0x56].copy_from_slice(b"PE\0\0\x64\x86");
        assert!(KNOWN[0].runs(&program));
        assert!(!KNOWN[1].runs(&program));
        assert!(!KNOWN[0].runs(&program[..0x55]));
        program[0] = b'X';
        assert!(!KNOWN[0].runs(&program));
    }

    #[test]
    fn programs_of_other_machines_are_known() {
        let [x86, arm] = KNOWN;
        for (machine_type, for_x86, for_arm) in [
            (0x8664, None, Some("x86_64")),
            (0x014c, None, Some("i386")),
            (0xaa64, Some("aarch64"), None),
            (0x01c2, Some("arm"), Some("arm")),
            (0x5064, Some("riscv64"), Some("riscv64")),
            // EFI byte code, and what nobody has yet.
            (0x0ebc, None, None),
            (0x7777, None, None),
        ] {
            let program = program_for(machine_type, "");
            assert_eq!(x86.foreign(&program), for_x86, "{machine_type:#x}");
            assert_eq!(arm.foreign(&program), for_arm, "{machine_type:#x}");
            assert!(!(x86.runs(&program) && for_x86.is_some()));
        }
        assert_eq!(x86.foreign(b"MZ"), None);
    }

    proptest! {
        #[test]
        fn any_start_is_survived(mut start in prop::collection::vec(any::<u8>(), 0..300)) {
            machine_type(&start);
            if start.len() > 2 {
                start[..2].copy_from_slice(b"MZ");
            }
            machine_type(&start);
        }
    }
}
