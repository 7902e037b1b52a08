//! On loop devices, which need root.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use farrier_plugin::{CancelledContext, SilentContext, chain};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::fixture::Image;
use super::*;
use crate::sys::block_device::Disk;
use crate::sys::extended_attributes::{self, SELINUX_LABEL};

fn writable(image: &Image) -> ImageTree<'static> {
    ImageTree::open(image.path(), Access::Writable, &SilentContext).unwrap()
}

fn status_of(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/status")).unwrap()
}

fn field(status: &str, name: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim_start_matches(':').trim().to_owned()
}

#[test]
fn files_are_read_and_written() {
    let image = Image::ext4(|root| {
        fs::create_dir(root.join("etc")).unwrap();
        fs::write(root.join("etc/hostname"), "old\n").unwrap();
    });
    let Some(image) = image else { return };
    let mut tree = writable(&image);
    assert_eq!(
        tree.read_part("/etc/hostname", 0, 4).unwrap().unwrap(),
        b"old\n"
    );
    assert_eq!(tree.read_part("/etc/motd", 0, 100).unwrap(), None);
    for (offset, part) in [(0, &b"ol"[..]), (2, b"d\n"), (3, b"\n"), (4, b""), (9, b"")] {
        let found = tree.read_part("/etc/hostname", offset, 2).unwrap();
        assert_eq!(found.unwrap(), part, "{offset}");
    }
    assert_eq!(tree.read_part("/etc/motd", 0, 9).unwrap(), None);
    assert_eq!(tree.read_part("/etc/hostname/x", 0, 100).unwrap(), None);
    let attributes = Attributes {
        mode: Some(0o4751),
        owner: Some(33),
        group: None,
    };
    tree.write("etc/motd", &mut &b"hello\n"[..], &attributes)
        .unwrap();
    let large = vec![b'x'; 3 * PIECE + 17];
    tree.write("/large", &mut &large[..], &Attributes::default())
        .unwrap();
    assert_eq!(
        tree.read_part("/large", 0, 1 << 20).unwrap().unwrap(),
        large
    );
    assert!(tree.make_directory("/a/b", Some(0o2700)).unwrap());
    assert!(!tree.make_directory("/a/b", Some(0o755)).unwrap());
    assert!(tree.remove("/etc/hostname").unwrap());
    assert!(!tree.remove("/etc/hostname").unwrap());
    assert!(!tree.remove("/none/hostname").unwrap());
    let entries = tree.entries("/etc").unwrap().unwrap();
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(entries[0].name, "motd");
    assert_eq!(tree.entries("/none").unwrap(), None);
    tree.close().unwrap();

    image.look(|root| {
        let motd = fs::metadata(root.join("etc/motd")).unwrap();
        assert_eq!(
            (motd.mode() & 0o7777, motd.uid(), motd.gid(), motd.size()),
            (0o4751, 33, 0, 6)
        );
        let made = fs::metadata(root.join("a")).unwrap();
        assert_eq!(made.mode() & 0o7777, 0o755);
        let made = fs::metadata(root.join("a/b")).unwrap();
        assert_eq!(made.mode() & 0o7777, 0o2700);
        let large = fs::metadata(root.join("large")).unwrap();
        assert_eq!(large.mode() & 0o7777, 0o644);
    });
}

#[test]
fn each_file_system_can_be_written_and_read() {
    for (kind, mib, arguments) in [
        ("ext2", 16, &["-q"][..]),
        ("ext3", 16, &["-q"]),
        ("xfs", 320, &["-q"]),
        ("btrfs", 128, &["-q"]),
        ("vfat", 40, &["-F", "32"]),
    ] {
        let Some(image) = Image::made(kind, mib, arguments) else {
            continue;
        };
        let mut tree = writable(&image);
        tree.make_directory("/EFI/BOOT", None).unwrap();
        for content in ["first", "second"] {
            let path = "/EFI/BOOT/BOOTX64.EFI";
            tree.write(path, &mut content.as_bytes(), &Attributes::default())
                .unwrap();
        }
        tree.close().unwrap();
        let mut tree = ImageTree::open(image.path(), Access::ReadOnly, &SilentContext).unwrap();
        let read = tree
            .read_part("/EFI/BOOT/BOOTX64.EFI", 0, 10)
            .unwrap()
            .unwrap();
        assert_eq!(read, b"second", "{kind}");
        assert_eq!(tree.entries("/EFI/BOOT").unwrap().unwrap().len(), 1);
        let refused = tree.write("/x", &mut &b""[..], &Attributes::default());
        // Not the kernel's read-only mount is first to refuse, but the list of system calls.
        assert!(
            matches!(
                refused,
                Err(ImageTreeError::Kernel { .. } | ImageTreeError::Exchange { .. })
            ),
            "{kind}: {refused:?}"
        );
    }
}

#[test]
fn a_reader_changes_no_byte() {
    let image = Image::ext4(|root| fs::write(root.join("a"), "a").unwrap());
    let Some(image) = image else { return };
    let before = fs::read(image.file.path()).unwrap();
    let mut tree = ImageTree::open(image.path(), Access::ReadOnly, &SilentContext).unwrap();
    assert_eq!(tree.read_part("/a", 0, 1).unwrap().unwrap(), b"a");
    tree.close().unwrap();
    assert!(before == fs::read(image.file.path()).unwrap());
}

#[test]
fn the_child_has_given_up_what_it_does_not_need() {
    let Some(image) = Image::ext4(|_| {}) else {
        return;
    };
    for (access, capabilities) in [
        (Access::ReadOnly, "0000000000000004"),
        (Access::Writable, "000000000000001b"),
    ] {
        let tree = ImageTree::open(image.path(), access, &SilentContext).unwrap();
        let pid = tree.process.id();
        let status = status_of(pid);
        assert_eq!(field(&status, "Seccomp"), "2");
        assert_eq!(field(&status, "NoNewPrivs"), "1");
        assert_eq!(field(&status, "CapEff"), capabilities);
        assert_eq!(field(&status, "CapPrm"), capabilities);
        for none in ["CapBnd", "CapInh", "CapAmb"] {
            assert_eq!(field(&status, none), "0000000000000000", "{none}");
        }
        assert_eq!(field(&status, "Threads"), "1");
        for namespace in ["mnt", "net", "ipc", "uts"] {
            let of = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/{namespace}")).unwrap();
            assert_ne!(of(&pid.to_string()), of("self"), "{namespace}");
        }
        let root = fs::read_dir(format!("/proc/{pid}/root")).unwrap();
        assert_eq!(root.count(), 0);
        // The socket, two that lead nowhere, and the image's root.
        let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        assert_eq!(open, 4);
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let processes = limits.lines().find(|line| line.contains("processes"));
        assert!(processes.unwrap().contains(" 0 "), "{limits}");
        let mounts = fs::read_to_string(format!("/proc/{pid}/mounts")).unwrap();
        assert!(!mounts.contains(image.path()), "{mounts}");
        tree.close().unwrap();
    }
}

#[test]
fn a_child_that_does_not_answer_is_killed() {
    let Some(image) = Image::ext4(|_| {}) else {
        return;
    };
    let mut tree = writable(&image);
    let pid = tree.process.id();
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGSTOP).unwrap();
    tree.context = &CancelledContext;
    let error = tree.entries("/").unwrap_err();
    assert!(chain(&error).contains("cancelled"), "{}", chain(&error));
    assert!(!Path::new(&format!("/proc/{pid}")).exists());

    let mut process = ConfinedProcess::start(NAME).unwrap();
    let patience = Patience {
        limit: Duration::from_millis(200),
        is_cancelled: &|| false,
    };
    let started = Instant::now();
    let error = process
        .receive(&mut vec![0; MESSAGE_LIMIT], patience)
        .unwrap_err();
    assert!(matches!(error, ExchangeError::Timeout { .. }), "{error:?}");
    assert!(started.elapsed() >= Duration::from_millis(200));
    assert!(!Path::new(&format!("/proc/{}", process.id())).exists());
}

#[test]
fn a_child_that_is_killed_is_an_error_that_says_so() {
    let Some(image) = Image::ext4(|_| {}) else {
        return;
    };
    let mut tree = writable(&image);
    let pid = Pid::from_raw(tree.process.id().cast_signed());
    kill(pid, Signal::SIGKILL).unwrap();
    let error = tree.entries("/").unwrap_err();
    assert!(
        chain(&error).contains("ended unexpectedly"),
        "{}",
        chain(&error)
    );
}

#[test]
fn what_the_old_file_was_the_new_one_is() {
    let label = b"system_u:object_r:etc_t:s0\0";
    let special = b"system_u:object_r:shadow_t:s0\0";
    let image = Image::ext4(|root| {
        let set = |path: &str, value: &[u8]| {
            let file = fs::File::open(root.join(path)).unwrap();
            extended_attributes::set(&file, SELINUX_LABEL, value).unwrap();
        };
        fs::create_dir(root.join("etc")).unwrap();
        fs::write(root.join("etc/shadow"), "old").unwrap();
        let shadow = root.join("etc/shadow");
        fs::set_permissions(&shadow, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::chown(&shadow, Some(0), Some(42)).unwrap();
        set(".", label);
        set("etc", label);
        set("etc/shadow", special);
        let file = fs::File::open(&shadow).unwrap();
        extended_attributes::set(&file, c"user.note", b"kept").unwrap();
        symlink("../etc/shadow", root.join("etc/link")).unwrap();
    });
    let Some(image) = image else { return };
    let mut tree = writable(&image);
    let status = status_of(tree.process.id());
    assert_eq!(field(&status, "CapEff"), "000000000020001b");
    for path in ["etc/link", "etc/new", "new"] {
        tree.write(path, &mut &b"new"[..], &Attributes::default())
            .unwrap();
    }
    tree.make_directory("etc/made", None).unwrap();
    tree.close().unwrap();
    image.look(|root| {
        let get = |path: &str, name| {
            let file = fs::File::open(root.join(path)).unwrap();
            extended_attributes::get(&file, name).unwrap()
        };
        assert_eq!(get("etc/shadow", SELINUX_LABEL).unwrap(), special);
        assert_eq!(get("etc/shadow", c"user.note").unwrap(), b"kept");
        for path in ["etc/new", "new", "etc/made"] {
            assert_eq!(get(path, SELINUX_LABEL).unwrap(), label, "{path}");
        }
        assert_eq!(fs::read(root.join("etc/shadow")).unwrap(), b"new");
        let shadow = fs::metadata(root.join("etc/shadow")).unwrap();
        assert_eq!((shadow.mode() & 0o7777, shadow.gid()), (0o640, 42));
        assert!(
            fs::symlink_metadata(root.join("etc/link"))
                .unwrap()
                .is_symlink()
        );
    });
}

#[test]
fn content_that_breaks_off_leaves_the_old_file() {
    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }

    let image = Image::ext4(|root| fs::write(root.join("a"), "old").unwrap());
    let Some(image) = image else { return };
    let mut tree = writable(&image);
    let mut broken = (&b"new"[..]).chain(Broken);
    let error = tree
        .write("/a", &mut broken, &Attributes::default())
        .unwrap_err();
    assert!(matches!(error, ImageTreeError::Content { .. }), "{error:?}");
    assert_eq!(tree.read_part("/a", 0, 9).unwrap().unwrap(), b"old");
    let names = tree.entries("/").unwrap().unwrap();
    assert_eq!(names.len(), 2, "only it and lost+found: {names:?}");
    tree.close().unwrap();
}

#[test]
fn what_is_no_file_system_of_ours_is_named() {
    let case = |content: &[u8]| {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut disk = content.to_vec();
        disk.resize(1 << 20, 0);
        fs::write(file.path(), &disk).unwrap();
        // A plain file serves for a partition until it is to be mounted.
        let path = file.path().to_str().unwrap();
        let error = ImageTree::open(path, Access::ReadOnly, &SilentContext).err();
        error.unwrap().to_string()
    };
    let at = |offset: usize, mark: &[u8]| {
        let mut content = vec![0; offset];
        content.extend(mark);
        content
    };
    let mut volume = at(512, b"LABELONE");
    volume.resize(512 + 24, 0);
    volume.extend(b"LVM2 001");
    for (content, expected) in [
        (Vec::new(), "no file system that is known here"),
        (volume, "a physical volume of LVM"),
        (b"LUKS\xba\xbe\0\x02".to_vec(), "a LUKS volume"),
        (
            at(4096, &0xa92b_4efc_u32.to_le_bytes()),
            "a member of an array",
        ),
        (at(4086, b"SWAPSPACE2"), "swap space"),
        (at(3, b"NTFS    "), "an NTFS"),
        (at(32768, b"\x01CD001"), "iso9660"),
        (
            at(65600, b"_BHRfS_M"),
            "a part of it lies on another device, which is left alone",
        ),
    ] {
        let said = case(&content);
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_damaged_file_system_is_named() {
    let Some(image) = Image::ext4(|_| {}) else {
        return;
    };
    // The group descriptors, behind the first block of 1024 bytes or the superblock of a larger one.
    let path = image.path().to_owned();
    let zeros = vec![0xff; 4096];
    let disk = Disk::open_exclusive(&path).unwrap();
    for block in [2048, 4096] {
        disk.write_at(block, &zeros[..2048]).unwrap();
    }
    disk.flush().unwrap();
    drop(disk);
    for access in [Access::ReadOnly, Access::Writable] {
        let error = ImageTree::open(&path, access, &SilentContext)
            .err()
            .unwrap();
        assert!(
            matches!(error, ImageTreeError::NotMounted { .. }),
            "{error:?}"
        );
        assert!(chain(&error).contains("e2fsck"), "{}", chain(&error));
    }
}

#[test]
fn large_things_end() {
    let image = Image::ext4(|root| {
        let sparse = fs::File::create(root.join("sparse")).unwrap();
        sparse.set_len(1 << 40).unwrap();
        let line = b"\x1b[2J\n";
        let name = std::os::unix::ffi::OsStrExt::from_bytes(&line[..]);
        fs::create_dir(root.join::<&std::ffi::OsStr>(name)).unwrap();
    });
    let Some(image) = image else { return };
    let mut tree = writable(&image);
    let end = tree.read_part("/sparse", (1 << 40) - 1, 1 << 20).unwrap();
    assert_eq!(end.unwrap(), [0]);
    let error = tree.read_part("/\x1b[2J\n", 0, 1).unwrap_err().to_string();
    assert!(
        error.contains("a directory") && !error.contains('\x1b'),
        "{error}"
    );
    tree.close().unwrap();
}

#[test]
fn whoever_has_the_partition_for_a_moment_before_the_mount_is_waited_for() {
    let Some(image) = Image::ext4(|_| {}) else {
        return;
    };
    let open = || Disk::open_exclusive(image.path());
    let is_over = AtomicBool::new(false);
    // Has it as soon as the agent has looked at it and let it go.
    let takes_it = || {
        while open().is_ok() {
            if is_over.load(Ordering::SeqCst) {
                return false;
            }
        }
        while !is_over.load(Ordering::SeqCst) {
            if let Ok(disk) = open() {
                thread::sleep(Duration::from_millis(300));
                drop(disk);
                return true;
            }
        }
        false
    };
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        is_over.store(false, Ordering::SeqCst);
        let was_taken = thread::scope(|scope| {
            let other = scope.spawn(takes_it);
            let tree = ImageTree::open(image.path(), Access::ReadOnly, &SilentContext);
            is_over.store(true, Ordering::SeqCst);
            tree.unwrap().close().unwrap();
            other.join().unwrap()
        });
        if was_taken {
            break;
        }
        assert!(Instant::now() < deadline, "never taken");
    }
}
