//! Why an image did not get onto a medium.

use std::io;
use std::path::PathBuf;

use farrier_plugin::ErrorKind;

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
        source: Box<dyn std::error::Error + Send + Sync>,
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
    },
    /// An image format that this version does not decode.
    #[error(
        "Image {image} is in the format {format}, which is not offered yet: convert it to raw, or \
         have the conductor do so ([agent]stream_raw_images and [DEFAULT]force_raw_images)"
    )]
    FormatNotOffered {
        /// The image's id.
        image: String,
        /// The format.
        format: String,
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
    /// The HTTP client could not be set up.
    #[error("Could not set up the HTTP client")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// `image_download_max_duration` is over.
    #[error("Download exceeded max allowed time ({seconds} seconds)")]
    Deadline {
        /// The option's value.
        seconds: u64,
    },
    /// The server packed what was asked for unpacked, so that the checksum would be over other bytes.
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
    /// The URL or the credentials cannot be used.
    #[error("{location}: {reason}")]
    Unusable {
        /// The URL.
        location: String,
        /// Why not.
        reason: String,
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
            Self::Disk { .. } | Self::Stages { .. } | Self::TooLarge { .. } => {
                ErrorKind::ImageWrite
            }
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
            Self::Short { .. } | Self::Stalled { .. } | Self::Transport { .. } => true,
            Self::Status { status, .. } => *status >= 500 || matches!(status, 408 | 425 | 429),
            _ => false,
        }
    }
}
