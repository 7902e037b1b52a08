//! gzip as a reader, for contents that are small and whole in memory.

use std::io::{self, Read};

use super::decode::{Codec, Compression};

/// Bytes of gzip that are taken at once.
const INPUT: usize = 32 << 10;

/// What is inside a gzip file, by the rules that hold for images: any number of members, zeros
/// between and behind them, and nothing else there. Where the rules are broken, reading fails with
/// [`io::ErrorKind::InvalidData`].
pub(crate) struct Gunzip<R> {
    from: R,
    codec: Box<dyn Codec>,
    input: Vec<u8>,
    taken: usize,
    has_ended: bool,
    is_finished: bool,
}

impl<R: Read> Gunzip<R> {
    /// What is inside the gzip file that this reader gives.
    pub(crate) fn new(from: R) -> io::Result<Self> {
        Ok(Self {
            from,
            codec: Compression::Gzip.codec().map_err(io::Error::other)?,
            input: Vec::new(),
            taken: 0,
            has_ended: false,
            is_finished: false,
        })
    }
}

impl<R: Read> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.is_finished && !buffer.is_empty() {
            if self.taken == self.input.len() && !self.has_ended {
                self.input.resize(INPUT, 0);
                let count = self.from.read(&mut self.input)?;
                self.input.truncate(count);
                self.taken = 0;
                self.has_ended = count == 0;
            }
            let step = self
                .codec
                .step(&self.input[self.taken..], buffer, self.has_ended)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            self.taken += step.taken;
            self.is_finished = step.finished;
            if step.made > 0 {
                return Ok(step.made);
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(packed: &[u8]) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        Gunzip::new(packed)?.read_to_end(&mut content)?;
        Ok(content)
    }

    #[test]
    fn members_and_the_zeros_around_them_are_read_and_nothing_else_is() {
        let (one, two) = (gzip(b"one"), gzip(b"two"));
        let zeros = [0; 700];
        assert_eq!(unpacked(&[&one[..], &two].concat()).unwrap(), b"onetwo");
        let padded = [&one[..], &zeros, &two, &zeros].concat();
        assert_eq!(unpacked(&padded).unwrap(), b"onetwo");
        for wrong in [
            &[][..],
            &one[..one.len() - 1],
            &[&one[..], b"x"].concat(),
            &[&zeros[..], &one].concat(),
        ] {
            let error = unpacked(wrong).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_content_comes_back(content in prop::collection::vec(any::<u8>(), 0..100_000)) {
            prop_assert_eq!(unpacked(&gzip(&content)).unwrap(), content);
        }
    }
}
