//! Whether an image's GPT is one that this disk's firmware and kernel will find.

use crate::block::gpt;

/// Sector sizes that disks have.
const SIZES: [u32; 2] = [512, 4096];

/// The sector size that the image's GPT was made for, where it is another than the disk's.
///
/// The header is in sector 1 and all its addresses are counted in sectors (UEFI specification
/// 2.10, section 5.3.2), so that a table made for the other size is nowhere. `None` where there is
/// a header at the right place, or none at all.
pub(super) fn misfit(head: &[u8], sector_size: u32) -> Option<u32> {
    if is_header(head, sector_size) {
        return None;
    }
    SIZES.into_iter().find(|size| is_header(head, *size))
}

/// Whether a whole header is where it belongs with this sector size: in sector 1.
fn is_header(head: &[u8], sector_size: u32) -> bool {
    let size = sector_size as usize;
    head.get(size..2 * size)
        .is_some_and(|sector| gpt::holds_header(sector, 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::fixture;

    #[test]
    fn a_table_at_the_other_place_is_a_misfit() {
        for (made_for, other) in [(512, 4096), (4096, 512)] {
            let mut head = fixture::gpt(made_for, 0).content();
            assert_eq!(misfit(&head, made_for), None);
            assert_eq!(misfit(&head, other), Some(made_for));
            assert_eq!(misfit(&head[..made_for as usize], other), None);
            // A damaged one is another matter.
            head[made_for as usize + 50] ^= 1;
            assert_eq!(misfit(&head, other), None);
        }
        assert_eq!(misfit(&fixture::mbr(0).content(), 4096), None);
        assert_eq!(misfit(&[], 512), None);
    }

    #[test]
    fn a_disk_with_both_tables_is_fine_with_either() {
        let mut head = fixture::gpt(512, 0).content();
        let other = fixture::gpt(4096, 0).content();
        // The entries of 512-byte sectors begin at 1024.
        head[4096..4188].copy_from_slice(&other[4096..4188]);
        assert_eq!(misfit(&head, 512), None);
        assert_eq!(misfit(&head, 4096), None);
    }
}
