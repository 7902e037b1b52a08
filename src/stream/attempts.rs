//! An image onto a medium: its locations in turn, and what is tried again when one fails.

use std::thread;
use std::time::{Duration, Instant};

use farrier_plugin::{Context, chain};
use tracing::warn;

use super::checksum_file::Wanted;
use super::digest::{Algorithm, MD5_DISABLED};
use super::error::{DownloadError, StreamError};
use super::halt::{Halt, LOOK};
use super::pipeline::{Pipeline, Written};
use super::request::{Checksum, ImageRequest, Location};
use super::staged::Staged;
use super::{checksum_file, format, text};
use crate::block::table::Table;
use crate::block::table_error::TableError;
use crate::config::Options;
use crate::sys::block_device::Medium;
use crate::sys::text_encoding;

/// Bytes of a checksum file that are taken: some hundred thousand names. It is in memory, so there
/// is a limit, and a mirror's list of all its files stays below it.
const CHECKSUM_FILE_LIMIT: u64 = 16 << 20;

/// Write an image and make it bootable at once: [`stage`], the backup of a GPT moved to the end of
/// the disk, then [`Staged::commit`].
pub(crate) fn write(
    request: &ImageRequest,
    options: &Options,
    medium: &dyn Medium,
    context: &dyn Context,
) -> Result<Written, StreamError> {
    let (staged, written) = stage_image(request, options, medium, context)?;
    fit_to_disk(&staged, &request.id);
    staged.commit()?;
    Ok(written)
}

/// Move the backup of an image's GPT to the end of its disk, as a deploy does. A plain file keeps
/// the image's own bytes.
fn fit_to_disk(staged: &Staged<'_>, image: &str) {
    if staged.is_plain_file() {
        return;
    }
    let fitted = Table::read(staged).and_then(|mut table| table.fit_to_disk(staged));
    match fitted {
        // An image need not have partitions.
        Ok(()) | Err(TableError::Absent { .. }) => {}
        Err(error) => warn!(
            image,
            error = %chain(&error),
            "the backup of the partition table stays where the image has it"
        ),
    }
}

/// Write all of an image except its head, verified and flushed.
///
/// Called from a plain thread, never from an asynchronous task. Memory is constant: the buffers'
/// 32 MiB and some. Nothing is touched on the medium before the server has answered and the image
/// is known to fit, as far as the server tells its size.
pub(crate) fn stage<'m>(
    request: &ImageRequest,
    options: &Options,
    medium: &'m dyn Medium,
    context: &dyn Context,
) -> Result<Staged<'m>, StreamError> {
    stage_image(request, options, medium, context).map(|(staged, _)| staged)
}

fn stage_image<'m>(
    request: &ImageRequest,
    options: &Options,
    medium: &'m dyn Medium,
    context: &dyn Context,
) -> Result<(Staged<'m>, Written), StreamError> {
    format::check_declared(request)?;
    let run = Run {
        request,
        options,
        medium,
        context,
        expected: expected(request, options, context)?,
        started: Instant::now(),
    };
    let mut tried = Vec::new();
    for location in &request.locations {
        let began = Instant::now();
        match run.location(location) {
            Err(StreamError::Download {
                source: source @ DownloadError::Deadline { .. },
                image,
            }) => return Err(StreamError::Download { image, source }),
            Err(StreamError::Download { source, .. }) => tried.push((location, began, source)),
            outcome => return outcome,
        }
    }
    let image = request.id.clone();
    match <[_; 1]>::try_from(tried) {
        Ok([(_, _, source)]) => Err(StreamError::Download { image, source }),
        Err(tried) => Err(StreamError::DownloadEverywhere {
            image,
            tried: tried
                .iter()
                .map(|(location, began, error)| {
                    let seconds = began.elapsed().as_secs();
                    format!(
                        "URL: {location}; time: {seconds} s. Error: {}",
                        chain(error)
                    )
                })
                .collect::<Vec<_>>()
                .join("\n "),
        }),
    }
}

/// One call of [`stage`].
struct Run<'a, 'm> {
    request: &'a ImageRequest,
    options: &'a Options,
    medium: &'m dyn Medium,
    context: &'a dyn Context,
    expected: Option<(Algorithm, String)>,
    started: Instant,
}

impl<'m> Run<'_, 'm> {
    /// One location, until it gives the image or an error that trying again does not mend.
    ///
    /// A wrong digest is tried again, since something on the way may have damaged the bytes; the
    /// same wrong digest twice is the image's own.
    fn location(&self, location: &Location) -> Result<(Staged<'m>, Written), StreamError> {
        let mut left = self.options.image_download_connection_retries;
        let mut seen = None;
        let mut as_stored = false;
        loop {
            let error = match self.attempt(location, as_stored) {
                Ok(staged) => return Ok(staged),
                Err(error) => error,
            };
            let again = match &error {
                StreamError::Checksum { computed, .. } => {
                    let same = seen.as_ref() == Some(computed);
                    seen = Some(computed.clone());
                    !same
                }
                StreamError::Download {
                    source: DownloadError::Changed { .. },
                    ..
                } => true,
                StreamError::Download {
                    source: DownloadError::AsStored { .. },
                    ..
                } if !as_stored => {
                    warn!(error = %chain(&error), "writing the image again as it is stored");
                    as_stored = true;
                    continue;
                }
                _ => false,
            };
            if !again || left == 0 {
                return Err(error);
            }
            left -= 1;
            warn!(error = %chain(&error), "writing the image again from its start");
            self.pause(Duration::from_secs(
                self.options.image_download_connection_retry_interval,
            ))?;
        }
    }

    fn attempt(
        &self,
        location: &Location,
        as_stored: bool,
    ) -> Result<(Staged<'m>, Written), StreamError> {
        let pipeline = Pipeline {
            request: self.request,
            options: self.options,
            medium: self.medium,
            location,
            expected: self.expected.as_ref(),
            started: self.started,
            as_stored,
            halt: Halt::new(self.context),
        };
        pipeline.run()
    }

    fn pause(&self, length: Duration) -> Result<(), StreamError> {
        let end = Instant::now() + length;
        while !self.context.is_cancelled() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(LOOK));
        }
        Err(StreamError::Cancelled {
            image: self.request.id.clone(),
        })
    }
}

/// Algorithm and digest that the image must have, fetched where it stands in a file.
fn expected(
    request: &ImageRequest,
    options: &Options,
    context: &dyn Context,
) -> Result<Option<(Algorithm, String)>, StreamError> {
    let (location, algorithm, md5_allowed) = match &request.checksum {
        None => return Ok(None),
        Some(Checksum::Value { algorithm, digest }) => {
            return Ok(Some((*algorithm, digest.clone())));
        }
        Some(Checksum::File {
            location,
            algorithm,
            md5_allowed,
        }) => (location, *algorithm, *md5_allowed),
    };
    let content = text::fetch(
        location,
        &request.credentials,
        &request.proxies,
        CHECKSUM_FILE_LIMIT,
        options,
        context,
    )
    .map_err(|source| StreamError::Download {
        image: location.to_string(),
        source,
    })?;
    let image = request.locations.first();
    let wanted = Wanted {
        path: &image.map(Location::decoded_path).unwrap_or_default(),
        encoded_name: image.map(Location::file_name).unwrap_or_default(),
        algorithm,
    };
    let found = checksum_file::digest_of(&wanted, &text_encoding::decode(&content));
    let (algorithm, digest) = found.map_err(|reason| StreamError::ChecksumFile {
        location: location.to_string(),
        reason,
    })?;
    if algorithm == Algorithm::Md5 && !md5_allowed {
        return Err(StreamError::ChecksumUnusable {
            image: request.id.clone(),
            reason: MD5_DISABLED.to_owned(),
        });
    }
    Ok(Some((algorithm, digest)))
}
