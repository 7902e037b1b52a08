//! Compressed images: made by the tools and by the libraries, whole, cut, damaged and hostile.

use std::io::{Read, Write};
use std::sync::Arc;

use farrier_plugin::{ErrorKind, SilentContext, chain};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{MIB, assert_written, head_is_blank, image, options, request, run, sha256};
use crate::stream::test_server::{Reply, TestServer};
use crate::stream::{Format, ImageRequest, StreamError, Written, write};
use crate::sys::memory_medium::MemoryMedium;
use crate::sys::process::Program;

const FORMATS: [&str; 4] = ["gzip", "xz", "zstd", "bzip2"];

/// A disk with a partition table, some incompressible bytes, text and zeros.
fn disk(size: usize) -> Vec<u8> {
    let mut disk = (*image(size)).clone();
    disk[..4096].fill(0);
    // One partition, and the mark of a boot record.
    disk[450] = 0x83;
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    for (number, part) in disk[4096..].chunks_mut(40_000).enumerate() {
        match number % 3 {
            0 => part.fill(0),
            1 => part
                .iter_mut()
                .zip(
                    b"the quick brown fox jumps over the lazy dog"
                        .iter()
                        .cycle(),
                )
                .for_each(|(byte, letter)| *byte = *letter),
            _ => {}
        }
    }
    disk
}

/// Compress as one member, stream or frame.
fn compress(format: &str, data: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    match format {
        "gzip" => {
            let level = flate2::Compression::new(3);
            flate2::read::GzEncoder::new(data, level).read_to_end(&mut packed)
        }
        "xz" => liblzma::read::XzEncoder::new(data, 1).read_to_end(&mut packed),
        "bzip2" => {
            bzip2::read::BzEncoder::new(data, bzip2::Compression::fast()).read_to_end(&mut packed)
        }
        "zstd" => {
            let mut encoder = zstd::Encoder::new(&mut packed, 3).unwrap();
            encoder.include_checksum(true).unwrap();
            encoder.write_all(data).unwrap();
            encoder.finish().map(|_| 0)
        }
        other => panic!("{other}"),
    }
    .unwrap();
    packed
}

fn write_file(
    content: &[u8],
    change: impl FnOnce(&mut ImageRequest),
    medium: &MemoryMedium,
) -> Result<Written, StreamError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    let mut request = request(&[format!("file://{}", file.path().display())], content);
    change(&mut request);
    write(&request, &options(), medium, &SilentContext)
}

/// Written without complaint, and the medium holds what was inside.
fn assert_accepted(packed: &[u8], content: &[u8]) {
    let medium = MemoryMedium::used(content.len().next_multiple_of(MIB) + 2 * MIB);
    let written = write_file(packed, |_| {}, &medium).unwrap();
    assert_eq!(written.size, content.len() as u64);
    assert_eq!(written.read, packed.len() as u64);
    assert_eq!(written.digest, Some(sha256(packed)));
    assert_written(&medium, content);
}

/// Refused with these words, and nothing left that boots.
fn assert_refused(packed: &[u8], size: usize, words: &str) {
    let medium = MemoryMedium::used(size);
    let error = write_file(packed, |_| {}, &medium).unwrap_err();
    assert!(chain(&error).contains(words), "{}", chain(&error));
    let held = medium.content();
    assert!(head_is_blank(&held) || medium.log().is_empty());
}

#[test]
fn every_compression_is_taken_off() {
    let content = disk(3 * MIB + 12_345);
    for format in FORMATS {
        let packed = Arc::new(compress(format, &content));
        let server = TestServer::start({
            let packed = Arc::clone(&packed);
            move |_, _| Reply::ok(&packed)
        });
        let medium = MemoryMedium::used(5 * MIB);
        let written = run(&server, &packed, &medium).unwrap();
        assert_eq!(written.format, format);
        assert_eq!(written.size, content.len() as u64);
        assert_eq!(written.checksum, format!("sha256:{}", sha256(&packed)));
        assert_written(&medium, &content);
        for declared in [None, Some("gpt"), Some(format)] {
            let medium = MemoryMedium::used(5 * MIB);
            let change = |request: &mut ImageRequest| request.format = Format::declared(declared);
            write_file(&packed, change, &medium).unwrap();
            assert_written(&medium, &content);
        }
        let medium = MemoryMedium::used(5 * MIB);
        let change = |request: &mut ImageRequest| request.format = Format::declared(Some("qcow2"));
        let error = write_file(&packed, change, &medium).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("Security: Expected format was qcow2, but image was actually {format}")
        );
        assert_eq!(medium.log(), []);
    }
}

#[test]
fn what_the_tools_make_is_taken_off() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk").display().to_string();
    let content = disk(3 * MIB + 1);
    std::fs::write(&path, &content).unwrap();
    for (program, options, suffix) in [
        ("/usr/bin/gzip", &["-k", "-1"][..], ".gz"),
        ("/usr/bin/gzip", &["-k", "-9", "--rsyncable"], ".gz"),
        ("/usr/bin/bzip2", &["-k", "-1"], ".bz2"),
        ("/usr/bin/bzip2", &["-k", "-9"], ".bz2"),
        ("/usr/bin/xz", &["-k", "-0", "--check=none"], ".xz"),
        (
            "/usr/bin/xz",
            &["-k", "-6", "--check=sha256", "--block-size=300000"],
            ".xz",
        ),
        ("/usr/bin/xz", &["-k", "--x86", "--lzma2=dict=1MiB"], ".xz"),
        ("/usr/bin/zstd", &["-q", "-1", "--no-check"], ".zst"),
        ("/usr/bin/zstd", &["-q", "-19", "--long=27"], ".zst"),
        ("/usr/bin/zstd", &["-q", "-3", "-T2", "-B512K"], ".zst"),
        // Many frames, a skippable one before each.
        ("/usr/bin/pzstd", &["-q", "-k", "-1", "-p", "2"], ".zst"),
    ] {
        let mut tool = Program::new(program);
        for option in options.iter().copied().chain(["-f", path.as_str()]) {
            tool = tool.arg(option);
        }
        tool.run().unwrap();
        let packed = std::fs::read(format!("{path}{suffix}")).unwrap();
        assert_accepted(&packed, &content);
    }
}

#[test]
fn files_of_several_members_are_one_image() {
    let content = disk(2 * MIB + 77);
    for format in FORMATS {
        let packed: Vec<u8> = [0, 1, 511, 70_000, MIB, 2 * MIB]
            .windows(2)
            .map(|ends| &content[ends[0]..ends[1]])
            // An empty one in the middle, and the rest.
            .chain([&[][..], &content[2 * MIB..]])
            .flat_map(|part| compress(format, part))
            .collect();
        assert_accepted(&packed, &content);
    }
}

#[test]
fn an_empty_image_is_an_empty_image() {
    for format in FORMATS {
        assert_accepted(&compress(format, b""), b"");
    }
}

#[test]
fn only_the_formats_own_padding_may_follow() {
    let content = disk(MIB + 5);
    let text = "something else follows the compressed data";
    for (format, zeros) in [("gzip", 1), ("gzip", 70_000), ("xz", 4), ("xz", 512)] {
        let packed = compress(format, &content);
        let padded = [&packed[..], &vec![0; zeros]].concat();
        assert_accepted(&padded, &content);
        let member_behind = [&padded[..], &packed].concat();
        assert_accepted(&member_behind, &[&content[..], &content].concat());
        assert_refused(&[&padded[..], b"x"].concat(), 4 * MIB, text);
    }
    for (format, zeros) in [("xz", 1), ("xz", 7), ("zstd", 4), ("bzip2", 4)] {
        let packed = compress(format, &content);
        assert_refused(&[&packed[..], &vec![0; zeros]].concat(), 4 * MIB, text);
    }
    for format in FORMATS {
        let packed = compress(format, &content);
        for garbage in [&b"g"[..], b"garbage behind the end", &content[700_000..]] {
            assert_refused(&[&packed[..], garbage].concat(), 4 * MIB, text);
        }
        // Another format behind it is no better.
        let other = compress(if format == "xz" { "zstd" } else { "xz" }, b"other");
        assert_refused(&[packed, other].concat(), 4 * MIB, text);
    }
}

#[test]
fn damage_on_the_way_is_a_wrong_checksum_and_fetched_again() {
    let content = disk(3 * MIB);
    for format in FORMATS {
        let packed = Arc::new(compress(format, &content));
        let server = TestServer::start({
            let packed = Arc::clone(&packed);
            move |number, _| {
                let mut sent = (*packed).clone();
                let middle = sent.len() / 2;
                sent[middle..middle + 20].fill(u8::from(number > 0));
                if number == 2 {
                    sent.clone_from(&packed);
                }
                Reply::ok(&Arc::new(sent))
            }
        });
        let medium = MemoryMedium::used(4 * MIB);
        run(&server, &packed, &medium).unwrap();
        assert_eq!(server.requests().len(), 3);
        assert_written(&medium, &content);
    }
}

#[test]
fn a_bomb_ends_at_the_devices_end() {
    let zeros = vec![0; 64 * MIB];
    for format in FORMATS {
        let packed = compress(format, &zeros);
        let medium = MemoryMedium::used(5 * MIB + 512);
        let error = write_file(&packed, |_| {}, &medium).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ImageWrite);
        assert_eq!(
            error.to_string(),
            "Image one.raw makes more than the 5243392 bytes of the device"
        );
        assert!(head_is_blank(&medium.content()));
        // To the last byte it fits.
        let medium = MemoryMedium::used(5 * MIB + 512);
        let packed = compress(format, &zeros[..5 * MIB + 512]);
        write_file(&packed, |_| {}, &medium).unwrap();
        assert!(medium.content().iter().all(|byte| *byte == 0));
    }
}

#[test]
fn a_frame_that_tells_its_size_is_refused_before_anything_is_written() {
    let packed = zstd::bulk::compress(&vec![0; 3 * MIB], 1).unwrap();
    let medium = MemoryMedium::used(2 * MIB);
    let error = write_file(&packed, |_| {}, &medium).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Image one.raw of 3145728 bytes does not fit onto a device of 2097152 bytes"
    );
    assert_eq!(medium.log(), []);
}

#[test]
fn nothing_but_a_disk_may_be_inside() {
    let content = disk(MIB);
    let mut qcow2 = content.clone();
    qcow2[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    qcow2[510] = 0;
    for format in FORMATS {
        let insides = FORMATS
            .map(|inner| (inner, compress(inner, &content)))
            .into_iter()
            .chain([("qcow2", qcow2.clone())]);
        for (name, inside) in insides {
            let packed = compress(format, &inside);
            let medium = MemoryMedium::used(2 * MIB);
            let error = write_file(&packed, |_| {}, &medium).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidImage);
            assert_eq!(
                error.to_string(),
                format!(
                    "Security: Image is {name} inside {format}, but only raw, gpt and iso are \
                     written from inside a compressed file"
                )
            );
            let held = medium.content();
            assert!(head_is_blank(&held) || medium.log().is_empty());
        }
    }
}

#[test]
fn a_container_inside_is_seen_before_anything_is_written() {
    let mut qcow2 = disk(2 * MIB);
    qcow2[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    qcow2[510] = 0;
    for format in FORMATS {
        let medium = MemoryMedium::used(4 * MIB);
        write_file(&compress(format, &qcow2), |_| {}, &medium).unwrap_err();
        assert_eq!(medium.log(), [], "{format}");
    }
}

/// A zstd frame with this window descriptor, around five bytes (RFC 8878, 3.1.1).
fn zstd_frame(window: u8) -> Vec<u8> {
    let block = (1 | (5 << 3)) as u8;
    [
        &[0x28, 0xb5, 0x2f, 0xfd, 0, window, block, 0, 0][..],
        b"bytes",
    ]
    .concat()
}

/// An xz stream whose block says that it needs this dictionary (the format, 3.1 and 5.3.1).
fn xz_stream(dictionary: u8) -> Vec<u8> {
    let mut stream = compress("xz", b"bytes");
    let header = 12;
    let crc = header + (usize::from(stream[header]) + 1) * 4 - 4;
    assert_eq!(stream[header + 1..header + 4], [0, 0x21, 1]);
    stream[header + 4] = dictionary;
    let mut sum = flate2::Crc::new();
    sum.update(&stream[header..crc]);
    stream[crc..crc + 4].copy_from_slice(&sum.sum().to_le_bytes());
    stream
}

#[test]
fn windows_of_more_than_128_mib_are_refused_before_anything_is_written() {
    // 2^(10 + 17) and 2^(10 + 18) bytes; 2 << 26 and 3 << 26.
    assert_accepted(&zstd_frame(17 << 3), b"bytes");
    assert_accepted(&xz_stream(30), b"bytes");
    for (packed, name) in [
        (zstd_frame(18 << 3), "zstd"),
        (zstd_frame(0xff), "zstd"),
        (xz_stream(31), "xz"),
        (xz_stream(40), "xz"),
    ] {
        let medium = MemoryMedium::used(2 * MIB);
        let error = write_file(&packed, |_| {}, &medium).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidImage);
        assert!(
            error.to_string().starts_with(&format!(
                "Image one.raw is in the format {name} with a window of more than 128 MiB"
            )),
            "{error}"
        );
        assert_eq!(medium.log(), []);
    }
}

#[test]
fn a_dictionary_of_its_own_is_refused_by_name() {
    let mut packed = zstd_frame(0);
    // The descriptor's flag, and the identifier behind the window.
    packed[4] = 1;
    packed.insert(6, 77);
    let medium = MemoryMedium::used(2 * MIB);
    let error = write_file(&packed, |_| {}, &medium).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("zstd with a dictionary of its own"),
        "{error}"
    );
}

/// Shortest file that is recognised: the marks of all formats are within it.
const MARKS: usize = 10;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_cut_file_is_damaged(format in select(&FORMATS[..]), at: Index) {
        let packed = compress(format, &disk(300_000));
        let length = MARKS + at.index(packed.len() - MARKS);
        assert_refused(&packed[..length], 2 * MIB, "ends in the middle");
    }

    #[test]
    fn a_flipped_bit_is_found(format in select(&FORMATS[..]), at: Index, bit in 0..8) {
        let content = disk(300_000);
        let mut packed = compress(format, &content);
        let index = MARKS + at.index(packed.len() - MARKS);
        packed[index] ^= 1_u8 << bit;
        let medium = MemoryMedium::used(2 * MIB);
        match write_file(&packed, |_| {}, &medium) {
            // A name, a time, an operating system: nothing of the content.
            Ok(_) => prop_assert!(medium.content()[..content.len()] == content),
            Err(error) => {
                prop_assert_eq!(error.kind(), ErrorKind::InvalidImage, "{}", chain(&error));
                let held = medium.content();
                prop_assert!(head_is_blank(&held) || medium.log().is_empty());
            }
        }
    }

    #[test]
    fn noise_behind_a_mark_is_an_error(
        format in select(&FORMATS[..]),
        noise in prop::collection::vec(any::<u8>(), 1..400),
    ) {
        let packed = [&compress(format, b"bytes")[..MARKS], &noise].concat();
        let medium = MemoryMedium::used(2 * MIB);
        // Very rarely it is an image after all.
        if let Err(error) = write_file(&packed, |_| {}, &medium) {
            let kind = error.kind();
            prop_assert!(matches!(kind, ErrorKind::InvalidImage | ErrorKind::ImageWrite));
        }
    }
}
