//! Parts of the file that were read ahead of the pass, and must be the same when it gets there.

use crate::stream::digest::{Algorithm, Digest};

/// What was read ahead, in the file's order. Parts may overlap.
#[derive(Default)]
pub(super) struct Fetched(Vec<Part>);

struct Part {
    end: u64,
    expected: String,
    /// The digest of what the pass saw of it so far.
    seen: Option<Digest>,
    /// Up to where that is.
    next: u64,
}

impl Fetched {
    /// Remember what these bytes are.
    pub(super) fn add(&mut self, start: u64, data: &[u8]) {
        let mut digest = Algorithm::Sha256.start();
        digest.update(data);
        self.0.push(Part {
            end: start + data.len() as u64,
            expected: digest.finish(),
            seen: None,
            next: start,
        });
    }

    /// The pass gets to these bytes. False where they are not what was read ahead.
    pub(super) fn matches(&mut self, start: u64, data: &[u8]) -> bool {
        let end = start + data.len() as u64;
        for part in &mut self.0 {
            let from = part.next.max(start);
            let to = part.end.min(end);
            if from >= to || from != part.next {
                continue;
            }
            let digest = part.seen.get_or_insert_with(|| Algorithm::Sha256.start());
            digest.update(&data[(from - start) as usize..(to - start) as usize]);
            part.next = to;
        }
        let mut same = true;
        self.0.retain_mut(|part| {
            if part.next < part.end {
                return true;
            }
            let seen = part
                .seen
                .take()
                .unwrap_or_else(|| Algorithm::Sha256.start());
            same &= seen.finish() == part.expected;
            false
        });
        same
    }

    /// Whether the pass has seen all that was read ahead.
    pub(super) fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(fetched: &mut Fetched, file: &[u8], buffer: usize) -> bool {
        let mut same = true;
        for (number, piece) in file.chunks(buffer).enumerate() {
            same &= fetched.matches((number * buffer) as u64, piece);
        }
        same
    }

    #[test]
    fn a_difference_is_seen() {
        let file: Vec<u8> = (0..5000_u32).map(|byte| (byte * byte) as u8).collect();
        for buffer in [1, 7, 512, 5000] {
            for changed in [
                None,
                Some(99),
                Some(100),
                Some(1999),
                Some(2000),
                Some(3000),
            ] {
                let mut fetched = Fetched::default();
                fetched.add(100, &file[100..2000]);
                fetched.add(1000, &file[1000..1001]);
                fetched.add(2500, &file[2500..3500]);
                let mut seen = file.clone();
                if let Some(place) = changed {
                    seen[place] ^= 1;
                }
                let expected = !matches!(changed, Some(100 | 1999 | 3000));
                assert_eq!(pass(&mut fetched, &seen, buffer), expected, "{changed:?}");
                assert!(fetched.is_over());
            }
        }
        let mut fetched = Fetched::default();
        fetched.add(4000, &[0; 2000]);
        assert!(pass(&mut fetched, &file, 512));
        assert!(!fetched.is_over());
    }
}
