//! The boot files of distributions, as their packages have them: "from packages" where the list was read
//! from the package of Debian 12, "composed" where it is from public lists and package sources that
//! `origins` names.

use super::*;

/// Debian 12: shim-signed, shim-helpers-amd64-signed, shim-unsigned, grub-efi-amd64-signed.
pub(super) const DEBIAN_PACKAGES: &[(&str, &str)] = &[
    ("/etc/os-release", "NAME=\"Debian GNU/Linux\"\nID=debian\n"),
    (
        "/usr/lib/shim/BOOTX64.CSV",
        "shimx64.efi,debian,,This is the boot entry for debian",
    ),
    ("/usr/lib/shim/shimx64.efi.signed", "shim"),
    ("/usr/lib/shim/mmx64.efi.signed", "key manager"),
    ("/usr/lib/shim/fbx64.efi.signed", "fallback"),
    (
        "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
        "grub\0/EFI/debian\0",
    ),
    (
        "/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed",
        "grub of a disc",
    ),
    (
        "/usr/lib/grub/x86_64-efi/monolithic/grubx64.efi",
        "unsigned",
    ),
];

struct Case {
    /// Distribution and label.
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    /// The loader of the boot entry and its label; `None` where it is the removable path.
    entry: Option<(&'static str, &'static str)>,
    /// The text of the program at the removable path.
    removable: &'static str,
    /// Further files that must be there.
    beside: &'static [&'static str],
    /// Files that lead GRUB to this directory.
    stubs: &'static [&'static str],
    menu: &'static str,
}

const CASES: &[Case] = &[
    Case {
        name: "Debian 12, packages alone (from packages)",
        files: DEBIAN_PACKAGES,
        entry: Some(("/EFI/debian/shimx64.efi", "debian")),
        removable: "shim",
        beside: &[
            "/EFI/debian/mmx64.efi",
            "/EFI/debian/fbx64.efi",
            "/EFI/BOOT/grubx64.efi",
            "/EFI/BOOT/mmx64.efi",
        ],
        stubs: &["/EFI/debian/grub.cfg", "/EFI/BOOT/grub.cfg"],
        menu: "/boot/grub",
    },
    Case {
        name: "Debian 12 after grub-install (from packages)",
        files: &[
            ("/etc/os-release", "ID=debian\n"),
            ("/boot/efi/EFI/debian/BOOTX64.CSV", "shimx64.efi,debian,,x"),
            ("/boot/efi/EFI/debian/shimx64.efi", "shim"),
            ("/boot/efi/EFI/debian/mmx64.efi", "key manager"),
            ("/boot/efi/EFI/debian/fbx64.efi", "fallback"),
            ("/boot/efi/EFI/debian/grubx64.efi", "grub"),
            (
                "/boot/efi/EFI/debian/grub.cfg",
                "search.fs_uuid 1-2 root\nconfigfile x\n",
            ),
            ("/boot/grub/grub.cfg", "menu"),
        ],
        entry: Some(("/EFI/debian/shimx64.efi", "debian")),
        removable: "shim",
        beside: &["/EFI/BOOT/grubx64.efi"],
        stubs: &["/EFI/debian/grub.cfg", "/EFI/BOOT/grub.cfg"],
        menu: "/boot/grub",
    },
    Case {
        name: "Debian without Secure Boot: grub-efi-amd64-bin (from packages)",
        files: &[
            ("/etc/os-release", "ID=debian\n"),
            (
                "/usr/lib/grub/x86_64-efi/monolithic/grubx64.efi",
                "grub\0/EFI/debian\0",
            ),
        ],
        entry: Some(("/EFI/debian/grubx64.efi", "debian")),
        removable: "grub\0/EFI/debian\0",
        beside: &[],
        stubs: &["/EFI/debian/grub.cfg"],
        menu: "/boot/grub",
    },
    Case {
        name: "Ubuntu 24.04, packages alone (composed)",
        files: &[
            ("/etc/os-release", "ID=ubuntu\nID_LIKE=debian\n"),
            (
                "/usr/lib/shim/BOOTX64.CSV",
                "shimx64.efi,ubuntu,,This is the boot entry for ubuntu",
            ),
            (
                "/usr/lib/shim/shimx64.efi.signed",
                "->/etc/alternatives/shimx64.efi.signed",
            ),
            (
                "/etc/alternatives/shimx64.efi.signed",
                "->/usr/lib/shim/shimx64.efi.signed.latest",
            ),
            ("/usr/lib/shim/shimx64.efi.signed.latest", "shim"),
            ("/usr/lib/shim/mmx64.efi", "key manager"),
            ("/usr/lib/shim/fbx64.efi", "fallback"),
            (
                "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
                "grub\0/EFI/ubuntu\0",
            ),
        ],
        entry: Some(("/EFI/ubuntu/shimx64.efi", "ubuntu")),
        removable: "shim",
        beside: &["/EFI/ubuntu/mmx64.efi", "/EFI/BOOT/grubx64.efi"],
        stubs: &["/EFI/ubuntu/grub.cfg"],
        menu: "/boot/grub",
    },
    Case {
        name: "RHEL 9: shim-x64, grub2-efi-x64 (composed)",
        files: &[
            ("/etc/os-release", "ID=\"rhel\"\nVERSION_ID=\"9.4\"\n"),
            ("/boot/efi/EFI/BOOT/BOOTX64.EFI", "shim"),
            ("/boot/efi/EFI/BOOT/fbx64.efi", "fallback"),
            (
                "/boot/efi/EFI/redhat/BOOTX64.CSV",
                "shimx64.efi,Red Hat Enterprise Linux,,x",
            ),
            ("/boot/efi/EFI/redhat/shimx64.efi", "shim"),
            (
                "/boot/efi/EFI/redhat/shimx64-redhat.efi",
                "shim of another key",
            ),
            ("/boot/efi/EFI/redhat/mmx64.efi", "key manager"),
            ("/boot/efi/EFI/redhat/grubx64.efi", "grub"),
            ("/boot/grub2/grub.cfg", "menu"),
        ],
        entry: Some(("/EFI/redhat/shimx64.efi", "Red Hat Enterprise Linux")),
        removable: "shim",
        beside: &["/EFI/BOOT/fbx64.efi"],
        stubs: &["/EFI/redhat/grub.cfg"],
        menu: "/boot/grub2",
    },
    Case {
        name: "AlmaLinux 10 (composed)",
        files: &[
            ("/etc/os-release", "ID=\"almalinux\"\n"),
            ("/boot/efi/EFI/BOOT/BOOTX64.EFI", "shim"),
            ("/boot/efi/EFI/BOOT/fbx64.efi", "fallback"),
            (
                "/boot/efi/EFI/almalinux/BOOTX64.CSV",
                "shimx64.efi,AlmaLinux,,x",
            ),
            ("/boot/efi/EFI/almalinux/shimx64.efi", "shim"),
            ("/boot/efi/EFI/almalinux/grubx64.efi", "grub"),
            ("/usr/sbin/grub2-mkconfig", ""),
        ],
        entry: Some(("/EFI/almalinux/shimx64.efi", "AlmaLinux")),
        removable: "shim",
        beside: &["/EFI/BOOT/fbx64.efi"],
        stubs: &["/EFI/almalinux/grub.cfg"],
        menu: "/boot/grub2",
    },
    Case {
        name: "Fedora from 43 on (composed)",
        files: &[
            ("/etc/os-release", "ID=fedora\n"),
            ("/usr/lib/efi/shim/15.8-5/EFI/BOOT/BOOTX64.EFI", "shim"),
            ("/usr/lib/efi/shim/15.8-5/EFI/BOOT/fbx64.efi", "fallback"),
            (
                "/usr/lib/efi/shim/15.8-5/EFI/fedora/BOOTX64.CSV",
                "shimx64.efi,Fedora,,x",
            ),
            ("/usr/lib/efi/shim/15.8-5/EFI/fedora/shimx64.efi", "shim"),
            (
                "/usr/lib/efi/shim/15.8-5/EFI/fedora/mmx64.efi",
                "key manager",
            ),
            (
                "/usr/lib/efi/grub2/2.12-41.fc44/EFI/fedora/grubx64.efi",
                "grub",
            ),
            ("/boot/efi/EFI/fedora/own.cfg", "kept"),
            ("/boot/grub2/grub.cfg", "menu"),
        ],
        entry: Some(("/EFI/fedora/shimx64.efi", "Fedora")),
        removable: "shim",
        beside: &[
            "/EFI/BOOT/fbx64.efi",
            "/EFI/fedora/mmx64.efi",
            "/EFI/fedora/own.cfg",
        ],
        stubs: &["/EFI/fedora/grub.cfg"],
        menu: "/boot/grub2",
    },
    Case {
        name: "CentOS Stream as a bootable container (composed)",
        files: &[
            ("/etc/os-release", "ID=\"centos\"\n"),
            ("/usr/lib/bootupd/updates/EFI/BOOT/BOOTX64.EFI", "shim"),
            ("/usr/lib/bootupd/updates/EFI/BOOT/fbx64.efi", "fallback"),
            (
                "/usr/lib/bootupd/updates/EFI/centos/BOOTX64.CSV",
                "shimx64.efi,CentOS,,x",
            ),
            ("/usr/lib/bootupd/updates/EFI/centos/shimx64.efi", "shim"),
            ("/usr/lib/bootupd/updates/EFI/centos/grubx64.efi", "grub"),
            ("/boot/grub2/grub.cfg", "menu"),
        ],
        entry: Some(("/EFI/centos/shimx64.efi", "CentOS")),
        removable: "shim",
        beside: &["/EFI/BOOT/fbx64.efi"],
        stubs: &["/EFI/centos/grub.cfg"],
        menu: "/boot/grub2",
    },
    Case {
        name: "SLES 15, packages alone (composed)",
        files: &[
            ("/etc/os-release", "NAME=\"SLES\"\nID=\"sles\"\n"),
            ("/usr/share/efi/x86_64/shim.efi", "->shim-sles.efi"),
            ("/usr/share/efi/x86_64/shim-sles.efi", "shim"),
            ("/usr/share/efi/x86_64/MokManager.efi", "key manager"),
            ("/usr/share/efi/x86_64/fallback.efi", "fallback"),
            (
                "/usr/share/efi/x86_64/grub.efi",
                "->../../grub2/x86_64-efi/grub.efi",
            ),
            ("/usr/share/grub2/x86_64-efi/grub.efi", "grub"),
            ("/boot/grub2/grub.cfg", "menu"),
        ],
        entry: Some(("/EFI/sles/shim.efi", "sles")),
        removable: "shim",
        beside: &[
            "/EFI/BOOT/grub.efi",
            "/EFI/BOOT/MokManager.efi",
            "/EFI/sles/fallback.efi",
        ],
        stubs: &["/EFI/sles/grub.cfg", "/EFI/BOOT/grub.cfg"],
        menu: "/boot/grub2",
    },
    Case {
        name: "openSUSE after shim-install (composed)",
        files: &[
            ("/etc/os-release", "ID=\"opensuse-leap\"\n"),
            ("/boot/efi/EFI/boot/bootx64.efi", "shim"),
            ("/boot/efi/EFI/boot/fallback.efi", "fallback"),
            ("/boot/efi/EFI/boot/MokManager.efi", "key manager"),
            (
                "/boot/efi/EFI/opensuse/boot.csv",
                "shim.efi,opensuse-secureboot",
            ),
            ("/boot/efi/EFI/opensuse/shim.efi", "shim"),
            ("/boot/efi/EFI/opensuse/MokManager.efi", "key manager"),
            ("/boot/efi/EFI/opensuse/grub.efi", "grub"),
            (
                "/boot/efi/EFI/opensuse/grub.cfg",
                "search --fs-uuid --set=root 1-2\nset prefix=(${root})/grub2\nsource \"${prefix}/grub.cfg\"",
            ),
            ("/boot/grub2/grub.cfg", "menu"),
        ],
        entry: Some(("/EFI/opensuse/shim.efi", "opensuse-secureboot")),
        removable: "shim",
        beside: &["/EFI/boot/fallback.efi"],
        stubs: &["/EFI/opensuse/grub.cfg"],
        menu: "/boot/grub2",
    },
    Case {
        name: "openEuler (composed)",
        files: &[
            ("/etc/os-release", "ID=\"openEuler\"\n"),
            (
                "/boot/efi/EFI/openEuler/BOOTX64.CSV",
                "shimx64.efi,openEuler,,x",
            ),
            ("/boot/efi/EFI/openEuler/shimx64.efi", "shim"),
            ("/boot/efi/EFI/openEuler/mmx64.efi", "key manager"),
            ("/boot/efi/EFI/openEuler/grubx64.efi", "grub"),
            ("/boot/grub2/grub.cfg", "menu"),
        ],
        entry: Some(("/EFI/openEuler/shimx64.efi", "openEuler")),
        removable: "shim",
        beside: &["/EFI/BOOT/grubx64.efi"],
        stubs: &["/EFI/openEuler/grub.cfg"],
        menu: "/boot/grub2",
    },
    Case {
        name: "Photon: shim and GRUB at the removable path alone (composed)",
        files: &[
            ("/etc/os-release", "ID=photon\n"),
            ("/boot/efi/EFI/BOOT/bootx64.efi", "shim"),
            ("/boot/efi/EFI/BOOT/grubx64.efi", "grub"),
            ("/boot/grub2/grub.cfg", "menu"),
        ],
        entry: None,
        removable: "shim",
        beside: &[],
        stubs: &["/EFI/BOOT/grub.cfg"],
        menu: "/boot/grub2",
    },
    Case {
        name: "Arch with systemd-boot from its package (composed)",
        files: &[
            ("/etc/os-release", "ID=arch\n"),
            (
                "/usr/lib/systemd/boot/efi/systemd-bootx64.efi",
                "systemd-boot",
            ),
            ("/boot/vmlinuz-linux", "arch"),
            ("/boot/initramfs-linux.img", "initramfs"),
        ],
        entry: Some(("/EFI/systemd/systemd-bootx64.efi", "systemd")),
        removable: "systemd-boot",
        beside: &["/loader/entries/arch-6.1.0-31-amd64.conf"],
        stubs: &[],
        menu: "",
    },
    Case {
        name: "Alpine with a unified kernel (composed)",
        files: &[
            ("/etc/os-release", "ID=alpine\n"),
            ("/efi/EFI/Linux/alpine-9.efi", "nine"),
            ("/efi/EFI/Linux/alpine-10.efi", "ten"),
        ],
        entry: None,
        removable: "ten",
        beside: &["/EFI/Linux/alpine-9.efi", "/EFI/Linux/alpine-10.efi"],
        stubs: &[],
        menu: "",
    },
    Case {
        name: "Fedora with kernel-uki-virt and systemd-boot (composed)",
        files: &[
            ("/etc/os-release", "ID=fedora\n"),
            ("/usr/lib/modules/6.12.1/vmlinuz-virt.efi", "unified"),
            (
                "/usr/lib/systemd/boot/efi/systemd-bootx64.efi",
                "systemd-boot",
            ),
        ],
        entry: Some(("/EFI/systemd/systemd-bootx64.efi", "systemd")),
        removable: "systemd-boot",
        beside: &["/EFI/Linux/6.12.1-vmlinuz-virt.efi"],
        stubs: &[],
        menu: "",
    },
];

#[test]
fn boot_files_of_distributions() {
    for case in CASES {
        let mut image = image(case.files);
        let mut esp = MemoryTree::fat();
        deploy(&mut image, &mut esp).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let has = esp.paths();
        let expected = case
            .entry
            .map(|(path, label)| (path.to_owned(), label.to_owned()));
        assert_eq!(entry(&esp), expected, "{}: {has:?}", case.name);
        if let Some((path, _)) = case.entry {
            assert!(esp.bytes(path).is_some(), "{}: {has:?}", case.name);
        }
        assert_eq!(
            esp.bytes("/EFI/BOOT/BOOTX64.EFI"),
            Some(program(case.removable).as_slice()),
            "{}: {has:?}",
            case.name
        );
        for path in case.beside {
            assert!(
                esp.bytes(path).is_some(),
                "{}: {path} of {has:?}",
                case.name
            );
        }
        for path in case.stubs {
            let stub = esp
                .text(path)
                .unwrap_or_else(|| panic!("{}: {has:?}", case.name));
            let wanted = format!(
                "search.fs_uuid {ROOT} root\nset prefix=($root)'{}'\nconfigfile $prefix/grub.cfg\n",
                case.menu
            );
            assert_eq!(stub, wanted, "{}: {path}", case.name);
            let menu = format!("{}/grub.cfg", case.menu);
            assert!(image.bytes(&menu).is_some(), "{}", case.name);
        }
        assert!(
            image
                .text("/etc/fstab")
                .unwrap()
                .contains("UUID=1234-ABCD\t/"),
            "{}",
            case.name
        );
    }
}

#[test]
fn entries_of_systemd_boot_come_with_their_kernels() {
    let mut image = image(&[
        ("/boot/EFI/systemd/systemd-bootx64.efi", "systemd-boot"),
        ("/boot/EFI/BOOT/BOOTX64.EFI", "systemd-boot"),
        ("/boot/loader/loader.conf", "timeout 3\n"),
        (
            "/boot/loader/entries/arch.conf",
            "title Arch\nlinux /vmlinuz-linux\ninitrd /initramfs-linux.img\noptions root=LABEL=x rw\n",
        ),
        (
            "/boot/loader/entries/gone.conf",
            "title Gone\nlinux /vmlinuz-gone\n",
        ),
        ("/boot/vmlinuz-linux", "kernel"),
        ("/boot/initramfs-linux.img", "initramfs"),
    ]);
    let mut esp = MemoryTree::fat();
    deploy(&mut image, &mut esp).unwrap();
    for path in [
        "/loader/loader.conf",
        "/loader/entries/arch.conf",
        "/vmlinuz-linux",
        "/initramfs-linux.img",
    ] {
        assert!(esp.bytes(path).is_some(), "{path} of {:?}", esp.paths());
    }
    assert_eq!(esp.bytes("/loader/entries/gone.conf"), None);
    assert!(image.text("/etc/fstab").unwrap().contains("/boot/efi"));
}
