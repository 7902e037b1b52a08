//! The fuzz targets of this room.

/// A time server's answer. Its cookie is the request's if the input wants that.
pub(crate) fn ntp_answer(data: &[u8]) {
    let cookie = data
        .get(24..32)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u64::from_be_bytes);
    super::ntp::read(data, cookie);
}

/// A name server's answer to a question of ours, and the same bytes as `resolv.conf` and `hosts`.
pub(crate) fn name_answer(data: &[u8]) {
    super::resolver::fuzz(data);
}
