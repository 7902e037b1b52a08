//! Images that are refused, by the name of the rule that they break.

use proptest::prelude::*;

use super::qemu::Workshop;
use super::{Setup, extents, message};

/// A small image with a snapshot: header, refcount table, refcount block, L1 table and so on in
/// clusters of 64 KiB.
fn image() -> Vec<u8> {
    let mut shop = Workshop::new();
    shop.img("create -q -f qcow2 @image.qcow2 8M");
    let path = shop.path("image.qcow2");
    shop.wear(&path, 8 << 20, 20);
    shop.img("snapshot -c one @image.qcow2");
    shop.io(&path, &["write -P 5 0 1M".to_owned()]);
    std::fs::read(path).unwrap()
}

fn compressed(options: &str) -> Vec<u8> {
    let mut shop = Workshop::new();
    shop.raw("source.raw", 2 << 20);
    shop.img(&format!(
        "convert -c -f raw -O qcow2 {options} @source.raw @image.qcow2"
    ));
    std::fs::read(shop.path("image.qcow2")).unwrap()
}

fn word(file: &[u8], offset: usize) -> u64 {
    u64::from_be_bytes(file[offset..offset + 8].try_into().unwrap())
}

fn put(file: &mut [u8], offset: usize, value: u64) {
    file[offset..offset + 8].copy_from_slice(&value.to_be_bytes());
}

/// Where the L1 table, the first L2 table and its first plain entry are.
fn places(file: &[u8]) -> (usize, usize, usize) {
    let l1 = word(file, 40) as usize;
    let l2 = (word(file, l1) & 0x00ff_ffff_ffff_fe00) as usize;
    (l1, l2, l2)
}

/// What is said of a file, told its length or not.
fn refusals(file: &[u8]) -> [String; 2] {
    [true, false].map(|tells_length| {
        let setup = Setup {
            tells_length,
            ..Setup::default()
        };
        match extents(file, &setup, drop) {
            Ok(_) => "accepted".to_owned(),
            Err(error) => message(&error),
        }
    })
}

type Damage = fn(&mut Vec<u8>);

#[test]
fn each_damage_is_named() {
    let whole = image();
    let cases: Vec<(&str, Damage)> = vec![
        ("has a backing file", |f| put(f, 8, 0x200)),
        ("has data_file set", |f| put(f, 72, 4)),
        ("marked as corrupt", |f| put(f, 72, 2)),
        ("Unknown QCOW2 features", |f| put(f, 72, 1 << 40)),
        ("is encrypted (method 1)", |f| f[35] = 1),
        ("is encrypted (method 2)", |f| f[35] = 2),
        ("has version 4", |f| f[7] = 4),
        ("cluster size of 2^22", |f| f[23] = 22),
        ("contradicts its feature bit", |f| put(f, 72, 8)),
        ("L1 table is too small", |f| put(f, 24, 1 << 40)),
        ("L1 table's offset is not", |f| put(f, 40, 0x30001)),
        ("L1 table", |f| put(f, 40, 1 << 40)),
        ("L1 table at offset 0 lies over its header", |f| {
            put(f, 40, 0);
        }),
        ("refcount table", |f| put(f, 48, 1 << 40)),
        ("there is no refcount table", |f| f[56..60].fill(0)),
        ("snapshot table", |f| put(f, 64, 1 << 40)),
        ("more than 65536 snapshots", |f| f[60] = 1),
        // The L1 table's entries.
        ("L1 table of the qcow2 image has a bad entry", |f| {
            let (l1, l2, _) = places(f);
            put(f, l1, l2 as u64 + 512);
        }),
        ("L2 table at offset 1099511627776 lies outside", |f| {
            let (l1, ..) = places(f);
            put(f, l1, 1 << 40);
        }),
        (
            "L2 table at offset 65536 lies over its refcount table",
            |f| {
                let (l1, ..) = places(f);
                put(f, l1, 0x10000);
            },
        ),
        ("lies over its L1 table", |f| {
            let (l1, ..) = places(f);
            put(f, l1, l1 as u64);
        }),
        // Entries of the L2 table.
        ("L2 table of the qcow2 image has a bad entry", |f| {
            let (.., entry) = places(f);
            put(f, entry, 0x50200);
        }),
        ("data cluster at offset 1099511627776 lies outside", |f| {
            let (.., entry) = places(f);
            put(f, entry, 1 << 40);
        }),
        ("data at offset 65536 lies over its refcount table", |f| {
            let (.., entry) = places(f);
            put(f, entry, 0x10000);
        }),
        (
            "data at offset 131072 lies over its L2 tables and refcount blocks",
            |f| {
                let (.., entry) = places(f);
                put(f, entry, 0x20000);
            },
        ),
        ("lies over its L1 table", |f| {
            let (l1, _, entry) = places(f);
            put(f, entry, l1 as u64);
        }),
        ("lies over its L2 tables and refcount blocks", |f| {
            let (_, l2, entry) = places(f);
            put(f, entry, l2 as u64);
        }),
        ("lies over its snapshot table", |f| {
            let (.., entry) = places(f);
            let snapshots = word(f, 64);
            put(f, entry, snapshots);
        }),
        ("data at offset 512 lies over its header", |f| {
            let (.., entry) = places(f);
            put(f, entry, 1 << 62 | 512);
        }),
        ("its offset is above", |f| {
            let (.., entry) = places(f);
            // Clusters of 512 bytes leave room for such an offset, but need another L1 table.
            f[23] = 9;
            put(f, 24, 32768);
            put(f, entry, 1 << 62 | 1 << 58);
        }),
        ("version 2 has no zero clusters", |f| {
            let (.., entry) = places(f);
            f[7] = 2;
            f[72..112].fill(0);
            put(f, entry, 1);
        }),
        ("refcount table of the qcow2 image has a bad entry", |f| {
            put(f, 0x10008, 0x20200);
        }),
        ("outside the file", |f| f.truncate(0x30000)),
        ("outside the file", |f| f.truncate(0x50000)),
        ("is cut off", |f| f.truncate(70)),
    ];
    assert_eq!(refusals(&whole), ["accepted", "accepted"]);
    for (number, (expected, damage)) in cases.into_iter().enumerate() {
        let mut file = whole.clone();
        damage(&mut file);
        for said in refusals(&file) {
            assert!(said.contains(expected), "{number}: {said}, not {expected}");
        }
    }
}

#[test]
fn tables_that_are_used_twice_are_refused() {
    let shop = Workshop::new();
    shop.img("create -q -f qcow2 -o cluster_size=4k @image.qcow2 8M");
    let path = shop.path("image.qcow2");
    shop.io(&path, &["write -P 5 0 8M".to_owned()]);
    let mut file = std::fs::read(path).unwrap();
    let (l1, l2, _) = places(&file);
    put(&mut file, l1 + 8, l2 as u64);
    for said in refusals(&file) {
        assert!(said.contains("use it twice"), "{said}");
    }
}

#[test]
fn compressed_clusters_that_are_damaged_are_named() {
    for options in ["", "-o compression_type=zstd"] {
        let whole = compressed(options);
        let (_, l2, _) = places(&whole);
        let first = (l2..l2 + 256)
            .step_by(8)
            .map(|place| word(&whole, place))
            .find(|entry| entry >> 62 == 1)
            .unwrap();
        let host = (first & ((1 << 54) - 1)) as usize;
        let mut file = whole.clone();
        file[host..host + 40].fill(0xff);
        for said in refusals(&file) {
            assert!(
                said.contains(&format!("cluster at offset {host}")),
                "{said}"
            );
            assert!(said.contains("is damaged"), "{said}");
        }
    }
}

#[test]
fn tables_that_change_under_way_are_noticed() {
    let mut shop = Workshop::new();
    shop.img("create -q -f qcow2 -o cluster_size=512 @image.qcow2 1M");
    let path = shop.path("image.qcow2");
    shop.wear(&path, 1 << 20, 100);
    shop.img("resize -q @image.qcow2 8M");
    shop.wear(&path, 8 << 20, 200);
    let file = std::fs::read(path).unwrap();
    let mut limits = super::LIMITS;
    limits.look_back = 128 << 10;
    let setup = |ranges: Vec<u8>| Setup {
        limits,
        buffer: 64 << 10,
        ranges: Some(ranges),
        tells_length: true,
    };
    let (_, effort) = extents(&file, &setup(file.clone()), drop).unwrap();
    assert_eq!(effort.passes, 1);
    assert!(effort.requests > 1, "{effort:?}");
    let (l1, ..) = places(&file);
    let last_table = (l1..l1 + word(&file, 32) as usize * 8)
        .step_by(8)
        .map(|place| (word(&file, place) & 0x00ff_ffff_ffff_fe00) as usize)
        .max()
        .unwrap();
    let mut other = file.clone();
    // An entry that is no other data, only something else than before.
    other[last_table + 7] ^= 2;
    let said = message(&extents(&file, &setup(other), drop).unwrap_err());
    assert!(said.contains("http://server/image changed while"), "{said}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever bytes are changed, there is an answer, and the disk's size is kept.
    #[test]
    fn any_change_is_answered(
        kind in 0_usize..3, tells_length: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..3, any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        static IMAGES: std::sync::OnceLock<[Vec<u8>; 3]> = std::sync::OnceLock::new();
        let images = IMAGES.get_or_init(|| {
            [image(), compressed(""), compressed("-o compression_type=zstd,extended_l2=on")]
        });
        let mut file = images[kind].clone();
        let (l1, l2, _) = places(&file);
        for (index, area, value) in changes {
            let (start, length) = [(0, 120), (l1, 8), (l2, 1024)][usize::from(area)];
            file[start + index.index(length)] = value;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(images[kind].len()));
        }
        let setup = Setup { tells_length, ..Setup::default() };
        let mut total = 0;
        let outcome = extents(&file, &setup, |extent| {
            total += match extent.content {
                super::Content::Data(data) => data.len() as u64,
                super::Content::Zeros(length) => length,
            };
        });
        match outcome {
            Ok((size, _)) => prop_assert_eq!(total, size),
            Err(error) => prop_assert!(!message(&error).is_empty()),
        }
    }
}
