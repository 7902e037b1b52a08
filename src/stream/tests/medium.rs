//! What lands on the medium, and what a failure at any moment leaves there.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use farrier_plugin::{Context, ErrorKind, Progress, SilentContext};
use proptest::prelude::*;

use super::{MIB, assert_written, head_is_blank, image, options, request, run, sha256};
use crate::block::fixture;
use crate::block::table::Table;
use crate::stream::test_server::{Reply, TestServer};
use crate::stream::{Format, ImageRequest, StreamError, write};
use crate::sys::memory_medium::{Change, Fault, MemoryMedium};

/// The medium holds the image, zeros in its last MiB unless the image reaches there, and its old
/// bytes between.
#[test]
fn an_image_is_written_and_only_its_bytes() {
    for size in [
        1,
        511,
        MIB - 1,
        MIB + 3,
        4 * MIB,
        9 * MIB + 12_345,
        16 * MIB,
    ] {
        let content = image(size);
        let server = TestServer::start({
            let content = Arc::clone(&content);
            move |_, _| Reply::ok(&content)
        });
        let medium = MemoryMedium::used(16 * MIB);
        let written = run(&server, &content, &medium).unwrap();
        assert_eq!(written.size, size as u64);
        assert_eq!(written.digest, Some(sha256(&content)));
        assert_written(&medium, &content);
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn nothing_boots_before_the_very_last_write() {
    let content = image(9 * MIB + 5);
    let server = TestServer::start({
        let content = Arc::clone(&content);
        move |_, _| Reply::ok(&content)
    });
    let medium = MemoryMedium::used(16 * MIB);
    run(&server, &content, &medium).unwrap();
    let log = medium.log();
    let head = log
        .iter()
        .position(|change| matches!(change, Change::Write { offset: 4096, .. }))
        .unwrap();
    assert_eq!(log[head - 1], Change::Flush);
    assert_eq!(log[head + 1], Change::Flush);
    assert!(matches!(&log[head + 2], Change::Write { offset: 0, data } if data.len() == 4096));
    assert_eq!(log[head + 3..], [Change::Flush]);
    medium.replay(|prefix, held| {
        // The first two changes blank the ends.
        if (1..=head).contains(&prefix) {
            assert!(head_is_blank(held), "after {prefix} changes");
        }
        if (1..=head + 2).contains(&prefix) {
            assert!(
                held[..4096].iter().all(|byte| *byte == 0),
                "after {prefix} changes"
            );
        }
    });
    assert_eq!(
        log[..3],
        [
            Change::Zero {
                offset: 0,
                length: MIB as u64
            },
            Change::Zero {
                offset: 15 * MIB as u64,
                length: MIB as u64
            },
            Change::Flush
        ]
    );
}

#[test]
fn a_wrong_image_leaves_a_blank_head_and_is_fetched_twice() {
    let content = image(5 * MIB);
    let server = TestServer::start({
        let content = Arc::clone(&content);
        move |_, _| Reply::ok(&content)
    });
    let medium = MemoryMedium::used(8 * MIB);
    let error = run(&server, b"another image", &medium).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ImageChecksum);
    assert_eq!(
        error.to_string(),
        format!(
            "Image failed to verify against checksum. location: {}; image ID: one.raw; image \
             checksum: {}; verification checksum: {}",
            server.url("/one.raw"),
            sha256(b"another image"),
            sha256(&content)
        )
    );
    assert!(head_is_blank(&medium.content()));
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn an_image_damaged_on_its_way_is_fetched_again() {
    let content = image(5 * MIB);
    let server = TestServer::start({
        let content = Arc::clone(&content);
        move |number, _| {
            let mut sent = (*content).clone();
            sent[3 * MIB] ^= u8::from(number == 0);
            Reply::ok(&Arc::new(sent))
        }
    });
    let medium = MemoryMedium::used(8 * MIB);
    run(&server, &content, &medium).unwrap();
    assert_written(&medium, &content);
}

#[test]
fn an_image_larger_than_the_disk_is_refused_before_the_first_byte() {
    let content = image(3 * MIB);
    let server = TestServer::start({
        let content = Arc::clone(&content);
        move |_, _| Reply::ok(&content)
    });
    let medium = MemoryMedium::used(3 * MIB - 1);
    let error = run(&server, &content, &medium).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ImageWrite);
    assert_eq!(
        error.to_string(),
        "Image one.raw of 3145728 bytes does not fit onto a device of 3145727 bytes"
    );
    assert_eq!(medium.log(), []);
}

#[test]
fn what_is_no_raw_disk_is_refused_by_name() {
    let starts: [(&str, &[u8]); 5] = [
        ("qcow2", b"QFI\xfb\0\0\0\x03"),
        ("vmdk", b"KDMV"),
        ("vmdk", b"# Disk DescriptorFile\n"),
        ("vhd", b"conectix"),
        ("vhdx", b"vhdxfile"),
    ];
    for (name, start) in starts {
        let mut content = (*image(2 * MIB)).clone();
        content[..start.len()].copy_from_slice(start);
        let content = Arc::new(content);
        let server = TestServer::start({
            let content = Arc::clone(&content);
            move |_, _| Reply::ok(&content)
        });
        let medium = MemoryMedium::used(4 * MIB);
        let error = run(&server, &content, &medium).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidImage);
        assert_eq!(
            error.to_string(),
            format!("Security: Expected format was raw, but image was actually {name}")
        );
        assert_eq!(
            medium.log(),
            [],
            "nothing is touched for an image that is refused"
        );
        let mut undeclared = request(&[server.url("/one.raw")], &content);
        undeclared.format = Format::Undeclared;
        let error = write(&undeclared, &options(), &medium, &SilentContext).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("Security: Detected image format was {name}, but only raw, gpt are allowed")
        );
        undeclared.permitted_formats.push(name.to_owned());
        let error = write(&undeclared, &options(), &medium, &SilentContext).unwrap_err();
        // A qcow2 is written, but this is none behind its first bytes.
        let is_named = match error {
            StreamError::FormatNotOffered { .. } => name != "qcow2",
            StreamError::Format { .. } | StreamError::Damaged { .. } => name == "qcow2",
            _ => false,
        };
        assert!(is_named, "{error}");
        assert_eq!(medium.log(), []);
    }
}

#[test]
fn a_format_that_is_not_offered_is_refused_before_the_download() {
    let server = TestServer::start(|_, _| Reply::status(500));
    let mut request = request(&[server.url("/one.vmdk")], b"");
    request.format = Format::declared(Some("vmdk"));
    let medium = MemoryMedium::used(4 * MIB);
    let error = write(&request, &options(), &medium, &SilentContext).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidImage);
    assert!(error.to_string().contains("vmdk"), "{error}");
    assert_eq!(server.requests().len(), 0);
    assert_eq!(medium.log(), []);
}

#[test]
fn a_local_file_is_a_source() {
    let content = image(5 * MIB + 1);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &*content).unwrap();
    let medium = MemoryMedium::used(8 * MIB);
    let request = request(&[format!("file://{}", file.path().display())], &content);
    write(&request, &options(), &medium, &SilentContext).unwrap();
    assert_written(&medium, &content);
}

/// Counts, and cancels after so many bytes.
#[derive(Default)]
struct Watcher {
    cancel_after: Option<u64>,
    cancelled: AtomicBool,
    most: AtomicU64,
    last: Mutex<Progress>,
}

impl Context for Watcher {
    fn report_progress(&self, progress: Progress) {
        self.most.fetch_max(progress.done, Ordering::Relaxed);
        if self
            .cancel_after
            .is_some_and(|bytes| progress.done >= bytes)
        {
            self.cancelled.store(true, Ordering::Relaxed);
        }
        *self.last.lock().unwrap() = progress;
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

#[test]
fn progress_is_told_and_cancelling_ends_it() {
    let content = image(40 * MIB);
    let server = TestServer::start({
        let content = Arc::clone(&content);
        move |_, _| Reply::ok(&content).stall_at(20 * MIB)
    });
    let watcher = Watcher {
        cancel_after: Some(8 << 20),
        ..Watcher::default()
    };
    let medium = MemoryMedium::used(48 * MIB);
    let started = Instant::now();
    let request = request(&[server.url("/one.raw")], &content);
    let error = write(&request, &options(), &medium, &watcher).unwrap_err();
    assert!(matches!(error, StreamError::Cancelled { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(30));
    assert!(head_is_blank(&medium.content()));
    let last = watcher.last.lock().unwrap().clone();
    assert_eq!(last.total, Some(40 << 20));
    assert_eq!(last.what, "writing image to memory");
    assert!(watcher.most.load(Ordering::Relaxed) >= 8 << 20);
}

#[test]
fn every_failing_change_is_an_error_and_leaves_nothing_that_boots() {
    let content = image(9 * MIB);
    let server = TestServer::start({
        let content = Arc::clone(&content);
        move |_, _| Reply::ok(&content)
    });
    // How many changes there are depends on which writes could be merged.
    for (number, errno) in (0..).zip([libc::EIO, libc::ENOSPC].into_iter().cycle()) {
        let medium = MemoryMedium::used(16 * MIB).failing(Fault::Change(number, errno));
        let Err(error) = run(&server, &content, &medium) else {
            assert!(medium.log().len() <= number);
            break;
        };
        assert!(
            matches!(error, StreamError::Disk { .. }),
            "{number}: {error}"
        );
        assert_eq!(error.kind(), ErrorKind::ImageWrite);
        assert_eq!(medium.log().len(), number);
        // The last flush alone may fail with all in place, and a boot record that may not stay.
        if number > 0 && medium.content()[..4096].iter().any(|byte| *byte != 0) {
            let last = medium.log().pop();
            assert!(
                matches!(last, Some(Change::Write { offset: 0, .. })),
                "{number}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_short_write_anywhere_leaves_nothing_that_boots(
        byte in 0_u64..(9 << 20),
        enospc: bool,
    ) {
        let content = image(9 * MIB);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &*content).unwrap();
        let errno = if enospc { libc::ENOSPC } else { libc::EIO };
        let medium = MemoryMedium::used(16 * MIB).failing(Fault::Byte(byte, errno));
        let request = request(&[format!("file://{}", file.path().display())], &content);
        let error = write(&request, &options(), &medium, &SilentContext).unwrap_err();
        prop_assert!(matches!(error, StreamError::Disk { .. }), "{}", error);
        let held = medium.content();
        prop_assert!(held[..4096].iter().all(|byte| *byte == 0));
        if byte >= 1 << 20 {
            prop_assert!(head_is_blank(&held));
        }
    }
}

/// An image with a GPT goes onto a larger disk: as the conductor's deploys, so `farrier write`.
#[test]
fn the_backup_of_a_gpt_moves_to_the_end_of_the_disk() {
    let content = Arc::new(fixture::gpt(512, 0).content());
    let server = TestServer::start({
        let content = Arc::clone(&content);
        move |_, _| Reply::ok(&content)
    });
    let medium = MemoryMedium::used(24 * MIB);
    run(&server, &content, &medium).unwrap();
    let Table::Gpt(gpt) = Table::read(&medium).unwrap() else {
        panic!("a GPT");
    };
    assert!(gpt.backup_is_at_end());
    let end = content.len() - MIB;
    assert!(medium.content()[MIB..end] == content[MIB..end]);
    if let Some(said) = fixture::judged_by("sgdisk", &["-v"], &medium.content()) {
        assert!(said.contains("No problems found"), "{said}");
    }
}

#[test]
fn a_table_for_other_sectors_is_refused_and_never_boots() {
    for (made_for, sector) in [(512, 4096), (4096, 512)] {
        let content = Arc::new(fixture::gpt(made_for, 0).content());
        let server = TestServer::start({
            let content = Arc::clone(&content);
            move |_, _| Reply::ok(&content)
        });
        let medium = MemoryMedium::of(vec![0xaa; 24 * MIB], sector);
        let error = run(&server, &content, &medium).unwrap_err();
        assert!(
            matches!(
                error,
                StreamError::SectorSize { image_sector, device_sector, .. }
                    if (image_sector, device_sector) == (made_for, sector)
            ),
            "{error}"
        );
        assert_eq!(error.kind(), ErrorKind::Deployment);
        assert!(head_is_blank(&medium.content()));
    }
}

#[test]
fn a_disk_that_lies_is_found_out_where_reading_back_is_asked_for() {
    let content = image(9 * MIB + 77);
    let server = TestServer::start({
        let content = Arc::clone(&content);
        move |_, _| Reply::ok(&content)
    });
    let read_back = ImageRequest {
        read_back: true,
        ..request(&[server.url("/one.raw")], &content)
    };
    let write = |medium: &MemoryMedium| write(&read_back, &options(), medium, &SilentContext);
    let medium = MemoryMedium::used(16 * MIB);
    write(&medium).unwrap();
    assert_written(&medium, &content);
    for byte in [5000, 3 << 20, (9 << 20) + 76] {
        let medium = MemoryMedium::used(16 * MIB).failing(Fault::Loses(byte));
        let error = write(&medium).unwrap_err();
        assert!(matches!(error, StreamError::ReadBack { .. }), "{error}");
        assert!(medium.content()[..4096].iter().all(|byte| *byte == 0));
    }
}
