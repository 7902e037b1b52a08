//! Images that are built here, so that every layout is tried and not only those that qemu-img makes:
//! tables and data in any order, clusters that share bytes, wherever a buffer ends.

use std::io::Write;

use proptest::prelude::*;

use super::super::plan::Limits;
use super::{Setup, decode, difference};

/// What a cluster of the disk is.
#[derive(Clone, Debug)]
enum Kind {
    Unallocated,
    Zero,
    AllocatedZero,
    Data(u8),
    /// The same bytes of the file as the cluster of this number, if that one is data.
    Duplicate(usize),
    Compressed(u8),
    /// Extended entries: which subclusters are allocated.
    Partly(u8, u32),
}

/// What takes clusters of the file.
#[derive(Clone, Copy, Debug)]
enum Item {
    L1,
    RefcountTable,
    RefcountBlock,
    L2(usize),
    Cluster(usize),
    Garbage,
}

#[derive(Debug)]
pub(super) struct Built {
    pub(super) file: Vec<u8>,
    pub(super) disk: Vec<u8>,
}

fn bytes_of(seed: u8, length: usize) -> Vec<u8> {
    (0..length)
        .map(|byte| seed.wrapping_add((byte / 64) as u8 ^ (byte % 7) as u8) | 1)
        .collect()
}

fn deflated(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// An image of these clusters, its parts ordered by these keys. `cut` sectors are missing from the
/// disk's end, and as many bytes of what ends the file as may be.
fn build(bits: u32, extended: bool, kinds: &[Kind], keys: &[u32], cut: u64) -> Built {
    let cluster = 1_usize << bits;
    let per_table = cluster / if extended { 16 } else { 8 };
    let tables = kinds.len().div_ceil(per_table);
    let mut items = vec![Item::L1, Item::RefcountTable, Item::RefcountBlock];
    items.extend((0..tables).map(Item::L2));
    items.extend((0..kinds.len()).map(Item::Cluster));
    items.extend([Item::Garbage; 3]);
    let mut keyed: Vec<_> = items
        .into_iter()
        .enumerate()
        .map(|(number, item)| (keys[number % keys.len()], number, item))
        .collect();
    keyed.sort_by_key(|(key, number, _)| (*key, *number));

    let mut file = vec![0; cluster];
    let mut places = vec![(0_u64, 0_u64); kinds.len()];
    let mut l2 = vec![0_u64; tables];
    let (mut l1, mut refcount_table, mut refcount_block) = (0, 0, 0);
    let mut is_packing = false;
    for (.., item) in keyed {
        let packs =
            matches!(item, Item::Cluster(number) if matches!(kinds[number], Kind::Compressed(_)));
        if !(packs && is_packing) {
            file.resize(file.len().next_multiple_of(cluster), 0xcc);
        }
        is_packing = packs;
        let place = file.len();
        let mut take = |length: usize| file.resize(place + length, 0);
        match item {
            Item::L1 => {
                l1 = place;
                take((tables * 8).next_multiple_of(cluster));
            }
            Item::RefcountTable => {
                refcount_table = place;
                take(cluster);
            }
            Item::RefcountBlock => {
                refcount_block = place;
                take(cluster);
            }
            Item::L2(number) => {
                l2[number] = place as u64;
                take(cluster);
            }
            Item::Garbage => file.resize(place + cluster, 0xdd),
            Item::Cluster(number) => match &kinds[number] {
                Kind::Data(seed) | Kind::Partly(seed, _) => {
                    places[number] = (place as u64, cluster as u64);
                    file.extend(bytes_of(*seed, cluster));
                }
                Kind::AllocatedZero => {
                    places[number] = (place as u64, cluster as u64);
                    file.extend(bytes_of(9, cluster));
                }
                Kind::Compressed(seed) => {
                    let bytes = deflated(&bytes_of(*seed, cluster));
                    places[number] = (place as u64, bytes.len() as u64);
                    file.extend(bytes);
                }
                Kind::Unallocated | Kind::Zero | Kind::Duplicate(_) => is_packing = packs,
            },
        }
    }

    let size = (kinds.len() * cluster) as u64 - cut * 512;
    let mut disk = Vec::new();
    let word = |file: &mut Vec<u8>, place: usize, value: u64| {
        file[place..place + 8].copy_from_slice(&value.to_be_bytes());
    };
    for (number, kind) in kinds.iter().enumerate() {
        let original = match kind {
            Kind::Duplicate(other) => *other % kinds.len(),
            _ => number,
        };
        let (host, length) = places[original];
        let (entry, bitmap, content) = match &kinds[original] {
            Kind::Data(seed) => (host | 1 << 63, 0xffff_ffff, bytes_of(*seed, cluster)),
            Kind::AllocatedZero if extended => (host, 0xffff_ffff << 32, vec![0; cluster]),
            Kind::AllocatedZero => (host | 1, 0, vec![0; cluster]),
            Kind::Zero if extended => (0, 0xffff_ffff << 32, vec![0; cluster]),
            Kind::Zero => (1, 0, vec![0; cluster]),
            Kind::Partly(seed, mask) if extended => {
                let mut content = bytes_of(*seed, cluster);
                for part in (0..32).filter(|part| mask >> part & 1 == 0) {
                    content[part * cluster / 32..(part + 1) * cluster / 32].fill(0);
                }
                (host, u64::from(*mask), content)
            }
            Kind::Partly(seed, _) => (host, 0, bytes_of(*seed, cluster)),
            Kind::Compressed(seed) => {
                let shift = 62 - (bits - 8);
                let sectors = (host + length - 1) / 512 - host / 512;
                (
                    1 << 62 | sectors << shift | host,
                    0,
                    bytes_of(*seed, cluster),
                )
            }
            Kind::Unallocated | Kind::Duplicate(_) => (0, 0, vec![0; cluster]),
        };
        disk.extend(content);
        let table = l2[number / per_table] as usize;
        let place = table + number % per_table * (cluster / per_table);
        word(&mut file, place, entry);
        if extended {
            word(&mut file, place + 8, bitmap);
        }
    }
    // A table that only says "unallocated" may as well not be there.
    for (number, table) in l2.iter().enumerate() {
        let content = &file[*table as usize..*table as usize + cluster];
        let is_empty = content.iter().all(|byte| *byte == 0);
        let entry = if is_empty && number % 2 == 0 {
            0
        } else {
            table | 1 << 63
        };
        word(&mut file, l1 + number * 8, entry);
    }
    word(&mut file, refcount_table, refcount_block as u64);
    disk.truncate(size as usize);

    file[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    file[20..24].copy_from_slice(&bits.to_be_bytes());
    word(&mut file, 24, size);
    file[36..40].copy_from_slice(&(tables as u32).to_be_bytes());
    word(&mut file, 40, l1 as u64);
    word(&mut file, 48, refcount_table as u64);
    file[56..60].copy_from_slice(&1_u32.to_be_bytes());
    word(&mut file, 72, if extended { 1 << 4 } else { 0 });
    file[96..100].copy_from_slice(&4_u32.to_be_bytes());
    file[100..104].copy_from_slice(&104_u32.to_be_bytes());
    Built { file, disk }
}

fn kinds() -> impl Strategy<Value = Vec<Kind>> {
    let kind = prop_oneof![
        3 => Just(Kind::Unallocated),
        1 => Just(Kind::Zero),
        1 => Just(Kind::AllocatedZero),
        6 => any::<u8>().prop_map(Kind::Data),
        1 => (0_usize..1000).prop_map(Kind::Duplicate),
        3 => any::<u8>().prop_map(Kind::Compressed),
        3 => any::<(u8, u32)>().prop_map(|(seed, mask)| Kind::Partly(seed, mask)),
    ];
    // Runs of one kind are what makes runs.
    prop::collection::vec((kind, 1_usize..12), 1..60).prop_map(|runs| {
        let repeated = runs
            .into_iter()
            .flat_map(|(kind, count)| std::iter::repeat_n(kind, count));
        repeated.collect()
    })
}

fn setups() -> impl Strategy<Value = (Limits, usize, bool, bool)> {
    let limits = (3_usize..7, 40_usize..400, 2_usize..20, 0_usize..40);
    let buffer = prop_oneof![
        Just(4096),
        Just(512),
        Just(20 * 512),
        Just(1 << 16),
        Just(1 << 20)
    ];
    (limits, buffer, any::<bool>(), any::<bool>()).prop_map(
        |((blocks, entries, tables, requests), buffer, ranges, length)| {
            let limits = Limits {
                look_back: blocks << 16,
                entries,
                tables,
                requests,
                passes: 1000,
            };
            (limits, buffer, ranges, length)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, max_shrink_iters: 200, ..ProptestConfig::default() })]

    /// Whatever the layout and however small the budgets: the disk that the entries describe, each
    /// byte once.
    #[test]
    fn any_layout_is_read(
        bits in prop_oneof![4 => 9_u32..=12, 1 => Just(14), 1 => Just(16)], extended: bool,
        kinds in kinds(), keys in prop_oneof![
            Just(vec![0]), prop::collection::vec(0_u32..4, 1..200),
            prop::collection::vec(any::<u32>(), 700)],
        cut in 0_u64..2, (limits, buffer, ranges, tells_length) in setups(),
    ) {
        let extended = extended && bits >= 14;
        let kinds = if bits > 12 { &kinds[..kinds.len().min(60)] } else { &kinds };
        let cut = cut.min((1 << bits) / 512 * kinds.len() as u64 - 1);
        let built = build(bits, extended, kinds, &keys, cut);
        let setup = Setup {
            limits,
            buffer,
            ranges: ranges.then(|| built.file.clone()),
            tells_length,
        };
        let (disk, _) = decode(&built.file, &setup)
            .map_err(|error| TestCaseError::fail(super::message(&error)))?;
        prop_assert_eq!(difference(&disk, &built.disk), None);
    }
}
