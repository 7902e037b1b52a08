//! Compressed images of several GiB are written in constant memory.

#![expect(
    clippy::unwrap_used,
    reason = "a test's helpers fail the test by panicking"
)]

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use farrier::testing::sys::Program;
use serde_json::Value;

const MIB: usize = 1 << 20;

/// Bytes of the disk that one frame or stream of the file makes.
const PART: usize = 128 * MIB;

/// SPECIFICATION.md.
const LIMIT: u64 = 96 << 20;

/// Some MiB that hardly compress, some text, and zeros.
fn part() -> Vec<u8> {
    let mut part = vec![0; PART];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for bytes in part[..3 * MIB].chunks_exact_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.copy_from_slice(&state.to_le_bytes());
    }
    let line = b"a farrier fits iron to a bare hoof\n";
    for text in part[64 * MIB..72 * MIB].chunks_mut(line.len()) {
        text.copy_from_slice(&line[..text.len()]);
    }
    part
}

/// Compressed with a window of 16 MiB, the largest that is within the limit.
fn zstd(part: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(24).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(part).unwrap();
    encoder.finish().unwrap()
}

fn xz(part: &[u8]) -> Vec<u8> {
    let mut options = liblzma::stream::LzmaOptions::new_preset(0).unwrap();
    options.dict_size(16 << 20);
    let filters = {
        let mut filters = liblzma::stream::Filters::new();
        filters.lzma2(&options);
        filters
    };
    let stream =
        liblzma::stream::Stream::new_stream_encoder(&filters, liblzma::stream::Check::Crc32)
            .unwrap();
    let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    encoder.write_all(part).unwrap();
    encoder.finish().unwrap()
}

/// Write an image of so many times the same part, and look at what is there.
fn check(folder: &Path, packed: &[u8], times: usize, part: &[u8]) {
    let image = folder.join("image");
    let mut file = File::create(&image).unwrap();
    (0..times).for_each(|_| file.write_all(packed).unwrap());
    drop(file);
    let disk = folder.join("disk");
    let arguments = [
        "write",
        "--json",
        "--no-checksum",
        "--url",
        image.to_str().unwrap(),
        "--device",
        disk.to_str().unwrap(),
    ];
    let output = arguments
        .iter()
        .fold(
            Program::new(env!("CARGO_BIN_EXE_farrier")),
            |program, argument| program.arg(*argument),
        )
        .run()
        .unwrap();
    let disk_file = File::open(&disk).unwrap();
    let facts = disk_file.metadata().unwrap();
    assert_eq!(facts.len(), (times * PART) as u64);
    // Sparse where the image is: of each part, at most its first 3 MiB, the text, and edges.
    assert!(
        facts.blocks() * 512 < (times * 12 * MIB) as u64,
        "{facts:?}"
    );
    let mut held = vec![0; 4 * MIB];
    for number in 0..times {
        for start in [0, 62 * MIB, 70 * MIB, PART - 4 * MIB] {
            disk_file
                .read_exact_at(&mut held, (number * PART + start) as u64)
                .unwrap();
            assert!(held == part[start..start + 4 * MIB], "{number} {start}");
        }
    }
    std::fs::remove_file(disk).unwrap();
    let told: Value = serde_json::from_str(&output.stdout).unwrap();
    println!("{told}");
    assert_eq!(told["bytes_written"], (times * PART) as u64);
    assert!(told["peak_memory"].as_u64().unwrap() <= LIMIT, "{told}");
}

#[test]
fn images_of_gigabytes_are_decompressed_in_96_mib() {
    let folder = tempfile::tempdir().unwrap();
    let part = part();
    check(folder.path(), &zstd(&part), 32, &part);
    check(folder.path(), &xz(&part), 4, &part);
}
