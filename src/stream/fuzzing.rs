//! The fuzz targets of this room.

use std::sync::mpsc;
use std::thread;

use farrier_plugin::SilentContext;

use super::buffer::Pool;
use super::checksum_file::Wanted;
use super::decode::{self, Content, Extent, INPUT_BUFFER, Input, Pass};
use super::digest::Algorithm;
use super::halt::Halt;
use super::ranges::{RangeError, Ranges};
use super::request::{Credentials, Format, ImageRequest, Proxies};
use super::version::Part;
use super::{checksum_file, format};
use crate::sys::memory_medium::MemoryMedium;
use crate::sys::text_encoding;

/// Bytes of the disk after which an image is large enough.
const ENOUGH: u64 = 64 << 20;

/// The most passes that an image may ask for.
const MOST_PASSES: usize = 100;

/// A checksum file. Its first byte says which algorithm is asked for, its first line goes on with the
/// path of the image; the rest comes in whatever encoding it looks like.
pub(crate) fn checksum_file(data: &[u8]) {
    let Some((first, data)) = data.split_first() else {
        return;
    };
    let end = data.iter().position(|byte| *byte == b'\n');
    let (path, content) = data.split_at(end.map_or(data.len(), |end| end + 1));
    let path = String::from_utf8_lossy(path);
    let path = path.trim_end();
    let wanted = Wanted {
        path,
        encoded_name: path.rsplit('/').next().unwrap_or_default(),
        algorithm: match first {
            b'1' => Some(Algorithm::Sha1),
            b'2' => Some(Algorithm::Sha256),
            b'5' => Some(Algorithm::Sha512),
            b'b' => Some(Algorithm::Blake2b),
            _ => None,
        },
    };
    let found = checksum_file::digest_of(&wanted, &text_encoding::decode(content));
    if let Ok((algorithm, digest)) = found {
        assert!(digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert!(wanted.algorithm.is_none_or(|wanted| wanted == algorithm));
        assert!(wanted.algorithm.is_some() || algorithm.digits() == digest.len());
    }
}

/// The header of a partial reply.
pub(crate) fn content_range(data: &[u8]) {
    if let Some(part) = Part::parse(&String::from_utf8_lossy(data)) {
        assert!(part.start < part.end && part.total.is_none_or(|total| part.end <= total));
    }
}

/// An image: recognised, judged by the policy and decoded. The first byte says what it was declared
/// to be and whether the server serves parts of it.
pub(crate) fn image(data: &[u8]) {
    let Some((first, file)) = data.split_first() else {
        return;
    };
    let request = request(match first & 7 {
        0 => Format::Raw,
        1 => Format::Gpt,
        2 => Format::Other("iso".to_owned()),
        3 => Format::Undeclared,
        _ => Format::Other("qcow2".to_owned()),
    });
    if format::check_declared(&request).is_err() {
        return;
    }
    let start = &file[..file.len().min(INPUT_BUFFER)];
    let length = (first & 8 == 0).then_some(file.len() as u64);
    let Ok(mut image) = decode::recognise(&request, start, length) else {
        return;
    };
    let ranges = Parts(file, first & 16 == 0);
    let device = MemoryMedium::of(vec![0; 1 << 20], 512);
    for _ in 0..MOST_PASSES {
        if !matches!(
            pass(&mut *image.decoder, file, &request, &ranges, &device),
            Some(decode::PassOutcome::Again)
        ) {
            return;
        }
    }
    panic!("more than {MOST_PASSES} passes over {} bytes", file.len());
}

/// One pass; `None` where it failed.
fn pass(
    decoder: &mut dyn decode::Decoder,
    file: &[u8],
    request: &ImageRequest,
    ranges: &Parts<'_>,
    device: &MemoryMedium,
) -> Option<decode::PassOutcome> {
    let halt = Halt::new(&SilentContext);
    let (to_decoder, from) = mpsc::channel();
    let (output, extents) = mpsc::channel::<Extent>();
    let size = decoder.size();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut pool = Pool::new(INPUT_BUFFER, 2);
            let mut rest = file;
            while !rest.is_empty() {
                let Some(mut buffer) = pool.take(&halt) else {
                    break;
                };
                let taken = buffer.fill_from(rest);
                rest = &rest[taken..];
                if to_decoder.send(buffer).is_err() {
                    break;
                }
            }
            drop(to_decoder);
        });
        scope.spawn(|| {
            let mut written = 0;
            for extent in extents {
                let length = match extent.content {
                    Content::Data(data) => data.len() as u64,
                    Content::Zeros(length) => length,
                };
                let end = extent.offset.checked_add(length);
                assert!(end.is_some_and(|end| size.is_none_or(|size| end <= size)));
                written += length.min(ENOUGH);
                if written > ENOUGH {
                    halt.stop();
                }
            }
        });
        let input = Input::new(from, String::new(), Some(file.len() as u64), &halt);
        let mut pass = Pass {
            input,
            output,
            ranges,
            halt: &halt,
            request,
            device,
        };
        decoder.pass(&mut pass).ok()
    })
}

/// The file's parts, where the server serves them.
struct Parts<'f>(&'f [u8], bool);

impl Ranges for Parts<'_> {
    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, RangeError> {
        let part = usize::try_from(offset)
            .ok()
            .filter(|_| self.1)
            .and_then(|offset| self.0.get(offset..)?.get(..length));
        part.map(<[u8]>::to_vec).ok_or(RangeError::Refused)
    }
}

fn request(format: Format) -> ImageRequest {
    ImageRequest {
        id: "image".to_owned(),
        locations: Vec::new(),
        format,
        permitted_formats: ["raw", "qcow2", "gpt", "iso"].map(str::to_owned).to_vec(),
        inspect: true,
        checksum: None,
        credentials: Credentials::None,
        proxies: Proxies::default(),
        what: String::new(),
        read_back: false,
    }
}
