//! What is around a config drive's image.

use std::io::{self, Read};

use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::read::DecoderReader;

use crate::stream::Gunzip;

/// Bytes that are read of a layer's inside, so that one that expands without an end ends. Up to so
/// many the size of an image that is too large is found out, for the message.
pub(super) const READ_LIMIT: u64 = 1 << 30;

/// The first bytes of gzip, and the only compression method that there is.
const GZIP: [u8; 3] = [0x1f, 0x8b, 8];

/// Bytes in which the parameters of a `data:` URL end.
const DATA_URL: usize = 128;

/// Letters of a line of base64 at least: more than most words have.
const SHORTEST_LINE: usize = 16;

/// Base64 as Python's lenient decoder takes it: padding or none, and whatever lies in the last
/// bits. What is not of the alphabet is filtered out before.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::deploy) enum Layer {
    /// Text in any encoding whose letters are those of ASCII, with or without zeros between them.
    Base64 {
        /// Bytes before it.
        prefix: u64,
    },
    Gzip,
}

impl Layer {
    /// The layer around something that starts with these bytes; `None` where it is neither.
    pub(super) fn around(start: &[u8]) -> Option<Self> {
        if start.starts_with(&GZIP) {
            return Some(Self::Gzip);
        }
        let layer = Self::base64(start);
        let Self::Base64 { prefix } = layer else {
            return None;
        };
        // A page or a document has other signs at its very beginning.
        let text = start.get(prefix as usize..)?;
        let is_text = text.iter().all(|byte| may_stand_in_base64(*byte))
            && text.iter().any(u8::is_ascii_alphanumeric)
            && !text
                .split(|byte| matches!(byte, b'\n' | b'\r'))
                .any(is_of_words);
        is_text.then_some(layer)
    }

    /// Text that is known to be base64.
    pub(in crate::deploy) fn base64(start: &[u8]) -> Self {
        let head = &start[..start.len().min(DATA_URL)];
        let is_data_url =
            head.trim_ascii_start().starts_with(b"data:") || head.starts_with(b"\xef\xbb\xbfdata:");
        let end = head.windows(8).position(|part| part == b";base64,");
        let prefix = match end {
            Some(end) if is_data_url => end as u64 + 8,
            _ => 0,
        };
        Self::Base64 { prefix }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Base64 { .. } => "base64",
            Self::Gzip => "gzip",
        }
    }

    /// What is inside.
    pub(in crate::deploy) fn inside<'r>(
        self,
        mut from: Box<dyn Read + 'r>,
    ) -> io::Result<Box<dyn Read + 'r>> {
        Ok(match self {
            Self::Gzip => Box::new(Gunzip::new(from)?),
            Self::Base64 { prefix } => {
                io::copy(&mut (&mut from).take(prefix), &mut io::sink())?;
                let letters = Alphabet {
                    from,
                    is_over: false,
                };
                Box::new(DecoderReader::new(letters, &LENIENT))
            }
        })
    }
}

/// Whether a line is of words: neither indented, nor of several lines of base64 that became one, as
/// YAML folds them.
fn is_of_words(line: &[u8]) -> bool {
    let mut words: Vec<&[u8]> = line
        .split(|byte| *byte == b' ')
        .filter(|word| word.iter().any(u8::is_ascii_alphanumeric))
        .collect();
    // The last one is as short as it comes.
    words.pop();
    words.iter().any(|word| word.len() < SHORTEST_LINE)
}

/// Letters, what ends them, line breaks, quotation marks, zeros and byte order marks: those of UTF-16
/// and UTF-8.
fn may_stand_in_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || byte.is_ascii_whitespace()
        || b"+/-_='\"\0\xef\xbb\xbf\xff\xfe".contains(&byte)
}

/// Leaves out all that is not of base64's alphabet, such as line breaks, and padding, behind which
/// nothing may come. The two letters that are others in URLs become the usual ones.
struct Alphabet<R> {
    from: R,
    is_over: bool,
}

impl<R: Read> Read for Alphabet<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.from.read(buffer)?;
            if count == 0 {
                return Ok(0);
            }
            let mut kept = 0;
            for at in 0..count {
                let byte = match buffer[at] {
                    b'-' => b'+',
                    b'_' => b'/',
                    byte => byte,
                };
                if byte == b'=' {
                    self.is_over = true;
                } else if byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/' {
                    if self.is_over {
                        let why = "the base64 goes on behind its padding (=)";
                        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
                    }
                    buffer[kept] = byte;
                    kept += 1;
                }
            }
            if kept > 0 {
                return Ok(kept);
            }
        }
    }
}
