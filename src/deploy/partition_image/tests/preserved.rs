//! Ephemeral partitions that stay.

use farrier_plugin::ErrorKind;
use serde_json::json;

use super::{Deploy, MIB, ext4, text};
use crate::block::table::Table;
use crate::sys::block_device::Medium;
use crate::sys::memory_medium::{Change, MemoryMedium};

const EPHEMERAL_CONTENT: &[u8] = b"what the tenant keeps";

#[test]
fn an_ephemeral_partition_stays_whatever_becomes_of_the_others() {
    for label in ["uefi", "gpt", "msdos"] {
        let deploy = |content| {
            let deploy = Deploy::of(content);
            if label == "uefi" {
                deploy
            } else {
                deploy.bios(label)
            }
        };
        let medium = MemoryMedium::used(64 * MIB);
        deploy(ext4(9)).run(&medium).unwrap();
        let table = Table::read(&medium).unwrap();
        let ephemeral = usize::from(label != "msdos");
        let kept = table.partitions()[ephemeral].clone();
        medium
            .write_at(kept.offset + 5000, EPHEMERAL_CONTENT)
            .unwrap();
        let before = medium.content();
        let ephemeral_range = kept.offset as usize..(kept.offset + kept.length) as usize;

        // The next system has no config drive and no swap, so that its root begins elsewhere.
        let mut next = deploy(ext4(5))
            .with("preserve_ephemeral", json!(true))
            .with("swap_mb", json!(0));
        next.drive = None;
        let medium = MemoryMedium::of(before.clone(), 512);
        let (_, made) = next.run(&medium).unwrap();
        assert_eq!(made.contains(&"vfat 1".to_owned()), label == "uefi");
        assert!(
            !made.iter().any(|made| made.starts_with("ext4")),
            "{made:?}"
        );
        let held = medium.content();
        assert!(held[ephemeral_range.clone()] == before[ephemeral_range.clone()]);
        let now = Table::read(&medium).unwrap();
        assert_eq!(now.partitions()[ephemeral], kept);
        match (&table, &now) {
            (Table::Gpt(then), Table::Gpt(now)) => assert_eq!(then.disk_guid(), now.disk_guid()),
            (Table::Mbr(then), Table::Mbr(now)) => {
                assert_eq!(then.disk_signature(), now.disk_signature());
            }
            _ => panic!("another kind of table"),
        }
        let root = now.partitions().last().unwrap().offset as usize;
        assert!(held[root..root + next.content.len()] == next.content);

        // At every moment the partition is found, and the old system does not start.
        let changes = medium.log();
        let first_of_image = changes
            .iter()
            .position(|change| matches!(change, Change::Write { data, .. } if data.len() > 4096));
        let first_of_image = first_of_image.unwrap();
        medium.replay(|prefix, held| {
            assert!(
                held[ephemeral_range.clone()] == before[ephemeral_range.clone()],
                "{prefix}"
            );
            let table = Table::read(&MemoryMedium::of(held.to_vec(), 512)).unwrap();
            assert!(table.partitions().contains(&kept), "{prefix}");
            if (first_of_image..changes.len()).contains(&prefix) {
                assert!(held[..440].iter().all(|byte| *byte == 0), "{prefix}");
            }
            if label == "uefi" && prefix == first_of_image {
                assert!(held[MIB..2 * MIB].iter().all(|byte| *byte == 0), "{prefix}");
            }
        });
    }
}

#[test]
fn an_ephemeral_partition_that_is_not_there_is_an_error_and_nothing_is_written() {
    let deploy = || Deploy::of(ext4(9)).with("preserve_ephemeral", json!(true));
    let first = MemoryMedium::used(64 * MIB);
    Deploy::of(ext4(9)).run(&first).unwrap();
    for (content, deploy, part) in [
        (vec![0; 64 * MIB], deploy(), "no partition table"),
        (
            first.content(),
            deploy().with("ephemeral_mb", json!(11)),
            "it would be partition 2 of 11 MiB",
        ),
        (first.content(), deploy().bios("msdos"), "of the kind gpt"),
        (first.content(), deploy().bios("gpt"), "from MiB 2 on"),
    ] {
        let medium = MemoryMedium::of(content, 512);
        let error = deploy.run(&medium).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Deployment);
        let said = text(error);
        assert!(
            said.contains(part) && said.contains("Nothing was written"),
            "{said}"
        );
        assert_eq!(medium.log(), []);
    }
    // Nothing to keep is no error: the conductor asks for it on every rebuild.
    let medium = MemoryMedium::used(64 * MIB);
    deploy()
        .with("ephemeral_mb", json!(0))
        .run(&medium)
        .unwrap();
}
