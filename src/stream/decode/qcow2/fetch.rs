//! Tables that are fetched because they lie too far ahead.

use super::map::Queue;
use super::output::Failure;
use super::pass::Reader;
use super::tables::Table;
use crate::stream::ranges::RangeError;

/// Bytes of a request, unless one table is larger.
const REQUEST: u64 = 4 << 20;

/// Bytes between two tables that are fetched along with them: they cost less than a request.
const GAP: u64 = 16 << 10;

impl Reader<'_, '_, '_> {
    /// Fetch all tables that are still to come, so that the map is complete. Where that is refused
    /// or would take too many requests the pass goes on without: what goes by too early is for the
    /// next one.
    ///
    /// No table lies behind: as long as the map is not complete, nothing that was not handed on
    /// has left the look-back.
    pub(super) fn fetch_tables(&mut self) -> Result<(), Failure> {
        if !self.may_fetch || !self.fetch_l1()? {
            return Ok(());
        }
        // With the L1 table known, tables and data may be found among what was kept.
        self.learn_l2(&[])?;
        if !self.look_back.is_over(self.plan.limits.look_back) || self.plan.tables.len() == 0 {
            return Ok(());
        }
        let tables = self.plan.tables.drain_sorted();
        // One that is going by right now is nearly here.
        let ahead = tables.partition_point(|table| table.host() < self.position);
        let requests: Vec<&[Table]> = self.requests(&tables[ahead..]).collect();
        if self.plan.requests + requests.len() > self.plan.limits.requests {
            self.may_fetch = false;
            self.plan.tables = Queue::of(tables);
            return Ok(());
        }
        let mut done = ahead;
        for request in requests {
            if !self.has_room() || !self.fetch_l2(request)? {
                break;
            }
            done += request.len();
        }
        let left = tables[..ahead].iter().chain(&tables[done..]);
        for table in left {
            self.plan.tables.push(*table);
        }
        Ok(())
    }

    /// Fetch what is missing of the L1 table. False where that is refused.
    fn fetch_l1(&mut self) -> Result<bool, Failure> {
        while let Some(words) = &self.l1 {
            let start = words.next();
            let length = (words.end() - start).min(REQUEST);
            let Some(bytes) = self.fetch(start, length as usize)? else {
                return Ok(false);
            };
            self.learn_l1(start, &bytes)?;
        }
        Ok(true)
    }

    /// Fetch these neighbouring tables. False where that is refused.
    fn fetch_l2(&mut self, tables: &[Table]) -> Result<bool, Failure> {
        let cluster = self.plan.header.geometry.cluster();
        let (Some(first), Some(last)) = (tables.first(), tables.last()) else {
            return Ok(true);
        };
        let start = first.host();
        let length = (last.host() + cluster - start) as usize;
        let Some(bytes) = self.fetch(start, length)? else {
            return Ok(false);
        };
        for table in tables {
            let within = (table.host() - start) as usize;
            self.learn(*table, &bytes[within..within + cluster as usize])?;
        }
        Ok(true)
    }

    /// One request; `None` where it is refused or one too many.
    fn fetch(&mut self, offset: u64, length: usize) -> Result<Option<Vec<u8>>, Failure> {
        if self.plan.requests >= self.plan.limits.requests {
            self.may_fetch = false;
            return Ok(None);
        }
        self.plan.requests += 1;
        match self.ranges.read(offset, length) {
            Ok(bytes) if bytes.len() == length => {
                self.fetched.add(offset, &bytes);
                Ok(Some(bytes))
            }
            Ok(_) | Err(RangeError::Refused) => {
                self.may_fetch = false;
                self.plan.requests = self.plan.limits.requests;
                Ok(None)
            }
            Err(RangeError::Download(error)) => Err(Failure::Download(error)),
        }
    }

    fn requests<'t>(&self, tables: &'t [Table]) -> impl Iterator<Item = &'t [Table]> + use<'t> {
        let cluster = self.plan.header.geometry.cluster();
        let mut start = tables.first().map_or(0, |table| table.host());
        tables.chunk_by(move |one, next| {
            let end = one.host() + cluster;
            let together =
                next.host().saturating_sub(end) <= GAP && next.host() + cluster - start <= REQUEST;
            if !together {
                start = next.host();
            }
            together
        })
    }
}
