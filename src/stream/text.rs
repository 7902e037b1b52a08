//! Small contents, wholly in memory: checksum files, config drives.

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
use super::version::Version;
use crate::config::Options;

/// Fetch an HTTP URL's content of at most `limit` bytes, with the retries that an image would get.
pub fn fetch(
    location: &Location,
    credentials: &Credentials,
    proxies: &Proxies,
    limit: u64,
    options: &Options,
    context: &dyn Context,
) -> Result<Vec<u8>, DownloadError> {
    let halt = Halt::new(context);
    let patience = Patience::new(options, &halt, Instant::now());
    let mut collector = Collector {
        content: Vec::new(),
        limit,
    };
    let remote = Remote::new(location, credentials, proxies, options, patience)?;
    match runtime(location)?.block_on(Download::new(remote, None).run(&mut collector)) {
        Ok(()) => Ok(collector.content),
        Err(DownloadError::Interrupted { .. }) if !halt.is_cancelled() => {
            Err(DownloadError::Oversized {
                location: location.to_string(),
                limit,
            })
        }
        Err(error) => Err(error),
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
