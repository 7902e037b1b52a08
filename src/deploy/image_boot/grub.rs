//! GRUB's configuration: the few lines beside it on the EFI system partition, and the menu that they
//! lead to in the image.

use tracing::warn;

use super::error::ImageBootError;
use super::file_tree::{Failure, FileTree, is_file, small_file};
use super::kernels;

/// A configuration above this many bytes is a menu.
const STUB_LIMIT: usize = 4096;

/// Bytes of a menu that are looked at.
const MENU_LIMIT: usize = 1 << 20;

/// Bytes of a program that are looked through at once, and what of them is looked at again, so that no
/// text is cut in two.
const PIECE: usize = 1 << 20;
const OVERLAP: usize = 64;

/// The largest program that is looked through.
const LARGEST: u64 = 32 << 20;

/// Where the image's GRUB has its menu.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::deploy) enum Directory {
    /// `/boot/grub`: Debian, Ubuntu, Arch, Alpine.
    Grub,
    /// `/boot/grub2`: Fedora, RHEL, openEuler, SUSE.
    Grub2,
}

impl Directory {
    /// Which one: where there is a menu, else by what else the image has of either.
    pub(in crate::deploy) fn of(image: &mut dyn FileTree) -> Result<Self, Failure> {
        for (directory, marks) in [
            (Self::Grub, ["/boot/grub/grub.cfg"]),
            (Self::Grub2, ["/boot/grub2/grub.cfg"]),
            (Self::Grub2, ["/usr/sbin/grub2-mkconfig"]),
            (Self::Grub2, ["/usr/bin/grub2-mkconfig"]),
        ] {
            if is_file(image, marks[0])? {
                return Ok(directory);
            }
        }
        let has_grub = !image.names("/boot/grub")?.is_empty();
        Ok(if !has_grub && !image.names("/boot/grub2")?.is_empty() {
            Self::Grub2
        } else {
            Self::Grub
        })
    }

    /// The one with a menu below this path: `/boot`, or nothing where the file system is what comes to lie there.
    pub(in crate::deploy) fn with_menu(
        image: &mut dyn FileTree,
        boot: &str,
    ) -> Result<Option<Self>, Failure> {
        for directory in [Self::Grub, Self::Grub2] {
            let path = format!("{boot}{}/grub.cfg", directory.below_boot());
            if is_file(image, &path)? {
                return Ok(Some(directory));
            }
        }
        Ok(None)
    }

    /// Its path in a file system that comes to lie at `/boot`.
    pub(in crate::deploy) fn below_boot(self) -> &'static str {
        match self {
            Self::Grub => "/grub",
            Self::Grub2 => "/grub2",
        }
    }

    /// Its path in the image.
    pub(in crate::deploy) fn path(self) -> &'static str {
        match self {
            Self::Grub => "/boot/grub",
            Self::Grub2 => "/boot/grub2",
        }
    }

    /// The configuration beside GRUB on the EFI system partition: as `grub-install` of Debian writes it,
    /// with commands that the signed GRUBs of all distributions have built in.
    pub(super) fn stub(self, root_uuid: &str) -> String {
        format!(
            "search.fs_uuid {root_uuid} root\nset prefix=($root)'{}'\nconfigfile $prefix/grub.cfg\n",
            self.path()
        )
    }
}

/// Whether a configuration only leads to another, on a file system that is not this one.
///
/// Such a one comes from the disk that the image was made on, and GRUB would stop at its prompt. It is
/// replaced rather than told of: with the name of the file system its path may be another too,
/// where `/boot` was a partition of its own.
pub(super) fn leads_elsewhere(configuration: &[u8], root_uuid: &str) -> bool {
    if configuration.len() > STUB_LIMIT {
        return false;
    }
    let text = String::from_utf8_lossy(configuration).to_lowercase();
    let commands: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .collect();
    let has = |word: &str| commands.iter().any(|line| line.contains(word));
    (has("configfile") || has("source"))
        && has("uuid")
        && !has("menuentry")
        && !has(&root_uuid.to_lowercase())
}

/// Make sure that there is a menu in the image, making a plain one of its kernels where there is none:
/// that is what the reference runs `grub-mkconfig` for.
pub(in crate::deploy) fn ensure_menu(
    image: &mut dyn FileTree,
    directory: Directory,
    root_uuid: &str,
) -> Result<(), ImageBootError> {
    let path = format!("{}/grub.cfg", directory.path());
    if let Some(menu) = small_file(image, &path, MENU_LIMIT)? {
        let menu = String::from_utf8_lossy(&menu);
        if menu.contains("root=UUID=") && !menu.contains(&format!("root=UUID={root_uuid}")) {
            warn!(
                "the image's {path} boots another file system than the image's, {root_uuid}: it was \
                 made for another disk"
            );
        }
        return Ok(());
    }
    if is_file(image, &path)? {
        // Too large to be looked at, and somebody's all the same.
        return Ok(());
    }
    let kernels = kernels::find(image)?;
    if kernels.is_empty() {
        return Err(ImageBootError::NoKernel { menu: path });
    }
    let command_line = kernels::command_line(image)?;
    let mut menu = format!(
        "# Made when the image was deployed, since it had no menu. grub-mkconfig replaces it.\n\
         search.fs_uuid {root_uuid} root\nset timeout=3\n"
    );
    for kernel in kernels {
        menu.push_str(&format!(
            "menuentry 'Linux {}' {{\n\tlinux {} root=UUID={root_uuid} ro {command_line}\n",
            kernel.version, kernel.path
        ));
        if let Some(initrd) = kernel.initrd {
            menu.push_str(&format!("\tinitrd {initrd}\n"));
        }
        menu.push_str("}\n");
    }
    image.make_directory(directory.path())?;
    image.write(&path, &mut menu.as_bytes())?;
    warn!("the image has no {path}: one was made of the kernels in its /boot");
    Ok(())
}

/// The folder below `EFI` in which a GRUB looks for its configuration, as it is built into it: `debian`.
/// `None` where it looks beside itself.
pub(super) fn built_in_folder(
    image: &mut dyn FileTree,
    program: &str,
) -> Result<Option<String>, Failure> {
    let mut offset = 0;
    while offset < LARGEST {
        let piece = image.read_at(program, offset, PIECE)?;
        if let Some(folder) = folder_in(&piece) {
            return Ok(Some(folder));
        }
        if piece.len() < PIECE {
            break;
        }
        offset += (PIECE - OVERLAP) as u64;
    }
    Ok(None)
}

/// What follows `/EFI/` where a text starts so and ends after one name.
fn folder_in(bytes: &[u8]) -> Option<String> {
    const START: &[u8] = b"\0/EFI/";
    bytes
        .windows(START.len())
        .enumerate()
        .filter(|(_, window)| *window == START)
        .find_map(|(at, _)| {
            let rest = &bytes[at + START.len()..];
            let end = rest.iter().take(OVERLAP / 2).position(|byte| *byte == 0)?;
            let name = std::str::from_utf8(&rest[..end]).ok()?;
            super::distribution::is_folder_name(name).then(|| name.to_owned())
        })
        .filter(|name| !name.eq_ignore_ascii_case("boot"))
}

#[cfg(test)]
mod tests {
    use super::super::memory_tree::MemoryTree;
    use super::*;

    const ROOT: &str = "6a1c5d1e-0a2b-4c3d-8e4f-0123456789ab";

    #[test]
    fn a_stub_of_another_disk_is_known() {
        let own = Directory::Grub.stub(ROOT);
        assert!(!leads_elsewhere(own.as_bytes(), ROOT));
        assert!(!leads_elsewhere(own.to_uppercase().as_bytes(), ROOT));
        let other = Directory::Grub.stub("11111111-2222-3333-4444-555555555555");
        assert!(leads_elsewhere(other.as_bytes(), ROOT));
        let fedora = "search --no-floppy --root-dev-only --fs-uuid --set=dev 0bc0\n\
                      set prefix=($dev)/grub2\nexport $prefix\nconfigfile $prefix/grub.cfg\n";
        assert!(leads_elsewhere(fedora.as_bytes(), ROOT));
        // By a label, and a whole menu.
        assert!(!leads_elsewhere(
            b"search --label root\nconfigfile /boot/grub.cfg",
            ROOT
        ));
        assert!(!leads_elsewhere(
            b"search --fs-uuid 0bc0\nmenuentry 'x' {\n}\nsource $prefix/custom.cfg",
            ROOT
        ));
    }

    #[test]
    fn a_menu_is_made_of_kernels_only_where_there_is_none() {
        let mut image = MemoryTree::of(&[
            ("/boot/vmlinuz-6.1", ""),
            ("/boot/initrd.img-6.1", ""),
            (
                "/etc/default/grub",
                "GRUB_CMDLINE_LINUX=\"console=ttyS0\"\n",
            ),
        ]);
        ensure_menu(&mut image, Directory::Grub, ROOT).unwrap();
        let menu = image.text("/boot/grub/grub.cfg").unwrap();
        assert!(menu.contains(&format!(
            "linux /boot/vmlinuz-6.1 root=UUID={ROOT} ro console=ttyS0\n\tinitrd /boot/initrd.img-6.1\n"
        )));
        image.put("/boot/grub/grub.cfg", b"mine");
        ensure_menu(&mut image, Directory::Grub, ROOT).unwrap();
        assert_eq!(image.text("/boot/grub/grub.cfg").unwrap(), "mine");
        image.put("/boot/grub/grub.cfg", &vec![b'#'; MENU_LIMIT + 1]);
        ensure_menu(&mut image, Directory::Grub, ROOT).unwrap();
        let menu = image.bytes("/boot/grub/grub.cfg").unwrap();
        assert_eq!(menu.len(), MENU_LIMIT + 1);
        let error = ensure_menu(&mut MemoryTree::of(&[]), Directory::Grub2, ROOT).unwrap_err();
        assert!(
            error.to_string().contains("/boot/grub2/grub.cfg"),
            "{error}"
        );
    }

    #[test]
    fn the_directory_of_the_menu() {
        for (files, directory) in [
            (
                &["/boot/grub/grub.cfg", "/boot/grub2/x"][..],
                Directory::Grub,
            ),
            (&["/boot/grub2/grub.cfg", "/boot/grub/x"], Directory::Grub2),
            (&["/usr/sbin/grub2-mkconfig"], Directory::Grub2),
            (&["/boot/grub2/fonts/x"], Directory::Grub2),
            (&["/boot/grub/x"], Directory::Grub),
            (&[], Directory::Grub),
        ] {
            let files: Vec<(&str, &str)> = files.iter().map(|path| (*path, "")).collect();
            let found = Directory::of(&mut MemoryTree::of(&files)).unwrap();
            assert_eq!(found, directory, "{files:?}");
        }
    }

    #[test]
    fn the_folder_that_is_built_in() {
        assert_eq!(
            folder_in(b"x\0/EFI/BOO T\0/EFI/debian\0y").as_deref(),
            Some("debian")
        );
        for none in [
            &b"/EFI/debian\0"[..],
            b"\0/EFI/debian",
            b"\0/EFI/a/b\0",
            b"",
        ] {
            assert_eq!(folder_in(none), None);
        }
        let mut program = vec![b'x'; PIECE - 8];
        program.extend(b"\0/EFI/fedora\0");
        program.resize(PIECE + 4096, b'y');
        let mut image = MemoryTree::of(&[]);
        image.put("/grub.efi", &program);
        assert_eq!(
            built_in_folder(&mut image, "/grub.efi").unwrap().as_deref(),
            Some("fedora")
        );
    }
}
