//! Takes a content coding off what a server sends, and keeps the digest of what was sent.

use std::ops::ControlFlow;

use super::coding::Coding;
use super::decode::{Codec, CompressionError, Step};
use super::digest::{Algorithm, Digest};
use super::download::Receiver;
use super::error::DownloadError;
use super::request::Location;
use super::version::Version;

/// Bytes at the start that tell whether a body is in the coding that it is said to be in. Bytes of
/// anything else fail at the coding's first fields.
const START: usize = 64 << 10;

/// Bytes of output at a time.
const OUTPUT: usize = 64 << 10;

/// A receiver between a download and the one that waits for its bytes.
///
/// What is said to be packed and is not goes through as it is. Memory is constant: a start, an output
/// buffer, and the window of the coding.
pub(super) struct Unpacker<'r> {
    to: &'r mut dyn Receiver,
    /// How the digest of what is sent is computed; with none there is no digest.
    algorithm: Option<Algorithm>,
    /// Bytes that may be sent packed.
    limit: u64,
    sent: u64,
    state: State,
}

enum State {
    /// The bytes are what they seem.
    Plain,
    /// Said to be packed.
    Looking {
        coding: Coding,
        start: Vec<u8>,
    },
    Packed(Packed),
}

struct Packed {
    coding: Coding,
    codec: Box<dyn Codec>,
    digest: Option<Digest>,
    output: Vec<u8>,
    failure: Option<CompressionError>,
}

/// What was sent packed.
#[derive(Debug)]
pub(super) struct Sent {
    /// The digest of the packed bytes, where one was asked for.
    pub(super) digest: String,
    /// Why no more could be unpacked.
    pub(super) failure: Option<String>,
}

impl<'r> Unpacker<'r> {
    /// Hand what is unpacked to this receiver.
    pub(super) fn new(to: &'r mut dyn Receiver, algorithm: Option<Algorithm>) -> Self {
        Self {
            to,
            algorithm,
            limit: u64::MAX,
            sent: 0,
            state: State::Plain,
        }
    }

    /// Stop behind this number of packed bytes, whatever comes of them.
    pub(super) fn limited(mut self, limit: u64) -> Self {
        self.limit = limit;
        self
    }

    /// All has come. Tells what was sent where it was packed.
    pub(super) fn finish(mut self, location: &Location) -> Result<Option<Sent>, DownloadError> {
        let mut flow = ControlFlow::Continue(());
        if let State::Looking { .. } = self.state {
            flow = self.decide(true);
        }
        if let (ControlFlow::Continue(()), State::Packed(packed)) = (flow, &mut self.state) {
            flow = packed.unpack(&[], true, self.to);
        }
        if flow.is_break() {
            return Err(DownloadError::Interrupted {
                location: location.to_string(),
            });
        }
        Ok(match self.state {
            State::Packed(packed) => Some(Sent {
                digest: packed.digest.map(Digest::finish).unwrap_or_default(),
                failure: packed
                    .failure
                    .map(|error| format!("content encoding {}: {error}", packed.coding.name())),
            }),
            _ => None,
        })
    }

    /// Look at the start, which may be all.
    fn decide(&mut self, is_all: bool) -> ControlFlow<()> {
        let State::Looking { coding, start } = std::mem::replace(&mut self.state, State::Plain)
        else {
            return ControlFlow::Continue(());
        };
        let mut output = vec![0; OUTPUT];
        let codec = if is_packed(coding, &start, is_all, &mut output) {
            coding.codec().ok()
        } else {
            None
        };
        let Some(codec) = codec else {
            return self.to.bytes(&start);
        };
        let mut packed = Packed {
            coding,
            codec,
            digest: self.algorithm.map(Algorithm::start),
            output,
            failure: None,
        };
        let flow = packed.take(&start, self.to);
        self.state = State::Packed(packed);
        flow
    }
}

impl Receiver for Unpacker<'_> {
    fn opened(&mut self, version: &Version) -> ControlFlow<()> {
        if let Some(coding) = version.coding() {
            self.state = State::Looking {
                coding,
                start: Vec::new(),
            };
        }
        self.to.opened(version)
    }

    fn bytes(&mut self, data: &[u8]) -> ControlFlow<()> {
        self.sent += data.len() as u64;
        if self.sent > self.limit {
            return ControlFlow::Break(());
        }
        match &mut self.state {
            State::Plain => self.to.bytes(data),
            State::Packed(packed) => packed.take(data, self.to),
            State::Looking { start, .. } => {
                start.extend_from_slice(data);
                if start.len() < START {
                    return ControlFlow::Continue(());
                }
                self.decide(false)
            }
        }
    }
}

impl Packed {
    fn take(&mut self, data: &[u8], to: &mut dyn Receiver) -> ControlFlow<()> {
        if let Some(digest) = &mut self.digest {
            digest.update(data);
        }
        self.unpack(data, false, to)
    }

    /// After a failure the rest is only hashed: the digest tells whether it was damaged on the way.
    fn unpack(&mut self, mut data: &[u8], ended: bool, to: &mut dyn Receiver) -> ControlFlow<()> {
        while self.failure.is_none() && (ended || !data.is_empty()) {
            match self.codec.step(data, &mut self.output, ended) {
                Ok(step) => {
                    data = &data[step.taken..];
                    if step.made > 0 {
                        to.bytes(&self.output[..step.made])?;
                    }
                    if step.finished {
                        break;
                    }
                }
                Err(error) => self.failure = Some(error),
            }
        }
        ControlFlow::Continue(())
    }
}

/// Whether bytes that start so are in the coding: that fails at once, or not at all, or after
/// something came of it, which is then damage.
fn is_packed(coding: Coding, mut start: &[u8], is_all: bool, output: &mut [u8]) -> bool {
    let Ok(mut codec) = coding.codec() else {
        return false;
    };
    while !start.is_empty() {
        match codec.step(start, output, false) {
            Ok(step) if step.made > 0 => return true,
            Ok(step) => start = &start[step.taken..],
            Err(_) => return false,
        }
    }
    // Nothing may be what is packed.
    let last = |step: Step| step.finished || step.made > 0;
    !is_all || codec.step(&[], output, true).is_ok_and(last)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::Compression;
    use flate2::read::{GzEncoder, ZlibEncoder};
    use proptest::prelude::*;

    use super::*;

    #[derive(Default)]
    struct Collected(Vec<u8>);

    impl Receiver for Collected {
        fn opened(&mut self, version: &Version) -> ControlFlow<()> {
            assert_eq!(version.length(), None, "what comes of it has no length yet");
            ControlFlow::Continue(())
        }

        fn bytes(&mut self, data: &[u8]) -> ControlFlow<()> {
            self.0.extend_from_slice(data);
            ControlFlow::Continue(())
        }
    }

    /// What comes of a body that is said to be in a coding, in pieces of this size.
    fn unpacked(coding: &str, body: &[u8], piece: usize) -> (Vec<u8>, Option<Sent>) {
        let reply = hyper::Response::builder()
            .header("Content-Encoding", coding)
            .header("Content-Length", body.len())
            .body(Vec::new())
            .unwrap();
        let version = Version::of(&reply.into());
        assert_eq!(version.sent_length(), Some(body.len() as u64));
        let mut collected = Collected::default();
        let mut unpacker = Unpacker::new(&mut collected, Some(Algorithm::Sha256));
        assert!(unpacker.opened(&version).is_continue());
        for data in body.chunks(piece) {
            assert!(unpacker.bytes(data).is_continue());
        }
        let sent = unpacker.finish(&Location::parse("http://h").unwrap());
        (collected.0, sent.unwrap())
    }

    fn digest(body: &[u8]) -> String {
        let mut digest = Algorithm::Sha256.start();
        digest.update(body);
        digest.finish()
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_back(
            content in prop::collection::vec(any::<u8>(), 0..3000),
            times in 1_usize..100,
            piece in 1_usize..5000,
            level in 0_u32..9,
        ) {
            let content = content.repeat(times);
            let (mut gzip, mut zlib) = (Vec::new(), Vec::new());
            let level = Compression::new(level);
            GzEncoder::new(&content[..], level).read_to_end(&mut gzip).unwrap();
            ZlibEncoder::new(&content[..], level).read_to_end(&mut zlib).unwrap();
            for (coding, body) in [("x-gzip", &gzip), ("deflate", &zlib)] {
                let (came, sent) = unpacked(coding, body, piece);
                let sent = sent.unwrap();
                prop_assert!(came == content);
                prop_assert_eq!(sent.digest, digest(body));
                prop_assert_eq!(sent.failure, None);
                // Of a cut body nothing comes that is not its own.
                let cut = &body[..body.len() / 2];
                let (came, sent) = unpacked(coding, cut, piece);
                if let Some(sent) = sent {
                    prop_assert!(content.starts_with(&came));
                    prop_assert_eq!(sent.digest, digest(cut));
                    prop_assert!(sent.failure.is_some());
                }
            }
        }

        #[test]
        fn what_was_not_packed_is_left_alone(
            content in prop::collection::vec(any::<u8>(), 0..200),
            coding in prop::sample::select(vec!["gzip", "zstd", "deflate"]),
            piece in 1_usize..300,
        ) {
            // Deflate has two bytes to be known by, which any others may resemble.
            let plain = [b"\xeb\x63\x90", &content[..]].concat();
            let (came, sent) = unpacked(coding, &plain, piece);
            prop_assert!(came == plain && sent.is_none());
        }

        #[test]
        fn any_damage_is_survived(
            content in prop::collection::vec(any::<u8>(), 1..3000),
            place in any::<prop::sample::Index>(),
            bit in 0_u8..8,
            piece in 1_usize..5000,
        ) {
            let mut body = Vec::new();
            GzEncoder::new(&content[..], Compression::fast()).read_to_end(&mut body).unwrap();
            let place = place.index(body.len());
            body[place] ^= 1 << bit;
            let (_, sent) = unpacked("gzip", &body, piece);
            prop_assert!(sent.is_none_or(|sent| sent.digest == digest(&body)));
        }
    }
}
