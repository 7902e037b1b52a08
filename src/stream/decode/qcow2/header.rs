//! The header of an image and its extensions.

use super::error::Qcow2Error;
use super::geometry::{Geometry, SECTOR};

/// Signature of every version.
pub(super) const MAGIC: &[u8; 4] = b"QFI\xfb";

/// Bytes of the header of version 2.
const VERSION_2_LENGTH: usize = 72;
/// Bytes of the header of version 3, at least.
const VERSION_3_LENGTH: usize = 104;

/// Limits that QEMU sets (block/qcow2.h): bytes of the L1 table, of the refcount table, of the
/// snapshot table's fixed parts, snapshots.
const L1_LIMIT: u64 = 32 << 20;
const REFCOUNT_TABLE_LIMIT: u64 = 8 << 20;
const SNAPSHOTS_LIMIT: u32 = 65536;
/// Bytes of a snapshot's entry, at least.
const SNAPSHOT_LENGTH: u64 = 40;

/// Incompatible features: what an image needs of its reader.
mod incompatible {
    /// Refcounts may be stale; they do not matter to a reader.
    pub(super) const DIRTY: u64 = 1 << 0;
    pub(super) const CORRUPT: u64 = 1 << 1;
    pub(super) const DATA_FILE: u64 = 1 << 2;
    pub(super) const COMPRESSION: u64 = 1 << 3;
    pub(super) const EXTENDED_L2: u64 = 1 << 4;
    pub(super) const KNOWN: u64 = DIRTY | CORRUPT | DATA_FILE | COMPRESSION | EXTENDED_L2;
}

/// Types of header extensions that matter.
mod extension {
    pub(super) const END: u32 = 0;
    /// Full disk encryption: a LUKS header.
    pub(super) const ENCRYPTION: u32 = 0x0537_be77;
    /// Name of the external data file.
    pub(super) const DATA_FILE: u32 = 0x4441_5441;
}

/// How compressed clusters are compressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Compression {
    /// Deflate without a zlib header.
    Deflate,
    /// Zstandard frames.
    Zstd,
}

/// What the header tells.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Header {
    pub(super) geometry: Geometry,
    pub(super) compression: Compression,
    /// Where the L1 table starts.
    pub(super) l1_offset: u64,
    /// Its entries that map bytes of the disk; any others are left alone.
    pub(super) l1_entries: u64,
    /// Bytes of the L1 table, all entries.
    pub(super) l1_length: u64,
    /// Where the refcount table starts.
    pub(super) refcounts_offset: u64,
    /// Its bytes.
    pub(super) refcounts_length: u64,
    /// Where the snapshot table starts.
    pub(super) snapshots_offset: u64,
    /// Its bytes, at least: the names in it are not counted.
    pub(super) snapshots_length: u64,
}

impl Header {
    /// The header of the file that starts with these bytes.
    pub(super) fn parse(start: &[u8]) -> Result<Self, Qcow2Error> {
        if start.len() < VERSION_2_LENGTH || !start.starts_with(MAGIC) {
            return Err(Qcow2Error::Header("it is cut off"));
        }
        let version = u32_at(start, 4);
        if !(2..=3).contains(&version) {
            return Err(Qcow2Error::Version(version));
        }
        let features = Features::parse(start, version)?;
        let cluster_bits = u32_at(start, 20);
        let smallest = if features.extended { 14 } else { 9 };
        if !(smallest..=21).contains(&cluster_bits) {
            return Err(Qcow2Error::ClusterBits(cluster_bits));
        }
        if u64_at(start, 8) != 0 {
            return Err(Qcow2Error::BackingFile);
        }
        match u32_at(start, 32) {
            0 => {}
            method => return Err(Qcow2Error::Encrypted(method)),
        }
        let geometry = Geometry {
            cluster_bits,
            extended: features.extended,
            zero_clusters: version >= 3,
            // QEMU counts in sectors, and leaves out what does not fill one.
            size: u64_at(start, 24) / SECTOR * SECTOR,
        };
        if geometry.size > i64::MAX as u64 {
            return Err(Qcow2Error::Header("the virtual size is negative"));
        }
        if geometry.size >> geometry.unit_bits() >= super::map::UNITS {
            return Err(Qcow2Error::VirtualSize(geometry.size));
        }
        if features.header_length as u64 > geometry.cluster() {
            return Err(Qcow2Error::Header("it is longer than a cluster"));
        }
        check_extensions(start, features.header_length, geometry)?;
        Self::tables(start, geometry, features.compression)
    }

    /// Offset, bytes and name of each table that the header names, with so many bytes of the L1
    /// table.
    pub(super) fn areas(&self, l1_bytes: u64) -> [(u64, u64, &'static str); 3] {
        [
            (self.l1_offset, l1_bytes, "L1 table"),
            (
                self.refcounts_offset,
                self.refcounts_length,
                "refcount table",
            ),
            (
                self.snapshots_offset,
                self.snapshots_length,
                "snapshot table",
            ),
        ]
    }

    fn tables(
        start: &[u8],
        geometry: Geometry,
        compression: Compression,
    ) -> Result<Self, Qcow2Error> {
        let l1_size = u64::from(u32_at(start, 36));
        let refcount_clusters = u64::from(u32_at(start, 56));
        let snapshots = u32_at(start, 60);
        let header = Self {
            geometry,
            compression,
            l1_offset: u64_at(start, 40),
            l1_entries: geometry.tables(),
            l1_length: l1_size * 8,
            refcounts_offset: u64_at(start, 48),
            refcounts_length: refcount_clusters << geometry.cluster_bits,
            snapshots_offset: u64_at(start, 64),
            snapshots_length: u64::from(snapshots) * SNAPSHOT_LENGTH,
        };
        if header.l1_length > L1_LIMIT {
            return Err(Qcow2Error::Header("the L1 table is larger than 32 MiB"));
        }
        if l1_size < header.l1_entries {
            return Err(Qcow2Error::Header(
                "the L1 table is too small for the virtual size",
            ));
        }
        if refcount_clusters == 0 {
            return Err(Qcow2Error::Header("there is no refcount table"));
        }
        if header.refcounts_length > REFCOUNT_TABLE_LIMIT.max(geometry.cluster()) {
            return Err(Qcow2Error::Header(
                "the refcount table is larger than 8 MiB",
            ));
        }
        if snapshots > SNAPSHOTS_LIMIT {
            return Err(Qcow2Error::Header("there are more than 65536 snapshots"));
        }
        for (offset, length, refusal) in [
            (
                header.l1_offset,
                header.l1_length,
                "the L1 table's offset is not that of a cluster",
            ),
            (
                header.refcounts_offset,
                header.refcounts_length,
                "the refcount table's offset is not that of a cluster",
            ),
            (
                header.snapshots_offset,
                header.snapshots_length,
                "the snapshot table's offset is not that of a cluster",
            ),
        ] {
            let end = offset.checked_add(length).filter(|end| *end < 1 << 56);
            if !offset.is_multiple_of(geometry.cluster()) || end.is_none() {
                return Err(Qcow2Error::Header(refusal));
            }
        }
        Ok(header)
    }
}

/// What version 3 added; for version 2 its defaults.
struct Features {
    extended: bool,
    compression: Compression,
    header_length: usize,
}

impl Features {
    fn parse(start: &[u8], version: u32) -> Result<Self, Qcow2Error> {
        if version == 2 {
            return Ok(Self {
                extended: false,
                compression: Compression::Deflate,
                header_length: VERSION_2_LENGTH,
            });
        }
        if start.len() < VERSION_3_LENGTH {
            return Err(Qcow2Error::Header("it is cut off"));
        }
        let bits = u64_at(start, 72);
        if bits & incompatible::DATA_FILE != 0 {
            return Err(Qcow2Error::DataFile);
        }
        if bits & incompatible::CORRUPT != 0 {
            return Err(Qcow2Error::Corrupt);
        }
        if bits & !incompatible::KNOWN != 0 {
            return Err(Qcow2Error::UnknownFeatures(bits & !incompatible::KNOWN));
        }
        if u32_at(start, 96) > 6 {
            return Err(Qcow2Error::Header("refcounts are wider than 64 bits"));
        }
        let header_length = u32_at(start, 100) as usize;
        if header_length < VERSION_3_LENGTH || header_length > start.len() {
            return Err(Qcow2Error::Header("its length is out of range"));
        }
        let kind = if header_length > VERSION_3_LENGTH {
            start.get(VERSION_3_LENGTH).copied().unwrap_or_default()
        } else {
            0
        };
        // The bit and the type must agree, or an older reader would inflate with the wrong one.
        let compression = match (kind, bits & incompatible::COMPRESSION != 0) {
            (0, false) => Compression::Deflate,
            (1, true) => Compression::Zstd,
            _ => {
                return Err(Qcow2Error::Header(
                    "its compression type is unknown or contradicts its feature bit",
                ));
            }
        };
        Ok(Self {
            extended: bits & incompatible::EXTENDED_L2 != 0,
            compression,
            header_length,
        })
    }
}

/// Walk the extensions between header and end of the first cluster.
fn check_extensions(start: &[u8], from: usize, geometry: Geometry) -> Result<(), Qcow2Error> {
    let bound = start.len().min(geometry.cluster() as usize);
    let mut offset = from;
    while offset + 8 <= bound {
        let kind = u32_at(start, offset);
        let length = u32_at(start, offset + 4) as usize;
        match kind {
            extension::END => break,
            extension::ENCRYPTION => return Err(Qcow2Error::Encrypted(2)),
            extension::DATA_FILE => return Err(Qcow2Error::DataFile),
            _ => {}
        }
        offset += 8;
        if length > bound - offset {
            return Err(Qcow2Error::Header("an extension is longer than the header"));
        }
        offset += length.next_multiple_of(8);
    }
    Ok(())
}

/// The caller has seen that the bytes are there.
fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let mut value = [0; 4];
    if let Some(found) = bytes.get(offset..offset + 4) {
        value.copy_from_slice(found);
    }
    u32::from_be_bytes(value)
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from(u32_at(bytes, offset)) << 32 | u64::from(u32_at(bytes, offset + 4))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A header of version 3 with clusters of 64 KiB, as qemu-img 7.2 writes it for 1 GiB.
    fn header() -> Vec<u8> {
        let mut bytes = vec![0; 512];
        bytes[..4].copy_from_slice(MAGIC);
        put_u32(&mut bytes, 4, 3);
        put_u32(&mut bytes, 20, 16);
        put_u64(&mut bytes, 24, 1 << 30);
        put_u32(&mut bytes, 36, 2);
        put_u64(&mut bytes, 40, 0x30000);
        put_u64(&mut bytes, 48, 0x10000);
        put_u32(&mut bytes, 56, 1);
        put_u32(&mut bytes, 96, 4);
        put_u32(&mut bytes, 100, 112);
        bytes
    }

    fn put_u32(bytes: &mut [u8], offset: usize, value: u32) {
        bytes[offset..offset + 4].copy_from_slice(&value.to_be_bytes());
    }

    fn put_u64(bytes: &mut [u8], offset: usize, value: u64) {
        bytes[offset..offset + 8].copy_from_slice(&value.to_be_bytes());
    }

    fn changed(change: impl FnOnce(&mut [u8])) -> Result<Header, Qcow2Error> {
        let mut bytes = header();
        change(&mut bytes);
        Header::parse(&bytes)
    }

    type Change = fn(&mut [u8]);

    #[test]
    fn a_usual_header_is_read() {
        let parsed = Header::parse(&header()).unwrap();
        assert_eq!(parsed.geometry.cluster(), 65536);
        assert_eq!(parsed.geometry.unit(), 65536);
        assert_eq!(parsed.l1_entries, 2);
        assert_eq!((parsed.l1_offset, parsed.l1_length), (0x30000, 16));
        assert_eq!(parsed.refcounts_length, 65536);
        assert_eq!(parsed.compression, Compression::Deflate);
        // QEMU leaves out half a sector.
        let odd = changed(|bytes| put_u64(bytes, 24, (1 << 30) - 1)).unwrap();
        assert_eq!(odd.geometry.size, (1 << 30) - 512);
    }

    #[test]
    fn features_are_accepted() {
        let dirty = changed(|bytes| put_u64(bytes, 72, 1)).unwrap();
        assert!(!dirty.geometry.extended);
        let extended = changed(|bytes| {
            put_u64(bytes, 72, 1 << 4);
            put_u32(bytes, 36, 4);
        })
        .unwrap();
        assert_eq!(extended.geometry.unit(), 2048);
        assert_eq!(extended.geometry.entries(), 4096);
        let zstd = changed(|bytes| {
            put_u64(bytes, 72, 1 << 3);
            bytes[104] = 1;
        })
        .unwrap();
        assert_eq!(zstd.compression, Compression::Zstd);
        let old = changed(|bytes| {
            put_u32(bytes, 4, 2);
            bytes[72..112].fill(0);
        })
        .unwrap();
        assert!(!old.geometry.zero_clusters);
    }

    #[test]
    fn what_is_not_accepted_is_named() {
        use Qcow2Error::{BackingFile, ClusterBits, Corrupt, DataFile, Encrypted, UnknownFeatures};
        let cases: [(Change, Qcow2Error); 11] = [
            (|b| put_u32(b, 4, 1), Qcow2Error::Version(1)),
            (|b| put_u64(b, 8, 0x200), BackingFile),
            (|b| put_u32(b, 20, 8), ClusterBits(8)),
            (|b| put_u32(b, 20, 22), ClusterBits(22)),
            (|b| put_u32(b, 32, 1), Encrypted(1)),
            (|b| put_u32(b, 32, 2), Encrypted(2)),
            (|b| put_u64(b, 72, 2), Corrupt),
            (|b| put_u64(b, 72, 4), DataFile),
            (|b| put_u64(b, 72, 0x21), UnknownFeatures(0x20)),
            (|b| put_u32(b, 112, 0x4441_5441), DataFile),
            (|b| put_u32(b, 112, 0x0537_be77), Encrypted(2)),
        ];
        for (change, expected) in cases {
            assert_eq!(changed(change).unwrap_err(), expected);
        }
        let invalid: [Change; 12] = [
            |b| put_u32(b, 36, 1),
            |b| put_u32(b, 36, u32::MAX),
            |b| put_u64(b, 40, 0x30200),
            |b| put_u64(b, 40, 1 << 60),
            |b| put_u64(b, 48, 1),
            |b| put_u32(b, 56, 0),
            |b| put_u32(b, 56, 1 << 20),
            |b| put_u32(b, 60, 1 << 17),
            |b| put_u32(b, 96, 7),
            |b| put_u32(b, 100, 96),
            |b| put_u64(b, 72, 1 << 3),
            |b| {
                put_u32(b, 112, 7);
                put_u32(b, 116, 400);
            },
        ];
        for change in invalid {
            let error = changed(change).unwrap_err();
            assert!(matches!(error, Qcow2Error::Header(_)), "{error}");
        }
        let huge = changed(|b| {
            put_u32(b, 20, 9);
            put_u64(b, 24, 1 << 50);
        });
        assert_eq!(huge, Err(Qcow2Error::VirtualSize(1 << 50)));
        Header::parse(&header()[..60]).unwrap_err();
        Header::parse(&header()[..100]).unwrap_err();
    }

    proptest! {
        /// Whatever the bytes, there is an answer, and what it accepts is within bounds.
        #[test]
        fn any_bytes_are_answered(mut bytes in prop::collection::vec(any::<u8>(), 0..600),
                                  sane in any::<bool>(), changes in prop::collection::vec(
                                      (0_usize..120, any::<u8>()), 0..6)) {
            if sane {
                bytes = header();
                for (place, value) in changes {
                    bytes[place] = value;
                }
            } else if bytes.len() > 8 {
                bytes[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
            }
            if let Ok(header) = Header::parse(&bytes) {
                prop_assert!((9..=21).contains(&header.geometry.cluster_bits));
                prop_assert!(header.l1_entries * 8 <= header.l1_length);
                prop_assert!(header.l1_length <= L1_LIMIT);
                prop_assert!(header.geometry.unit() >= SECTOR);
            }
        }
    }
}
