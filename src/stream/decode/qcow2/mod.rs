//! qcow2, streamed: from the file's bytes in order to those of the disk in any order, without a copy
//! of the file.
//!
//! What QEMU writes has its L1 table near the start, and each L2 table before the data that it maps
//! or a few clusters after. So a [pass] learns tables as they go by, keeps up to 16 MiB that
//! came before their map ([`look_back`]), and hands on the rest as it comes. Where a file is laid
//! out otherwise (resized, much written to, tiny clusters), there are two ways on:
//!
//! - the tables ahead are [fetched](fetch), and compared with the pass when it gets there;
//! - where the server does not give parts of the file, or there would be too many: what went by too
//!   early is noted, and the next pass over the file begins with these notes.
//!
//! The [map] of what is still to come has a budget. A table that does not fit is left for the
//! next pass as well, so that memory does not grow with fragmentation; only time does. Each L2 entry
//! is mapped exactly once in all passes, so each byte of the disk is written once, zeros included.
//!
//! An image comes from a tenant: whatever its bytes, memory is bounded and the answer is an error
//! with the broken rule's name. What is accepted gives what QEMU would read.

mod entry;
mod error;
mod fetch;
mod fetched;
mod geometry;
mod header;
mod inflate;
mod learn;
mod look_back;
mod map;
mod metadata;
mod output;
mod pass;
mod plan;
mod runs;
mod tables;
#[cfg(test)]
mod tests;
mod workers;

use std::thread;

use self::error::Qcow2Error;
use self::fetched::Fetched;
use self::look_back::LookBack;
use self::output::{Failure, Output, Pools};
use self::pass::Reader;
use self::plan::PassPlan;
use self::workers::Workers;
use super::{Decoder, Pass, PassOutcome};
use crate::stream::error::StreamError;

/// Large, small and tiny buffers for data that is not compressed: 12 MiB for long runs, 6 MiB for
/// scattered clusters, and 8 MiB (alignment included) for those of the smallest sizes.
const BUFFERS: [usize; 3] = [12, 96, 1024];

/// The decoder of a qcow2 image.
pub(super) struct Qcow2 {
    /// The image's id.
    image: String,
    plan: PassPlan,
    pools: Pools,
    worker_pools: Vec<Pools>,
}

impl Qcow2 {
    /// The decoder for the file of `length` bytes that starts with these.
    pub(super) fn new(image: &str, start: &[u8], length: Option<u64>) -> Result<Self, StreamError> {
        let plan = PassPlan::new(start, length).map_err(|error| refused(image, error))?;
        let cluster = plan.header.geometry.cluster() as usize;
        Ok(Self {
            image: image.to_owned(),
            plan,
            pools: Pools::new(BUFFERS, 0),
            worker_pools: workers::pools(cluster),
        })
    }
}

impl Decoder for Qcow2 {
    fn size(&self) -> Option<u64> {
        Some(self.plan.header.geometry.size)
    }

    fn pass(&mut self, pass: &mut Pass<'_>) -> Result<PassOutcome, StreamError> {
        let Self {
            image,
            plan,
            pools,
            worker_pools,
        } = self;
        let size = plan.header.geometry.size;
        let header = plan.header.clone();
        let (halt, ranges) = (pass.halt, pass.ranges);
        let (output, input) = (&pass.output, &mut pass.input);
        let location = pass.request.locations.first();
        let location = location.map_or_else(String::new, ToString::to_string);
        let outcome = thread::scope(|scope| {
            let (l1, refcounts) = plan.begin()?;
            let reader = Reader {
                may_fetch: true,
                ranges,
                output: Output::new(pools, halt, output.clone(), size),
                workers: Workers::new(scope, &header, worker_pools, halt, output.clone()),
                location,
                position: 0,
                look_back: LookBack::default(),
                l1,
                refcounts,
                late: Vec::new(),
                missed: Vec::new(),
                fetched: Fetched::default(),
                plan,
            };
            reader.run(input)
        });
        match outcome {
            Ok(false) => Ok(PassOutcome::Done { size }),
            // Where the pipeline stops, any outcome will do.
            Ok(true) | Err(Failure::Gone) => Ok(PassOutcome::Again),
            Err(Failure::Image(error)) => Err(damaged(image, error)),
            Err(Failure::Download(source)) => Err(StreamError::Download {
                image: image.clone(),
                source,
            }),
            Err(Failure::Threads(source)) => Err(StreamError::Stages {
                image: image.clone(),
                source,
            }),
        }
    }
}

/// A feature that is not accepted is a refusal; anything else is a damaged image.
fn refused(image: &str, error: Qcow2Error) -> StreamError {
    match error {
        Qcow2Error::BackingFile
        | Qcow2Error::DataFile
        | Qcow2Error::Encrypted(_)
        | Qcow2Error::UnknownFeatures(_) => StreamError::Format {
            reason: error.to_string(),
            conversion: None,
        },
        error => damaged(image, error),
    }
}

fn damaged(image: &str, error: Qcow2Error) -> StreamError {
    StreamError::Damaged {
        image: image.to_owned(),
        source: Box::new(error),
    }
}
