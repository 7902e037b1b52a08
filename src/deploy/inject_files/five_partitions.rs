//! The partitions of a disk: which of them a file comes into.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use farrier_plugin::{ErrorKind, SilentContext, chain};
use serde_json::json;

use super::*;
use crate::deploy::image_tree::Access;
use crate::sys::block_device::{Disk, Medium};
use crate::sys::loop_device::LoopDevice;
use crate::sys::process::Program;

/// A disk of five partitions: one of LVM by its type, an empty one, a file system without `/etc`, and two with
/// it.
struct FivePartitions {
    device: LoopDevice,
    _file: tempfile::NamedTempFile,
}

impl FivePartitions {
    fn new() -> Option<Self> {
        let programs = ["/usr/sbin/sgdisk", "/usr/sbin/mkfs.ext4"];
        if !programs.iter().all(|program| Path::new(program).exists()) {
            eprintln!("not run: needs gdisk and e2fsprogs");
            return None;
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(64 << 20).unwrap();
        let mut table = Program::new(programs[0]);
        for number in 1..=5 {
            table = table.arg("-n").arg(format!("{number}:0:+8M"));
        }
        table
            .arg("-t")
            .arg("1:8e00")
            .arg(file.path().display().to_string())
            .run()
            .unwrap();
        let device = LoopDevice::over(file.path(), 512)?;
        device.show_partitions();
        let disk = Self {
            device,
            _file: file,
        };
        let with_etc = tempfile::tempdir().unwrap();
        fs::create_dir(with_etc.path().join("etc")).unwrap();
        let without = tempfile::tempdir().unwrap();
        for (number, folder) in [
            (1, &with_etc),
            (3, &without),
            (4, &with_etc),
            (5, &with_etc),
        ] {
            Program::new(programs[1])
                .arg("-q")
                .arg("-d")
                .arg(folder.path().display().to_string())
                .arg(disk.partition(number))
                .run()
                .unwrap();
        }
        Some(disk)
    }

    fn partition(&self, number: u32) -> String {
        let device = BlockDevice {
            name: self.device.path().to_owned(),
            ..BlockDevice::default()
        };
        partition_of(&device, number)
    }

    fn inject(&self, file: &Value) -> Result<(), DeployError> {
        self.inject_all(json!([file]))
    }

    fn inject_all(&self, files: Value) -> Result<(), DeployError> {
        let mut arguments = StepArguments::default();
        arguments.values.insert("files".to_owned(), files);
        let files = Files::parse(&Node::default(), &[], &arguments).unwrap();
        let device = BlockDevice {
            name: self.device.path().to_owned(),
            ..BlockDevice::default()
        };
        inject_files(&SilentContext, &device, &files, &Options::default())
    }

    /// How often its file system was mounted to be written to, as ext4 counts that in its superblock.
    fn mounts(&self, number: u32) -> u16 {
        let mut count = [0; 2];
        let partition = File::open(self.partition(number)).unwrap();
        partition.read_exact_at(&mut count, 1024 + 52).unwrap();
        u16::from_le_bytes(count)
    }

    /// The partitions that have this file.
    fn with(&self, path: &str) -> Vec<u32> {
        let has = |number: &u32| {
            let partition = self.partition(*number);
            let mut tree = ImageTree::open(&partition, Access::ReadOnly, &SilentContext).unwrap();
            let found = tree.metadata(path).unwrap();
            tree.close().unwrap();
            found.is_some()
        };
        [1, 3, 4, 5].into_iter().filter(has).collect()
    }
}

#[test]
fn a_file_comes_into_the_partition_that_is_named_or_the_first_with_its_folder() {
    let Some(disk) = FivePartitions::new() else {
        return;
    };
    disk.inject(&json!({"path": "/etc/found", "content": "bmV3"}))
        .unwrap();
    assert_eq!(disk.with("/etc/found"), [4]);
    disk.inject(&json!({"path": "/named", "content": "bmV3", "partition": 5}))
        .unwrap();
    assert_eq!(disk.with("/named"), [5]);
    let device = disk.partition(3);
    disk.inject(&json!({"path": "/etc/made", "content": "bmV3", "partition": device}))
        .unwrap();
    assert_eq!(disk.with("/etc/made"), [3]);

    let error = disk
        .inject(&json!({"path": "/usr/none", "content": "bmV3"}))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeviceNotFound);
    let name = |number| disk.partition(number);
    assert_eq!(
        error.to_string(),
        format!(
            "No partition found with path usr, scanned: {} (LVM, passed over), {} (no file system that \
             is known here), {}, {}, {}",
            name(1),
            name(2),
            name(3),
            name(4),
            name(5)
        )
    );
    let error = disk
        .inject(&json!({"path": "/etc/none", "content": "bmV3", "partition": 9}))
        .unwrap_err();
    let expected = format!("Could not open {}", disk.partition(9));
    assert!(chain(&error).contains(&expected), "{}", chain(&error));
}

#[test]
fn a_search_does_not_go_on_behind_a_file_system_that_cannot_be_looked_into() {
    let Some(five) = FivePartitions::new() else {
        return;
    };
    // The group descriptors, behind the superblock.
    let disk = Disk::open_exclusive(five.partition(3)).unwrap();
    disk.write_at(2048, &[0xff; 2048]).unwrap();
    disk.flush().unwrap();
    drop(disk);
    let error = five
        .inject(&json!({"path": "/etc/found", "content": "bmV3"}))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommandExecution);
    let said = chain(&error);
    assert!(
        said.starts_with("Failed to process file /etc/found: The search for its partition ended"),
        "{said}"
    );
    assert!(said.contains("e2fsck"), "{said}");
    for number in [1, 4, 5] {
        let partition = five.partition(number);
        let mut tree = ImageTree::open(&partition, Access::ReadOnly, &SilentContext).unwrap();
        assert_eq!(tree.metadata("/etc/found").unwrap(), None, "{number}");
    }
}

#[test]
fn files_that_follow_each_other_in_a_partition_mount_it_once() {
    let Some(disk) = FivePartitions::new() else {
        return;
    };
    disk.inject_all(json!([
        {"path": "/etc/a", "content": "bmV3"},
        {"path": "/etc/b", "content": "bmV3"},
        {"path": "/etc/a", "deleted": true},
        {"path": "/etc/c", "content": "bmV3", "partition": 4},
    ]))
    .unwrap();
    assert_eq!(disk.mounts(4), 1);
    assert_eq!(
        (disk.with("/etc/a"), disk.with("/etc/b")),
        (vec![], vec![4])
    );
    assert_eq!(disk.with("/etc/c"), [4]);

    // What one of them made is found by the next, whichever partition was looked into before.
    disk.inject_all(json!([
        {"path": "/srv/none", "deleted": true, "partition": 3},
        {"path": "/srv/a", "content": "bmV3", "partition": 5},
        {"path": "/srv/b", "content": "bmV3"},
        {"path": "/srv/c", "content": "bmV3", "partition": 3},
        {"path": "/srv/d", "content": "bmV3"},
        {"path": "/etc/d", "content": "bmV3"},
    ]))
    .unwrap();
    assert_eq!(
        (disk.with("/srv/b"), disk.with("/srv/d")),
        (vec![5], vec![3])
    );
    assert_eq!(disk.with("/etc/d"), [4]);

    let error = disk
        .inject_all(json!([
            {"path": "/etc/e", "content": "bmV3"},
            {"path": "/usr/none", "content": "bmV3"},
        ]))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeviceNotFound);
    assert_eq!(disk.with("/etc/e"), [4]);
}

#[test]
fn a_partition_is_looked_for_on_a_disk_of_which_another_is_in_use() {
    let Some(disk) = FivePartitions::new() else {
        return;
    };
    let used = Disk::open_exclusive(disk.partition(5)).unwrap();
    disk.inject(&json!({"path": "/etc/found", "content": "bmV3"}))
        .unwrap();
    drop(used);
    assert_eq!(disk.with("/etc/found"), [4]);
}
