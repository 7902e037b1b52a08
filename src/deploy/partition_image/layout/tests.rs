use farrier_plugin::ErrorKind;
use proptest::prelude::*;

use super::*;

const ALL: Sizes = Sizes {
    efi_system: 550,
    ephemeral: 1024,
    swap: 512,
    config_drive: 2,
    root: 10240,
};

fn plan(mode: BootMode, label: DiskLabel, sizes: &Sizes, mib: u64) -> Result<Layout, DeployError> {
    let disk = DiskShape {
        device: "/dev/sda",
        size: mib * MIB,
        block: 512,
    };
    Layout::plan(mode, label, sizes, disk)
}

/// Role, first MiB and MiB of each.
fn shape(layout: &Layout) -> Vec<(Role, u64, u64)> {
    layout
        .places
        .iter()
        .map(|place| (place.role, place.offset / MIB, place.length / MIB))
        .collect()
}

#[test]
fn the_three_layouts() {
    let uefi = plan(BootMode::Uefi, DiskLabel::Gpt, &ALL, 20_000).unwrap();
    assert_eq!(
        shape(&uefi),
        [
            (Role::EfiSystem, 1, 550),
            (Role::Ephemeral, 551, 1024),
            (Role::Swap, 1575, 512),
            (Role::ConfigDrive, 2087, 2),
            (Role::Root, 2089, 10240),
        ]
    );
    let gpt = plan(BootMode::Bios, DiskLabel::Gpt, &ALL, 20_000).unwrap();
    assert_eq!(gpt.places[0].role, Role::BiosBoot);
    assert_eq!(
        shape(&gpt)[1..3],
        [(Role::Ephemeral, 2, 1024), (Role::Swap, 1026, 512)]
    );
    let msdos = plan(BootMode::Bios, DiskLabel::Msdos, &ALL, 20_000).unwrap();
    assert_eq!(msdos.places.len(), 4);
    assert_eq!(shape(&msdos)[0], (Role::Ephemeral, 1, 1024));
    let bare = Sizes {
        root: 100,
        ..Sizes::default()
    };
    let bare = plan(BootMode::Bios, DiskLabel::Msdos, &bare, 101).unwrap();
    assert_eq!(shape(&bare), [(Role::Root, 1, 100)]);
}

#[test]
fn what_does_not_fit_is_named_with_every_size() {
    let error = plan(BootMode::Uefi, DiskLabel::Gpt, &ALL, 12_000).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deployment);
    let text = error.to_string();
    for part in [
        "/dev/sda",
        "efi system partition 550 MiB, ephemeral 1024 MiB, swap 512 MiB, configdrive 2 MiB, root 10240 MiB",
        "up to 11999 MiB",
        "end at 12329 MiB",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let endless = Sizes {
        root: u64::MAX,
        ..ALL
    };
    assert!(plan(BootMode::Bios, DiskLabel::Msdos, &endless, 12_000).is_err());
}

#[test]
fn an_msdos_table_ends_at_two_tebibytes_and_4096_byte_blocks_reach_further() {
    let large = Sizes {
        root: 3 << 20,
        ..Sizes::default()
    };
    let error = plan(BootMode::Bios, DiskLabel::Msdos, &large, 4 << 20).unwrap_err();
    assert!(error.to_string().contains("disk_label to gpt"), "{error}");
    plan(BootMode::Bios, DiskLabel::Gpt, &large, 4 << 20).unwrap();
    let disk = DiskShape {
        device: "/dev/sda",
        size: 4 << 40,
        block: 4096,
    };
    Layout::plan(BootMode::Bios, DiskLabel::Msdos, &large, disk).unwrap();
}

proptest! {
    #[test]
    fn places_follow_each_other_and_end_on_the_disk(
        sizes in (1..700_u64, 0..3000_u64, 0..3000_u64, 0..70_u64, 1..9000_u64),
        mib in 1..20_000_u64,
        spare in 0..2048_u64,
        block in prop_oneof![Just(512_u64), Just(4096)],
        mode in prop_oneof![Just(BootMode::Bios), Just(BootMode::Uefi)],
        label in prop_oneof![Just(DiskLabel::Gpt), Just(DiskLabel::Msdos)],
    ) {
        let sizes = Sizes {
            efi_system: sizes.0, ephemeral: sizes.1, swap: sizes.2, config_drive: sizes.3, root: sizes.4,
        };
        let disk = DiskShape { device: "/dev/sda", size: mib * MIB + spare * 512, block };
        let wanted = sizes.ephemeral + sizes.swap + sizes.config_drive + sizes.root;
        match Layout::plan(mode, label, &sizes, disk) {
            Ok(layout) => {
                let mut next = FIRST;
                for (number, place) in (1..).zip(&layout.places) {
                    prop_assert_eq!((place.number, place.offset), (number, next));
                    prop_assert!(place.length > 0 && place.length % MIB == 0);
                    next = place.end();
                }
                prop_assert_eq!(layout.places.last().map(|place| place.role), Some(Role::Root));
                let backup = if label == DiskLabel::Gpt { 33 * 512 } else { 0 };
                prop_assert!(next + backup <= disk.size);
            }
            Err(_) => prop_assert!(wanted + sizes.efi_system + 2 >= mib),
        }
    }
}
