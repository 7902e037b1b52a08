//! The pipeline of one attempt at an image: its stages, once for each pass over the file that the
//! format needs.

use std::sync::mpsc;
use std::thread::{self, Builder, Scope, ScopedJoinHandle};
use std::time::Instant;

use farrier_plugin::Progress;
use tracing::info;

use super::buffer::Pool;
use super::decode::{self, Decoder, INPUT_BUFFER, INPUT_BUFFERS, Input, Pass, PassOutcome};
use super::digest::{Algorithm, verify};
use super::error::{DownloadError, StreamError};
use super::halt::Halt;
use super::patience::Patience;
use super::ranges;
use super::request::{ImageRequest, Location};
use super::sink::{Sink, WRITERS};
use super::source::{self, Outlet};
use super::staged::Staged;
use super::unpack::Sent;
use super::version::Version;
use crate::config::Options;
use crate::sys::block_device::Medium;

/// The digest that is computed where none was promised: it tells whether two passes read the same.
const UNASKED: Algorithm = Algorithm::Sha256;

/// What is on the medium now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Written {
    /// Bytes of the image on the disk.
    pub size: u64,
    /// Bytes of the image's file.
    pub read: u64,
    /// What the file was found to be: `raw`, `gpt`, `iso`, `qcow2`, or a compression around one of
    /// the first three.
    pub format: &'static str,
    /// The file's digest behind the algorithm's name: `sha256:` where nothing was promised.
    pub checksum: String,
    /// The digest that was verified, in lower-case hexadecimal; `None` where none was promised.
    pub digest: Option<String>,
}

/// Write all of an image but its head, from one location.
pub(super) struct Pipeline<'a, 'm> {
    pub(super) request: &'a ImageRequest,
    pub(super) options: &'a Options,
    pub(super) medium: &'m dyn Medium,
    pub(super) location: &'a Location,
    /// Algorithm and digest that the file must have.
    pub(super) expected: Option<&'a (Algorithm, String)>,
    /// When the download of this image began; its time is limited.
    pub(super) started: Instant,
    /// Leave a content coding on: the digest was found to be of the bytes as they are stored.
    pub(super) as_stored: bool,
    pub(super) halt: Halt<'a>,
}

/// What was found out by the first buffer, and outlives the pass that it came in.
struct Begun<'m> {
    format: &'static str,
    decoder: Box<dyn Decoder>,
    /// All passes are over this version of the file.
    version: Version,
    staged: Staged<'m>,
}

/// How a pass over the file ended.
struct Passed {
    outcome: PassOutcome,
    digests: Digests,
    /// Bytes of the file.
    read: u64,
}

/// What the promised digest may be of.
struct Digests {
    /// The file.
    file: String,
    /// What was sent, where the file came out of a content coding.
    sent: Option<Sent>,
}

impl<'m> Pipeline<'_, 'm> {
    /// All passes, the flush and the comparison of digests.
    pub(super) fn run(&self) -> Result<(Staged<'m>, Written), StreamError> {
        let mut begun = None;
        let mut seen: Option<String> = None;
        for number in 1.. {
            let passed = self.pass(number, &mut begun)?;
            if seen.is_some_and(|digest| digest != passed.digests.file) {
                return Err(self.download_error(DownloadError::Changed {
                    location: self.location.to_string(),
                }));
            }
            match (passed.outcome, begun) {
                (PassOutcome::Done { size }, Some(begun)) => {
                    let digest = self.finish(&begun.staged, size, &passed.digests)?;
                    let written = Written {
                        size,
                        read: passed.read,
                        format: begun.format,
                        checksum: format!("{}:{digest}", self.algorithm()),
                        digest: self.expected.map(|_| digest),
                    };
                    return Ok((begun.staged, written));
                }
                (_, again) => begun = again,
            }
            seen = Some(passed.digests.file);
        }
        unreachable!("the passes end with an outcome or an error")
    }

    /// The flush, and all that is compared before the head may follow. Tells the digest that the
    /// promise was kept with.
    fn finish(
        &self,
        staged: &Staged<'_>,
        size: u64,
        digests: &Digests,
    ) -> Result<String, StreamError> {
        // A disk with a large cache may take minutes, and the bar would stand at 100 %.
        self.halt.context().report_progress(Progress {
            what: self.stage("flushing"),
            done: 0,
            total: None,
        });
        staged.flush().map_err(|source| StreamError::Disk {
            image: self.request.id.clone(),
            source,
        })?;
        let digest = self.compare(digests)?;
        staged.check_sector_size()?;
        staged.read_back(size, &self.halt, &self.stage("reading back"))?;
        info!(
            image = %self.request.id,
            location = %self.location,
            size,
            "the image is staged and verified"
        );
        Ok(digest.to_owned())
    }

    /// The file once, from its first to its last byte.
    fn pass(&self, number: u32, begun: &mut Option<Begun<'m>>) -> Result<Passed, StreamError> {
        thread::scope(|scope| {
            let passed = self.stages(scope, number, begun);
            if passed.is_err() {
                self.halt.stop();
            }
            passed
        })
    }

    fn stages<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        number: u32,
        begun: &mut Option<Begun<'m>>,
    ) -> Result<Passed, StreamError> {
        let (opened, announced) = mpsc::channel();
        let (to_verify, received) = mpsc::channel();
        let (to_decode, verified) = mpsc::channel();
        let pool = Pool::new(INPUT_BUFFER, INPUT_BUFFERS);
        let buffers = pool.limit();
        let outlet = Outlet {
            opened,
            buffers: to_verify,
            pool,
            halt: &self.halt,
        };
        let version = begun.as_ref().map(|begun| begun.version.clone());
        let algorithm = self.algorithm();
        let unpacking = (!self.as_stored).then_some(algorithm);
        let patience = || Patience::new(self.options, &self.halt, self.started);
        let source = self.start(scope, "image-source", move || {
            source::read(
                self.location,
                self.request,
                self.options,
                patience(),
                version,
                unpacking,
                outlet,
            )
        })?;
        // Without an announcement the source has ended, with an error that says why.
        let Ok(version) = announced.recv() else {
            return Err(self.source_error(finish(source).err()));
        };
        let length = version.length();
        let verifier = self.start(scope, "image-verify", move || {
            verify(algorithm, received, to_decode)
        })?;

        let mut what = self.request.what.clone();
        if number > 1 {
            what.push_str(&format!(" (pass {number})"));
        }
        let mut input = Input::new(verified, what, length, &self.halt);
        let Begun {
            decoder, staged, ..
        } = match begun {
            Some(begun) => begun,
            None => {
                let start = input.start();
                if start.is_empty() {
                    // Whether there is nothing or nothing came is the source's to say.
                    let sent = match finish(source) {
                        Ok(sent) if !self.halt.is_set() => sent,
                        outcome => return Err(self.source_error(outcome.err())),
                    };
                    let file = finish(verifier).unwrap_or_default();
                    return self.empty(begun, &version, Digests { file, sent });
                }
                begun.insert(self.begin(start, &version)?)
            }
        };
        buffers.raise(decoder.input_buffers());

        let (output, extents) = mpsc::channel();
        let sink = Sink::new(extents, staged, &self.halt, &self.request.id);
        let ranges = ranges::of(
            self.location,
            self.request,
            self.options,
            patience(),
            version,
        );
        let (decoded, written, read) = thread::scope(|inner| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|_| self.start(inner, "image-write", || sink.write()))
                .collect();
            let writers = writers
                .into_iter()
                .collect::<Result<Vec<_>, _>>()
                .inspect_err(|_| self.halt.stop())?;
            let mut pass = Pass {
                input,
                output,
                ranges: &*ranges,
                halt: &self.halt,
                request: self.request,
                device: self.medium,
            };
            let decoded = decoder.pass(&mut pass);
            match &decoded {
                // What came may have been damaged on the way: the digest tells.
                Err(StreamError::Damaged { .. }) | Ok(_) => pass.input.drain(),
                Err(_) => self.halt.stop(),
            }
            let read = pass.input.read();
            drop(pass);
            let written = writers.into_iter().map(finish).collect::<Vec<_>>();
            Ok::<_, StreamError>((decoded, written, read))
        })?;

        // The error nearest the disk comes first: it is what stopped the others. Then what the
        // source says, unless it was only stopped itself.
        for outcome in written {
            outcome?;
        }
        let sent = match finish(source) {
            outcome if self.halt.is_cancelled() => return Err(self.source_error(outcome.err())),
            Ok(sent) => Ok(sent),
            Err(error @ DownloadError::Interrupted { .. }) => Err(error),
            Err(error) => return Err(self.source_error(Some(error))),
        };
        let digests = match (sent, finish(verifier)) {
            (Ok(sent), Some(file)) => Digests { file, sent },
            (sent, _) => {
                decoded?;
                return Err(self.source_error(sent.err()));
            }
        };
        let unpacked = digests
            .sent
            .as_ref()
            .is_none_or(|sent| sent.failure.is_none());
        if !unpacked || matches!(decoded, Err(StreamError::Damaged { .. })) {
            self.compare(&digests)?;
        }
        Ok(Passed {
            outcome: decoded?,
            digests,
            read,
        })
    }

    /// A file without a byte: the medium's ends are blanked as for any image, and nothing follows.
    fn empty(
        &self,
        begun: &mut Option<Begun<'m>>,
        version: &Version,
        digests: Digests,
    ) -> Result<Passed, StreamError> {
        *begun = Some(self.begin(&[], version)?);
        Ok(Passed {
            outcome: PassOutcome::Done { size: 0 },
            digests,
            read: 0,
        })
    }

    /// What to do with the image that starts like this; and once it is known to fit, as far as it
    /// tells its size, blank the medium's ends.
    fn begin(&self, start: &[u8], version: &Version) -> Result<Begun<'m>, StreamError> {
        // No byte came of what is empty, whether or not that was announced.
        let length = if start.is_empty() {
            Some(0)
        } else {
            version.length()
        };
        let decode::Recognised { kind, decoder } = decode::recognise(self.request, start, length)?;
        let size = decoder.least_size();
        if size > self.medium.size() {
            return Err(StreamError::TooLarge {
                image: self.request.id.clone(),
                size,
                device_size: self.medium.size(),
            });
        }
        Ok(Begun {
            format: kind.name(),
            decoder,
            version: version.clone(),
            staged: Staged::begin(self.medium, &self.request.id, self.request.read_back)?,
        })
    }

    /// What is being done at another stage than the writing.
    fn stage(&self, name: &str) -> String {
        self.request.what.replacen("writing", name, 1)
    }

    fn algorithm(&self) -> Algorithm {
        self.expected.map_or(UNASKED, |(algorithm, _)| *algorithm)
    }

    /// The digest that the promise is kept with. A file that came out of a content coding may be
    /// vouched for as it is, or as it was sent.
    fn compare<'d>(&self, digests: &'d Digests) -> Result<&'d str, StreamError> {
        let Digests { file, sent } = digests;
        let Some((_, expected)) = self.expected else {
            return Ok(file);
        };
        if file == expected {
            return Ok(file);
        }
        let computed = match sent {
            Some(sent) if sent.digest == *expected => {
                if let Some(failure) = &sent.failure {
                    return Err(StreamError::Damaged {
                        image: self.request.id.clone(),
                        source: failure.clone().into(),
                    });
                }
                // What is stored is a compressed image, and the disk is the same; unless nobody is to
                // look into it, and what is stored is the disk.
                if !self.request.inspect {
                    return Err(self.download_error(DownloadError::AsStored {
                        location: self.location.to_string(),
                    }));
                }
                return Ok(&sent.digest);
            }
            Some(sent) if sent.failure.is_some() => &sent.digest,
            _ => file,
        };
        Err(StreamError::Checksum {
            location: self.location.to_string(),
            image: self.request.id.clone(),
            expected: expected.clone(),
            computed: computed.clone(),
        })
    }

    fn source_error(&self, error: Option<DownloadError>) -> StreamError {
        if self.halt.is_cancelled() {
            return StreamError::Cancelled {
                image: self.request.id.clone(),
            };
        }
        self.download_error(error.unwrap_or_else(|| DownloadError::Interrupted {
            location: self.location.to_string(),
        }))
    }

    fn download_error(&self, source: DownloadError) -> StreamError {
        StreamError::Download {
            image: self.request.id.clone(),
            source,
        }
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
