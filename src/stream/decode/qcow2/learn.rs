//! What a pass learns from the tables that go by.

use std::ops::ControlFlow;

use super::entry;
use super::error::Qcow2Error;
use super::map::{Mapping, append};
use super::output::Failure;
use super::pass::{Reader, read};
use super::runs::{self, Run};
use super::tables::Table;

impl Reader<'_, '_, '_> {
    /// Take the L1 table's entries out of these bytes of the file, as far as they are wanted.
    pub(super) fn learn_l1(&mut self, offset: u64, data: &[u8]) -> Result<(), Failure> {
        let Some(mut words) = self.l1.take() else {
            return Ok(());
        };
        words.feed(offset, data, |index, entry| self.l1_entry(index, entry))?;
        if !words.is_done() {
            self.l1 = Some(words);
            return Ok(());
        }
        self.emit_unallocated(self.plan.l1_next)?;
        let mut offsets = std::mem::take(&mut self.plan.l1_offsets);
        self.plan.metadata.add(&mut offsets, "L2 table")?;
        Ok(())
    }

    fn l1_entry(&mut self, index: u64, entry: u64) -> Result<(), Failure> {
        let is_next = index == self.plan.l1_next;
        if !is_next || self.plan.tables.len() + self.missed.len() >= self.plan.limits.tables {
            return Ok(());
        }
        self.plan.l1_next += 1;
        let geometry = self.plan.header.geometry;
        let Some(host) = entry::l2_table(geometry, entry)? else {
            return Ok(());
        };
        if let Some(length) = self.plan.length
            && host + geometry.cluster() > length
        {
            return Err(Failure::Image(Qcow2Error::Outside {
                what: "L2 table",
                offset: host,
                length,
            }));
        }
        self.emit_unallocated(index)?;
        self.plan.l1_emitted = index + 1;
        self.plan.tables.push(Table::new(host, index, 0));
        self.plan.l1_offsets.push(host);
        Ok(())
    }

    /// What the entries before this one that were not spoken of map is zeros: they name no table.
    fn emit_unallocated(&mut self, index: u64) -> Result<(), Failure> {
        let from = self.plan.l1_emitted;
        if index > from {
            let span = self.plan.header.geometry.table_span();
            self.output.zeros(from * span, (index - from) * span)?;
            self.plan.l1_emitted = index;
        }
        Ok(())
    }

    /// Take the refcount table's entries out of these bytes: where the refcount blocks are.
    pub(super) fn learn_refcounts(&mut self, offset: u64, data: &[u8]) -> Result<(), Failure> {
        let Some(words) = &mut self.refcounts else {
            return Ok(());
        };
        let (geometry, length) = (self.plan.header.geometry, self.plan.length);
        let blocks = &mut self.plan.refcount_blocks;
        words.feed(offset, data, |_, entry| {
            let block = entry::refcount_block(geometry, entry)?;
            // One behind the file's end lies over nothing.
            blocks.extend(block.filter(|block| length.is_none_or(|length| *block < length)));
            Ok::<_, Qcow2Error>(())
        })?;
        if words.is_done() {
            let mut blocks = std::mem::take(blocks);
            self.plan.metadata.add(&mut blocks, "refcount block")?;
            self.plan.metadata.is_complete();
            self.plan.knows_refcounts = true;
            self.refcounts = None;
        }
        Ok(())
    }

    /// Read the L2 tables that have gone by, up to the end of `data`, which is what comes at the
    /// position.
    pub(super) fn learn_l2(&mut self, data: &[u8]) -> Result<(), Failure> {
        let end = self.position + data.len() as u64;
        let cluster = self.plan.header.geometry.cluster();
        let mut bytes = Vec::new();
        while self.l1.is_none()
            && let Some(table) = self.plan.tables.first()
            && table.host() + cluster <= end
        {
            self.plan.tables.pop();
            let range = table.host()..table.host() + cluster;
            bytes.clear();
            if read(
                &self.look_back,
                self.position,
                data,
                range.clone(),
                &mut bytes,
            ) {
                self.look_back
                    .release(range.start, range.end.min(self.position));
                self.learn(table, &bytes)?;
            } else {
                append(&mut self.missed, table);
            }
        }
        Ok(())
    }

    /// Map what this table says, as far as there is room.
    pub(super) fn learn(&mut self, table: Table, bytes: &[u8]) -> Result<(), Failure> {
        let (geometry, length) = (self.plan.header.geometry, self.plan.length);
        let rest = runs::visit(geometry, length, table, bytes, |run| self.map(run))?;
        if let Some(unit) = rest {
            append(
                &mut self.missed,
                Table::new(table.host(), table.index(), unit),
            );
        }
        Ok(())
    }

    /// Whether another mapping is within the budget.
    pub(super) fn has_room(&self) -> bool {
        let tables = self.plan.tables.len() + self.missed.len();
        self.plan.map.len() + self.late.len() + tables < self.plan.limits.entries
    }

    fn map(&mut self, run: Run) -> Result<ControlFlow<()>, Failure> {
        let geometry = self.plan.header.geometry;
        match run {
            Run::Zeros { unit, units } => {
                let bits = geometry.unit_bits();
                self.output.zeros(unit << bits, units << bits)?;
            }
            _ if !self.has_room() => return Ok(ControlFlow::Break(())),
            Run::Plain {
                host,
                unit,
                units,
                zeros,
            } if host >= self.position => {
                self.plan.map.push(Mapping::plain(host, unit, units, zeros));
            }
            Run::Plain {
                host,
                unit,
                units,
                zeros,
            } => self.map_behind(host, unit, units, zeros)?,
            Run::Compressed { host, unit, length } => {
                let mapping = Mapping::compressed(host, unit, length);
                let kept = (host + length).min(self.position);
                // What is kept stays until the mapping is served, which is with this buffer.
                if host >= self.position || self.look_back.pieces(host, kept).is_some() {
                    self.plan.map.push(mapping);
                } else {
                    append(&mut self.late, mapping);
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Plain data that starts before the position: what was kept is handed on now, what was not is
    /// for the next pass, and what lies ahead is mapped.
    fn map_behind(&mut self, host: u64, unit: u64, units: u64, zeros: u64) -> Result<(), Failure> {
        let geometry = self.plan.header.geometry;
        let size = geometry.unit();
        let mut lost: Option<(u64, u64)> = None;
        for number in 0..units {
            let start = host + number * size;
            if start >= self.position {
                self.plan
                    .map
                    .push(Mapping::plain(start, unit + number, units - number, zeros));
                self.flush_lost(host, unit, lost.take(), 0);
                return Ok(());
            }
            let kept = start..(start + size).min(self.position);
            let Some(pieces) = self.look_back.pieces(kept.start, kept.end) else {
                lost = Some((lost.map_or(number, |(first, _)| first), number));
                continue;
            };
            let mut guest = (unit + number) * size;
            for piece in pieces {
                self.output.data(guest, piece)?;
                guest += piece.len() as u64;
            }
            self.check_data(&kept)?;
            self.look_back.release(kept.start, kept.end);
            self.flush_lost(host, unit, lost.take(), 0);
            let carried = if number + 1 == units { zeros } else { 0 };
            if kept.end < start + size {
                // The rest of this unit comes; a mapping is served from the position on.
                self.plan
                    .map
                    .push(Mapping::plain(start, unit + number, 1, carried));
            } else {
                self.output.carried_zeros(guest, carried * size)?;
            }
        }
        self.flush_lost(host, unit, lost, zeros);
        Ok(())
    }

    /// Note units of a run, from the first to the last of these numbers, for the next pass.
    fn flush_lost(&mut self, host: u64, unit: u64, lost: Option<(u64, u64)>, zeros: u64) {
        if let Some((first, last)) = lost {
            let start = host + first * self.plan.header.geometry.unit();
            let mapping = Mapping::plain(start, unit + first, last - first + 1, zeros);
            append(&mut self.late, mapping);
        }
    }
}
