//! The array on the kernel's command line, where dracut looks for it (contract/data-plane 5.5, step 8): the initial RAM
//! file system of dracut assembles what `rd.md.uuid` names and nothing else. Others, as Debian's, assemble whatever
//! they find.
//!
//! The reference changes `/etc/default/grub` and runs the image's `grub-mkconfig`. Here the word goes where command
//! lines are kept: entries of the Boot Loader Specification, the block of variables that older ones of RHEL refer to,
//! and the two files that later kernels get theirs from. A menu without any of them is left as it is.

use super::super::image_boot::file_tree::{Failure, FileTree, Kind, small_file};

/// Bytes of a file that is read; a larger one is none of these.
const LIMIT: usize = 1 << 20;

/// What an image with dracut has.
const DRACUT: &str = "/usr/lib/dracut";

/// Where entries of the Boot Loader Specification lie: in the root file system, and in one that is mounted at `/boot`.
const ENTRIES: [&str; 2] = ["/boot/loader/entries", "/loader/entries"];

/// Where GRUB keeps its variables, likewise.
const VARIABLES: [&str; 4] = [
    "/boot/grub2/grubenv",
    "/grub2/grubenv",
    "/boot/grub/grubenv",
    "/grub/grubenv",
];

/// The size of that file, whatever it holds.
const VARIABLES_SIZE: usize = 1024;

/// Fewest entries of a directory that are looked at.
const MOST_ENTRIES: usize = 1000;

/// The files of this tree that are to be changed so that kernels are told this word, with what they are to hold.
pub(super) fn with(tree: &mut dyn FileTree, word: &str) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let mut edits = Vec::new();
    for directory in ENTRIES {
        for name in tree.names(directory)?.into_iter().take(MOST_ENTRIES) {
            if name.ends_with(".conf") {
                edits.extend(edit(tree, &format!("{directory}/{name}"), |text| {
                    entry(text, word)
                })?);
            }
        }
    }
    for path in VARIABLES {
        edits.extend(edit(tree, path, |text| variables(text, word))?);
    }
    if tree.kind(DRACUT)? == Some(Kind::Directory) {
        edits.extend(edit(tree, "/etc/kernel/cmdline", |text| {
            appended(text.trim_end(), word).map(|line| line + "\n")
        })?);
        edits.extend(edit(tree, "/etc/default/grub", |text| {
            settings(text, word)
        })?);
    }
    Ok(edits)
}

fn edit(
    tree: &mut dyn FileTree,
    path: &str,
    change: impl FnOnce(&str) -> Option<String>,
) -> Result<Option<(String, Vec<u8>)>, Failure> {
    let content = small_file(tree, path, LIMIT)?;
    let text = content.and_then(|content| String::from_utf8(content).ok());
    let changed = text.and_then(|text| change(&text));
    Ok(changed.map(|text| (path.to_owned(), text.into_bytes())))
}

/// The line with the word at its end; `None` where it has it.
fn appended(line: &str, word: &str) -> Option<String> {
    let mut words = line.split_ascii_whitespace();
    words
        .all(|there| there != word)
        .then(|| format!("{line} {word}"))
}

/// Each line with what this makes of it; `None` where nothing changes.
fn lines(text: &str, change: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut after = String::with_capacity(text.len() + 64);
    for whole in text.split_inclusive('\n') {
        let line = whole.trim_end_matches(['\n', '\r']);
        after.push_str(change(line).as_deref().unwrap_or(line));
        after.push_str(&whole[line.len()..]);
    }
    (after != text).then_some(after)
}

/// An entry: its options, unless they are GRUB's variables. That of a kernel for rescue has them, too.
fn entry(text: &str, word: &str) -> Option<String> {
    lines(text, |line| {
        let rest = line.strip_prefix("options")?;
        let is_own = rest.starts_with([' ', '\t']) && !rest.contains("$kernelopts");
        is_own.then(|| appended(line, word)).flatten()
    })
}

/// GRUB's variables: the one that entries refer to. The block keeps its size.
fn variables(text: &str, word: &str) -> Option<String> {
    if text.len() != VARIABLES_SIZE {
        return None;
    }
    let after = lines(text.trim_end_matches('#'), |line| {
        line.starts_with("kernelopts=")
            .then(|| appended(line.trim_end(), word))
            .flatten()
    })?;
    let room = VARIABLES_SIZE.checked_sub(after.len())?;
    Some(after + &"#".repeat(room))
}

/// What `grub-mkconfig` is to put into menus.
fn settings(text: &str, word: &str) -> Option<String> {
    lines(text, |line| {
        let value = line.strip_prefix("GRUB_CMDLINE_LINUX=")?;
        let quote = value
            .chars()
            .next()
            .filter(|quote| "\"'".contains(*quote))?;
        let inner = value[1..].strip_suffix(quote)?;
        if inner.contains(quote) {
            return None;
        }
        let inner = appended(inner, word)?;
        Some(format!(
            "GRUB_CMDLINE_LINUX={quote}{}{quote}",
            inner.trim_start()
        ))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::deploy::image_boot::memory_tree::MemoryTree;

    const WORD: &str = "rd.md.uuid=00112233:44556677:8899aabb:ccddeeff";

    /// The files that change, as text; a second time none does.
    fn changed(files: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut tree = MemoryTree::of(files);
        let edits = with(&mut tree, WORD).unwrap();
        for (path, content) in &edits {
            tree.put(path, content);
        }
        assert_eq!(with(&mut tree, WORD).unwrap(), []);
        edits
            .into_iter()
            .map(|(path, content)| (path, String::from_utf8(content).unwrap()))
            .collect()
    }

    #[test]
    fn entries_of_the_boot_loader_specification_get_the_word() {
        let entry = "title Fedora\nlinux /vmlinuz-6\noptions root=UUID=1 ro\ngrub_class fedora\n";
        let expected = format!(
            "title Fedora\nlinux /vmlinuz-6\noptions root=UUID=1 ro {WORD}\ngrub_class fedora\n"
        );
        for path in ["/boot/loader/entries/a.conf", "/loader/entries/b.conf"] {
            assert_eq!(
                changed(&[(path, entry)]),
                [(path.to_owned(), expected.clone())]
            );
        }
        assert_eq!(changed(&[("/boot/loader/entries/a.conf.old", entry)]), []);
    }

    #[test]
    fn the_variables_that_entries_refer_to_keep_their_size() {
        let start = "# GRUB Environment Block\nsaved_entry=a\nkernelopts=root=UUID=1 ro \n";
        let block = format!("{start}{}", "#".repeat(1024 - start.len()));
        let entry = "title RHEL 8\noptions $kernelopts $tuned_params\n";
        let found = changed(&[
            ("/boot/loader/entries/a.conf", entry),
            ("/boot/grub2/grubenv", &block),
        ]);
        let [(path, after)] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!((path.as_str(), after.len()), ("/boot/grub2/grubenv", 1024));
        assert!(
            after.contains(&format!("kernelopts=root=UUID=1 ro {WORD}\n###")),
            "{after}"
        );
        // One that is full stays as it is.
        let full = format!("kernelopts={}\n", "x".repeat(1000));
        let full = format!("{full}{}", "#".repeat(1024 - full.len()));
        assert_eq!(changed(&[("/boot/grub2/grubenv", &full)]), []);
    }

    #[test]
    fn later_kernels_are_told_where_dracut_is() {
        let files = [
            ("/etc/kernel/cmdline", "root=UUID=1 ro\n"),
            (
                "/etc/default/grub",
                "GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX=\"quiet\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"x\"\n",
            ),
        ];
        assert_eq!(changed(&files), []);
        let mut with_dracut = files.to_vec();
        with_dracut.push(("/usr/lib/dracut/dracut-init.sh", ""));
        assert_eq!(
            changed(&with_dracut),
            [
                (
                    "/etc/kernel/cmdline".to_owned(),
                    format!("root=UUID=1 ro {WORD}\n")
                ),
                (
                    "/etc/default/grub".to_owned(),
                    format!(
                        "GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX=\"quiet {WORD}\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"x\"\n"
                    )
                ),
            ]
        );
        let empty = [
            ("/etc/default/grub", "GRUB_CMDLINE_LINUX=\"\""),
            ("/usr/lib/dracut/dracut-init.sh", ""),
        ];
        assert_eq!(
            changed(&empty)[0].1,
            format!("GRUB_CMDLINE_LINUX=\"{WORD}\"")
        );
    }

    proptest! {
        #[test]
        fn any_file_is_survived(text in "(options|kernelopts=|GRUB_CMDLINE_LINUX=|[ \"'\\n\\r#a=])*") {
            for change in [entry, variables, settings] {
                if let Some(after) = change(&text, WORD) {
                    prop_assert_eq!(change(&after, WORD), None);
                }
            }
        }
    }
}
