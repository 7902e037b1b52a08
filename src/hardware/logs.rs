//! The log archive that the conductor collects (contract/control-plane 10.1).

use std::collections::BTreeSet;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use tracing::warn;

use crate::sys::log::{mask, mask_bytes};

/// Most bytes of one member: its end is kept, which is where a failure is.
const MEMBER_LIMIT: usize = 4 << 20;

/// Most bytes of all members, before compression. The archive travels as base64 in a JSON answer,
/// and is held in memory several times on its way.
const TOTAL_LIMIT: usize = 32 << 20;

/// Pack these members into a gzipped tar.
///
/// Secrets are masked, whoever brought them: a kernel log shows the kernel's command line with the
/// token in it. Names are made safe to unpack, and a second member of one name gets a number.
pub(super) fn archive(members: Vec<(String, Vec<u8>)>) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let mut taken = BTreeSet::new();
    let mut total = 0;
    for (name, content) in members {
        let name = free_name(&safe_name(&mask(&name)), &mut taken);
        let content = limit(mask_bytes(&content), MEMBER_LIMIT.min(TOTAL_LIMIT - total));
        if content.is_empty() && total >= TOTAL_LIMIT {
            warn!(name, "left out of the log archive, which is full");
            continue;
        }
        total += content.len();
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(now);
        tar.append_data(&mut header, &name, content.as_slice())?;
    }
    tar.into_inner()?.finish()
}

/// The end of the content, with a first line that says how much is missing.
fn limit(content: Vec<u8>, most: usize) -> Vec<u8> {
    if content.len() <= most {
        return content;
    }
    let note = |left_out: usize| format!("[{left_out} bytes before this are left out]\n");
    let room = most.saturating_sub(note(content.len()).len());
    if room == 0 {
        return Vec::new();
    }
    let start = content.len() - room;
    let mut limited = note(start).into_bytes();
    limited.extend_from_slice(&content[start..]);
    limited
}

/// A relative path without `..` and without bytes that a person cannot type.
fn safe_name(name: &str) -> String {
    let parts: Vec<String> = name
        .split('/')
        .filter(|part| !matches!(*part, "" | "." | ".."))
        .map(|part| {
            part.chars()
                .take(64)
                .map(|c| match c {
                    'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' | ':' | '!' => c,
                    _ => '_',
                })
                .collect()
        })
        .collect();
    if parts.is_empty() {
        return "unnamed".to_owned();
    }
    parts.join("/")
}

fn free_name(name: &str, taken: &mut BTreeSet<String>) -> String {
    let mut free = name.to_owned();
    let mut number = 2;
    while !taken.insert(free.clone()) {
        free = format!("{name}.{number}");
        number += 1;
    }
    free
}

/// The members of an archive by name.
#[cfg(test)]
pub(super) fn unpack(archive: &[u8]) -> std::collections::BTreeMap<String, Vec<u8>> {
    tar::Archive::new(flate2::read::GzDecoder::new(archive))
        .entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let mut content = Vec::new();
            io::Read::read_to_end(&mut entry, &mut content).unwrap();
            (name, content)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};

    use super::*;

    fn text(content: &str) -> Vec<u8> {
        content.as_bytes().to_vec()
    }

    #[test]
    fn members_come_back_masked() {
        let packed = archive(vec![
            (
                "dmesg".to_owned(),
                text("root=/dev/ram0 ipa-agent-token=abcdefghij quiet\n"),
            ),
            ("vendor/blob".to_owned(), vec![0, 0xff, 0xfe]),
        ])
        .unwrap();
        let members = unpack(&packed);
        let dmesg = String::from_utf8(members["dmesg"].clone()).unwrap();
        assert!(!dmesg.contains("abcdefghij"), "{dmesg}");
        assert!(dmesg.ends_with("quiet\n"), "{dmesg}");
        assert_eq!(members["vendor/blob"], [0, 0xff, 0xfe]);
    }

    #[test]
    fn names_stay_inside_and_apart() {
        let names = ["/etc/passwd", "../../x", "a", "a", "", "bad\nname"];
        let packed = archive(
            names
                .iter()
                .map(|name| ((*name).to_owned(), text("1")))
                .collect(),
        )
        .unwrap();
        let found: Vec<String> = unpack(&packed).into_keys().collect();
        assert_eq!(
            found,
            ["a", "a.2", "bad_name", "etc/passwd", "unnamed", "x"]
        );
    }

    #[test]
    fn the_end_of_a_long_member_is_kept() {
        let mut long = vec![b'a'; MEMBER_LIMIT];
        long.extend_from_slice(b"the end\n");
        let members = unpack(&archive(vec![("log".to_owned(), long)]).unwrap());
        let kept = &members["log"];
        assert!(kept.len() <= MEMBER_LIMIT);
        assert!(kept.ends_with(b"the end\n"));
        assert!(kept.starts_with(b"["));
    }

    #[test]
    fn the_whole_is_bounded() {
        let members = (0..20)
            .map(|index| (format!("log{index}"), vec![b'a'; 3 << 20]))
            .collect();
        let total: usize = unpack(&archive(members).unwrap())
            .values()
            .map(Vec::len)
            .sum();
        assert!(total <= TOTAL_LIMIT, "{total}");
        assert!(total > TOTAL_LIMIT / 2, "{total}");
    }

    proptest! {
        #[test]
        fn no_name_leaves_the_archive(name in any::<String>()) {
            let safe = safe_name(&name);
            prop_assert!(!safe.starts_with('/'));
            prop_assert!(!safe.split('/').any(|part| part.is_empty() || part == ".." || part == "."));
        }
    }
}
