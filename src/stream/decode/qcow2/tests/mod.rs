//! The decoder as the pipeline runs it: images in memory, extents into a disk in memory.

mod built;
mod damaged;
mod qemu;
mod zoo;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use farrier_plugin::SilentContext;

use super::Qcow2;
use super::plan::{LIMITS, Limits};
use crate::stream::buffer::Pool;
use crate::stream::decode::{Content, Decoder, Extent, INPUT_BUFFER, Input, Pass, PassOutcome};
use crate::stream::error::StreamError;
use crate::stream::halt::Halt;
use crate::stream::ranges::{RangeError, Ranges};
use crate::stream::request::{Credentials, Format, ImageRequest, Location, Proxies};
use crate::sys::memory_medium::MemoryMedium;

/// How an image is read.
#[derive(Clone, Debug)]
struct Setup {
    limits: Limits,
    /// Bytes of a buffer of the file.
    buffer: usize,
    /// What parts of the file are read from; `None` refuses.
    ranges: Option<Vec<u8>>,
    /// Whether the file's length is told.
    tells_length: bool,
}

/// What reading it took.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Effort {
    passes: usize,
    requests: usize,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            limits: LIMITS,
            buffer: INPUT_BUFFER,
            ranges: None,
            tells_length: true,
        }
    }
}

struct TestRanges<'a> {
    file: Option<&'a [u8]>,
    requests: AtomicUsize,
}

impl Ranges for TestRanges<'_> {
    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, RangeError> {
        let file = self.file.ok_or(RangeError::Refused)?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        Ok(file[offset as usize..][..length].to_vec())
    }
}

/// Decode the file and show each extent.
fn extents(
    file: &[u8],
    setup: &Setup,
    mut take: impl FnMut(Extent) + Send,
) -> Result<(u64, Effort), StreamError> {
    let start = &file[..file.len().min(INPUT_BUFFER)];
    let length = setup.tells_length.then_some(file.len() as u64);
    let mut decoder = Qcow2::new("image", start, length)?;
    decoder.plan.limits = setup.limits;
    let request = ImageRequest {
        id: "image".to_owned(),
        locations: vec![Location::parse("http://server/image?secret").unwrap()],
        format: Format::Undeclared,
        permitted_formats: Vec::new(),
        inspect: true,
        read_back: false,
        checksum: None,
        credentials: Credentials::None,
        proxies: Proxies::default(),
        what: "writing".to_owned(),
    };
    let halt = Halt::new(&SilentContext);
    let device = MemoryMedium::used(0);
    let ranges = TestRanges {
        file: setup.ranges.as_deref().filter(|_| setup.tells_length),
        requests: AtomicUsize::new(0),
    };
    for passes in 1.. {
        let (to_decode, from) = mpsc::channel();
        let (output, extents) = mpsc::channel();
        let outcome = thread::scope(|scope| {
            let (halt, take) = (&halt, &mut take);
            scope.spawn(move || {
                let mut pool = Pool::new(setup.buffer, 4);
                for piece in file.chunks(setup.buffer) {
                    let Some(mut buffer) = pool.take(halt) else {
                        return;
                    };
                    assert_eq!(buffer.fill_from(piece), piece.len());
                    if to_decode.send(buffer).is_err() {
                        return;
                    }
                }
            });
            scope.spawn(move || extents.into_iter().for_each(take));
            let mut pass = Pass {
                input: Input::new(from, String::new(), length, halt),
                output,
                ranges: &ranges,
                halt,
                request: &request,
                device: &device,
            };
            let outcome = decoder.pass(&mut pass);
            if outcome.is_err() {
                halt.stop();
            }
            outcome
        })?;
        if let PassOutcome::Done { size } = outcome {
            let requests = ranges.requests.load(Ordering::Relaxed);
            return Ok((size, Effort { passes, requests }));
        }
    }
    unreachable!()
}

/// Decode the file onto a used disk. Each byte must be written exactly once.
fn decode(file: &[u8], setup: &Setup) -> Result<(Vec<u8>, Effort), StreamError> {
    const SECTOR: usize = 512;
    let mut disk = Vec::new();
    let mut written = Vec::new();
    let (size, effort) = extents(file, setup, |Extent { offset, content }| {
        if matches!(content, Content::Zeros(0)) {
            return;
        }
        let start = offset as usize;
        let length = match &content {
            Content::Data(data) => data.len(),
            Content::Zeros(length) => *length as usize,
        };
        let end = start + length;
        assert!(length > 0 && start.is_multiple_of(SECTOR) && end.is_multiple_of(SECTOR));
        if disk.len() < end {
            disk.resize(end, 0xaa);
            written.resize(end / SECTOR, false);
        }
        for (number, sector) in written[start / SECTOR..end / SECTOR].iter_mut().enumerate() {
            assert!(
                !*sector,
                "byte {} is written twice",
                start + number * SECTOR
            );
            *sector = true;
        }
        match content {
            Content::Data(data) => disk[start..end].copy_from_slice(&data),
            Content::Zeros(_) => disk[start..end].fill(0),
        }
    })?;
    assert_eq!(disk.len() as u64, size, "the disk ends where it should");
    if let Some(gap) = written.iter().position(|written| !written) {
        panic!("byte {} of {size} is not written", gap * SECTOR);
    }
    Ok((disk, effort))
}

/// The first byte in which two disks differ.
fn difference(one: &[u8], other: &[u8]) -> Option<usize> {
    // Byte by byte without optimisation takes a hundred times as long.
    if one == other {
        return None;
    }
    if one.len() != other.len() {
        return Some(one.len().min(other.len()));
    }
    one.iter().zip(other).position(|(one, other)| one != other)
}

/// The whole chain of an error's messages.
fn message(error: &StreamError) -> String {
    farrier_plugin::chain(error)
}
