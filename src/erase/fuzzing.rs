//! The fuzz targets of this room.

/// What an NVMe controller answers to identify and to the question for its sanitize log.
pub(crate) fn nvme(data: &[u8]) {
    super::nvme::fuzz(data);
}
