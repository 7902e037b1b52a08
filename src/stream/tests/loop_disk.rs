//! The sink on block devices of this machine's kernel; each test needs root for a loop device.

use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::sink::made;
use super::{MIB, head_is_blank};
use crate::stream::StreamError;
use crate::sys::block_device::Disk;
use crate::sys::loop_device::LoopDevice;

#[test]
fn a_block_device_of_either_block_size_takes_extents_in_any_order() {
    let mut runner = TestRunner::deterministic();
    for block_size in [512, 4096] {
        for _ in 0..6 {
            let mut made = made(9 * MIB).new_tree(&mut runner).unwrap().current();
            (made.block_size, made.read_back) = (block_size, true);
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), vec![0xaa; 16 * MIB]).unwrap();
            let Some(device) = LoopDevice::over(file.path(), block_size) else {
                return;
            };
            let disk = Disk::open_exclusive(device.path()).unwrap();
            made.write(&disk).unwrap();
            drop(disk);
            drop(device);
            made.assert_held(&std::fs::read(file.path()).unwrap());
        }
    }
}

/// A file system that is unmounted when dropped.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        // A loop device that is detached goes with its last user, who may be anybody that looks
        // at all devices just now.
        umount2(self.0, MntFlags::MNT_DETACH).unwrap();
    }
}

/// The device is larger than the room that the file under it has: what goes into the middle comes
/// back as an error of the device.
#[test]
fn a_block_device_that_fails_in_the_middle_is_told_and_does_not_boot() {
    let mut runner = TestRunner::deterministic();
    let directory = tempfile::tempdir().unwrap();
    let tmpfs = Some("tmpfs");
    let mounted = mount(
        tmpfs,
        directory.path(),
        tmpfs,
        MsFlags::empty(),
        Some("size=4m"),
    );
    if mounted.is_err() {
        eprintln!("not run: needs root to mount a small file system");
        return;
    }
    let _mounted = Mounted(directory.path());
    for _ in 0..6 {
        let mut made = made(9 * MIB).new_tree(&mut runner).unwrap().current();
        let path = directory.path().join("disk");
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(16 << 20).unwrap();
        let Some(device) = LoopDevice::over(&path, made.block_size) else {
            return;
        };
        // More data than fits, whatever else the image has.
        made.add_data(6 * MIB);
        let disk = Disk::open_exclusive(device.path()).unwrap();
        let Err(error) = made.write(&disk) else {
            panic!("4 MiB of memory hold no image of 6");
        };
        assert!(matches!(error, StreamError::Disk { .. }), "{error}");
        drop(disk);
        assert!(head_is_blank(&std::fs::read(&path).unwrap()));
        drop(device);
        std::fs::remove_file(&path).unwrap();
    }
}
