//! The kernels in an image's `/boot`.

use std::cmp::Ordering;

use super::file_tree::{Failure, FileTree, is_file, small_file};

/// What a kernel's file name starts with: nearly everywhere, on SUSE for ARM, on SUSE for others.
const PREFIXES: [&str; 3] = ["vmlinuz-", "Image-", "vmlinux-"];

/// Names of the initial RAM file system of a version: Debian, Fedora, SUSE, Arch and Alpine.
const INITRDS: [&str; 4] = [
    "/boot/initrd.img-{version}",
    "/boot/initramfs-{version}.img",
    "/boot/initrd-{version}",
    "/boot/initramfs-{version}",
];

/// Bytes of a file of settings that are read.
const LIMIT: usize = 64 * 1024;

/// A kernel that a boot loader can start.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Kernel {
    /// What follows the prefix in its name: `6.1.0-31-amd64`, `linux`.
    pub(super) version: String,
    /// Its path.
    pub(super) path: String,
    /// The path of its initial RAM file system, where it has one.
    pub(super) initrd: Option<String>,
}

/// The kernels, newest first.
pub(super) fn find(image: &mut dyn FileTree) -> Result<Vec<Kernel>, Failure> {
    let mut found = Vec::new();
    for name in image.names("/boot")? {
        let Some(version) = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)) else {
            continue;
        };
        let path = format!("/boot/{name}");
        if !is_plain(version) || version.contains("rescue") || !is_file(image, &path)? {
            continue;
        }
        let mut initrd = None;
        for pattern in INITRDS {
            let candidate = pattern.replace("{version}", version);
            if is_file(image, &candidate)? {
                initrd = Some(candidate);
                break;
            }
        }
        found.push(Kernel {
            version: version.to_owned(),
            path,
            initrd,
        });
    }
    found.sort_by(|one, other| compare(&other.version, &one.version));
    Ok(found)
}

/// What the image wants on the kernel's command line besides its root: of `/etc/kernel/cmdline`, else
/// of `/etc/default/grub`.
pub(super) fn command_line(image: &mut dyn FileTree) -> Result<String, Failure> {
    let mut words = String::new();
    if let Some(text) = small_file(image, "/etc/kernel/cmdline", LIMIT)? {
        words = String::from_utf8_lossy(&text).into_owned();
    } else if let Some(text) = small_file(image, "/etc/default/grub", LIMIT)? {
        let text = String::from_utf8_lossy(&text).into_owned();
        for name in ["GRUB_CMDLINE_LINUX=", "GRUB_CMDLINE_LINUX_DEFAULT="] {
            let value = text
                .lines()
                .rev()
                .find_map(|line| line.trim().strip_prefix(name));
            words.push_str(value.unwrap_or_default().trim_matches(['"', '\'']));
            words.push(' ');
        }
    }
    // The root is the one that was deployed. What GRUB would take for its own language is left out.
    Ok(words
        .split_whitespace()
        .filter(|word| {
            !word.starts_with("root=") && is_plain(word) && !matches!(*word, "ro" | "rw")
        })
        .collect::<Vec<_>>()
        .join(" "))
}

/// Whether text means itself in a boot loader's configuration.
fn is_plain(text: &str) -> bool {
    text.chars()
        .all(|character| character.is_ascii_alphanumeric() || "._-+=,:/@%".contains(character))
}

/// The order of versions: numbers by their value, a release after its candidates.
pub(super) fn compare(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (parts(one).into_iter(), parts(other).into_iter());
    loop {
        let order = match (one.next(), other.next()) {
            (None, None) => return Ordering::Equal,
            (Some(_), None) => Ordering::Greater,
            (None, Some(_)) => Ordering::Less,
            (Some(one), Some(other)) => match (one.parse::<u64>(), other.parse::<u64>()) {
                (Ok(one), Ok(other)) => one.cmp(&other),
                (Ok(_), Err(_)) => Ordering::Greater,
                (Err(_), Ok(_)) => Ordering::Less,
                (Err(_), Err(_)) => one.cmp(other),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Runs of digits and runs of letters.
fn parts(version: &str) -> Vec<&str> {
    version
        .split(|character: char| !character.is_ascii_alphanumeric())
        .flat_map(|word| word.split_inclusive(|character: char| character.is_ascii_alphabetic()))
        .filter(|part| !part.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::memory_tree::MemoryTree;
    use super::*;

    #[test]
    fn newest_first() {
        let mut image = MemoryTree::of(&[
            ("/boot/vmlinuz-6.1.0-9-amd64", ""),
            ("/boot/initrd.img-6.1.0-9-amd64", ""),
            ("/boot/vmlinuz-6.1.0-31-amd64", ""),
            ("/boot/vmlinuz-6.10.2-1-amd64", ""),
            ("/boot/vmlinuz-0-rescue-5d", ""),
            ("/boot/vmlinuz-a;b", ""),
            ("/boot/config-6.1.0-9-amd64", ""),
        ]);
        let found = find(&mut image).unwrap();
        let versions: Vec<&str> = found.iter().map(|kernel| kernel.version.as_str()).collect();
        assert_eq!(
            versions,
            ["6.10.2-1-amd64", "6.1.0-31-amd64", "6.1.0-9-amd64"]
        );
        assert_eq!(found[0].initrd, None);
        assert_eq!(
            found[2].initrd.as_deref(),
            Some("/boot/initrd.img-6.1.0-9-amd64")
        );
    }

    #[test]
    fn the_command_line_without_its_root() {
        let mut image = MemoryTree::of(&[(
            "/etc/default/grub",
            "GRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet a;b $c\"\n\
             GRUB_CMDLINE_LINUX=\"console=ttyS0,115200n8 root=/dev/vda1\"\n",
        )]);
        assert_eq!(
            command_line(&mut image).unwrap(),
            "console=ttyS0,115200n8 quiet"
        );
        let mut image = MemoryTree::of(&[
            ("/etc/kernel/cmdline", "root=UUID=9 rw console=tty0\n"),
            ("/etc/default/grub", "GRUB_CMDLINE_LINUX=no"),
        ]);
        assert_eq!(command_line(&mut image).unwrap(), "console=tty0");
        assert_eq!(command_line(&mut MemoryTree::of(&[])).unwrap(), "");
    }
}
