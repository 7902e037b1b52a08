//! A machine with an array that something is deployed to, for tests.

use std::fs::File;

use uuid::Uuid;

use crate::block::gpt::{self, Gpt};
use crate::block::mbr::Mbr;
use crate::sys::block_device::Disk;
use crate::sys::recording::Recording;
use crate::sys::root::Root;
use crate::sys::test_program;

/// Two disks, SATA and NVMe, whose second partitions are members of md0 and whose first are free or in `more`.
pub(in crate::deploy) const DISKS: &str = "/sys/block/sda/dev = 8:0\n/sys/block/sda/size = 1433600\n\
     /sys/block/sda/sda1/dev = 8:1\n/sys/block/sda/sda1/size = 200000\n/sys/block/sda/sda1/partition = 1\n\
     /sys/block/sda/sda1/start = 1128448\n\
     /sys/block/sda/sda2/dev = 8:2\n/sys/block/sda/sda2/size = 1126400\n/sys/block/sda/sda2/partition = 2\n\
     /sys/block/sda/sda2/start = 2048\n\
     /sys/block/nvme0n1/dev = 259:0\n/sys/block/nvme0n1/size = 1433600\n\
     /sys/block/nvme0n1/nvme0n1p1/dev = 259:1\n/sys/block/nvme0n1/nvme0n1p1/size = 200000\n\
     /sys/block/nvme0n1/nvme0n1p1/partition = 1\n/sys/block/nvme0n1/nvme0n1p1/start = 1128448\n\
     /sys/block/nvme0n1/nvme0n1p2/dev = 259:2\n/sys/block/nvme0n1/nvme0n1p2/size = 1126400\n\
     /sys/block/nvme0n1/nvme0n1p2/partition = 2\n/sys/block/nvme0n1/nvme0n1p2/start = 2048\n\
     /sys/class/block/sda -> ../../block/sda\n/sys/class/block/nvme0n1 -> ../../block/nvme0n1\n\
     /sys/class/block/sda1 -> ../../block/sda/sda1\n/sys/class/block/sda2 -> ../../block/sda/sda2\n\
     /sys/class/block/nvme0n1p1 -> ../../block/nvme0n1/nvme0n1p1\n\
     /sys/class/block/nvme0n1p2 -> ../../block/nvme0n1/nvme0n1p2\n\
     /dev/sda1 =\n/dev/sda2 =\n/dev/nvme0n1p1 =\n/dev/nvme0n1p2 =\n";

/// An array of a recorded tree.
pub(in crate::deploy) fn array(
    kname: &str,
    name: &str,
    metadata: &str,
    members: &[&str],
) -> String {
    let number = kname.trim_start_matches("md");
    let sysfs = format!("/sys/block/{kname}");
    let mut lines = format!(
        "{sysfs}/dev = 9:{number}\n{sysfs}/size = 1000\n{sysfs}/md/level = raid1\n\
         {sysfs}/md/metadata_version = {metadata}\n{sysfs}/md/array_state = clean\n/dev/{kname} =\n\
         /sys/class/block/{kname} -> ../../block/{kname}\n\
         /run/udev/data/b9:{number} <<\nE:MD_NAME=any:{name}\n.\n"
    );
    for member in members {
        lines.push_str(&format!(
            "{sysfs}/slaves/{member}/\n{sysfs}/md/dev-{member}/state = in_sync\n"
        ));
    }
    lines
}

pub(in crate::deploy) fn root_array() -> String {
    array("md0", "root", "1.2", &["sda1", "nvme0n1p1"])
}

/// A disk of 700 MiB with a member behind 551 MiB, in the recorded tree.
fn make_disk(root: &Root, device: &str) {
    let path = root.path(device);
    File::create(&path).unwrap().set_len(700 << 20).unwrap();
    let disk = Disk::open_exclusive(&path).unwrap();
    let mut table = Gpt::new(&disk, Uuid::new_v4()).unwrap();
    let (offset, length) = (551 << 20, 97 << 20);
    table
        .add(
            1,
            offset,
            length,
            gpt::LINUX_FILE_SYSTEM,
            Uuid::new_v4(),
            "primary",
        )
        .unwrap();
    table.write(&disk).unwrap();
    Mbr::protective(&disk).write(&disk).unwrap();
}

/// A machine with md0 on two disks, whose mdadm makes md1 of whatever it is told.
pub(in crate::deploy) fn machine() -> Recording {
    let recording = Recording::unpack(&format!("{DISKS}{}/sbin/x/", root_array()));
    let root = recording.root();
    for device in ["/dev/sda", "/dev/nvme0n1"] {
        make_disk(&root, device);
    }
    let tree = root.path("/");
    let tree = tree.display();
    let made = array("md1", "esp", "1.0", &["nvme0n1p2", "sda2"]);
    let mut script = format!("#!/bin/sh\nset -e\necho \"$@\" >> {tree}/mdadm.log\n");
    let mut lines = made.lines();
    while let Some(line) = lines.next() {
        if let Some((path, target)) = line.split_once(" -> ") {
            script.push_str(&format!("ln -s {target} {tree}{path}\n"));
        } else if let Some(path) = line.strip_suffix(" <<") {
            let text = lines.next().unwrap();
            script.push_str(&format!(
                "mkdir -p $(dirname {tree}{path}); echo '{text}' > {tree}{path}\n"
            ));
        } else if let Some((path, value)) = line.split_once(" =") {
            script.push_str(&format!(
                "mkdir -p $(dirname {tree}{path}); echo '{}' > {tree}{path}\n",
                value.trim()
            ));
        } else if let Some(path) = line.strip_suffix('/') {
            script.push_str(&format!("mkdir -p {tree}{path}\n"));
        }
    }
    test_program::write(&script, &root.path("/sbin").join("mdadm"));
    recording
}
