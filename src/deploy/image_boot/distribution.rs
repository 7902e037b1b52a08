//! Which distribution an image is of.

use super::file_tree::{Failure, FileTree, small_file};

/// Bytes of `os-release` that are read.
const LIMIT: usize = 64 * 1024;

/// Where it is kept: the first, of the installed system, counts (os-release(5)).
const PATHS: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];

/// Names that distributions' folders on the EFI system partition have where they differ from `ID`:
/// `ID` without what follows a `-` is tried against the first.
const FOLDERS: [(&str, &str); 5] = [
    ("ol", "redhat"),
    ("opensuse", "opensuse"),
    ("rhel", "redhat"),
    ("sle", "sles"),
    ("sled", "sled"),
];

/// The folder below `EFI` that the image's distribution uses: `debian`, `redhat`, `sles`. `linux` for one
/// that does not say what it is.
pub(super) fn folder(image: &mut dyn FileTree) -> Result<String, Failure> {
    for path in PATHS {
        if let Some(content) = small_file(image, path, LIMIT)? {
            return Ok(folder_of(&String::from_utf8_lossy(&content)));
        }
    }
    Ok(folder_of(""))
}

fn folder_of(os_release: &str) -> String {
    let id = os_release
        .lines()
        .find_map(|line| line.trim().strip_prefix("ID="))
        .map(|value| value.trim_matches(['"', '\'']))
        .filter(|id| is_folder_name(id))
        .unwrap_or("linux");
    let family = id.split('-').next().unwrap_or(id);
    FOLDERS
        .iter()
        .find(|(name, _)| *name == family)
        .map_or(id, |(_, folder)| folder)
        .to_owned()
}

/// Whether this can be a folder's name on FAT, and text in a table of loaders.
pub(super) fn is_folder_name(name: &str) -> bool {
    let is_fit = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    (1..=32).contains(&name.len())
        && name.chars().all(is_fit)
        && !name.starts_with('.')
        && !name.ends_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_by_the_id() {
        for (os_release, folder) in [
            ("NAME=\"Debian GNU/Linux\"\nID=debian\n", "debian"),
            ("ID=\"rhel\"\nVERSION_ID=9.4\n", "redhat"),
            ("ID='opensuse-leap'", "opensuse"),
            ("VERSION_ID=15\nID=\"sles\"\n", "sles"),
            ("ID=openEuler\n", "openEuler"),
            ("ID=../../etc\n", "linux"),
            ("ID=\"a,b\"\n", "linux"),
            ("", "linux"),
        ] {
            assert_eq!(folder_of(os_release), folder, "{os_release:?}");
        }
    }
}
