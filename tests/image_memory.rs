//! The peak memory of `farrier write` for qcow2 images that are large, or laid out as badly as may
//! be. The only children of this process are those that are measured.

#![expect(
    clippy::unwrap_used,
    reason = "a test's helpers fail the test by panicking"
)]

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use farrier::testing::sys::Program;
use nix::sys::resource::{UsageWho, getrusage};

const MIB: u64 = 1 << 20;

/// An image whose clusters have their number as content.
struct Image {
    cluster_bits: u32,
    size: u64,
    /// Clusters of the disk that have data: the n-th of them has the n-th cluster of data, or where
    /// there are fewer of those, one that is no neighbour of the last.
    mapped: Vec<u64>,
    data_clusters: u64,
    /// L2 tables stand behind the data.
    tables_last: bool,
    compressed: bool,
}

impl Image {
    fn write(&self, path: &Path) {
        let cluster = 1_u64 << self.cluster_bits;
        let per_table = cluster / 8;
        let tables = (self.size / cluster).div_ceil(per_table);
        let first = 2 + (tables * 8).div_ceil(cluster);
        let (table, data) = if self.tables_last {
            (first + self.data_clusters, first)
        } else {
            (first, first + tables)
        };
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
        let mut header = vec![0; 104];
        header[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
        header[20..24].copy_from_slice(&self.cluster_bits.to_be_bytes());
        header[24..32].copy_from_slice(&self.size.to_be_bytes());
        header[36..40].copy_from_slice(&(tables as u32).to_be_bytes());
        header[40..48].copy_from_slice(&(2 * cluster).to_be_bytes());
        header[48..56].copy_from_slice(&cluster.to_be_bytes());
        header[56..60].copy_from_slice(&1_u32.to_be_bytes());
        header[96..100].copy_from_slice(&4_u32.to_be_bytes());
        header[100..104].copy_from_slice(&104_u32.to_be_bytes());
        file.write_all(&header).unwrap();
        file.seek(SeekFrom::Start(2 * cluster)).unwrap();
        for number in 0..tables {
            let entry = ((table + number) * cluster) | (1 << 63);
            file.write_all(&entry.to_be_bytes()).unwrap();
        }
        let mut entries = vec![0_u64; (tables * per_table) as usize];
        for (number, guest) in self.mapped.iter().enumerate() {
            let host = (data + self.content(number)) * cluster;
            entries[*guest as usize] = host | if self.compressed { 1 << 62 } else { 1 << 63 };
        }
        file.seek(SeekFrom::Start(table * cluster)).unwrap();
        for entry in entries {
            file.write_all(&entry.to_be_bytes()).unwrap();
        }
        for number in 0..self.data_clusters {
            if number == 0 || cluster <= 4096 || self.compressed {
                file.seek(SeekFrom::Start((data + number) * cluster))
                    .unwrap();
            }
            let content = number.to_be_bytes().repeat(cluster as usize / 8);
            if self.compressed {
                let mut encoder =
                    flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(&content).unwrap();
                let bytes = encoder.finish().unwrap();
                assert!(bytes.len() <= 512, "one sector is enough");
                file.write_all(&bytes).unwrap();
            } else {
                file.write_all(&content).unwrap();
            }
        }
        let file = file.into_inner().unwrap();
        let end = (first + tables + self.data_clusters) * cluster;
        file.set_len(end.max(file.metadata().unwrap().len()))
            .unwrap();
    }

    /// The cluster of data of the n-th cluster that is mapped.
    fn content(&self, number: usize) -> u64 {
        let number = number as u64;
        if self.data_clusters < self.mapped.len() as u64 {
            number * 37 % self.data_clusters
        } else {
            number
        }
    }

    /// Look at some clusters of the disk that was written.
    fn check(&self, path: &Path) {
        let cluster = 1_u64 << self.cluster_bits;
        let disk = File::open(path).unwrap();
        for (number, guest) in self.mapped.iter().enumerate().step_by(997) {
            let mut found = [0; 8];
            disk.read_exact_at(&mut found, guest * cluster).unwrap();
            let found = u64::from_be_bytes(found);
            assert_eq!(found, self.content(number), "cluster {guest}");
        }
    }
}

/// All numbers below this one, in no order.
fn shuffled(count: u64) -> Vec<u64> {
    let mut numbers: Vec<u64> = (0..count).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for place in (1..numbers.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        numbers.swap(place, (state % (place as u64 + 1)) as usize);
    }
    numbers
}

#[test]
fn any_layout_is_written_in_little_memory() {
    let worn = Image {
        cluster_bits: 9,
        size: 64 * MIB,
        mapped: shuffled(64 * MIB / 512),
        data_clusters: 64 * MIB / 512,
        tables_last: true,
        compressed: false,
    };
    let cases = [
        ("512-byte clusters in no order, tables last", worn),
        (
            "references to few clusters, none of them neighbours",
            Image {
                cluster_bits: 9,
                size: 96 * MIB,
                mapped: (0..96 * MIB / 512).collect(),
                data_clusters: 64,
                tables_last: true,
                compressed: false,
            },
        ),
        (
            "every cluster compressed, tables last",
            Image {
                cluster_bits: 12,
                size: 128 * MIB,
                mapped: shuffled(128 * MIB / 4096),
                data_clusters: 128 * MIB / 4096,
                tables_last: true,
                compressed: true,
            },
        ),
        (
            "64 GiB, worn",
            Image {
                cluster_bits: 16,
                size: 65536 * MIB,
                mapped: shuffled(1 << 20).split_off((1 << 20) - 8000),
                data_clusters: 8000,
                tables_last: true,
                compressed: false,
            },
        ),
        (
            "2 GiB with more than 1 GiB of data",
            Image {
                cluster_bits: 16,
                size: 2048 * MIB,
                mapped: (0..17600).collect(),
                data_clusters: 17600,
                tables_last: false,
                compressed: false,
            },
        ),
    ];
    let directory = tempfile::tempdir().unwrap();
    for (name, image) in cases {
        let (source, target) = (
            directory.path().join("image"),
            directory.path().join("disk"),
        );
        image.write(&source);
        let disk = File::create(&target).unwrap();
        disk.set_len(image.size).unwrap();
        let started = std::time::Instant::now();
        let output = Program::new(env!("CARGO_BIN_EXE_farrier"))
            .arg("write")
            .arg("--no-checksum")
            .arg("--url")
            .arg(source.display().to_string())
            .arg("--device")
            .arg(target.display().to_string())
            .timeout(Duration::from_secs(600))
            .output()
            .unwrap();
        assert!(output.status.success(), "{name}: {}", output.stderr);
        image.check(&target);
        let peak = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss() / 1024;
        println!("{name}: {peak} MiB at most so far, {:?}", started.elapsed());
        assert!(peak <= 96, "{name}: {peak} MiB");
        std::fs::remove_file(&target).unwrap();
    }
}
