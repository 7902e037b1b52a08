//! Where the image keeps its own tables, which are nobody's data.

use std::ops::Range;

use super::error::Qcow2Error;
use super::geometry::Geometry;
use super::header::Header;

/// L2 tables and refcount blocks that are remembered: 4 MiB. With clusters of 64 KiB that is enough
/// for 256 TiB, with clusters of 512 bytes for some 13 GiB; beyond it an overlap goes unnoticed,
/// as with QEMU, which does not look for any when it reads.
const MOST_CLUSTERS: usize = 1 << 19;

/// Runs of data that are remembered until the refcount blocks are known: 1 MiB.
const MOST_RUNS: usize = 1 << 16;

/// The areas of the file that hold tables.
#[derive(Debug)]
pub(super) struct Metadata {
    geometry: Geometry,
    areas: Vec<(Range<u64>, &'static str)>,
    /// Offsets of L2 tables and refcount blocks, sorted.
    clusters: Vec<u64>,
    /// Data that was used before all tables were known, in no order.
    used: Vec<Range<u64>>,
}

impl Metadata {
    /// The areas that the header names; none may overlap another.
    pub(super) fn new(header: &Header) -> Result<Self, Qcow2Error> {
        let mut metadata = Self {
            geometry: header.geometry,
            areas: vec![(0..header.geometry.cluster(), "header")],
            clusters: Vec::new(),
            used: Vec::new(),
        };
        for (start, length, name) in header.areas(header.l1_length) {
            if length > 0 {
                metadata.check(start, start + length, name)?;
                metadata.areas.push((start..start + length, name));
            }
        }
        Ok(metadata)
    }

    /// Take note of clusters with tables; the list is emptied.
    pub(super) fn add(
        &mut self,
        offsets: &mut Vec<u64>,
        what: &'static str,
    ) -> Result<(), Qcow2Error> {
        let cluster = self.geometry.cluster();
        offsets.sort_unstable();
        if let Some(pair) = offsets.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(overlap(what, pair[0], "tables, which use it twice"));
        }
        for offset in offsets.iter() {
            self.check(*offset, offset + cluster, what)?;
        }
        for run in &self.used {
            if let Some(found) = first_in(offsets, cluster, run) {
                return Err(overlap("data", found, what));
            }
        }
        let room = MOST_CLUSTERS - self.clusters.len();
        offsets.truncate(room);
        self.clusters.append(offsets);
        self.clusters.sort_unstable();
        Ok(())
    }

    /// Refuse what would lie over a table.
    pub(super) fn check(&self, start: u64, end: u64, what: &'static str) -> Result<(), Qcow2Error> {
        let found = self
            .areas
            .iter()
            .find(|(area, _)| area.start < end && start < area.end);
        if let Some((_, name)) = found {
            return Err(overlap(what, start, name));
        }
        match first_in(&self.clusters, self.geometry.cluster(), &(start..end)) {
            Some(_) => Err(overlap(what, start, "L2 tables and refcount blocks")),
            None => Ok(()),
        }
    }

    /// Remember data that is used while some tables are not known yet.
    pub(super) fn note(&mut self, run: Range<u64>) {
        if let Some(last) = self.used.last_mut()
            && last.end == run.start
        {
            last.end = run.end;
        } else if self.used.len() < MOST_RUNS {
            self.used.push(run);
        }
    }

    /// All tables are known: nothing more needs to be remembered.
    pub(super) fn is_complete(&mut self) {
        self.used = Vec::new();
    }

    /// The parts of this range that hold tables, in no order. A table that reaches beyond the range
    /// is left out: it may not have been read yet.
    pub(super) fn within(&self, range: &Range<u64>) -> Vec<Range<u64>> {
        let cluster = self.geometry.cluster();
        let areas = self.areas.iter().map(|(area, _)| area.clone());
        let from = self
            .clusters
            .partition_point(|offset| offset + cluster <= range.start);
        let clusters = self.clusters[from..]
            .iter()
            .map(|offset| *offset..offset + cluster)
            .take_while(|table| table.end <= range.end);
        areas
            .chain(clusters)
            .map(|area| area.start.max(range.start)..area.end.min(range.end))
            .filter(|part| part.start < part.end)
            .collect()
    }
}

fn first_in(sorted: &[u64], cluster: u64, range: &Range<u64>) -> Option<u64> {
    let from = sorted.partition_point(|offset| offset + cluster <= range.start);
    sorted
        .get(from)
        .copied()
        .filter(|offset| *offset < range.end)
}

fn overlap(what: &'static str, offset: u64, area: &'static str) -> Qcow2Error {
    Qcow2Error::Overlap { what, offset, area }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::decode::qcow2::header::Compression;

    fn header() -> Header {
        Header {
            geometry: Geometry {
                cluster_bits: 16,
                extended: false,
                zero_clusters: true,
                size: 1 << 30,
            },
            compression: Compression::Deflate,
            l1_offset: 0x30000,
            l1_entries: 2,
            l1_length: 16,
            refcounts_offset: 0x10000,
            refcounts_length: 0x10000,
            snapshots_offset: 0,
            snapshots_length: 0,
        }
    }

    #[test]
    fn nothing_lies_over_a_table() {
        let mut metadata = Metadata::new(&header()).unwrap();
        metadata.check(0x50000, 0x60000, "data").unwrap();
        metadata.check(0x2_0000, 0x3_0000, "data").unwrap();
        metadata.check(0x3_0010, 0x3_0020, "data").unwrap();
        metadata.check(0xffff, 0x10000, "data").unwrap_err();
        metadata.check(0x2_ffff, 0x3_0001, "data").unwrap_err();
        metadata.note(0x70000..0x80000);
        metadata.note(0x80000..0x90000);
        assert_eq!(metadata.used.len(), 1);
        let mut add = |offsets: &[u64]| metadata.add(&mut offsets.to_vec(), "L2 table");
        add(&[0x50000, 0x40000]).unwrap();
        add(&[0x40000]).unwrap_err();
        add(&[0x60000, 0x60000]).unwrap_err();
        add(&[0x30000]).unwrap_err();
        add(&[0x80000]).unwrap_err();
        metadata.check(0x4_ffff, 0x50000, "data").unwrap_err();
        metadata.check(0x60000, 0x90000, "data").unwrap();
        assert_eq!(
            metadata.within(&(0x18000..0x58000)),
            [0x30000..0x30010, 0x18000..0x20000, 0x40000..0x50000]
        );
    }

    #[test]
    fn the_headers_own_areas_are_apart() {
        let refused = |change: fn(&mut Header)| {
            let mut header = header();
            change(&mut header);
            Metadata::new(&header).unwrap_err()
        };
        refused(|header| header.l1_offset = 0);
        refused(|header| header.l1_offset = 0x10000);
        refused(|header| {
            header.snapshots_offset = 0x30000;
            header.snapshots_length = 40;
        });
    }
}
