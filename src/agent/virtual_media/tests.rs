use std::os::unix::fs::symlink;
use std::time::Instant;

use super::medium::APPEARANCE;
use super::*;

#[test]
fn regular_files_are_copied_and_missing_directories_are_none() {
    let medium = tempfile::tempdir().unwrap();
    let root = tempfile::tempdir().unwrap();
    let from = medium.path().join("etc/ironic-python-agent.d");
    let to = root.path().join("etc/ironic-python-agent.d");
    assert!(copy_files(&from, &to).unwrap().is_empty());
    assert!(!to.exists());
    fs::create_dir_all(from.join("directory")).unwrap();
    fs::write(from.join("ironic-tls.conf"), "[DEFAULT]\n").unwrap();
    let copied = copy_files(&from, &to).unwrap();
    assert_eq!(copied, [to.join("ironic-tls.conf")]);
    assert_eq!(
        fs::read(to.join("ironic-tls.conf")).unwrap(),
        b"[DEFAULT]\n"
    );
    assert!(!to.join("directory").exists());
}

#[test]
fn of_a_file_that_cannot_be_read_to_its_end_nothing_is_left() {
    let medium = tempfile::tempdir().unwrap();
    let root = tempfile::tempdir().unwrap();
    // A regular file whose first byte cannot be read: no process has memory there.
    symlink("/proc/self/mem", medium.path().join("ironic.crt")).unwrap();
    let to = root.path().join("etc");
    let (path, error) = copy_files(medium.path(), &to).unwrap_err();
    assert_eq!(path, medium.path().join("ironic.crt"));
    assert_eq!(error.raw_os_error(), Some(libc::EIO), "{error}");
    assert_eq!(fs::read_dir(&to).unwrap().count(), 0);
}

#[test]
fn a_disc_that_is_virtual_media_by_its_drive_alone_needs_no_parameters() {
    let error = |kind: io::ErrorKind| VirtualMediaError::Parameters {
        device: "/dev/sr0".into(),
        source: kind.into(),
    };
    let mut notes = Vec::new();
    let none = none_without_file(Err(error(io::ErrorKind::NotFound)), &mut notes);
    assert_eq!(none.unwrap(), "");
    assert!(notes[0].contains("/dev/sr0"), "{notes:?}");
    let ejected = none_without_file(Err(error(io::ErrorKind::Other)), &mut notes);
    ejected.unwrap_err();
}

#[test]
fn the_latest_network_data_are_kept_for_root_alone_and_not_all_of_a_long_file() {
    let medium = tempfile::tempdir().unwrap();
    let root = tempfile::tempdir().unwrap();
    let openstack = medium.path().join("openstack");
    let kept = root.path().join("run/farrier/network_data.json");
    let medium_of = |device: &str| Medium {
        device: device.into(),
        label: Some("config-2".to_owned()),
        is_virtual_by_model: false,
    };
    let take = || {
        let medium = (medium_of("/dev/sr0"), medium.path());
        take_network_data(&medium.0, medium.1, root.path(), &mut Vec::new()).unwrap()
    };
    assert!(!take());
    let write = |version: &str, content: &[u8]| {
        let directory = openstack.join(version);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("network_data.json"), content).unwrap();
        assert!(take());
        fs::read(&kept).unwrap()
    };
    assert_eq!(write("2015-10-15", b"old"), b"old");
    assert_eq!(write("2018-08-27", b"new"), b"new");
    fs::create_dir_all(openstack.join("2020-01-01")).unwrap();
    fs::create_dir_all(openstack.join("content")).unwrap();
    assert_eq!(write("2012-08-10", b"oldest"), b"new");
    assert_eq!(write("latest", b"latest"), b"latest");
    let mode = fs::metadata(&kept).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let long = write("latest", &vec![b' '; network_data::LIMIT + 10]);
    assert_eq!(long.len(), network_data::LIMIT + 1);
}

#[test]
fn parameters_are_read_in_the_encodings_of_windows() {
    let medium = tempfile::tempdir().unwrap();
    let text = "ipa-api-url=http://192.0.2.1:6385\r\n";
    let utf16: Vec<u8> = format!("\u{feff}{text}")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    for bytes in [format!("\u{feff}{text}").into_bytes(), utf16] {
        fs::write(medium.path().join("parameters.txt"), bytes).unwrap();
        assert_eq!(parameters_of(medium.path()).unwrap(), text);
    }
}

#[test]
fn other_boots_are_left_alone() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("proc")).unwrap();
    fs::write(
        root.path().join("proc/cmdline"),
        "ipa-api-url=http://h boot_method=pxe",
    )
    .unwrap();
    let (parameters, prepared) = prepare(root.path());
    assert!(prepared.notes.is_empty() && prepared.failures.is_empty());
    assert_eq!(parameters.value("ipa-api-url"), Some("http://h"));
    assert!(!root.path().join("run").exists());
}

#[test]
fn a_second_agent_takes_what_the_first_one_kept() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("proc")).unwrap();
    fs::write(root.path().join("proc/cmdline"), "boot_method=vmedia").unwrap();
    kernel_parameters::keep(&Root::at(root.path()), "BOOTIF=x ipa-api-url=http://h").unwrap();
    let started = Instant::now();
    let (parameters, prepared) = prepare(root.path());
    assert_eq!(parameters.boot_interface(), Some("x"));
    assert_eq!(prepared.notes.len(), 1, "{:?}", prepared.notes);
    // No medium is waited for that may be gone.
    assert!(started.elapsed() < APPEARANCE);
}
