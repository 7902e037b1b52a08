//! The head of an ELF file: whether the loader has to be asked at all.
//!
//! What the loader says of another machine's library ("cannot open shared object file: No such file
//! or directory", "wrong ELF class") helps nobody, so this is looked at first.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::refusal::Refusal;

/// Offsets and values: elf(5), System V gABI chapter 4.
const MAGIC: &[u8] = b"\x7fELF";
const CLASS: usize = 4;
const CLASS_64: u8 = 2;
const DATA: usize = 5;
const LITTLE_ENDIAN: u8 = 1;
const TYPE: usize = 16;
const MACHINE: usize = 18;
const ET_DYN: u16 = 3;
const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;

/// A machine, by its ELF number, with the name that people know it by.
#[derive(Clone, Copy)]
struct Machine {
    number: u16,
    name: &'static str,
}

/// Those that the host is made for.
const X86_64: Machine = Machine {
    number: EM_X86_64,
    name: "x86-64",
};
const AARCH64: Machine = Machine {
    number: EM_AARCH64,
    name: "aarch64",
};

/// The machine that the host was made for, which is the only one whose libraries it can load.
const OURS: Machine = if cfg!(target_arch = "aarch64") {
    AARCH64
} else {
    X86_64
};

/// Whether this file is a shared library for this machine.
pub(crate) fn check(path: &Path) -> Result<(), Refusal> {
    let mut head = Vec::with_capacity(20);
    File::open(path)
        .and_then(|file| file.take(20).read_to_end(&mut head))
        .map_err(|source| unreadable(path, source))?;
    judge(path, &head, OURS)
}

fn judge(path: &Path, head: &[u8], ours: Machine) -> Result<(), Refusal> {
    if head.len() < 20 || !head.starts_with(MAGIC) {
        return Err(Refusal::NotElf {
            path: path.to_owned(),
        });
    }
    let number = |at: usize| {
        let bytes = [head[at], head[at + 1]];
        if head[DATA] == LITTLE_ENDIAN {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        }
    };
    if number(MACHINE) != ours.number || head[CLASS] != CLASS_64 || head[DATA] != LITTLE_ENDIAN {
        return Err(Refusal::Architecture {
            path: path.to_owned(),
            theirs: machine(number(MACHINE), head[CLASS]),
            ours: ours.name,
        });
    }
    if number(TYPE) != ET_DYN {
        return Err(Refusal::NotShared {
            path: path.to_owned(),
        });
    }
    Ok(())
}

/// The machines that Linux runs on servers, by the numbers of `linux/elf-em.h`.
fn machine(number: u16, class: u8) -> String {
    let name = match number {
        3 => "x86 (32 bits)",
        20 => "32-bit PowerPC",
        21 => "PowerPC",
        22 => "s390x",
        40 => "32-bit Arm",
        EM_X86_64 if class != CLASS_64 => "x32 (x86-64 with 32-bit pointers)",
        EM_X86_64 => "x86-64",
        EM_AARCH64 => "aarch64 (64-bit Arm)",
        243 => "RISC-V",
        258 => "LoongArch",
        _ => return format!("another machine (ELF machine {number})"),
    };
    name.to_owned()
}

fn unreadable(path: &Path, source: io::Error) -> Refusal {
    Refusal::Unreadable {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(class: u8, data: u8, kind: [u8; 2], machine: [u8; 2]) -> Vec<u8> {
        let mut head = MAGIC.to_vec();
        head.extend([class, data, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        head.extend(kind);
        head.extend(machine);
        head
    }

    fn verdict(head: &[u8]) -> String {
        verdict_on(head, X86_64)
    }

    fn verdict_on(head: &[u8], ours: Machine) -> String {
        match judge(Path::new("/p/a.so"), head, ours) {
            Ok(()) => "ok".to_owned(),
            Err(refusal) => refusal.to_string(),
        }
    }

    proptest! {
        #[test]
        fn any_head_is_judged(
            is_elf in any::<bool>(),
            rest in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let mut head = if is_elf { MAGIC.to_vec() } else { Vec::new() };
            head.extend(rest);
            head.truncate(20);
            let told = verdict(&head);
            prop_assert!(told == "ok" || told.starts_with("/p/a.so"), "{}", told);
        }
    }

    #[test]
    fn only_this_machines_libraries_pass() {
        assert_eq!(verdict(&head(2, 1, [3, 0], [62, 0])), "ok");
        for (head, why) in [
            (head(2, 1, [3, 0], [183, 0]), "aarch64"),
            (head(1, 1, [3, 0], [3, 0]), "32 bits"),
            (head(1, 1, [3, 0], [62, 0]), "x32"),
            (head(2, 2, [0, 3], [0, 22]), "s390x"),
            (head(2, 1, [3, 0], [0, 9]), "machine 2304"),
            (head(2, 1, [2, 0], [62, 0]), "-shared"),
            (b"\x7fELF".to_vec(), "not an ELF file"),
            (b"#!/bin/sh\necho hello world\n".to_vec(), "not an ELF file"),
            (Vec::new(), "not an ELF file"),
        ] {
            let told = verdict(&head);
            assert!(told.starts_with("/p/a.so"), "{told}");
            assert!(told.contains(why), "{told}");
        }
    }

    #[test]
    fn an_arm_host_loads_arms_libraries_alone() {
        assert_eq!(verdict_on(&head(2, 1, [3, 0], [183, 0]), AARCH64), "ok");
        let told = verdict_on(&head(2, 1, [3, 0], [62, 0]), AARCH64);
        assert!(
            told.contains("x86-64") && told.contains("aarch64"),
            "{told}"
        );
        let told = verdict_on(&head(1, 1, [3, 0], [40, 0]), AARCH64);
        assert!(told.contains("32-bit Arm"), "{told}");
    }
}
