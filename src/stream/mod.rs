//! An image's bytes on their way to the disk: source, verify, decode, sink.
//!
//! Each stage is an adapter on a thread of its own, and the stages overlap through queues of reused
//! aligned buffers, so that receive, hash, decode and write run side by side and memory is constant
//! for an image of any size:
//!
//! ```text
//! source ──buffers──▶ verify ──buffers──▶ decode ──extents──▶ sink (several writes in flight)
//!    ▲                                                              │
//!    └──────────────── the pool takes written buffers back ◀────────┘
//! ```
//!
//! The format is found by the first buffer (`decode::recognise`), before anything is written; a format
//! that needs the file more than once is given it again, and both times must have one digest.
//!
//! The order on the medium is the point of it all: the first and last MiB are zeroed and flushed
//! before anything else is written; guest bytes 0 to 1 MiB are held back in memory
//! ([`Staged`]) while all others are written, flushed and their digest verified; the caller then
//! edits partition table and config drive through [`Staged`], and [`Staged::commit`] writes the
//! head. A wrong image, a kill or a power cut at any moment before that leaves a disk that does not
//! boot.

mod attempts;
mod buffer;
mod checksum_file;
mod client;
mod coding;
mod decode;
mod digest;
mod download;
mod error;
mod format;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod gunzip;
mod halt;
#[cfg(test)]
pub(crate) mod http_cases;
mod patience;
mod pipeline;
mod quote;
mod ranges;
mod read_back;
mod redirect;
mod remote;
mod request;
mod sector_size;
mod sink;
mod source;
mod staged;
#[cfg(test)]
pub(crate) mod test_server;
#[cfg(test)]
mod tests;
mod text;
mod unpack;
mod version;

pub(crate) use attempts::{stage, write};
pub(crate) use digest::{Algorithm, MD5_DISABLED};
pub(crate) use error::{DownloadError, StreamError};
pub(crate) use format::describe;
pub(crate) use gunzip::Gunzip;
pub(crate) use pipeline::Written;
pub(crate) use request::{Checksum, Credentials, Format, ImageRequest, Location, Proxies};
pub(crate) use staged::Staged;
pub(crate) use text::{copy, fetch};
