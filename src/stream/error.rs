//! Why an image did not get onto a medium.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use farrier_plugin::ErrorKind;

use crate::net::tls_hint::tls_error;
use crate::sys::block_device::DiskError;

/// Why an image was not written. The medium's first MiB is zeros after any of them, or untouched
/// where the error came before the first write.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The command was cancelled.
    #[error("Writing image {image} was cancelled")]
    Cancelled {
        /// The image's id.
        image: String,
    },
    /// The digest is not the promised one (contract/data-plane 1.7).
    #[error(
        "Image failed to verify against checksum. location: {location}; image ID: {image}; \
         image checksum: {expected}; verification checksum: {computed}"
    )]
    Checksum {
        /// The URL, without its query.
        location: String,
        /// The image's id.
        image: String,
        /// What was promised.
        expected: String,
        /// What came.
        computed: String,
    },
    /// The checksum could not be used (contract/data-plane 1.7).
    #[error("Unable to proceed with image {image}: {reason}")]
    ChecksumUnusable {
        /// The image's id.
        image: String,
        /// Why not.
        reason: String,
    },
    /// The file of checksums could not be used (contract/data-plane 1.7).
    #[error("Download of image {location} failed: {reason}")]
    ChecksumFile {
        /// The file's URL, without its query.
        location: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The image's content breaks its format's rules somewhere on the way.
    #[error("Image {image} is damaged")]
    Damaged {
        /// The image's id.
        image: String,
        /// Which rule, and where.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Flushing or blanking the medium failed.
    #[error("Unable to write image {image}")]
    Disk {
        /// The image's id.
        image: String,
        /// What the medium answered.
        #[source]
        source: DiskError,
    },
    /// The image did not arrive.
    #[error("Download of image {image} failed")]
    Download {
        /// The image's id.
        image: String,
        /// Why not.
        #[source]
        source: DownloadError,
    },
    /// None of several URLs gave the image.
    #[error("Download of image {image} failed: {tried}")]
    DownloadEverywhere {
        /// The image's id.
        image: String,
        /// One line for each URL.
        tried: String,
    },
    /// What came is not what was declared, or is not permitted (contract/data-plane 1.8).
    #[error("Security: {reason}")]
    Format {
        /// Which rule it breaks.
        reason: String,
        /// What makes an image of it that can be written.
        #[source]
        conversion: Option<Conversion>,
    },
    /// An image in a format that is not written.
    #[error("Image {image} is in the format {format}, which is not written: {remedy}")]
    FormatNotOffered {
        /// The image's id.
        image: String,
        /// The format.
        format: String,
        /// What can be done about it.
        remedy: String,
    },
    /// The image, whose size is known only at its end, goes on behind the device's.
    #[error("Image {image} makes more than the {device_size} bytes of the device")]
    Overflow {
        /// The image's id.
        image: String,
        /// Bytes of the device.
        device_size: u64,
    },
    /// The disk does not give back what it was given.
    #[error(
        "What the disk gives back is not what image {image} was written as, although every write \
         succeeded: the disk, its cable or its controller drops or changes data. Replace it"
    )]
    ReadBack {
        /// The image's id.
        image: String,
    },
    /// The image is made for disks of another sector size. The text begins as the reference's
    /// (contract/data-plane 1.9).
    #[error(
        "Unable to find a valid partition table on the disk after writing the image. The image may \
         be corrupted or it uses a different sector size than the device. Error: the GPT of image \
         {image} is made for sectors of {image_sector} bytes, and this disk has sectors of \
         {device_sector} bytes"
    )]
    SectorSize {
        /// The image's id.
        image: String,
        /// Bytes of a sector as the image's GPT counts.
        image_sector: u32,
        /// Bytes of a sector of the disk.
        device_sector: u32,
    },
    /// The machine cannot run the stages.
    #[error("Could not start the stages that write image {image}")]
    Stages {
        /// The image's id.
        image: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The image does not fit.
    #[error("Image {image} of {size} bytes does not fit onto a device of {device_size} bytes")]
    TooLarge {
        /// The image's id.
        image: String,
        /// Bytes of the image; a lower bound where the server did not tell.
        size: u64,
        /// Bytes of the device.
        device_size: u64,
    },
}

/// What to do to an image of a refused format, with the command, so that it can be written.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Conversion(pub(super) String);

/// Why bytes did not arrive. URLs stand here without their query, which may hold a temporary
/// signature, and the body of an error reply is left out because some servers echo the query there.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The content at the URL is not the one that the first part came from.
    #[error("{location} changed while it was read")]
    Changed {
        /// The URL.
        location: String,
    },
    /// The digest is that of the packed bytes, and those are wanted as they are.
    #[error("{location} is vouched for as it is stored, not as it is unpacked")]
    AsStored {
        /// The URL.
        location: String,
    },
    /// The HTTP client could not be set up.
    #[error("Could not set up the HTTP client")]
    Client(#[source] Box<dyn Error + Send + Sync>),
    /// `image_download_max_duration` is over.
    #[error("Download exceeded max allowed time ({seconds} seconds)")]
    Deadline {
        /// The option's value.
        seconds: u64,
    },
    /// The server packed what was asked for unpacked, and there is no checksum to tell what is meant;
    /// or it packed it twice.
    #[error(
        "{location} is sent with the content encoding {encoding}, although it was asked for as it is \
         stored: have the server send it without"
    )]
    Encoded {
        /// The URL.
        location: String,
        /// The encoding's name.
        encoding: String,
    },
    /// A local file could not be read.
    #[error("Could not read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The download was stopped from this side; another error says why.
    #[error("Reading {location} was stopped")]
    Interrupted {
        /// The URL.
        location: String,
    },
    /// The body went on behind its announced length.
    #[error("{location} sent more than the {expected} bytes that it announced")]
    Long {
        /// The URL.
        location: String,
        /// Bytes that were announced.
        expected: u64,
    },
    /// The text is larger than it can sensibly be.
    #[error("{location} is larger than {limit} bytes")]
    Oversized {
        /// The URL.
        location: String,
        /// Bytes that are taken.
        limit: u64,
    },
    /// The server's redirects lead nowhere.
    #[error("Could not read {location}")]
    Redirect {
        /// The URL.
        location: String,
        /// Where they lead.
        #[source]
        source: RedirectError,
    },
    /// The body ended before its announced length.
    #[error("{location} ended after {received} of {expected} bytes")]
    Short {
        /// The URL.
        location: String,
        /// Bytes that came.
        received: u64,
        /// Bytes that were announced.
        expected: u64,
    },
    /// No byte came for `image_download_connection_timeout` seconds.
    #[error("Timed out reading next chunk from webserver at {location} after {seconds} seconds")]
    Stalled {
        /// The URL.
        location: String,
        /// The option's value.
        seconds: u64,
    },
    /// The server refused.
    #[error("Received status code {status} from {location}, expected 200{hint}")]
    Status {
        /// The URL.
        location: String,
        /// The status.
        status: u16,
        /// What that may mean, starting with a space or empty.
        hint: &'static str,
        /// Seconds that the server asks to wait.
        retry_after: Option<u64>,
    },
    /// The connection failed.
    #[error("Could not read {location}")]
    Transport {
        /// The URL.
        location: String,
        /// Why not, without the URL.
        #[source]
        source: reqwest::Error,
    },
    /// What the server packed is damaged.
    #[error("{location} cannot be unpacked: {reason}")]
    Unpackable {
        /// The URL.
        location: String,
        /// The coding, and what is wrong.
        reason: String,
    },
    /// The URL or the credentials cannot be used.
    #[error("{location}: {reason}")]
    Unusable {
        /// The URL.
        location: String,
        /// Why not.
        reason: String,
    },
}

/// Why a redirect was not followed.
#[derive(Debug, thiserror::Error)]
pub enum RedirectError {
    /// It leads to where it came from.
    #[error("The redirects go round in a loop, through {to}")]
    Loop {
        /// Where it leads, without its query.
        to: String,
    },
    /// It leads ever on.
    #[error("More than {limit} redirects follow each other")]
    TooMany {
        /// How many are followed.
        limit: usize,
    },
}

impl StreamError {
    /// The class that the conductor knows this error by (contract/data-plane 1.4, 1.7, 1.8).
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Cancelled { .. } => ErrorKind::CommandExecution,
            Self::Checksum { .. } => ErrorKind::ImageChecksum,
            Self::ChecksumUnusable { .. } => ErrorKind::Rest,
            Self::ChecksumFile { .. } | Self::DownloadEverywhere { .. } => ErrorKind::ImageDownload,
            Self::Disk { .. }
            | Self::Overflow { .. }
            | Self::ReadBack { .. }
            | Self::Stages { .. }
            | Self::TooLarge { .. } => ErrorKind::ImageWrite,
            Self::SectorSize { .. } => ErrorKind::Deployment,
            Self::Download {
                source: DownloadError::Deadline { .. },
                ..
            } => ErrorKind::ImageDownloadTimeout,
            Self::Download { .. } => ErrorKind::ImageDownload,
            Self::Damaged { .. } | Self::Format { .. } | Self::FormatNotOffered { .. } => {
                ErrorKind::InvalidImage
            }
        }
    }
}

impl DownloadError {
    /// Whether the same request may succeed a little later. A refusal (4xx) is final, except for
    /// those that speak of time: 408, 425 and 429 (RFC 9110, 8470, 6585).
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Short { .. } | Self::Stalled { .. } => true,
            Self::Transport { source, .. } => !is_final(source),
            Self::Status { status, .. } => *status >= 500 || matches!(status, 408 | 425 | 429),
            _ => false,
        }
    }

    /// Whether the connection ended without TLS saying so, as many servers end a body whose length
    /// they did not tell.
    pub(super) fn is_end_without_notice(&self) -> bool {
        let Self::Transport { source, .. } = self else {
            return false;
        };
        let mut next = source.source();
        while let Some(cause) = next {
            if let Some(error) = cause.downcast_ref::<io::Error>()
                && error.kind() == io::ErrorKind::UnexpectedEof
            {
                return true;
            }
            next = cause.source();
        }
        false
    }
}

/// Whether a failed connection would only fail again: a request that cannot be made, or a certificate
/// that is not accepted.
fn is_final(error: &reqwest::Error) -> bool {
    if error.is_builder() {
        return true;
    }
    matches!(tls_error(error), Some(rustls::Error::InvalidCertificate(_)))
}
