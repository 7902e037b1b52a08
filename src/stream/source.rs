//! The stage `source`: a URL's bytes into buffers.

use std::fs::File;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::mpsc::Sender;

use tokio::runtime::{Builder, Runtime};

use super::buffer::{Buffer, Pool};
use super::digest::Algorithm;
use super::download::{Download, Receiver};
use super::error::DownloadError;
use super::halt::Halt;
use super::patience::Patience;
use super::remote::Remote;
use super::request::{ImageRequest, Location};
use super::unpack::{Sent, Unpacker};
use super::version::Version;
use crate::config::Options;

/// Where the bytes and their announced number go.
pub(super) struct Outlet<'a> {
    /// Gets once, before the first byte, what is being read; that tells the announced length.
    pub(super) opened: Sender<Version>,
    /// Gets full buffers and one last that may be less than full.
    pub(super) buffers: Sender<Buffer>,
    pub(super) pool: Pool,
    pub(super) halt: &'a Halt<'a>,
}

/// Read all bytes of the image from this location: of the version given, else of whichever is there.
///
/// With an algorithm a content coding is taken off, and what was sent in one is told with its digest.
pub(super) fn read(
    location: &Location,
    request: &ImageRequest,
    options: &Options,
    patience: Patience<'_>,
    version: Option<Version>,
    unpacking: Option<Algorithm>,
    outlet: Outlet<'_>,
) -> Result<Option<Sent>, DownloadError> {
    if location.url().scheme() == "file" {
        return read_file(location, &patience, version, outlet).map(|()| None);
    }
    let is_verified = request.checksum.is_some();
    let remote = Remote::new(
        location,
        &request.credentials,
        &request.proxies,
        options,
        patience,
    )?
    .with_encodings(is_verified);
    let mut filler = Filler {
        outlet,
        current: None,
    };
    let download = Download::new(remote, version).verified(is_verified);
    let runtime = runtime(location)?;
    let sent = if unpacking.is_some() {
        let mut unpacker = Unpacker::new(&mut filler, unpacking);
        runtime.block_on(download.run(&mut unpacker))?;
        unpacker.finish(location)?
    } else {
        runtime.block_on(download.run(&mut filler))?;
        None
    };
    filler.finish(location)?;
    Ok(sent)
}

/// What drives connections on this thread: commands run on plain threads, and a runtime of one's
/// own lets a full pipeline hold this connection back without stopping the agent's others.
pub(super) fn runtime(location: &Location) -> Result<Runtime, DownloadError> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| DownloadError::Unusable {
            location: location.to_string(),
            reason: format!("no event loop: {source}"),
        })
}

/// The file that a `file:` URL names.
pub(super) fn path(location: &Location) -> Result<PathBuf, DownloadError> {
    location
        .url()
        .to_file_path()
        .map_err(|()| DownloadError::Unusable {
            location: location.to_string(),
            reason: "not the path of a file on this machine".to_owned(),
        })
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
    fn opened(&mut self, version: &Version) -> ControlFlow<()> {
        match self.outlet.opened.send(version.clone()) {
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
    version: Option<Version>,
    mut outlet: Outlet<'_>,
) -> Result<(), DownloadError> {
    let path = path(location)?;
    let file_error = |source: io::Error| DownloadError::File {
        path: path.clone(),
        source,
    };
    let interrupted = || DownloadError::Interrupted {
        location: location.to_string(),
    };
    let file = File::open(&path).map_err(file_error)?;
    let changed = || DownloadError::Changed {
        location: location.to_string(),
    };
    let current = |file: &File| file.metadata().map(|facts| Version::of_file(&facts));
    let opened = current(&file).map_err(file_error)?;
    if version.is_some_and(|version| version != opened) {
        return Err(changed());
    }
    outlet
        .opened
        .send(opened.clone())
        .map_err(|_| interrupted())?;
    // No more than was announced, or a file that grows as fast as it is read would never end.
    let mut reader = (&file).take(opened.length().unwrap_or(u64::MAX));
    loop {
        let mut buffer = outlet.pool.take(outlet.halt).ok_or_else(interrupted)?;
        let mut ended = false;
        while !buffer.is_full() && !ended {
            patience.check(location)?;
            ended = match buffer.fill_with(|free| reader.read(free)) {
                Ok(count) => count == 0,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => false,
                Err(error) => return Err(file_error(error)),
            };
        }
        if !buffer.is_empty() && outlet.buffers.send(buffer).is_err() {
            return Err(interrupted());
        }
        if !ended {
            continue;
        }
        // A pipe or a terminal has no version; a file that was written to meanwhile has another.
        let same = opened.length().is_none() || current(&file).map_err(file_error)? == opened;
        return if same { Ok(()) } else { Err(changed()) };
    }
}
