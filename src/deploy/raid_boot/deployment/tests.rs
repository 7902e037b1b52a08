use super::*;
use crate::block::partition::PartitionKind;
use crate::sys::memory_medium::MemoryMedium;

#[test]
fn what_was_copied_is_no_file_system_any_more() {
    let offset = 1 << 20;
    let medium = MemoryMedium::used(32 << 20);
    crate::block::fat_writer::write(&medium, offset, 16 << 20, "UEFI", 5, &[]).unwrap();
    let partition = Partition {
        number: 1,
        offset,
        length: 16 << 20,
        kind: PartitionKind::Mbr(0xef),
        guid: None,
    };
    assert!(
        Fat::open(&medium, offset, partition.length)
            .unwrap()
            .is_some()
    );
    blank(&medium, &partition).unwrap();
    assert!(
        Fat::open(&medium, offset, partition.length)
            .unwrap()
            .is_none()
    );
    let content = medium.content();
    assert!(content[..1 << 20].iter().all(|byte| *byte == 0xaa));
    assert!(content[17 << 20..].iter().all(|byte| *byte == 0xaa));
}
