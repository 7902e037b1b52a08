//! Contents that are no images: checksum files and config drives, wholly in memory; files, piece by piece.

use std::io::Write;
use std::ops::ControlFlow;
use std::time::Instant;

use farrier_plugin::Context;

use super::download::{Download, Receiver};
use super::error::DownloadError;
use super::halt::Halt;
use super::patience::Patience;
use super::remote::Remote;
use super::request::{Credentials, Location, Proxies};
use super::source::runtime;
use super::unpack::Unpacker;
use super::version::Version;
use crate::config::Options;

/// Fetch an HTTP URL's content of at most `limit` bytes, with the retries that an image would get.
///
/// A content coding is taken off: what a checksum file or a config drive is, its content shows. The
/// limit is for the bytes as they come and as they are.
pub(crate) fn fetch(
    location: &Location,
    credentials: &Credentials,
    proxies: &Proxies,
    limit: u64,
    options: &Options,
    context: &dyn Context,
) -> Result<Vec<u8>, DownloadError> {
    let halt = Halt::new(context);
    let patience = Patience::new(options, &halt, Instant::now());
    let runtime = runtime(location)?;
    let mut left = options.image_download_connection_retries;
    loop {
        let mut collector = Collector {
            content: Vec::new(),
            limit,
        };
        let remote = Remote::new(location, credentials, proxies, options, patience.clone())?
            .with_encodings(true);
        let mut unpacker = Unpacker::new(&mut collector, None).limited(limit);
        let outcome = runtime
            .block_on(Download::new(remote, None).run(&mut unpacker))
            .and_then(|()| unpacker.finish(location));
        match outcome {
            Ok(sent) => {
                return match sent.and_then(|sent| sent.failure) {
                    Some(reason) => Err(DownloadError::Unpackable {
                        location: location.to_string(),
                        reason,
                    }),
                    None => Ok(collector.content),
                };
            }
            Err(DownloadError::Interrupted { .. }) if !halt.is_cancelled() => {
                return Err(DownloadError::Oversized {
                    location: location.to_string(),
                    limit,
                });
            }
            Err(DownloadError::Changed { .. }) if left > 0 => left -= 1,
            Err(error) => return Err(error),
        }
    }
}

/// Pass an HTTP URL's content on as it comes, of any length, with the retries that an image would get and
/// without its content coding.
///
/// # Errors
/// [`DownloadError::Changed`] where the rest is that of another content: then it is to be done again from
/// the start. [`DownloadError::Interrupted`] where the receiver took no more.
pub(crate) fn copy(
    location: &Location,
    options: &Options,
    context: &dyn Context,
    to: &mut dyn Write,
) -> Result<(), DownloadError> {
    let halt = Halt::new(context);
    let patience = Patience::new(options, &halt, Instant::now());
    let runtime = runtime(location)?;
    let (credentials, proxies) = (Credentials::None, Proxies::default());
    let remote =
        Remote::new(location, &credentials, &proxies, options, patience)?.with_encodings(true);
    let mut passer = Passer(to);
    let mut unpacker = Unpacker::new(&mut passer, None);
    runtime.block_on(Download::new(remote, None).run(&mut unpacker))?;
    match unpacker.finish(location)?.and_then(|sent| sent.failure) {
        Some(reason) => Err(DownloadError::Unpackable {
            location: location.to_string(),
            reason,
        }),
        None => Ok(()),
    }
}

struct Passer<'w>(&'w mut dyn Write);

impl Receiver for Passer<'_> {
    fn opened(&mut self, _version: &Version) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn bytes(&mut self, data: &[u8]) -> ControlFlow<()> {
        match self.0.write_all(data) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

struct Collector {
    content: Vec<u8>,
    limit: u64,
}

impl Receiver for Collector {
    fn opened(&mut self, version: &Version) -> ControlFlow<()> {
        if version.length().is_some_and(|length| length > self.limit) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn bytes(&mut self, data: &[u8]) -> ControlFlow<()> {
        if (self.content.len() + data.len()) as u64 > self.limit {
            return ControlFlow::Break(());
        }
        self.content.extend_from_slice(data);
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use farrier_plugin::{SilentContext, chain};
    use tracing::Level;

    use super::*;
    use crate::stream::test_server::{Reply, Request, TestServer};
    use crate::stream::tests::options;

    fn fetched(server: &TestServer, limit: u64) -> Result<Vec<u8>, DownloadError> {
        fetch(
            &Location::parse(&server.url("/text?temp_url_sig=secret")).unwrap(),
            &Credentials::Basic {
                user: "me".to_owned(),
                password: "secret".to_owned(),
            },
            &Proxies::default(),
            limit,
            &options(),
            &SilentContext,
        )
    }

    #[test]
    fn a_text_of_which_no_version_is_told_is_never_pieced_together() {
        let (old, new) = (
            Arc::new(b"old text".to_vec()),
            Arc::new(b"new text".to_vec()),
        );
        let server = TestServer::start(move |number, request| {
            let mut reply = match number {
                0 => Reply::ok(&old).cut_at(4),
                _ => Reply::ranged(&new, request),
            };
            reply.headers.retain(|(name, _)| name != "ETag");
            reply
        });
        assert_eq!(fetched(&server, 100).unwrap(), b"new text");
        let ranges: Vec<_> = server.requests().iter().map(Request::range).collect();
        assert_eq!(ranges, [None, Some(4), None]);
    }

    #[test]
    fn a_text_that_is_too_long_is_not_taken() {
        let long = Arc::new(vec![b'x'; 101]);
        for announced in [Some(101), None] {
            let long = Arc::clone(&long);
            let server = TestServer::start(move |_, _| Reply::ok(&long).announce(announced));
            let error = fetched(&server, 100).unwrap_err();
            assert!(matches!(error, DownloadError::Oversized { limit: 100, .. }));
            assert_eq!(server.requests().len(), 1);
        }
    }

    /// Collects all that is logged.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Neither our own lines nor those of any library tell a secret, whatever the level.
    #[test]
    fn no_secret_reaches_the_log() {
        let failing = || {
            let text = Arc::new(b"some text".to_vec());
            TestServer::start(move |number, request| match number {
                0 => Reply::status(503),
                1 => Reply::ok(&text).cut_at(4),
                2 => Reply::status(302)
                    .header("Location", "/elsewhere?temp_url_sig=secret")
                    .header("Set-Cookie", "a=secret"),
                3 => Reply::ranged(&text, request).cut_at(1),
                _ => Reply::status(401).header("WWW-Authenticate", "secret"),
            })
        };
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_ansi(false)
            .with_writer({
                let lines = lines.clone();
                move || lines.clone()
            })
            .finish();
        // A line that another test reaches first, before anybody listens, may be switched off for
        // good; so all are reached once, and looked at again by the one who listens.
        let _ = fetched(&failing(), 100);
        let error = tracing::subscriber::with_default(subscriber, || {
            tracing::callsite::rebuild_interest_cache();
            fetched(&failing(), 100)
        });
        let mut told = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(told.matches("trying again in 0 s").count(), 3, "{told}");
        told.push_str(&chain(&error.unwrap_err()));
        assert!(told.contains("has probably expired"), "{told}");
        assert!(!told.contains("secret"), "{told}");
    }
}
