//! Disks made by sfdisk and what belongs on them, for tests.

use std::io::{Read, Write};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::sys::memory_medium::MemoryMedium;
use crate::sys::process::Program;

/// 16 MiB, GPT: an EFI system partition and a root partition. Block size 512.
const GPT_512: &[u8] = include_bytes!("../../tests/fixtures/partition_tables/gpt-512.gz");
/// The same with a block size of 4096.
const GPT_4096: &[u8] = include_bytes!("../../tests/fixtures/partition_tables/gpt-4096.gz");
/// 16 MiB, MBR: a primary, an extended and two logical partitions.
const MBR_512: &[u8] = include_bytes!("../../tests/fixtures/partition_tables/mbr-512.gz");

/// The disk with a GPT, copied to a disk of so many bytes.
pub(crate) fn gpt(block_size: u32, size: usize) -> MemoryMedium {
    let packed = if block_size == 512 { GPT_512 } else { GPT_4096 };
    MemoryMedium::of(unpack(packed, size), block_size)
}

/// The disk with an MBR, copied to a disk of so many bytes.
pub(crate) fn mbr(size: usize) -> MemoryMedium {
    MemoryMedium::of(unpack(MBR_512, size), 512)
}

/// A config drive as Ironic makes them (tests/fixtures/transcripts/deploy-raw.jsonl): ISO 9660 with Rock Ridge and
/// Joliet.
pub(crate) fn config_drive() -> Vec<u8> {
    let text = include_str!("../../tests/fixtures/config_drives/from-ironic.txt");
    unpack(&BASE64_STANDARD.decode(text.trim()).unwrap(), 0)
}

/// A config drive as the conductor sends it.
pub(crate) fn sent(drive: &[u8]) -> String {
    BASE64_STANDARD.encode(gzip(drive))
}

/// These bytes, compressed.
pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn unpack(packed: &[u8], size: usize) -> Vec<u8> {
    let mut content = Vec::new();
    flate2::read::GzDecoder::new(packed)
        .read_to_end(&mut content)
        .unwrap();
    content.resize(size.max(content.len()), 0);
    content
}

/// What a partitioning tool says of the disk, run over a file; `None` where it is not installed.
pub(crate) fn judged_by(tool: &str, arguments: &[&str], content: &[u8]) -> Option<String> {
    let path = ["/usr/sbin", "/sbin"]
        .iter()
        .map(|directory| format!("{directory}/{tool}"))
        .find(|path| std::path::Path::new(path).exists())?;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    let mut program = Program::new(path);
    for argument in arguments {
        program = program.arg(*argument);
    }
    let output = program
        .arg(file.path().display().to_string())
        .run()
        .unwrap();
    Some(output.stdout + &output.stderr)
}
