//! What is to be on the EFI system partition, before anything is written there.

use super::architecture::Architecture;

/// A file that is to be on the EFI system partition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct PlannedFile {
    /// Its path there: `EFI/debian/shimx64.efi`.
    pub(super) path: String,
    /// What it is to hold.
    pub(super) content: Content,
    /// What it is for.
    pub(super) role: Role,
}

/// What a file is to hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Content {
    /// What this file of the image holds.
    OfImage {
        /// Its path in the image.
        path: String,
        /// Its bytes.
        size: u64,
    },
    /// This.
    Bytes(Vec<u8>),
}

/// What a file on the EFI system partition is for. All but `Rest` are programs for the machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    /// The loader that firmware starts without a boot entry: `\EFI\BOOT\BOOTX64.EFI`.
    Removable,
    /// The first of a signed chain, which starts GRUB beside it.
    Shim,
    /// GRUB.
    Grub,
    /// systemd's boot loader.
    SystemdBoot,
    /// A kernel with its initial RAM file system and command line.
    UnifiedKernel,
    /// Makes boot entries of the tables that it finds, and boots by the first.
    Fallback,
    /// Asks for keys to be trusted.
    KeyManager,
    /// Settings, tables, programs for others.
    Rest,
}

/// The files, in the order in which they were planned.
#[derive(Debug, Default)]
pub(super) struct Plan {
    files: Vec<PlannedFile>,
}

impl PlannedFile {
    /// Bytes.
    pub(super) fn size(&self) -> u64 {
        match &self.content {
            Content::OfImage { size, .. } => *size,
            Content::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// The directory that it lies in.
    pub(super) fn folder(&self) -> &str {
        split(&self.path).0
    }

    /// Its name there.
    pub(super) fn name(&self) -> &str {
        split(&self.path).1
    }

    /// Whether it is a table of loaders.
    pub(super) fn is_table(&self) -> bool {
        self.name().to_lowercase().ends_with(".csv")
    }

    /// Its place in the order of writing: what firmware starts by itself comes last, before it what a
    /// boot entry is made of.
    pub(super) fn turn(&self) -> u8 {
        match self.role {
            Role::Removable => 4,
            _ if self.is_table() => 3,
            Role::Shim | Role::SystemdBoot => 2,
            Role::Grub | Role::UnifiedKernel => 1,
            Role::Fallback | Role::KeyManager | Role::Rest => 0,
        }
    }
}

impl Plan {
    /// The files.
    pub(super) fn files(&self) -> &[PlannedFile] {
        &self.files
    }

    /// The file at this path, in upper or lower case, which FAT does not tell apart.
    pub(super) fn at(&self, path: &str) -> Option<&PlannedFile> {
        self.files
            .iter()
            .find(|file| file.path.eq_ignore_ascii_case(path))
    }

    /// Whether there is a file in this directory with this role.
    pub(super) fn in_folder(&self, folder: &str, role: Role) -> Option<&PlannedFile> {
        self.files
            .iter()
            .find(|file| file.role == role && file.folder().eq_ignore_ascii_case(folder))
    }

    /// Whether there is a file with this role.
    pub(super) fn has(&self, role: Role) -> bool {
        self.files.iter().any(|file| file.role == role)
    }

    /// The directories with files, once each, in order.
    pub(super) fn folders(&self) -> Vec<String> {
        let mut folders: Vec<String> = Vec::new();
        for file in &self.files {
            let folder = file.folder();
            if !folders
                .iter()
                .any(|other| other.eq_ignore_ascii_case(folder))
            {
                folders.push(folder.to_owned());
            }
        }
        folders.sort();
        folders
    }

    /// Plan a file, unless there is one at its path.
    pub(super) fn add(&mut self, file: PlannedFile) {
        if self.at(&file.path).is_none() {
            self.files.push(file);
        }
    }

    /// Plan a file, in the place of one at its path.
    pub(super) fn put(&mut self, file: PlannedFile) {
        self.drop(&file.path);
        self.files.push(file);
    }

    /// Plan no file at this path.
    pub(super) fn drop(&mut self, path: &str) {
        self.files
            .retain(|file| !file.path.eq_ignore_ascii_case(path));
    }

    /// Plan a second copy of a file.
    pub(super) fn copy(&mut self, from: &PlannedFile, to: &str, role: Role) {
        self.add(PlannedFile {
            path: to.to_owned(),
            role,
            ..from.clone()
        });
    }
}

impl Role {
    /// Of a program for this machine at this path of the partition, by the names that all distributions
    /// use.
    pub(super) fn of(path: &str, architecture: &Architecture) -> Self {
        let path = path.to_lowercase();
        let (folder, name) = split(&path);
        let suffix = architecture.suffix;
        let is =
            |start: &str| name == format!("{start}{suffix}.efi") || name == format!("{start}.efi");
        if name == format!("boot{suffix}.efi") {
            if folder == "efi/boot" {
                Self::Removable
            } else {
                Self::Rest
            }
        } else if is("shim") {
            Self::Shim
        } else if is("grub") {
            Self::Grub
        } else if is("systemd-boot") {
            Self::SystemdBoot
        } else if folder == "efi/linux" {
            Self::UnifiedKernel
        } else if is("fb") || is("fallback") {
            Self::Fallback
        } else if is("mm") || is("mokmanager") {
            Self::KeyManager
        } else {
            Self::Rest
        }
    }
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

#[cfg(test)]
mod tests {
    use super::super::architecture::KNOWN;
    use super::*;

    #[test]
    fn roles_by_name() {
        for (path, role) in [
            ("EFI/BOOT/BOOTX64.EFI", Role::Removable),
            ("EFI/boot/bootx64.efi", Role::Removable),
            ("EFI/BOOT/BOOTAA64.EFI", Role::Rest),
            ("EFI/debian/BOOTX64.EFI", Role::Rest),
            ("EFI/debian/shimx64.efi", Role::Shim),
            ("EFI/sles/shim.efi", Role::Shim),
            ("EFI/fedora/shimx64-fedora.efi", Role::Rest),
            ("EFI/sles/grub.efi", Role::Grub),
            ("EFI/fedora/gcdx64.efi", Role::Rest),
            ("EFI/systemd/systemd-bootx64.efi", Role::SystemdBoot),
            ("EFI/Linux/debian-6.1.efi", Role::UnifiedKernel),
            ("EFI/BOOT/fbx64.efi", Role::Fallback),
            ("EFI/boot/MokManager.efi", Role::KeyManager),
        ] {
            assert_eq!(Role::of(path, &KNOWN[0]), role, "{path}");
        }
        assert_eq!(
            Role::of("EFI/BOOT/BOOTAA64.EFI", &KNOWN[1]),
            Role::Removable
        );
    }

    #[test]
    fn what_fat_does_not_tell_apart_is_one_file() {
        let file = |path: &str| PlannedFile {
            path: path.to_owned(),
            content: Content::Bytes(path.as_bytes().to_vec()),
            role: Role::Rest,
        };
        let mut plan = Plan::default();
        plan.add(file("EFI/BOOT/a"));
        plan.add(file("EFI/boot/A"));
        assert_eq!(plan.files(), [file("EFI/BOOT/a")]);
        plan.put(file("EFI/boot/A"));
        assert_eq!(plan.files(), [file("EFI/boot/A")]);
        assert_eq!(plan.folders(), ["EFI/boot"]);
    }
}
