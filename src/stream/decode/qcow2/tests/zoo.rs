//! Every kind of image that qemu-img makes, against what qemu-img reads from it.

use std::path::PathBuf;

use super::super::plan::{LIMITS, Limits};
use super::qemu::Workshop;
use super::{Setup, decode, difference, message};

const MIB: u64 = 1 << 20;

/// Decode an image in every way there is, and compare.
fn compare(shop: &Workshop, path: &PathBuf, name: &str) {
    let file = std::fs::read(path).unwrap();
    let expected = shop.converted(path);
    let small = Limits {
        look_back: 4 << 20,
        entries: 64,
        tables: 8,
        requests: 5,
        passes: 100_000,
    };
    let setups = [
        Setup::default(),
        Setup {
            ranges: Some(file.clone()),
            limits: Limits {
                look_back: 1 << 20,
                ..LIMITS
            },
            ..Setup::default()
        },
        // Buffers that end within clusters and before tables.
        Setup {
            buffer: 64 << 10,
            ..Setup::default()
        },
        Setup {
            limits: small,
            buffer: 96 << 10,
            tells_length: false,
            ..Setup::default()
        },
    ];
    for (number, setup) in setups.iter().enumerate() {
        let (disk, effort) = decode(&file, setup)
            .unwrap_or_else(|error| panic!("{name}, {number}: {}", message(&error)));
        let difference = difference(&disk, &expected);
        assert_eq!(difference, None, "{name}, {number}: {effort:?}");
        // The look-back is enough, or the ranges give what would have taken another pass. Tiny
        // clusters of two tables that share one sector may need it.
        let cluster_bits = file[23];
        if number < 2 || number == 2 && cluster_bits >= 12 {
            assert_eq!(effort.passes, 1, "{name}, {number}");
        }
    }
}

struct Zoo {
    shop: Workshop,
    count: usize,
}

impl Zoo {
    fn new() -> Self {
        Self {
            shop: Workshop::new(),
            count: 0,
        }
    }

    /// An image made with these options, changed by `change`.
    fn add(&mut self, options: &str, size: u64, change: impl FnOnce(&mut Workshop, &PathBuf)) {
        let name = format!("{options} {size}");
        let path = self.shop.path("image.qcow2");
        let options = if options.is_empty() {
            String::new()
        } else {
            format!("-o {options}")
        };
        self.shop
            .img(&format!("create -q -f qcow2 {options} @image.qcow2 {size}"));
        change(&mut self.shop, &path);
        self.look(&path, &name);
    }

    /// A raw disk converted with these words.
    fn convert(&mut self, words: &str, size: u64) {
        self.shop.raw("source.raw", size as usize);
        self.shop.img(&format!(
            "convert -q -f raw -O qcow2 {words} @source.raw @image.qcow2"
        ));
        let path = self.shop.path("image.qcow2");
        self.look(&path, words);
    }

    fn look(&mut self, path: &PathBuf, name: &str) {
        compare(&self.shop, path, name);
        std::fs::remove_file(path).unwrap();
        self.count += 1;
    }
}

fn worn(changes: usize, size: u64) -> impl FnOnce(&mut Workshop, &PathBuf) {
    move |shop, path| shop.wear(path, size, changes)
}

#[test]
fn every_cluster_size_worn() {
    let mut zoo = Zoo::new();
    for bits in 9_u32..=21 {
        let size = 5 * MIB + 512 * u64::from(bits);
        zoo.add(&format!("cluster_size={}", 1 << bits), size, worn(60, size));
    }
    for size in ["16k", "32k", "64k", "128k", "512k", "2M"] {
        let options = format!("extended_l2=on,cluster_size={size}");
        zoo.add(&options, 6 * MIB, worn(80, 6 * MIB));
    }
    assert_eq!(zoo.count, 19);
}

#[test]
fn converted_and_compressed() {
    let mut zoo = Zoo::new();
    for compat in ["0.10", "1.1"] {
        for size in ["512", "4k", "64k", "2M"] {
            let options = format!("-o compat={compat},cluster_size={size}");
            zoo.convert(&options, 4 * MIB + 1024);
        }
    }
    for options in [
        "cluster_size=512",
        "cluster_size=1k",
        "cluster_size=4k",
        "compat=0.10",
        "cluster_size=1M",
        "cluster_size=2M",
        "extended_l2=on",
        "compression_type=zstd,cluster_size=4k",
        "compression_type=zstd",
        "compression_type=zstd,cluster_size=512k",
        "compression_type=zstd,cluster_size=2M",
        "compression_type=zstd,extended_l2=on,cluster_size=16k",
    ] {
        zoo.convert(&format!("-c -o {options}"), 5 * MIB + 512);
    }
    zoo.convert("-W -m 16", 24 * MIB);
    zoo.convert("-c -W -m 16", 8 * MIB);
    zoo.convert("-S 0", 4 * MIB);
    assert_eq!(zoo.count, 23);
}

#[test]
fn preallocated() {
    let mut zoo = Zoo::new();
    for compat in ["0.10", "1.1"] {
        for preallocation in ["off", "metadata", "falloc", "full"] {
            let options = format!("compat={compat},preallocation={preallocation}");
            zoo.add(&options, 3 * MIB, worn(10, 3 * MIB));
        }
    }
    zoo.add(
        "extended_l2=on,preallocation=metadata",
        3 * MIB,
        worn(10, 3 * MIB),
    );
    assert_eq!(zoo.count, 9);
}

#[test]
fn refcounts_of_every_width() {
    let mut zoo = Zoo::new();
    for bits in [1, 2, 4, 8, 16, 32, 64] {
        let options = format!("refcount_bits={bits},cluster_size=1k");
        zoo.add(&options, 2 * MIB, worn(30, 2 * MIB));
    }
    zoo.add("lazy_refcounts=on", 2 * MIB, worn(30, 2 * MIB));
    // Killed: the dirty bit stays.
    zoo.add("lazy_refcounts=on", 2 * MIB, |shop, path| {
        shop.io_and_crash(path, &["write -P 7 0 1M".to_owned(), "flush".to_owned()]);
        let header = std::fs::read(path).unwrap();
        assert_eq!(header[79] & 1, 1, "the image is dirty");
    });
    assert_eq!(zoo.count, 9);
}

#[test]
fn zeroed_discarded_and_overwritten() {
    let mut zoo = Zoo::new();
    let lines = |commands: &[&str]| commands.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>();
    for options in [
        "compat=1.1",
        "compat=0.10",
        "extended_l2=on",
        "cluster_size=4k",
    ] {
        let commands = lines(&[
            "write -P 3 0 4M",
            "write -z 64k 192k",
            "discard 1M 256k",
            "write -z -u 2M 128k",
            "write -P 4 2080k 8k",
            "write -P 5 8000k 64k",
        ]);
        zoo.add(options, 8 * MIB, |shop, path| shop.io(path, &commands));
    }
    let commands = lines(&[
        "write -c -P 9 0 64k",
        "write -c -P 8 64k 64k",
        "write -P 1 64k 4k",
    ]);
    zoo.add("", MIB, |shop, path| shop.io(path, &commands));
    // Compressed clusters among others, some of them overwritten.
    for options in ["cluster_size=4k", "compression_type=zstd"] {
        zoo.shop.raw("source.raw", 4 << 20);
        zoo.shop.img(&format!(
            "convert -c -f raw -O qcow2 -o {options} @source.raw @image.qcow2"
        ));
        let path = zoo.shop.path("image.qcow2");
        zoo.shop.wear(&path, 4 * MIB, 40);
        zoo.look(&path, options);
    }
    assert_eq!(zoo.count, 7);
}

#[test]
fn snapshots_and_other_sizes() {
    let mut zoo = Zoo::new();
    for options in ["cluster_size=64k", "cluster_size=2k", "compat=0.10"] {
        zoo.add(options, 4 * MIB, |shop, path| {
            for number in 0..4 {
                shop.wear(path, 4 * MIB, 20);
                shop.img(&format!("snapshot -c s{number} @image.qcow2"));
            }
            shop.wear(path, 4 * MIB, 20);
            shop.img("snapshot -d s1 @image.qcow2");
            shop.wear(path, 4 * MIB, 5);
        });
    }
    for options in ["cluster_size=512", "cluster_size=64k", "extended_l2=on"] {
        zoo.add(options, 2 * MIB, |shop, path| {
            shop.wear(path, 2 * MIB, 20);
            shop.img("resize -q @image.qcow2 30M");
            shop.wear(path, 30 * MIB, 40);
            shop.img("resize -q --shrink @image.qcow2 9M");
            shop.wear(path, 9 * MIB, 10);
        });
    }
    // The L1 table moves to the end when it grows.
    zoo.add("cluster_size=512", MIB, |shop, path| {
        shop.wear(path, MIB, 40);
        shop.img("resize -q @image.qcow2 20M");
    });
    for size in [0, 512, 1536, MIB + 512, 2 * MIB - 512] {
        zoo.add("", size, |shop, path| {
            if size > 0 {
                shop.wear(path, size, 5);
            }
        });
    }
    assert_eq!(zoo.count, 12);
}
