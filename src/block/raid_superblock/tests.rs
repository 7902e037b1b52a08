use std::collections::BTreeMap;
use std::io::Read;
use std::ops::Range;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;
use serde::Deserialize;

use super::kernel::{CHECKSUM_0, CHECKSUM_1, MAGIC, checksum_1, fold};
use super::*;

const SIZE: u64 = 1 << 20;

/// A member that mdadm wrote (tests/fixtures/pack/raid_superblocks.py).
#[derive(Deserialize)]
pub(crate) struct Written {
    pub(crate) name: String,
    size: u64,
    pub(crate) block: u32,
    first: String,
    last: String,
    /// What `mdadm --examine` says of it.
    examine: BTreeMap<String, String>,
}

impl Written {
    pub(crate) fn all() -> Vec<Self> {
        let text = include_str!("../../../tests/fixtures/raid_superblocks/cases.json");
        serde_json::from_str(text).unwrap()
    }

    /// The member, with zeros between its ends.
    fn content(&self) -> Vec<u8> {
        let mut content = unpacked(&self.first);
        let last = unpacked(&self.last);
        content.resize(self.size as usize - last.len(), 0);
        content.extend(last);
        content
    }

    /// Only its ends: a small disk, where the superblock does not say how large it is.
    pub(crate) fn ends(&self) -> Vec<u8> {
        [unpacked(&self.first), unpacked(&self.last)].concat()
    }
}

fn unpacked(text: &str) -> Vec<u8> {
    let packed = BASE64_STANDARD.decode(text).unwrap();
    let mut content = Vec::new();
    flate2::read::GzDecoder::new(&packed[..])
        .read_to_end(&mut content)
        .unwrap();
    content
}

/// All superblocks in these bytes.
pub(crate) fn found(content: &[u8], block: u32) -> Vec<RaidSuperblock> {
    let read = |offset: u64, length: usize| {
        let range = offset as usize..(offset as usize).checked_add(length)?;
        content.get(range).map(<[u8]>::to_vec)
    };
    RaidSuperblock::all(content.len() as u64, block, &read)
}

/// A superblock of version 1 that says so, for a member of this size.
pub(crate) fn version_1(metadata: Metadata, size: u64, name: &str, array: [u8; 16]) -> Vec<u8> {
    let mut data = vec![0; SUPERBLOCK];
    let offset = metadata.offset(size).unwrap();
    data[..4].copy_from_slice(&MAGIC.to_le_bytes());
    data[4] = 1;
    data[16..32].copy_from_slice(&array);
    data[32..32 + name.len()].copy_from_slice(name.as_bytes());
    data[72] = 1;
    data[144..152].copy_from_slice(&(offset / 512).to_le_bytes());
    data[200] = 7;
    data[220] = 2;
    let checksum = checksum_1(&data[..256 + 4]);
    data[CHECKSUM_1..CHECKSUM_1 + 4].copy_from_slice(&checksum.to_le_bytes());
    data
}

/// The same of an array whose content lies in these bytes of the member.
pub(crate) fn laid_out(metadata: Metadata, size: u64, data: &Range<u64>) -> Vec<u8> {
    let mut superblock = version_1(metadata, size, "any:root", [7; 16]);
    let sectors = (data.end - data.start) / 512;
    for (offset, value) in [(80, sectors), (128, data.start / 512), (136, sectors)] {
        superblock[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
    }
    sealed_again(&mut superblock);
    superblock
}

fn sealed_again(superblock: &mut [u8]) {
    let checksum = checksum_1(&superblock[..256 + 4]);
    superblock[CHECKSUM_1..CHECKSUM_1 + 4].copy_from_slice(&checksum.to_le_bytes());
}

/// What an array uses of the member with this content.
fn footprint(content: &[u8], metadata: Metadata, block: u32) -> Result<Footprint, String> {
    let read = |offset: u64, length: usize| {
        let range = offset as usize..(offset as usize).checked_add(length)?;
        content.get(range).map(<[u8]>::to_vec)
    };
    let found = Footprint::read(metadata, content.len() as u64, block, &read);
    found.map_err(|Unknown(why)| why)
}

#[test]
fn what_an_array_uses_of_a_member_is_what_mdadm_says() {
    let mut seen = 0;
    for case in Written::all() {
        let content = case.content();
        let [superblock] = &found(&content, case.block)[..] else {
            panic!("{}", case.name);
        };
        let metadata = superblock.metadata;
        let footprint = footprint(&content, metadata, case.block);
        if metadata.is_external() {
            assert!(footprint.unwrap_err().contains("firmware"));
            continue;
        }
        let Footprint { data, notes } = footprint.unwrap();
        let said = |key: &str| {
            let value = case.examine.get(key)?.split_whitespace().next()?;
            value.parse::<u64>().ok()
        };
        if metadata == Metadata::V0_90 {
            assert_eq!(Some(data.end >> 10), said("Used Dev Size"));
            assert_eq!(notes, superblock.place.start..SIZE * 96);
            continue;
        }
        assert_eq!(
            data.start / 512,
            said("Data Offset").unwrap_or(0),
            "{}",
            case.name
        );
        let available = said("Avail Dev Size").unwrap();
        let used = match case.examine.get("Raid Level").map(String::as_str) {
            // Of whole chunks, 512 KiB each.
            Some("raid0") => available - available % 1024,
            _ => available,
        };
        assert_eq!((data.end - data.start) / 512, used, "{}", case.name);
        if let Some(unused) = case.examine.get("Unused Space") {
            let before = (data.start - notes.end) / 512;
            assert!(
                unused.starts_with(&format!("before={before} sectors")),
                "{}: {unused}",
                case.name
            );
            seen += 1;
        } else {
            // The list of bad blocks is just before the superblock at the end.
            assert_eq!(notes.start, superblock.place.start - 8 * 512);
        }
    }
    assert_eq!(seen, 3);
}

#[test]
fn an_array_that_keeps_more_on_its_members_than_is_known_has_no_footprint() {
    let member = |change: &dyn Fn(&mut [u8])| {
        let mut content = vec![0; SIZE as usize];
        let mut superblock = laid_out(Metadata::V1_2, SIZE, &(65536..SIZE / 2));
        change(&mut superblock);
        sealed_again(&mut superblock);
        content[4096..8192].copy_from_slice(&superblock);
        footprint(&content, Metadata::V1_2, 512)
    };
    let whole = member(&|_| ()).unwrap();
    assert_eq!((whole.data, whole.notes), (65536..SIZE / 2, 4096..40960));
    // A member that is larger than its array needs.
    let larger = member(&|superblock| superblock[81] = 1);
    assert_eq!(larger.unwrap().data, 65536..65536 + 384 * 512);
    // Reshaped, with a journal, of partial parity, of a cluster.
    for feature in [4, 64, 256, 512, 1024, 2048, 1 << 20] {
        let told = member(&|superblock| {
            superblock[8..12].copy_from_slice(&(feature as u32).to_le_bytes());
        });
        let told = told.unwrap_err();
        assert!(told.contains(&format!("0x{feature:x}")), "{told}");
    }
    let no_bitmap = member(&|superblock| {
        superblock[8] = 1;
        superblock[96] = 8;
    });
    assert!(no_bitmap.unwrap_err().contains("bitmap"));
    // One with a bit for each 4 KiB has a page for 123 MiB; with a byte for each it has more.
    for (version, is_known) in [(4, true), (5, false), (6, false)] {
        let mut content = vec![0; SIZE as usize];
        let mut superblock = laid_out(Metadata::V1_2, SIZE, &(131_072..SIZE / 2));
        superblock[8] = 1;
        superblock[96] = 8;
        sealed_again(&mut superblock);
        content[4096..8192].copy_from_slice(&superblock);
        let bitmap = &mut content[8192..];
        bitmap[..4].copy_from_slice(b"bitm");
        bitmap[4] = version;
        bitmap[40..48].copy_from_slice(&1024_u64.to_le_bytes());
        bitmap[52..56].copy_from_slice(&4096_u32.to_le_bytes());
        let found = footprint(&content, Metadata::V1_2, 512);
        assert_eq!(found.is_ok(), is_known, "{version}: {found:?}");
    }
    for (offset, value) in [(128, u64::MAX), (136, u64::MAX), (128, 8), (136, 0)] {
        let told = member(&|superblock| {
            superblock[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
            superblock[80..88].copy_from_slice(&[0; 8]);
        });
        assert!(told.unwrap_err().contains("contradicts itself"));
    }
    // Data that begin where what is read of the superblock goes on.
    let near = member(&|superblock| superblock[128..136].copy_from_slice(&10_u64.to_le_bytes()));
    assert!(near.unwrap_err().contains("contradicts itself"));
    assert!(footprint(&[0; 8192], Metadata::V1_2, 512).is_err());
}

/// The same of version 0.90, in either order of bytes.
fn version_0(array: [u32; 4], order: fn(u32) -> [u8; 4]) -> Vec<u8> {
    let mut words = vec![0_u32; SUPERBLOCK / 4];
    words[0] = MAGIC;
    words[2] = 90;
    for (number, part) in [5, 13, 14, 15].into_iter().zip(array) {
        words[number] = part;
    }
    words[7] = 5;
    // Seven events, the less significant half first where bytes are.
    words[if order(1) == [1, 0, 0, 0] { 39 } else { 40 }] = 7;
    words[CHECKSUM_0 / 4] = fold(words.iter().map(|word| u64::from(*word)).sum());
    words.into_iter().flat_map(order).collect()
}

#[test]
fn what_mdadm_wrote_is_read_as_mdadm_reads_it() {
    let mut kinds = Vec::new();
    for case in Written::all() {
        let content = case.content();
        let all = found(&content, case.block);
        assert_eq!(all.len(), 1, "{}: {all:?}", case.name);
        let superblock = &all[0];
        let said = |key: &str| case.examine.get(key).map(String::as_str);
        let of_kernel = superblock.metadata.offset(SIZE).is_some();
        if of_kernel {
            let version = said("Version").unwrap();
            let version = version.strip_suffix(".00").unwrap_or(version);
            assert_eq!(superblock.metadata.to_string(), version);
            let id = said("Array UUID").or(said("UUID"));
            assert_eq!(Some(superblock.array.as_str()), id, "{}", case.name);
            assert_eq!(superblock.name.as_deref(), said("Name"), "{}", case.name);
            assert_eq!(superblock.level.map(Level::as_str), said("Raid Level"));
            assert_eq!(Some(superblock.events.to_string().as_str()), said("Events"));
            if let Some(offset) = said("Super Offset") {
                let sectors = superblock.place.start / 512;
                assert_eq!(format!("{sectors} sectors"), offset, "{}", case.name);
            }
        } else if superblock.metadata == Metadata::Imsm {
            assert_eq!(said("Family"), Some(superblock.array.as_str()));
            assert_eq!(superblock.name.as_deref(), Some("vol0"));
            let generation = format!("{:08x}", superblock.events);
            assert_eq!(said("Generation"), Some(generation.as_str()));
        } else {
            let guid = superblock.array.to_uppercase();
            assert_eq!(said("Container GUID"), Some(guid.as_str()));
        }
        kinds.push(superblock.metadata);

        // Once its place is zeros nothing is found any more, by libblkid neither.
        let mut content = content;
        let place = superblock.place.start as usize..superblock.place.end as usize;
        content[place].fill(0);
        assert_eq!(found(&content, case.block), [], "{}", case.name);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        let left = crate::block::signatures::find(file.path()).unwrap();
        assert_eq!(left, [], "{}", case.name);
    }
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), 6);
}

#[test]
fn a_member_can_carry_several_and_those_of_another_size_are_none() {
    let mut content = vec![0; SIZE as usize];
    for (metadata, array) in [(Metadata::V1_0, 1), (Metadata::V1_2, 2)] {
        let superblock = version_1(metadata, SIZE, "any:root", [array; 16]);
        let offset = metadata.offset(SIZE).unwrap() as usize;
        content[offset..offset + SUPERBLOCK].copy_from_slice(&superblock);
    }
    let old = version_0([0x0011_2233, 4, 5, 6], u32::to_be_bytes);
    let offset = Metadata::V0_90.offset(SIZE).unwrap() as usize;
    content[offset..offset + SUPERBLOCK].copy_from_slice(&old);
    let all = found(&content, 512);
    let kinds: Vec<Metadata> = all.iter().map(|one| one.metadata).collect();
    assert_eq!(kinds, [Metadata::V0_90, Metadata::V1_0, Metadata::V1_2]);
    assert_eq!(all[0].array, "00112233:00000004:00000005:00000006");
    assert_eq!((all[0].level, all[0].events), (Some(Level::Raid5), 7));
    assert_eq!(all[2].array, "02020202:02020202:02020202:02020202");

    // Of a partition that ended with the disk the last ones would be found on the disk, too, if a superblock did not
    // say where it is.
    let disk = [vec![0; SIZE as usize], content].concat();
    let kinds: Vec<Metadata> = found(&disk, 512).iter().map(|one| one.metadata).collect();
    assert_eq!(kinds, [Metadata::V0_90]);
}

#[test]
fn both_orders_of_bytes_are_read() {
    for order in [u32::to_le_bytes, u32::to_be_bytes] {
        let mut content = vec![0; SIZE as usize];
        let offset = Metadata::V0_90.offset(SIZE).unwrap() as usize;
        content[offset..offset + SUPERBLOCK].copy_from_slice(&version_0([1, 2, 3, 4], order));
        assert_eq!(found(&content, 512)[0].events, 7);
    }
}

fn any_kind() -> impl Strategy<Value = Metadata> {
    prop::sample::select(vec![
        Metadata::V0_90,
        Metadata::V1_0,
        Metadata::V1_1,
        Metadata::V1_2,
        Metadata::Imsm,
        Metadata::Ddf,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_superblock_is_read_and_lies_on_its_device(
        metadata in any_kind(),
        data in prop::collection::vec(any::<u8>(), SUPERBLOCK),
        damage in prop::option::of((0..512_usize, 1..=255_u8)),
    ) {
        let (mut content, at) = sealed::device(metadata, data);
        let size = content.len() as u64;
        let whole = found(&content, 512);
        prop_assert!(whole.iter().any(|one| one.metadata == metadata));
        for superblock in &whole {
            prop_assert!(superblock.place.start < superblock.place.end);
            prop_assert!(superblock.place.end <= size);
            prop_assert!(superblock.name.as_ref().is_none_or(|name| !name.contains('\0')));
        }
        // One changed byte of what the checksum covers, and it is none.
        if let Some((offset, change)) = damage {
            let covered = match metadata {
                Metadata::Imsm => offset % 216,
                _ => offset % 256,
            };
            content[at + covered] ^= change;
            let left = found(&content, 512);
            prop_assert!(left.iter().all(|one| one.metadata != metadata));
        }
    }

    #[test]
    fn any_size_has_its_places_within(size in 0..(1_u64 << 50), metadata in any_kind()) {
        if let Some(offset) = metadata.offset(size) {
            prop_assert!(offset + SUPERBLOCK as u64 <= size);
            prop_assert!(offset % 4096 == 0 || metadata == Metadata::V0_90);
        }
    }
}
