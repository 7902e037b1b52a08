//! The decompressors alone, fed in pieces of every size.

use std::io::Read;

use proptest::prelude::*;
use proptest::sample::select;

use super::codec::CompressionError;
use super::compression::Compression;

const COMPRESSIONS: [Compression; 4] = [
    Compression::Bzip2,
    Compression::Gzip,
    Compression::Xz,
    Compression::Zstd,
];

fn compress(compression: Compression, data: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    match compression {
        Compression::Bzip2 => {
            bzip2::read::BzEncoder::new(data, bzip2::Compression::fast()).read_to_end(&mut packed)
        }
        Compression::Gzip => {
            flate2::read::GzEncoder::new(data, flate2::Compression::fast()).read_to_end(&mut packed)
        }
        Compression::Xz => liblzma::read::XzEncoder::new(data, 0).read_to_end(&mut packed),
        Compression::Zstd => zstd::Encoder::new(&mut packed, 1).and_then(|mut encoder| {
            std::io::copy(&mut &*data, &mut encoder)?;
            encoder.finish().map(|_| 0)
        }),
    }
    .unwrap();
    packed
}

/// Decompress with input and output in pieces of these sizes, which are gone through in turn.
fn decompress(
    compression: Compression,
    packed: &[u8],
    pieces: &[usize],
    rooms: &[usize],
) -> Result<Vec<u8>, CompressionError> {
    let mut codec = compression.codec()?;
    let mut content = Vec::new();
    let mut pieces = pieces.iter().cycle();
    let mut rooms = rooms.iter().cycle();
    let mut rest = packed;
    let mut piece = &rest[..0];
    loop {
        if piece.is_empty() {
            let length = (*pieces.next().unwrap()).min(rest.len());
            (piece, rest) = rest.split_at(length);
        }
        let ended = piece.is_empty();
        let mut room = vec![0; *rooms.next().unwrap()];
        let step = codec.step(piece, &mut room, ended)?;
        assert!(step.taken > 0 || step.made > 0 || step.finished);
        assert!(!step.finished || ended);
        piece = &piece[step.taken..];
        content.extend(&room[..step.made]);
        if step.finished {
            return Ok(content);
        }
    }
}

/// Text of some variety: it compresses, and not to nothing.
fn text(length: usize) -> Vec<u8> {
    (0_u32..)
        .flat_map(|number| format!("{:x} ", number.wrapping_mul(2_654_435_761)).into_bytes())
        .take(length)
        .collect()
}

#[test]
fn a_split_anywhere_changes_nothing() {
    let content = text(700);
    for compression in COMPRESSIONS {
        // Two members, so that the border between them is split too.
        let packed = [
            compress(compression, &content[..300]),
            compress(compression, &content[300..]),
        ]
        .concat();
        for first in 1..packed.len() {
            let pieces = [first, packed.len() - first];
            let whole = decompress(compression, &packed, &pieces, &[1 << 12]).unwrap();
            assert_eq!(whole, content, "{compression:?} {first}");
        }
        assert_eq!(
            decompress(compression, &packed, &[1], &[1]).unwrap(),
            content
        );
    }
}

#[test]
fn every_cut_is_noticed() {
    let content = text(300);
    for compression in COMPRESSIONS {
        let packed = compress(compression, &content);
        for length in 0..packed.len() {
            let outcome = decompress(compression, &packed[..length], &[7], &[100]);
            assert!(
                matches!(outcome, Err(CompressionError::Truncated)),
                "{compression:?} {length}: {outcome:?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pieces_of_any_size_give_the_content(
        compression in select(&COMPRESSIONS[..]),
        lengths in prop::collection::vec(0_usize..60_000, 1..4),
        pieces in prop::collection::vec(1_usize..5000, 1..8),
        rooms in prop::collection::vec(1_usize..5000, 1..8),
    ) {
        let parts: Vec<Vec<u8>> = lengths.into_iter().map(text).collect();
        let packed: Vec<u8> = parts.iter().flat_map(|part| compress(compression, part)).collect();
        let whole = decompress(compression, &packed, &pieces, &rooms).unwrap();
        prop_assert!(whole == parts.concat());
    }

    #[test]
    fn anything_ends(
        compression in select(&COMPRESSIONS[..]),
        noise in prop::collection::vec(any::<u8>(), 0..200),
        kept in 0_usize..40,
    ) {
        let mut packed = compress(compression, &text(100));
        packed.truncate(kept);
        packed.extend(noise);
        // That it comes back at all, without a panic, is the point.
        let _ = decompress(compression, &packed, &[13], &[1 << 12]);
    }
}
