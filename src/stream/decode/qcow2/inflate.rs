//! One compressed cluster.

use flate2::{Decompress, FlushDecompress, Status};
use zstd::zstd_safe::{self, DCtx};

use super::header::Compression;

/// A decompressor that is used again and again.
pub(super) enum Inflater {
    Deflate(Decompress),
    Zstd(DCtx<'static>),
}

impl Inflater {
    pub(super) fn new(compression: Compression) -> Self {
        match compression {
            Compression::Deflate => Self::Deflate(Decompress::new(false)),
            Compression::Zstd => Self::Zstd(DCtx::create()),
        }
    }

    /// Fill the cluster from these bytes. What follows in them is of no concern: their number is
    /// known in sectors only. The error is a reason.
    pub(super) fn inflate(&mut self, input: &[u8], cluster: &mut [u8]) -> Result<(), String> {
        match self {
            Self::Deflate(decompress) => {
                decompress.reset(false);
                let status = decompress
                    .decompress(input, cluster, FlushDecompress::Finish)
                    .map_err(|error| error.to_string())?;
                let is_full = decompress.total_out() == cluster.len() as u64;
                match status {
                    Status::StreamEnd | Status::BufError if is_full => Ok(()),
                    Status::Ok if is_full => Ok(()),
                    _ => Err(format!(
                        "it gives {} of {} bytes",
                        decompress.total_out(),
                        cluster.len()
                    )),
                }
            }
            Self::Zstd(context) => frames(context, input, cluster),
        }
    }
}

/// Frames are decoded as a whole and in place, which needs no window: a frame that asks for one of
/// 128 MiB costs nothing.
fn frames(context: &mut DCtx<'_>, mut input: &[u8], cluster: &mut [u8]) -> Result<(), String> {
    let mut filled = 0;
    let reason = |code| zstd_safe::get_error_name(code).to_owned();
    while filled < cluster.len() {
        let length = zstd_safe::find_frame_compressed_size(input).map_err(reason)?;
        let (frame, rest) = input
            .split_at_checked(length)
            .filter(|(frame, _)| !frame.is_empty())
            .ok_or("it is cut off")?;
        filled += context
            .decompress(&mut cluster[filled..], frame)
            .map_err(reason)?;
        input = rest;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn deflated(data: &[u8]) -> Vec<u8> {
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(data: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; zstd_safe::compress_bound(data.len())];
        let length = zstd_safe::compress(&mut frame[..], data, 3).unwrap();
        frame.truncate(length);
        frame
    }

    fn text(length: usize) -> Vec<u8> {
        (0..length).map(|byte| (byte / 7 % 11) as u8).collect()
    }

    #[test]
    fn clusters_are_inflated_and_what_follows_is_left_alone() {
        let data = text(65536);
        let halves = [zstd(&data[..32768]), zstd(&data[32768..])].concat();
        for (compression, bytes) in [
            (Compression::Deflate, deflated(&data)),
            (Compression::Zstd, zstd(&data)),
            (Compression::Zstd, halves),
        ] {
            let mut inflater = Inflater::new(compression);
            let mut padded = bytes.clone();
            padded.extend([0x5a; 600]);
            for _ in 0..2 {
                let mut cluster = vec![0; data.len()];
                inflater.inflate(&padded, &mut cluster).unwrap();
                assert!(cluster == data);
            }
            let mut cluster = vec![0; data.len()];
            inflater
                .inflate(&bytes[..bytes.len() / 2], &mut cluster)
                .unwrap_err();
            // A cluster's worth is missing.
            inflater
                .inflate(&bytes, &mut vec![0; data.len() + 1])
                .unwrap_err();
            inflater.inflate(&padded, &mut cluster).unwrap();
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(input in prop::collection::vec(any::<u8>(), 0..300),
                                  place in 0_usize..200, value: u8) {
            for compression in [Compression::Deflate, Compression::Zstd] {
                let mut inflater = Inflater::new(compression);
                let mut cluster = vec![0; 4096];
                let _ = inflater.inflate(&input, &mut cluster);
                let mut bytes = match compression {
                    Compression::Deflate => deflated(&text(4096)),
                    Compression::Zstd => zstd(&text(4096)),
                };
                let place = place % bytes.len();
                bytes[place] = value;
                let _ = inflater.inflate(&bytes, &mut cluster);
            }
        }
    }
}
