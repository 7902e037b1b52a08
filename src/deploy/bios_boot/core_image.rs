//! GRUB's core image, which a BIOS starts by way of the boot sector: composed of the image's own parts as
//! `grub-mkimage` composes it (GRUB's `util/mkimage.c`), and checked against that in tests.
//!
//! ```text
//! sector 0    diskboot.img, which loads the rest by a list of blocks at its end
//! sector 1    lzma_decompress.img, with the sizes of what follows
//!             compressed: kernel.img as in memory, then "mimg" and modules, the prefix last
//! ```

use liblzma::stream::{Action, Filters, LzmaOptions, Status, Stream};

use super::error::BiosBootError;
use super::kernel_image;

/// Bytes of a sector, in GRUB's reckoning and a BIOS's.
pub(super) const SECTOR: usize = 512;

/// Where the list of blocks of `diskboot.img` begins, from its end backwards; each block has the first sector (8
/// bytes), the count of sectors and the segment that they are loaded to (2 bytes each).
const BLOCK: usize = 12;

/// The segment of the first block: where `lzma_decompress.img` runs.
const SEGMENT: u16 = 0x820;

/// Where `lzma_decompress.img` has its fields (`include/grub/offsets.h`).
const COMPRESSED_SIZE: usize = 0x08;
const UNCOMPRESSED_SIZE: usize = 0x0c;
const REDUNDANCY: usize = 0x10;
const UNPROTECTED_LENGTH: usize = 0x14;

/// Its largest: from its segment to where the kernel comes to lie.
const LARGEST_DECOMPRESSOR: usize = 0x9000 - 0x8200;

/// The largest core image: what fits below 480 KiB of memory.
const LARGEST: usize = 0x78000 - kernel_image::ADDRESS as usize;

/// The most bytes of modules: the largest of what is compressed to a third is less.
pub(super) const LARGEST_CONTENT: usize = 4 << 20;

/// What starts the modules.
const MODULES_MAGIC: u32 = 0x676d_696d;

/// Types of what is among the modules.
const MODULE: u32 = 0;
const PREFIX: u32 = 3;

/// Bytes of the window that `grub-mkimage` compresses with.
const WINDOW: u32 = 1 << 16;

/// What the core image is made of, each as the image has it.
pub(super) struct Parts<'a> {
    /// The directory in the image, for messages.
    pub(super) directory: &'a str,
    /// `diskboot.img`.
    pub(super) disk_boot: &'a [u8],
    /// `lzma_decompress.img`.
    pub(super) decompressor: &'a [u8],
    /// `kernel.img`.
    pub(super) kernel: &'a [u8],
    /// The modules, each behind those that it needs.
    pub(super) modules: &'a [Vec<u8>],
    /// Where GRUB finds its directory: `(,gpt2)/boot/grub`.
    pub(super) prefix: &'a str,
}

impl Parts<'_> {
    /// Compose it. The list of blocks has one that follows right behind the first sector.
    pub(super) fn compose(&self) -> Result<CoreImage, BiosBootError> {
        let damaged = |name: &str, reason: &str| BiosBootError::Damaged {
            path: format!("{}/{name}", self.directory),
            reason: reason.to_owned(),
        };
        let mut bytes = self.disk_boot.to_vec();
        if bytes.len() != SECTOR || bytes[SECTOR - 2..] != SEGMENT.to_le_bytes() {
            return Err(damaged(
                "diskboot.img",
                "it is no first sector of a core image",
            ));
        }
        let mut decompressor = self.decompressor.to_vec();
        if !(UNPROTECTED_LENGTH + 2..=LARGEST_DECOMPRESSOR).contains(&decompressor.len())
            || decompressor[UNPROTECTED_LENGTH..][..2] == [0xff; 2]
        {
            return Err(damaged(
                "lzma_decompress.img",
                "it is no decompressor of a core image",
            ));
        }
        let kernel =
            kernel_image::flat(self.kernel).map_err(|reason| damaged("kernel.img", reason))?;
        let content = self.content(kernel);
        let compressed = compress(&content).map_err(BiosBootError::Compression)?;
        let mut set = |at: usize, value: usize| {
            decompressor[at..][..4].copy_from_slice(&(value as u32).to_le_bytes());
        };
        set(COMPRESSED_SIZE, compressed.len());
        set(UNCOMPRESSED_SIZE, content.len());
        // As with --no-rs-codes.
        set(REDUNDANCY, 0);
        let size = decompressor.len() + compressed.len();
        if size > LARGEST {
            return Err(BiosBootError::TooLarge {
                path: self.directory.to_owned(),
                size,
                limit: LARGEST,
            });
        }
        bytes.extend(decompressor);
        bytes.extend(compressed);
        Ok(CoreImage(bytes))
    }

    /// What is compressed.
    fn content(&self, kernel: Vec<u8>) -> Vec<u8> {
        let mut modules = Vec::new();
        let mut add = |kind: u32, object: &[u8]| {
            let size = object.len().next_multiple_of(4);
            modules.extend(kind.to_le_bytes());
            modules.extend((size as u32 + 8).to_le_bytes());
            modules.extend(object);
            modules.resize(modules.len() + size - object.len(), 0);
        };
        for module in self.modules {
            add(MODULE, module);
        }
        add(PREFIX, format!("{}\0", self.prefix).as_bytes());
        let mut content = kernel;
        let start = 12;
        content.extend(MODULES_MAGIC.to_le_bytes());
        content.extend((start as u32).to_le_bytes());
        content.extend((start as u32 + modules.len() as u32).to_le_bytes());
        content.extend(modules);
        content
    }
}

/// The core image.
#[derive(Clone, Debug)]
pub(super) struct CoreImage(Vec<u8>);

impl CoreImage {
    /// Its sectors, for a place on the disk that begins at this one.
    pub(super) fn at(&self, first: u64) -> Vec<u8> {
        let mut sectors = self.0.clone();
        sectors.resize(sectors.len().next_multiple_of(SECTOR), 0);
        let count = (sectors.len() / SECTOR - 1) as u16;
        let block = &mut sectors[SECTOR - BLOCK..SECTOR];
        block[..8].copy_from_slice(&(first + 1).to_le_bytes());
        block[8..10].copy_from_slice(&count.to_le_bytes());
        block[10..].copy_from_slice(&SEGMENT.to_le_bytes());
        // The block before is the end of the list.
        sectors[SECTOR - 2 * BLOCK..SECTOR - BLOCK].fill(0);
        sectors
    }

    /// Bytes that it takes on a disk.
    pub(super) fn size(&self) -> u64 {
        self.0.len().next_multiple_of(SECTOR) as u64
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// LZMA without a header, as GRUB's decompressor takes it: with the parameters that are built into it.
///
/// It stops where all is there, so the end marker of liblzma is behind what it reads.
fn compress(content: &[u8]) -> Result<Vec<u8>, liblzma::stream::Error> {
    let mut stream = Stream::new_raw_encoder(&filters()?)?;
    let mut compressed = Vec::with_capacity(content.len() / 2 + 4096);
    let mut used = 0;
    loop {
        let status = stream.process_vec(&content[used..], &mut compressed, Action::Finish)?;
        used = stream.total_in() as usize;
        if status == Status::StreamEnd {
            return Ok(compressed);
        }
        compressed.reserve(content.len() / 4 + 4096);
    }
}

fn filters() -> Result<Filters, liblzma::stream::Error> {
    let mut options = LzmaOptions::new_preset(6)?;
    options
        .dict_size(WINDOW)
        .literal_context_bits(3)
        .literal_position_bits(0)
        .position_bits(2);
    let mut filters = Filters::new();
    filters.lzma1(&options);
    Ok(filters)
}

/// What a core image has in memory once GRUB's decompressor is through.
#[cfg(test)]
pub(super) fn unpacked(core: &[u8], decompressor: usize) -> Vec<u8> {
    let sectors = &core[SECTOR..];
    let field = |at: usize| u32::from_le_bytes(sectors[at..][..4].try_into().unwrap()) as usize;
    let compressed = &sectors[decompressor..][..field(COMPRESSED_SIZE)];
    let mut stream = Stream::new_raw_decoder(&filters().unwrap()).unwrap();
    let mut content = vec![0; field(UNCOMPRESSED_SIZE)];
    while (stream.total_out() as usize) < content.len() {
        let (used, done) = (stream.total_in() as usize, stream.total_out() as usize);
        stream
            .process(&compressed[used..], &mut content[done..], Action::Run)
            .unwrap();
        assert!(stream.total_out() as usize > done, "it ends too early");
    }
    content
}
