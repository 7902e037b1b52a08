//! Where distributions keep their boot files: the one table of paths. Only Debian's packages were looked into; the
//! other rows are from public text about the sources that they name.
//!
//! | Distribution | Paths | Source |
//! |---|---|---|
//! | Debian 12, 13 | `/usr/lib/shim/shimx64.efi.signed`, `fbx64.efi.signed`, `mmx64.efi.signed`, `BOOTX64.CSV`; `/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed`; `/usr/lib/grub/x86_64-efi/monolithic/grubx64.efi` | file lists of the packages shim-signed 1.51, shim-helpers-amd64-signed, shim-unsigned 16.1, grub-efi-amd64-signed 2.06, grub-efi-amd64-bin |
//! | Ubuntu | as Debian; shim is a link to `shimx64.efi.signed.latest`, the helpers are named `fbx64.efi`, `mmx64.efi` and signed | package shim-signed 1.51.4 |
//! | Fedora, RHEL and rebuilds, openEuler | `/boot/efi/EFI/BOOT`, `/boot/efi/EFI/<vendor>` | file lists of shim-x64 15, grub2-efi-x64 |
//! | Fedora from 43 on | `/usr/lib/efi/shim/<version>/EFI`, `/usr/lib/efi/grub2/<version>/EFI` | Fedora's change "Boot loader updates, phase 1"; coreos/bootupd#926 |
//! | the same as bootable containers | `/usr/lib/bootupd/updates/EFI`, `/usr/lib/ostree-boot/efi/EFI` | coreos/bootupd, pull request 938 |
//! | SUSE | `/usr/share/efi/x86_64/shim.efi`, `grub.efi`, `MokManager.efi`, `fallback.efi`; `/usr/lib64/efi` before 15 SP1 | `shim-install` of the package shim |
//! | Arch, Alpine, others | `/usr/lib/systemd/boot/efi/systemd-bootx64.efi`; unified kernels in `EFI/Linux` of `/boot`, `/efi` or `/boot/efi`, or `/usr/lib/modules/<version>/*.efi` | systemd: `bootctl(1)`, `kernel-install(8)`; Fedora's kernel-uki-virt |
//!
//! Windows is not in it: it is never a partition image.

use super::architecture::Architecture;

/// Folders that hold what belongs into the folder `EFI` of an EFI system partition, as it is. `*` is any
/// one name; where several fit, they are one folder together. The first with a loader is taken.
pub(super) const FOLDERS: [&str; 6] = [
    "/boot/efi/EFI",
    "/efi/EFI",
    "/boot/EFI",
    "/usr/lib/efi/*/*/EFI",
    "/usr/lib/bootupd/updates/EFI",
    "/usr/lib/ostree-boot/efi/EFI",
];

/// Unified kernels that their package leaves beside their modules.
pub(super) const UNIFIED_KERNELS: &str = "/usr/lib/modules/*/*.efi";

/// systemd-boot, signed first. Debian 13 signs it.
pub(super) const SYSTEMD_BOOT: [&str; 2] = [
    "/usr/lib/systemd/boot/efi/systemd-boot{suffix}.efi.signed",
    "/usr/lib/systemd/boot/efi/systemd-boot{suffix}.efi",
];

/// Files of a distribution's packages that its own tools copy to the EFI system partition.
pub(super) struct Kit {
    /// GRUB, without which the rest is of no use; its name on the partition.
    pub(super) grub: (&'static [&'static str], &'static str),
    /// The others, each with its name on the partition.
    pub(super) beside: &'static [(&'static [&'static str], &'static str)],
}

/// In the order in which they are looked for. `{suffix}`, `{SUFFIX}`, `{machine}` and `{grub}` are the
/// architecture's.
pub(super) const KITS: [Kit; 3] = [
    // Debian, Ubuntu.
    Kit {
        grub: (
            &["/usr/lib/grub/{grub}-signed/grub{suffix}.efi.signed"],
            "grub{suffix}.efi",
        ),
        beside: &[
            (
                &[
                    "/usr/lib/shim/shim{suffix}.efi.signed",
                    "/usr/lib/shim/shim{suffix}.efi.signed.latest",
                ],
                "shim{suffix}.efi",
            ),
            (
                &[
                    "/usr/lib/shim/mm{suffix}.efi.signed",
                    "/usr/lib/shim/mm{suffix}.efi",
                ],
                "mm{suffix}.efi",
            ),
            (
                &[
                    "/usr/lib/shim/fb{suffix}.efi.signed",
                    "/usr/lib/shim/fb{suffix}.efi",
                ],
                "fb{suffix}.efi",
            ),
            (&["/usr/lib/shim/BOOT{SUFFIX}.CSV"], "BOOT{SUFFIX}.CSV"),
        ],
    },
    // SUSE.
    Kit {
        grub: (
            &[
                "/usr/share/efi/{machine}/grub.efi",
                "/usr/lib64/efi/grub.efi",
                "/usr/share/grub2/{grub}/grub.efi",
            ],
            "grub.efi",
        ),
        beside: &[
            (
                &[
                    "/usr/share/efi/{machine}/shim.efi",
                    "/usr/lib64/efi/shim.efi",
                ],
                "shim.efi",
            ),
            (
                &[
                    "/usr/share/efi/{machine}/MokManager.efi",
                    "/usr/lib64/efi/MokManager.efi",
                ],
                "MokManager.efi",
            ),
            (
                &[
                    "/usr/share/efi/{machine}/fallback.efi",
                    "/usr/lib64/efi/fallback.efi",
                ],
                "fallback.efi",
            ),
        ],
    },
    // Debian without Secure Boot.
    Kit {
        grub: (
            &["/usr/lib/grub/{grub}/monolithic/grub{suffix}.efi"],
            "grub{suffix}.efi",
        ),
        beside: &[],
    },
];

/// What to add to an image that has none of these.
pub(super) const ADVICE: &str = "add shim-signed and grub-efi-amd64-signed (Debian, Ubuntu; on ARM \
     grub-efi-arm64-signed), shim-x64 and grub2-efi-x64 (Fedora, RHEL, openEuler), shim and \
     grub2-x86_64-efi (SUSE), systemd-boot (Arch, Alpine), or a unified kernel in /boot/efi/EFI/Linux";

/// A path or name of the tables for this architecture.
pub(super) fn of(text: &str, architecture: &Architecture) -> String {
    text.replace("{suffix}", architecture.suffix)
        .replace("{SUFFIX}", &architecture.suffix.to_uppercase())
        .replace("{machine}", architecture.machine)
        .replace("{grub}", architecture.grub)
}

/// Where a loader was looked for, for people.
pub(super) fn places(architecture: &Architecture) -> String {
    FOLDERS
        .iter()
        .copied()
        .chain(KITS.iter().flat_map(|kit| kit.grub.0.iter().copied()))
        .chain(SYSTEMD_BOOT)
        .chain([UNIFIED_KERNELS])
        .map(|path| of(path, architecture))
        .collect::<Vec<_>>()
        .join(", ")
}
