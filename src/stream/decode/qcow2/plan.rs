//! What is known of an image from one pass to the next.

use super::error::Qcow2Error;
use super::header::Header;
use super::map::{Mapping, Queue};
use super::metadata::Metadata;
use super::tables::{Table, Words};

/// What memory and time are bounded by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes that are kept of what came before its map.
    pub(super) look_back: usize,
    /// Entries that map, late mappings and waiting tables may have together, of 16 bytes each. What
    /// does not fit waits for another pass over the file.
    pub(super) entries: usize,
    /// L2 tables among them. The rest of a larger L1 table is left to another pass.
    pub(super) tables: usize,
    /// Requests for parts of the file.
    pub(super) requests: usize,
    /// Passes over the file. A map that is full after each of them covers terabytes; nobody would
    /// wait for more.
    pub(super) passes: u32,
}

/// 16 MiB of look-back and 24 MiB of map, beside 40 MiB of buffers: with the program itself within
/// the 96 MiB that a deploy may take.
pub(super) const LIMITS: Limits = Limits {
    look_back: 16 << 20,
    entries: (24 << 20) / size_of::<Mapping>(),
    tables: 1 << 19,
    requests: 1000,
    passes: 128,
};

/// An image's layout as far as it is known, and what is still to be done with it.
#[derive(Debug)]
pub(super) struct PassPlan {
    pub(super) header: Header,
    /// Bytes of the file, where the server told.
    pub(super) length: Option<u64>,
    pub(super) metadata: Metadata,
    /// Data to hand on.
    pub(super) map: Queue<Mapping>,
    /// L2 tables to read.
    pub(super) tables: Queue<Table>,
    /// Entries of the L1 table that were read, and those of them that were answered with zeros or
    /// a table.
    pub(super) l1_next: u64,
    pub(super) l1_emitted: u64,
    /// L2 tables of the entries that were just read.
    pub(super) l1_offsets: Vec<u64>,
    /// Refcount blocks of the entries that were just read.
    pub(super) refcount_blocks: Vec<u64>,
    pub(super) knows_refcounts: bool,
    /// Requests for parts of the file.
    pub(super) requests: usize,
    pub(super) limits: Limits,
    passes: u32,
}

impl PassPlan {
    /// The plan for the file that starts with these bytes.
    pub(super) fn new(start: &[u8], length: Option<u64>) -> Result<Self, Qcow2Error> {
        let header = Header::parse(start)?;
        if let Some(length) = length {
            for (offset, count, what) in header.areas(header.l1_entries * 8) {
                if count > 0 && offset + count > length {
                    return Err(Qcow2Error::Outside {
                        what,
                        offset,
                        length,
                    });
                }
            }
        }
        Ok(Self {
            metadata: Metadata::new(&header)?,
            header,
            length,
            map: Queue::default(),
            tables: Queue::default(),
            l1_next: 0,
            l1_emitted: 0,
            l1_offsets: Vec::new(),
            refcount_blocks: Vec::new(),
            knows_refcounts: false,
            requests: 0,
            limits: LIMITS,
            passes: 0,
        })
    }

    /// Begin a pass: the parts of L1 table and refcount table that are wanted from it.
    pub(super) fn begin(&mut self) -> Result<(Option<Words>, Option<Words>), Qcow2Error> {
        self.passes += 1;
        if self.passes > self.limits.passes {
            return Err(Qcow2Error::Fragmented(self.limits.passes));
        }
        self.l1_offsets.clear();
        self.refcount_blocks.clear();
        let header = &self.header;
        let l1 = (self.l1_next < header.l1_entries)
            .then(|| Words::new(header.l1_offset, header.l1_entries));
        let refcounts = (!self.knows_refcounts)
            .then(|| Words::new(header.refcounts_offset, header.refcounts_length / 8));
        Ok((l1, refcounts))
    }

    /// What a pass left undone is the next one's work. True where there is any.
    pub(super) fn prepare_next(&mut self, late: Vec<Mapping>, missed: Vec<Table>) -> bool {
        self.map = Queue::of(late);
        self.tables = Queue::of(missed);
        self.map.len() > 0 || self.tables.len() > 0 || self.l1_next < self.header.l1_entries
    }
}
