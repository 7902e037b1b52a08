//! Writing the boot files onto the EFI system partition.

use std::error::Error;
use std::io;

use tracing::info;

use super::error::ImageBootError;
use super::file_tree::{Failure, FileReader, FileTree};
use super::plan::{Content, Plan};

/// Stands at the root of the partition as long as not all files are there.
pub(in crate::deploy) const UNFINISHED: &str = "unfinished.txt";

/// What it says.
const EXPLANATION: &[u8] = b"The boot files were not all copied to this partition.\r\n";

/// What a file takes at most beyond its content, in bytes: the rest of its last cluster, its entry.
const OVERHEAD: u64 = 64 * 1024;

/// Write the planned files, those that firmware starts last: as long as it is not done, the partition
/// does not boot, and is known to be unfinished. A second time, the same is written again.
///
/// `size` is the partition's, in bytes; `from` says where the files are from.
pub(super) fn fill(
    image: &mut dyn FileTree,
    esp: &mut dyn FileTree,
    plan: &Plan,
    size: u64,
    from: &str,
) -> Result<(), ImageBootError> {
    // Sparse files may be of any size.
    let needed = plan.files().iter().fold(0_u64, |sum, file| {
        sum.saturating_add(file.size()).saturating_add(OVERHEAD)
    });
    // The file allocation tables and reserved sectors of FAT32 take less than a hundredth.
    let too_small = || ImageBootError::EspTooSmall {
        needed: needed.div_ceil(1 << 20),
        size: size >> 20,
        from: from.to_owned(),
    };
    if needed > size - size / 64 {
        return Err(too_small());
    }
    write_all(image, esp, plan).map_err(|failure| match is_full(&*failure) {
        true => too_small(),
        false => failure.into(),
    })?;
    info!(
        files = plan.files().len(),
        "the image's boot files are on the EFI system partition"
    );
    Ok(())
}

fn write_all(image: &mut dyn FileTree, esp: &mut dyn FileTree, plan: &Plan) -> Result<(), Failure> {
    esp.write(UNFINISHED, &mut &EXPLANATION[..])?;
    for folder in plan.folders() {
        esp.make_directory(&format!("/{folder}"))?;
    }
    let mut files: Vec<_> = plan.files().iter().collect();
    files.sort_by_key(|file| file.turn());
    for file in &files {
        let path = format!("/{}", file.path);
        match &file.content {
            Content::Bytes(bytes) => esp.write(&path, &mut bytes.as_slice())?,
            Content::OfImage { path: from, .. } => {
                esp.write(&path, &mut FileReader::new(image, from))?;
            }
        }
    }
    esp.remove(UNFINISHED)
}

/// Whether a file system had no room.
pub(in crate::deploy) fn is_full(failure: &(dyn Error + 'static)) -> bool {
    let mut next = Some(failure);
    while let Some(error) = next {
        let code = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::raw_os_error);
        if code == Some(libc::ENOSPC) {
            return true;
        }
        next = error.source();
    }
    false
}
