//! One pass over the file.

use std::ops::Range;

use super::error::Qcow2Error;
use super::fetched::Fetched;
use super::geometry::SECTOR;
use super::look_back::LookBack;
use super::map::{Mapping, Source, append};
use super::output::{Failure, Output};
use super::plan::PassPlan;
use super::tables::{Table, Words};
use super::workers::Workers;
use crate::stream::buffer::Buffer;
use crate::stream::decode::Input;
use crate::stream::error::DownloadError;
use crate::stream::ranges::Ranges;

/// What is at hand during a pass, beside the plan.
pub(super) struct Reader<'r, 'scope, 'env> {
    pub(super) plan: &'r mut PassPlan,
    pub(super) ranges: &'r dyn Ranges,
    pub(super) output: Output<'r>,
    pub(super) workers: Workers<'scope, 'env>,
    /// Where the file comes from, for messages.
    pub(super) location: String,
    /// The file's bytes before this offset went by.
    pub(super) position: u64,
    pub(super) look_back: LookBack,
    /// The tables that are read in this pass, until they are.
    pub(super) l1: Option<Words>,
    pub(super) refcounts: Option<Words>,
    /// What went by before it was known to be wanted, for the next pass.
    pub(super) late: Vec<Mapping>,
    /// L2 tables that went by unread, for the next pass.
    pub(super) missed: Vec<Table>,
    pub(super) fetched: Fetched,
    /// Whether it makes sense to ask for parts of the file.
    pub(super) may_fetch: bool,
}

impl Reader<'_, '_, '_> {
    /// Read the file. True where another pass is needed.
    pub(super) fn run(mut self, input: &mut Input<'_>) -> Result<bool, Failure> {
        while let Some(buffer) = input.next() {
            self.buffer(buffer)?;
        }
        if self
            .plan
            .length
            .is_some_and(|length| length != self.position)
        {
            // The source or the pipeline has ended, and says why.
            return Err(Failure::Gone);
        }
        self.end()?;
        self.output.flush()?;
        self.workers.finish()?;
        Ok(self.plan.prepare_next(self.late, self.missed))
    }

    fn buffer(&mut self, buffer: Buffer) -> Result<(), Failure> {
        if !self.fetched.matches(self.position, &buffer) {
            return Err(self.changed());
        }
        let end = self.position + buffer.len() as u64;
        self.learn_l1(self.position, &buffer)?;
        self.learn_refcounts(self.position, &buffer)?;
        self.learn_l2(&buffer)?;
        let served = self.serve(&buffer)?;
        self.keep(&buffer, &served);
        match served.whole {
            Some(guest) => {
                self.output.flush()?;
                self.output.whole(guest, buffer)?;
            }
            None => drop(buffer),
        }
        self.position = end;
        let limit = self.plan.limits.look_back;
        if self.look_back.is_over(limit) {
            self.fetch_tables()?;
            // With the map complete the next buffer's leavings take the place of all these.
            if !self.is_map_complete() {
                self.look_back.shrink(limit);
            }
        }
        Ok(())
    }

    /// Whether all L2 tables that may be read in this pass were read.
    pub(super) fn is_map_complete(&self) -> bool {
        self.l1.is_none() && self.plan.tables.len() == 0
    }

    /// Hand on all of this buffer that is mapped.
    ///
    /// Of a plain mapping that starts before the buffer, the part before it was handed on already.
    fn serve(&mut self, data: &[u8]) -> Result<Served, Failure> {
        let (start, end) = (self.position, self.position + data.len() as u64);
        let mut served = Served::default();
        let mut again = Vec::new();
        while let Some(mapping) = self.plan.map.first()
            && mapping.host() < end
        {
            self.plan.map.pop();
            match mapping.unpack(self.plan.header.geometry) {
                Source::Plain {
                    host,
                    guest,
                    length,
                    zeros,
                } => {
                    let part = host.max(start)..(host + length).clamp(start, end);
                    self.check_data(&part)?;
                    let guest_start = guest + (part.start - host);
                    let is_only = self.plan.map.first().is_none_or(|next| next.host() >= end);
                    let is_whole = part == (start..end) && is_only && again.is_empty();
                    if is_whole && served.claims.is_empty() {
                        served.whole = Some(guest_start);
                    } else {
                        let place = (part.start - start) as usize..(part.end - start) as usize;
                        self.output.data(guest_start, &data[place])?;
                    }
                    served.claim(part, false);
                    if host + length > end {
                        again.push(mapping);
                    } else if served.whole.is_some() {
                        self.output.zeros(guest + length, zeros)?;
                    } else {
                        self.output.carried_zeros(guest + length, zeros)?;
                    }
                }
                Source::Compressed {
                    host,
                    guest,
                    length,
                } => {
                    if host + length > end {
                        served.straddles = served.straddles.or(Some(host));
                        again.push(mapping);
                    } else {
                        served.claim(host.max(start)..host + length, true);
                        self.inflate(mapping, host..host + length, guest, data)?;
                    }
                }
            }
        }
        for mapping in again {
            self.plan.map.push(mapping);
        }
        Ok(served)
    }

    /// Have a compressed cluster inflated whose bytes have gone by, up to the end of `data`.
    fn inflate(
        &mut self,
        mapping: Mapping,
        range: Range<u64>,
        guest: u64,
        data: &[u8],
    ) -> Result<(), Failure> {
        self.check_data(&range)?;
        let (look_back, position) = (&self.look_back, self.position);
        let is_here = self
            .workers
            .inflate(range.start, range.end, guest, |from, to, bytes| {
                read(look_back, position, data, from..to, bytes)
            })?;
        if is_here {
            self.look_back.release(range.start, range.end.min(position));
        } else {
            append(&mut self.late, mapping);
        }
        Ok(())
    }

    /// Keep what nothing laid claim to, as long as something may.
    fn keep(&mut self, data: &[u8], served: &Served) {
        let range = self.position..self.position + data.len() as u64;
        if !self.is_map_complete() {
            let mut taken: Vec<Claim> = self
                .plan
                .metadata
                .within(&range)
                .into_iter()
                .map(|part| Claim {
                    part,
                    is_compressed: false,
                })
                .chain(served.claims.iter().cloned())
                .collect();
            taken.sort_unstable_by_key(|claim| claim.part.start);
            let mut from = range.start;
            for Claim {
                part,
                is_compressed,
            } in taken
            {
                if part.start > from {
                    self.keep_part(&range, data, from..part.start);
                }
                // A cluster that no table spoke of yet may start in the last sector.
                let shared = if is_compressed { SECTOR } else { 0 };
                from = from.max(part.end.saturating_sub(shared));
            }
            if from < range.end {
                self.keep_part(&range, data, from..range.end);
            }
            // Its first sector may be shared with a cluster that was served, so it is no gap.
            if let Some(host) = served.straddles {
                self.keep_part(&range, data, host.max(range.start)..range.end);
            }
            return;
        }
        match served.straddles {
            Some(host) => {
                self.look_back.forget_before(host);
                self.keep_part(&range, data, host.max(range.start)..range.end);
            }
            None => self.look_back.clear(),
        }
    }

    /// All buffers but the last are of whole sectors, so rounding stays within the buffer.
    fn keep_part(&mut self, range: &Range<u64>, data: &[u8], part: Range<u64>) {
        let start = (part.start / SECTOR * SECTOR).max(range.start);
        let end = part.end.next_multiple_of(SECTOR).min(range.end);
        let place = (start - range.start) as usize..(end - range.start) as usize;
        self.look_back.keep(start, &data[place]);
    }

    /// What is still mapped lies partly behind the file's end, and reads as zeros there.
    fn end(&mut self) -> Result<(), Failure> {
        let length = self.position;
        let outside = |what, offset| {
            Failure::Image(Qcow2Error::Outside {
                what,
                offset,
                length,
            })
        };
        for (words, what) in [(&self.l1, "L1 table"), (&self.refcounts, "refcount table")] {
            if let Some(words) = words {
                return Err(outside(what, words.next()));
            }
        }
        if let Some(table) = self.plan.tables.first() {
            return Err(outside("L2 table", table.host()));
        }
        let snapshots = self.plan.header.snapshots_offset;
        if snapshots + self.plan.header.snapshots_length > length {
            return Err(outside("snapshot table", snapshots));
        }
        let geometry = self.plan.header.geometry;
        while let Some(mapping) = self.plan.map.pop() {
            match mapping.unpack(geometry) {
                Source::Plain {
                    host,
                    guest,
                    length: mapped,
                    zeros,
                } => {
                    let last = host + mapped - geometry.unit();
                    if last / geometry.cluster() * geometry.cluster() >= length {
                        return Err(outside("data cluster", last));
                    }
                    let here = length.saturating_sub(host).min(mapped);
                    self.output.zeros(guest + here, mapped - here + zeros)?;
                }
                Source::Compressed { host, guest, .. } => {
                    if host >= length {
                        return Err(outside("data cluster", host));
                    }
                    self.inflate(mapping, host..length, guest, &[])?;
                }
            }
        }
        match self.fetched.is_over() {
            true => Ok(()),
            false => Err(self.changed()),
        }
    }

    /// Data may not lie over tables.
    pub(super) fn check_data(&mut self, part: &Range<u64>) -> Result<(), Failure> {
        self.plan.metadata.check(part.start, part.end, "data")?;
        if self.refcounts.is_some() {
            self.plan.metadata.note(part.clone());
        }
        Ok(())
    }

    /// What was read ahead is not what came.
    fn changed(&self) -> Failure {
        Failure::Download(DownloadError::Changed {
            location: self.location.clone(),
        })
    }
}

/// What became of a buffer.
#[derive(Default)]
struct Served {
    /// The parts of the file that were handed on, in order, neighbours as one.
    claims: Vec<Claim>,
    /// The buffer is one part of the disk, which starts here, and was not copied yet.
    whole: Option<u64>,
    /// Where the first compressed cluster starts that goes on behind the buffer.
    straddles: Option<u64>,
}

/// A part of the file that was handed on.
#[derive(Clone)]
struct Claim {
    part: Range<u64>,
    /// What ends it is compressed, and may share its last sector with others, even small ones as a
    /// whole.
    is_compressed: bool,
}

impl Served {
    fn claim(&mut self, part: Range<u64>, is_compressed: bool) {
        match self.claims.last_mut() {
            Some(last) if part.start <= last.part.end && (is_compressed || !last.is_compressed) => {
                if part.end >= last.part.end {
                    last.part.end = part.end;
                    last.is_compressed = is_compressed;
                }
            }
            _ => self.claims.push(Claim {
                part,
                is_compressed,
            }),
        }
    }
}

/// Append these bytes of the file, of which those from `position` on are in `data` and those
/// before it may have been kept. False where they are not all here.
pub(super) fn read(
    look_back: &LookBack,
    position: u64,
    data: &[u8],
    range: Range<u64>,
    bytes: &mut Vec<u8>,
) -> bool {
    let from = range.start.max(position);
    let Some(kept) = look_back.pieces(range.start, range.end.min(position)) else {
        return false;
    };
    for piece in kept {
        bytes.extend_from_slice(piece);
    }
    if from >= range.end {
        return true;
    }
    let place = (from - position) as usize..(range.end - position) as usize;
    match data.get(place) {
        Some(here) => {
            bytes.extend_from_slice(here);
            true
        }
        None => false,
    }
}
