//! The files that are read from an image, as bytes of a stranger's.

use super::Deployment;
use super::architecture::KNOWN;
use super::memory_tree::{MemoryTree, program};

/// One content for each of the files that are read; what comes of it is bounded by what is there.
pub(in crate::deploy) fn files(data: &[u8]) {
    let mut image = MemoryTree::default();
    for path in [
        "/etc/fstab",
        "/etc/os-release",
        "/etc/default/grub",
        "/boot/efi/EFI/debian/grub.cfg",
        "/boot/efi/EFI/debian/BOOTX64.CSV",
        "/boot/efi/EFI/debian/mmx64.efi",
        "/boot/efi/loader/entries/a.conf",
        "/boot/grub/grub.cfg",
        "/boot/vmlinuz-6.1",
    ] {
        image.put(path, data);
    }
    let loader = program(&String::from_utf8_lossy(data));
    for path in [
        "/boot/efi/EFI/debian/grubx64.efi",
        "/boot/efi/EFI/systemd/systemd-bootx64.efi",
        "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
    ] {
        let mut image = image.clone();
        image.put(path, &loader);
        let deployment = Deployment {
            root: "/dev/sda2",
            root_uuid: "6a1c5d1e-0a2b-4c3d-8e4f-0123456789ab",
            esp: "/dev/sda1",
            esp_size: 550 << 20,
            esp_name: "UUID=1234-ABCD".to_owned(),
            esp_names: Vec::new(),
        };
        let mut esp = MemoryTree::fat();
        let outcome = deployment
            .prepare(&mut image, &KNOWN[0])
            .and_then(|prepared| deployment.fill(&mut image, &mut esp, &prepared));
        assert_eq!(
            outcome.is_ok(),
            esp.bytes("/EFI/BOOT/BOOTX64.EFI").is_some()
        );
    }
}
