//! The stage `decode`: from the image's bytes to extents of the disk.

use std::sync::mpsc::{Receiver, Sender};

use super::buffer::Buffer;
use super::error::StreamError;
use super::halt::Halt;
use super::request::ImageRequest;
use super::sniff;

/// Bytes that belong at an offset of the disk.
pub(super) struct Extent {
    pub(super) offset: u64,
    pub(super) data: Buffer,
}

/// Turn the image's bytes into extents. For the bytes of a disk that is giving each its offset; a
/// format with a layout of its own becomes another function of this shape.
///
/// Nothing passes before the content was found to be what was declared. The first buffer is full
/// unless the whole image is smaller, so that it is enough to tell.
pub(super) fn raw(
    request: &ImageRequest,
    halt: &Halt<'_>,
    from: Receiver<Buffer>,
    to: Sender<Extent>,
) -> Result<u64, StreamError> {
    let mut offset = 0;
    for data in from {
        if offset == 0 {
            sniff::check_content(request, &data)?;
        }
        let length = data.len() as u64;
        if halt.is_set() || to.send(Extent { offset, data }).is_err() {
            return Ok(offset);
        }
        offset += length;
    }
    Ok(offset)
}
