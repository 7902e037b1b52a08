//! The stage `source`: a URL's bytes into buffers.

use std::fs::File;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::mpsc::Sender;

use super::buffer::{Buffer, Pool};
use super::download::{Download, Patience, Receiver};
use super::error::DownloadError;
use super::halt::Halt;
use super::request::{ImageRequest, Location};
use crate::config::Options;

/// Where the bytes and their announced number go.
pub(super) struct Outlet<'a> {
    /// Gets the announced length once, before the first byte.
    pub(super) opened: Sender<Option<u64>>,
    /// Gets full buffers and one last that may be less than full.
    pub(super) buffers: Sender<Buffer>,
    pub(super) pool: Pool,
    pub(super) halt: &'a Halt<'a>,
}

/// Read all bytes of the image from this location.
pub(super) fn read(
    location: &Location,
    request: &ImageRequest,
    options: &Options,
    patience: Patience<'_>,
    outlet: Outlet<'_>,
) -> Result<(), DownloadError> {
    if location.url().scheme() == "file" {
        return read_file(location, &patience, outlet);
    }
    let download = Download::new(
        location,
        &request.credentials,
        &request.proxies,
        options,
        patience,
    )?;
    let mut filler = Filler {
        outlet,
        current: None,
    };
    block_on(location, download.run(&mut filler))??;
    filler.finish(location)
}

/// Run a download to its end on this thread: commands run on plain threads, and a runtime of one's
/// own lets a full pipeline hold this connection back without stopping the agent's others.
pub(super) fn block_on<F: Future>(
    location: &Location,
    future: F,
) -> Result<F::Output, DownloadError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| DownloadError::Unusable {
            location: location.to_string(),
            reason: format!("no event loop: {source}"),
        })?;
    Ok(runtime.block_on(future))
}

/// Puts bytes of any length into full buffers.
struct Filler<'a> {
    outlet: Outlet<'a>,
    current: Option<Buffer>,
}

impl Filler<'_> {
    fn finish(mut self, location: &Location) -> Result<(), DownloadError> {
        let Some(last) = self.current.take() else {
            return Ok(());
        };
        self.outlet
            .buffers
            .send(last)
            .map_err(|_| DownloadError::Interrupted {
                location: location.to_string(),
            })
    }
}

impl Receiver for Filler<'_> {
    fn opened(&mut self, length: Option<u64>) -> ControlFlow<()> {
        match self.outlet.opened.send(length) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    fn bytes(&mut self, mut data: &[u8]) -> ControlFlow<()> {
        while !data.is_empty() {
            let mut buffer = match self.current.take() {
                Some(buffer) => buffer,
                None => match self.outlet.pool.take(self.outlet.halt) {
                    Some(buffer) => buffer,
                    None => return ControlFlow::Break(()),
                },
            };
            let taken = buffer.fill_from(data);
            data = &data[taken..];
            if !buffer.is_full() {
                self.current = Some(buffer);
            } else if self.outlet.buffers.send(buffer).is_err() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}

fn read_file(
    location: &Location,
    patience: &Patience<'_>,
    mut outlet: Outlet<'_>,
) -> Result<(), DownloadError> {
    let path: PathBuf = location
        .url()
        .to_file_path()
        .map_err(|()| DownloadError::Unusable {
            location: location.to_string(),
            reason: "not the path of a file on this machine".to_owned(),
        })?;
    let file_error = |source: io::Error| DownloadError::File {
        path: path.clone(),
        source,
    };
    let interrupted = || DownloadError::Interrupted {
        location: location.to_string(),
    };
    let mut file = File::open(&path).map_err(file_error)?;
    let facts = file.metadata().map_err(file_error)?;
    outlet
        .opened
        .send(facts.is_file().then_some(facts.len()))
        .map_err(|_| interrupted())?;
    loop {
        let mut buffer = outlet.pool.take(outlet.halt).ok_or_else(interrupted)?;
        let mut ended = false;
        while !buffer.is_full() && !ended {
            patience.check(location)?;
            ended = match buffer.fill_with(|free| file.read(free)) {
                Ok(count) => count == 0,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => false,
                Err(error) => return Err(file_error(error)),
            };
        }
        if !buffer.is_empty() && outlet.buffers.send(buffer).is_err() {
            return Err(interrupted());
        }
        if ended {
            return Ok(());
        }
    }
}
