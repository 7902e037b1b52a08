use farrier_plugin::{ErrorKind, ManagerError};
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::stream::tests::request;

/// Starts of 36 KiB, by the name of what they are.
const KINDS: [&str; 16] = [
    "raw",
    "gpt",
    "iso",
    "hybrid",
    "qcow2",
    "vmdk",
    "vhd",
    "vhdx",
    "vdi",
    "qed",
    "parallels",
    "luks",
    "gzip",
    "xz",
    "zstd",
    "bzip2",
];

fn start_of(name: &str) -> Vec<u8> {
    let mut start = vec![0; 36 << 10];
    plant(&mut start, name);
    start
}

fn plant(start: &mut [u8], name: &str) {
    let mut put = |offset: usize, bytes: &[u8]| {
        start[offset..offset + bytes.len()].copy_from_slice(bytes);
    };
    match name {
        "raw" => {}
        // As parted writes it: a protective entry from sector 1 on.
        "gpt" => {
            put(446, &[0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0]);
            put(458, &[0xff, 0xff, 0xff, 0xff]);
            put(510, &[0x55, 0xaa]);
        }
        "iso" => put(32769, b"CD001"),
        "hybrid" => {
            put(32769, b"CD001");
            put(510, &[0x55, 0xaa]);
        }
        "qcow2" => put(0, b"QFI\xfb\0\0\0\x03"),
        "vmdk" => put(0, b"KDMV"),
        "vhd" => put(0, b"conectix"),
        "vhdx" => put(0, b"vhdxfile"),
        "vdi" => put(64, &[0x7f, 0x10, 0xda, 0xbe]),
        "qed" => put(0, b"QED\0"),
        "parallels" => put(0, b"WithoutFreeSpace"),
        "luks" => put(0, b"LUKS\xba\xbe\0\x01"),
        "gzip" => put(0, &[0x1f, 0x8b, 8, 0]),
        "xz" => put(0, b"\xfd7zXZ\0"),
        "zstd" => put(0, &[0x28, 0xb5, 0x2f, 0xfd]),
        "bzip2" => put(0, b"BZh91AY&SY"),
        other => panic!("{other}"),
    }
}

fn asked(declared: Option<&str>, permitted: &[&str], inspect: bool) -> ImageRequest {
    ImageRequest {
        format: Format::declared(declared),
        permitted_formats: permitted.iter().map(|&word| word.to_owned()).collect(),
        inspect,
        ..request(&[], b"")
    }
}

/// The name of what is written, or the whole error as the conductor gets it.
fn verdict(request: &ImageRequest, start: &[u8]) -> Result<&'static str, String> {
    check_declared(request)
        .and_then(|()| check(request, start))
        .map(Kind::name)
        .map_err(|error| {
            assert_eq!(error.kind(), ErrorKind::InvalidImage);
            ManagerError::new(error.kind(), farrier_plugin::chain(&error)).chain()
        })
}

#[test]
fn every_kind_is_told_by_its_start() {
    for name in KINDS {
        let expected = if name == "hybrid" { "iso" } else { name };
        assert_eq!(Kind::of(&start_of(name)).unwrap().name(), expected);
    }
    assert_eq!(Kind::of(b""), Some(Kind::Raw));
    assert_eq!(Kind::of(b"# Disk DescriptorFile\n"), Some(Kind::Vmdk));
    // A FAT file system has the mark of a boot record too.
    let mut fat = start_of("gpt");
    (fat[16], fat[21]) = (2, 0xf8);
    assert_eq!(Kind::of(&fat), Some(Kind::Raw));
    // An empty bzip2 stream has no block.
    let empty = b"BZh9\x17\x72\x45\x38\x50\x90\0\0\0\0";
    assert_eq!(Kind::of(empty).unwrap().name(), "bzip2");
    assert_eq!(Kind::of(b"BZh01AY&SY"), Some(Kind::Raw));
}

#[test]
fn skippable_frames_are_zstd_only_before_a_zstd_frame() {
    let skippable = |length: u32, content: &[u8]| {
        [
            &[0x5a, 0x2a, 0x4d, 0x18],
            &length.to_le_bytes()[..],
            content,
        ]
        .concat()
    };
    let zstd = Kind::Compressed(Compression::Zstd);
    let frame = [0x28, 0xb5, 0x2f, 0xfd];
    assert_eq!(Kind::of(&skippable(4, &frame)), Some(zstd));
    assert_eq!(
        Kind::of(&[skippable(2, b"ab"), frame.to_vec()].concat()),
        Some(zstd)
    );
    let two = [skippable(0, b""), skippable(1, b"a"), frame.to_vec()].concat();
    assert_eq!(Kind::of(&two), Some(zstd));
    assert_eq!(Kind::of(&skippable(u32::MAX, b"abc")), Some(zstd));
    // LZ4.
    let other = [skippable(2, b"ab"), vec![4, 0x22, 0x4d, 0x18]].concat();
    assert_eq!(Kind::of(&other), Some(Kind::Raw));
}

#[test]
fn what_was_declared_must_be_what_it_is() {
    let all = ["raw", "gpt", "iso", "qcow2"];
    for (declared, written) in [
        (
            Some("raw"),
            &["raw", "gpt", "iso", "hybrid", "gzip", "xz", "zstd", "bzip2"][..],
        ),
        (
            Some("gpt"),
            &["raw", "gpt", "iso", "hybrid", "gzip", "xz", "zstd", "bzip2"],
        ),
        (
            Some("iso"),
            &["iso", "hybrid", "gzip", "xz", "zstd", "bzip2"],
        ),
        (Some("qcow2"), &["qcow2"]),
        (Some("zstd"), &["zstd"]),
        (
            None,
            &[
                "raw", "gpt", "iso", "hybrid", "qcow2", "gzip", "xz", "zstd", "bzip2",
            ],
        ),
    ] {
        for name in KINDS {
            let verdict = verdict(&asked(declared, &all, true), &start_of(name));
            assert_eq!(
                verdict.is_ok(),
                written.contains(&name),
                "{declared:?} {name}: {verdict:?}"
            );
        }
    }
}

#[test]
fn the_texts_are_those_of_the_contract() {
    let defaults = ["raw", "gpt", "qcow2"];
    let text =
        |declared, name| verdict(&asked(declared, &defaults, true), &start_of(name)).unwrap_err();
    assert_eq!(
        text(Some("raw"), "qcow2"),
        "Security: Expected format was raw, but image was actually qcow2"
    );
    assert_eq!(
        text(Some("qcow2"), "gpt"),
        "Security: Expected format was qcow2, but image was actually gpt"
    );
    assert_eq!(
        text(None, "vmdk"),
        "Security: Detected image format was vmdk, but only raw, gpt, qcow2 are allowed: convert \
         it with `qemu-img convert -f vmdk -O raw IMAGE IMAGE.raw`"
    );
    assert_eq!(
        text(Some("unknown"), "iso"),
        "Security: Detected image format was iso, but only raw, gpt, qcow2 are allowed"
    );
    assert_eq!(
        text(Some("vhd"), "vhd"),
        "Image one.raw is in the format vhd, which is not written: convert it with `qemu-img \
         convert -f vpc -O raw IMAGE IMAGE.raw`"
    );
    let mut both = start_of("qcow2");
    both[32769..32774].copy_from_slice(b"CD001");
    assert_eq!(
        verdict(&asked(None, &defaults, true), &both).unwrap_err(),
        "Security: Image matched multiple potential formats"
    );
    let mut unsound = start_of("gpt");
    unsound[447] = 9;
    assert_eq!(
        verdict(&asked(None, &defaults, true), &unsound).unwrap_err(),
        "Security: Image failed safety check"
    );
    // Nobody looks at that where the format was declared.
    verdict(&asked(Some("gpt"), &[], true), &unsound).unwrap();
}

#[test]
fn what_no_program_of_ours_writes_is_refused_by_name_before_the_download() {
    for (declared, converter) in [
        ("vmdk", "-f vmdk"),
        ("vhd", "-f vpc"),
        ("vhdx", "-f vhdx"),
        ("vdi", "-f vdi"),
        ("qed", "-f qed"),
        ("ploop", "-f parallels"),
        ("luks", "driver=luks"),
        ("ami", "convert it to raw"),
    ] {
        for inspect in [true, false] {
            let error = check_declared(&asked(Some(declared), &["raw"], inspect)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidImage);
            let text = error.to_string();
            assert!(
                text.contains(&format!("in the format {declared},")),
                "{text}"
            );
            assert!(text.contains(converter), "{text}");
        }
    }
}

#[test]
fn without_inspection_the_declared_disk_is_written_as_it_is() {
    for name in KINDS {
        for declared in ["raw", "gpt"] {
            let request = asked(Some(declared), &[], false);
            assert_eq!(verdict(&request, &start_of(name)), Ok("raw"), "{name}");
        }
        let verdict = verdict(&asked(None, &[], false), &start_of(name));
        let refused = ["vmdk", "vhd", "vhdx", "vdi", "qed", "parallels", "luks"];
        assert_eq!(
            verdict.is_err(),
            refused.contains(&name),
            "{name}: {verdict:?}"
        );
    }
}

#[test]
fn inside_a_compressed_file_are_the_bytes_of_a_disk() {
    let inside = |declared, permitted: &[&str], name: &str| {
        let request = asked(declared, permitted, true);
        check_inside(&request, Compression::Zstd, &start_of(name))
            .map(Kind::name)
            .map_err(|error| error.to_string())
    };
    for name in ["raw", "gpt", "iso", "hybrid"] {
        inside(Some("raw"), &[], name).unwrap();
        inside(None, &["raw", "gpt", "iso"], name).unwrap();
        inside(Some("zstd"), &["raw", "gpt", "iso"], name).unwrap();
    }
    assert_eq!(inside(Some("iso"), &["iso"], "hybrid"), Ok("iso"));
    assert_eq!(
        inside(Some("iso"), &["raw", "iso"], "raw").unwrap_err(),
        "Security: Expected format was iso, but image was actually raw"
    );
    assert_eq!(
        inside(None, &["raw"], "iso").unwrap_err(),
        "Security: Detected image format was iso, but only raw are allowed"
    );
    for name in ["qcow2", "vmdk", "vhd", "vdi", "luks", "gzip", "zstd"] {
        for declared in [Some("raw"), Some("zstd"), None] {
            let everything = ["raw", "gpt", "qcow2", "vmdk", "gzip", "zstd"];
            assert_eq!(
                inside(declared, &everything, name).unwrap_err(),
                format!(
                    "Security: Image is {name} inside zstd, but only raw, gpt and iso are written \
                     from inside a compressed file"
                )
            );
        }
    }
}

/// Bytes that are the same for the same seed; quicker than proptest's own.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let bytes = (0..length.div_ceil(8)).flat_map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    bytes.take(length).collect()
}

const WORDS: [Option<&str>; 16] = [
    None,
    Some(""),
    Some("unknown"),
    Some("raw"),
    Some("gpt"),
    Some("iso"),
    Some("qcow2"),
    Some("vmdk"),
    Some("vhd"),
    Some("vhdx"),
    Some("vdi"),
    Some("luks"),
    Some("gzip"),
    Some("zstd"),
    Some("RAW"),
    Some("\u{1f40e}"),
];

proptest! {
    #[test]
    fn nothing_is_written_that_breaks_a_rule(
        declared in select(&WORDS[..]),
        permitted in prop::collection::vec(select(&KINDS[..]), 0..5),
        inspect: bool,
        seed: u64,
        planted in select(&KINDS[..]),
        second in select(&KINDS[..]),
        length in 0_usize..(36 << 10),
        cut: bool,
    ) {
        let mut start = noise(seed, 36 << 10);
        plant(&mut start, second);
        plant(&mut start, planted);
        let start = if cut { &start[..length] } else { &start[..] };
        let request = asked(declared, &permitted, inspect);
        let Ok(name) = verdict(&request, start) else { return Ok(()) };
        let is_disk = matches!(request.format, Format::Raw | Format::Gpt);
        prop_assert!(OFFERED.contains(&name));
        if !inspect {
            prop_assert!(!is_disk || name == "raw");
            return Ok(());
        }
        if is_disk {
            prop_assert_ne!(name, "qcow2");
        } else if !is_compression(name) {
            prop_assert!(permitted.contains(&name), "{} {:?}", name, permitted);
        }
        if let Format::Other(word) = &request.format {
            prop_assert!(word == name || is_compression(name) && word == "iso");
        }
        // Whatever begins with the mark of a container is taken for nothing else.
        if !cut && !is_compression(second) && !["raw", "gpt", "iso", "hybrid"].contains(&planted) {
            prop_assert_eq!(name, planted);
        }
    }

    #[test]
    fn nothing_inside_is_a_container_or_compressed(
        declared in select(&WORDS[..]),
        inspect: bool,
        seed: u64,
        planted in select(&KINDS[..]),
    ) {
        let mut start = noise(seed, 36 << 10);
        plant(&mut start, planted);
        let request = asked(declared, &KINDS, inspect);
        if let Ok(kind) = check_inside(&request, Compression::Gzip, &start) {
            prop_assert!(kind.is_plain());
            prop_assert!(["raw", "gpt", "iso", "hybrid"].contains(&planted), "{}", planted);
        }
    }

    #[test]
    fn more_than_36_kib_change_nothing(
        seed: u64,
        length in (36 << 10)..(40_usize << 10),
        planted in select(&KINDS[..]),
    ) {
        let mut start = noise(seed, length);
        plant(&mut start, planted);
        prop_assert_eq!(Kind::of(&start), Kind::of(&start[..36 << 10]));
    }
}
