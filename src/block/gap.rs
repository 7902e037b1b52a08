//! The unused space of a disk, and where in it a new partition goes.

/// Alignment of new partitions, in bytes: what sgdisk and parted use, because it suits every disk
/// and RAID geometry.
pub(super) const ALIGNMENT: u64 = 1 << 20;

/// Blocks that no partition uses, both ends included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Gap {
    pub(super) first: u64,
    pub(super) last: u64,
}

/// The gaps between these used ranges (first and last block of each), within these bounds.
pub(super) fn gaps(used: &mut [(u64, u64)], first: u64, last: u64) -> Vec<Gap> {
    used.sort_unstable();
    let mut found = Vec::new();
    let mut next = first;
    for (start, end) in used.iter().copied() {
        if start > next {
            found.push(Gap {
                first: next,
                last: (start - 1).min(last),
            });
        }
        next = next.max(end.saturating_add(1));
    }
    if next <= last {
        found.push(Gap { first: next, last });
    }
    found.retain(|gap| gap.first <= gap.last && gap.first >= first);
    found
}

/// First and last block of a new partition at the end of a gap: `wanted` bytes and whatever is lost
/// by aligning its start, or at least `least` bytes where the gap is too small for that.
pub(super) fn at_end(gap: Gap, block: u64, wanted: u64, least: u64) -> Option<(u64, u64)> {
    let align = ALIGNMENT / block;
    let end = gap.last + 1;
    [wanted, least].into_iter().find_map(|bytes| {
        let start = end.checked_sub(bytes.div_ceil(block))?;
        let start = start - start % align;
        (start >= gap.first && start < end).then_some((start, gap.last))
    })
}
