//! The stages put together, and what is tried again when one fails.

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc;
use std::thread::{self, Builder, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use farrier_plugin::Context;
use tracing::{info, warn};

use super::buffer::Pool;
use super::digest::{Algorithm, verify};
use super::error::{DownloadError, StreamError};
use super::halt::{Halt, LOOK};
use super::patience::Patience;
use super::request::{Checksum, ImageRequest, Location};
use super::sink::{Sink, WRITERS};
use super::source::{self, Outlet};
use super::staged::Staged;
use super::{checksum_file, decode, sniff, text};
use crate::config::Options;
use crate::sys::block_device::Medium;
use crate::sys::log::chain;

/// Bytes of a checksum file that are taken.
const CHECKSUM_FILE_LIMIT: u64 = 1 << 20;

/// What is on the medium now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Written {
    /// Bytes of the image on the disk.
    pub size: u64,
    /// The digest that was verified, in lower-case hexadecimal; `None` where none was promised.
    pub digest: Option<String>,
}

/// Write an image and make it bootable at once: [`stage`], then [`Staged::commit`].
pub fn write(
    request: &ImageRequest,
    options: &Options,
    medium: &dyn Medium,
    context: &dyn Context,
) -> Result<Written, StreamError> {
    let staged = stage(request, options, medium, context)?;
    let written = Written {
        size: staged.image_size(),
        digest: staged.digest().map(str::to_owned),
    };
    staged.commit()?;
    Ok(written)
}

/// Write all of an image except its head, verified and flushed.
///
/// Called from a plain thread, never from an asynchronous task. Memory is constant: the buffers'
/// 32 MiB and some. Nothing is touched on the medium before the server has answered and the image
/// is known to fit, as far as the server tells its size.
pub fn stage<'m>(
    request: &ImageRequest,
    options: &Options,
    medium: &'m dyn Medium,
    context: &dyn Context,
) -> Result<Staged<'m>, StreamError> {
    sniff::check_declared(request)?;
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
    fn location(&self, location: &Location) -> Result<Staged<'m>, StreamError> {
        let mut left = self.options.image_download_connection_retries;
        let mut seen = None;
        loop {
            let error = match self.attempt(location) {
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

    /// One pass over the whole image.
    fn attempt(&self, location: &Location) -> Result<Staged<'m>, StreamError> {
        let halt = Halt::new(self.context);
        let patience = Patience::new(self.options, &halt, self.started);
        let (opened, announced) = mpsc::channel();
        let (to_verify, received) = mpsc::channel();
        let outlet = Outlet {
            opened,
            buffers: to_verify,
            pool: Pool::new(),
            halt: &halt,
        };
        thread::scope(|scope| {
            let source = self.start(scope, "image-source", || {
                source::read(location, self.request, self.options, patience, None, outlet)
            })?;
            // Without an announcement the source has ended, with an error that says why.
            let Ok(version) = announced.recv() else {
                return Err(self.source_error(location, finish(source), &halt));
            };
            let total = version.length();
            let mut staged = self.begin(total).inspect_err(|_| halt.stop())?;

            let (to_decode, verified) = mpsc::channel();
            let (to_sink, extents) = mpsc::channel();
            let sink = Sink {
                extents: Mutex::new(extents),
                staged: &staged,
                halt: &halt,
                image: &self.request.id,
                what: &self.request.what,
                total,
                done: AtomicU64::new(0),
            };
            let (source_outcome, digest, decoded, written) = thread::scope(|inner| {
                let algorithm = self.expected.as_ref().map(|(algorithm, _)| *algorithm);
                let verifier = self.start(inner, "image-verify", move || {
                    verify(algorithm, received, to_decode)
                });
                let writers: Vec<_> = (0..WRITERS)
                    .map(|_| self.start(inner, "image-write", || sink.write()))
                    .collect();
                let started = verifier.and_then(|verifier| {
                    Ok((
                        verifier,
                        writers.into_iter().collect::<Result<Vec<_>, _>>()?,
                    ))
                });
                let (verifier, writers) = started.inspect_err(|_| halt.stop())?;
                let decoded = decode::raw(self.request, &halt, verified, to_sink);
                if decoded.is_err() {
                    halt.stop();
                }
                let written = writers.into_iter().map(finish).collect::<Vec<_>>();
                Ok::<_, StreamError>((finish(source), finish(verifier), decoded, written))
            })?;

            // The error nearest the disk comes first: it is what stopped the others.
            for outcome in written {
                outcome?;
            }
            let size = decoded?;
            if source_outcome.is_err() || halt.is_cancelled() {
                return Err(self.source_error(location, source_outcome, &halt));
            }
            staged.flush().map_err(|source| StreamError::Disk {
                image: self.request.id.clone(),
                source,
            })?;
            self.compare(location, digest.as_deref())?;
            staged.finish(size, digest);
            info!(image = %self.request.id, %location, size, "the image is staged and verified");
            Ok(staged)
        })
    }

    /// Blank the medium's ends once the image is known to fit.
    fn begin(&self, total: Option<u64>) -> Result<Staged<'m>, StreamError> {
        if let Some(size) = total
            && size > self.medium.size()
        {
            return Err(StreamError::TooLarge {
                image: self.request.id.clone(),
                size,
                device_size: self.medium.size(),
            });
        }
        Staged::begin(self.medium, &self.request.id)
    }

    fn compare(&self, location: &Location, digest: Option<&str>) -> Result<(), StreamError> {
        match (&self.expected, digest) {
            (Some((_, expected)), Some(computed)) if expected != computed => {
                Err(StreamError::Checksum {
                    location: location.to_string(),
                    image: self.request.id.clone(),
                    expected: expected.clone(),
                    computed: computed.to_owned(),
                })
            }
            _ => Ok(()),
        }
    }

    fn source_error(
        &self,
        location: &Location,
        outcome: Result<(), DownloadError>,
        halt: &Halt<'_>,
    ) -> StreamError {
        let image = self.request.id.clone();
        if halt.is_cancelled() {
            return StreamError::Cancelled { image };
        }
        StreamError::Download {
            image,
            source: outcome.err().unwrap_or_else(|| DownloadError::Interrupted {
                location: location.to_string(),
            }),
        }
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

    fn start<'scope, T: Send + 'scope>(
        &self,
        scope: &'scope Scope<'scope, '_>,
        name: &str,
        stage: impl FnOnce() -> T + Send + 'scope,
    ) -> Result<ScopedJoinHandle<'scope, T>, StreamError> {
        Builder::new()
            .name(name.to_owned())
            .spawn_scoped(scope, stage)
            .map_err(|source| StreamError::Stages {
                image: self.request.id.clone(),
                source,
            })
    }
}

/// What a stage ended with. A panic in one is a defect of ours and goes on in the thread that runs
/// the command, where it ends that command alone.
fn finish<T>(stage: ScopedJoinHandle<'_, T>) -> T {
    stage
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
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
    let name = request
        .locations
        .first()
        .map(Location::file_name)
        .unwrap_or_default();
    let digest =
        checksum_file::digest_of(name, &String::from_utf8_lossy(&content)).map_err(|reason| {
            StreamError::ChecksumFile {
                location: location.to_string(),
                reason,
            }
        })?;
    let algorithm = algorithm.or_else(|| Algorithm::of_length(digest.len()));
    match algorithm {
        Some(Algorithm::Md5) if !md5_allowed => Err(StreamError::ChecksumUnusable {
            image: request.id.clone(),
            reason: "MD5 support is disabled; give a SHA-256 or SHA-512 checksum".to_owned(),
        }),
        Some(algorithm) => Ok(Some((algorithm, digest))),
        None => Err(StreamError::ChecksumUnusable {
            image: request.id.clone(),
            reason: "Unable to identify checksum algorithm used".to_owned(),
        }),
    }
}
