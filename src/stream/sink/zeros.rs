//! Long runs of zeros in an image's bytes, which the disk can make by itself.

use std::ops::Range;

/// Bytes from which on a run of zeros is left to the disk; a shorter one is written with its
/// neighbours, which costs less than a command of its own.
pub(super) const SHORTEST: u64 = 64 << 10;

/// A run of at least [`SHORTEST`] bytes covers one of these whole, wherever it starts. Looking at
/// the first word of each is therefore enough for data without zeros.
const PROBE: usize = 32 << 10;

/// What the ends of a run are aligned to: direct I/O's largest block.
const BLOCK: usize = 4096;

static ZERO_BLOCK: [u8; BLOCK] = [0; BLOCK];

/// The runs of zeros in these bytes, in order. Ends are at multiples of 4 KiB or at the end of the
/// bytes, so that up to 8 KiB of a run may be left out.
pub(super) fn runs(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        while let Some(run) = next_run(bytes, from) {
            from = run.end;
            if run.len() as u64 >= SHORTEST {
                return Some(run);
            }
        }
        None
    })
}

/// The next run that covers a whole probe.
fn next_run(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let mut probe = from.next_multiple_of(PROBE);
    while probe + PROBE <= bytes.len() {
        if is_zero(&bytes[probe..probe + 16]) && is_zero(&bytes[probe..probe + PROBE]) {
            let mut start = probe;
            while start > from && is_zero(&bytes[start - BLOCK..start]) {
                start -= BLOCK;
            }
            let mut end = probe + PROBE;
            while end < bytes.len() && is_zero(&bytes[end..(end + BLOCK).min(bytes.len())]) {
                end = (end + BLOCK).min(bytes.len());
            }
            return Some(start..end);
        }
        probe += PROBE;
    }
    None
}

fn is_zero(bytes: &[u8]) -> bool {
    // Comparing slices is memcmp(3), which the C library has in its fastest form for this machine.
    bytes
        .chunks(BLOCK)
        .all(|block| *block == ZERO_BLOCK[..block.len()])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_without_long_runs_have_none() {
        assert_eq!(runs(&[]).count(), 0);
        assert_eq!(runs(&[1; 1 << 20]).count(), 0);
        assert_eq!(runs(&[0; 65_535]).count(), 0);
        for length in [1 << 20, 70_001] {
            let zeros = vec![0; length];
            let mut found = runs(&zeros);
            assert_eq!(found.next(), Some(0..length));
            assert_eq!(found.next(), None);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_found_is_zero_and_long_and_no_long_run_is_missed(
            length in 1_usize..(1 << 20),
            holes in prop::collection::vec((0_usize..(1 << 20), 1_usize..300_000), 0..6),
        ) {
            let mut bytes = vec![1_u8; length];
            for (start, count) in holes {
                let start = start.min(length);
                let end = (start + count).min(length);
                bytes[start..end].fill(0);
            }
            let mut left = bytes.clone();
            let mut last = 0;
            for run in runs(&bytes) {
                prop_assert!(run.start >= last && run.len() as u64 >= SHORTEST);
                prop_assert!(run.start.is_multiple_of(BLOCK));
                prop_assert!(run.end.is_multiple_of(BLOCK) || run.end == length);
                prop_assert!(bytes[run.clone()].iter().all(|byte| *byte == 0));
                last = run.end;
                left[run].fill(1);
            }
            // A run of this length holds an aligned one of the shortest length.
            let most = left.split(|byte| *byte != 0).map(<[u8]>::len).max();
            prop_assert!(most.unwrap_or(0) < SHORTEST as usize + 2 * BLOCK);
        }
    }
}
