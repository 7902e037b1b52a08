//! What an erase is worth: the category of NIST SP 800-88 by method and kind of storage.
//!
//! The tables are those of revision 1 (December 2014), appendix A. Revision 2 (2025) has none and
//! refers to IEEE 2883 instead, which is not free to read; a site that follows it can map the
//! methods of a record itself.

use farrier_plugin::BlockDevice;

use crate::erase::method::{Method, Sanitize};

/// What data is kept on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Storage {
    /// A hard disk.
    Magnetic,
    /// A solid state disk behind ATA or SCSI.
    SolidState,
    /// A solid state disk behind NVMe.
    Nvme,
    /// eMMC and memory cards.
    Embedded,
    /// A disk that a hypervisor makes: what is behind it is not known here.
    Virtual,
    /// A plain file: what a file system kept of it elsewhere stays.
    File,
    /// An array of other disks, which hold more than the array shows.
    Array,
    /// A USB bridge, a RAID controller's volume, a vendor's own: it could be anything.
    Unknown,
}

/// The categories of NIST SP 800-88.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Category {
    /// Nothing is claimed.
    None,
    /// Protects against simple recovery by the host's interface.
    Clear,
    /// Protects against recovery in a laboratory.
    Purge,
}

impl Storage {
    /// What kind of storage this device is, by what the kernel tells of it.
    pub(crate) fn of(device: &BlockDevice) -> Self {
        let name = device.name.trim_start_matches("/dev/");
        let kind = device.extra["type"].as_str().unwrap_or_default();
        let says = |words: &[&str]| {
            let text = format!(
                "{} {}",
                device.vendor.as_deref().unwrap_or_default(),
                device.model.as_deref().unwrap_or_default()
            )
            .to_ascii_uppercase();
            words.iter().any(|word| text.contains(word))
        };
        if kind == "file" {
            return Self::File;
        }
        if kind.contains("raid") || name.starts_with("md") {
            return Self::Array;
        }
        let made_by_a_hypervisor = ["vd", "xvd", "loop", "nbd", "zram"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
            || says(&["QEMU", "VMWARE", "VBOX", "VIRTUAL"]);
        if made_by_a_hypervisor {
            return Self::Virtual;
        }
        if name.starts_with("nvme") {
            return Self::Nvme;
        }
        if name.starts_with("mmcblk") {
            return Self::Embedded;
        }
        // Volumes of RAID controllers look like SCSI disks; their vendors are the controllers'.
        let volume = says(&["MEGARAID", "PERC", "LOGICAL VOLUME", "SERVERAID", "RAID"]);
        match device.tran.as_deref() {
            Some("sata" | "ata" | "sas" | "fc" | "iscsi") | None if volume => Self::Unknown,
            Some("sata" | "ata" | "sas") if device.rotational => Self::Magnetic,
            Some("sata" | "ata" | "sas") => Self::SolidState,
            _ => Self::Unknown,
        }
    }

    /// The word in a record.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Magnetic => "magnetic disk",
            Self::SolidState => "solid state disk",
            Self::Nvme => "NVMe solid state disk",
            Self::Embedded => "embedded flash",
            Self::Virtual => "virtual disk",
            Self::File => "plain file",
            Self::Array => "array",
            Self::Unknown => "unknown",
        }
    }
}

impl Category {
    /// The category that a proven erase by this method reaches on this storage, and the section
    /// that says so; no section where nothing is claimed.
    pub(crate) fn reached(method: &Method, storage: Storage) -> (Self, Option<&'static str>) {
        const MAGNETIC: Option<&str> = Some("A, table A-5");
        const FLASH: Option<&str> = Some("A, table A-8");
        // What clear means for any storage: overwriting all that its interface shows.
        const ANY: Option<&str> = Some("5, table 5-1");
        match (method, storage) {
            // What lies on the members beside the array is not reached, nor what a file system has
            // beside the file.
            (_, Storage::Array | Storage::File)
            | (Method::Metadata | Method::BesideArrays { .. }, _) => (Self::None, None),
            // No standard names it, and it is proven at samples only.
            (Method::Discard { .. }, _) => (Self::None, None),
            // No table names it: a disk may format itself without writing.
            (Method::ScsiFormat, _) => (Self::None, None),
            // Nobody knows what a hypervisor or a bridge does with a drive's command.
            (
                Method::NvmeFormat { .. }
                | Method::NvmeSanitize(_)
                | Method::AtaSanitize(_)
                | Method::AtaSecurityErase { .. }
                | Method::ScsiSanitize(_),
                Storage::Virtual | Storage::Unknown,
            ) => (Self::None, None),
            (Method::NvmeFormat { .. }, _) => (Self::Purge, FLASH),
            (Method::NvmeSanitize(_), _) => (
                Self::Purge,
                // The table is older than the command.
                Some("A, table A-8, as the sanitize commands of ATA and SCSI"),
            ),
            // For a solid state disk the table has overwrite as clear, and not as purge.
            (
                Method::AtaSanitize(Sanitize::Overwrite)
                | Method::ScsiSanitize(Sanitize::Overwrite),
                storage,
            ) if storage != Storage::Magnetic => (Self::Clear, FLASH),
            // As is enhanced secure erase, which the one for hard disks has as purge.
            (Method::AtaSecurityErase { enhanced: true }, Storage::Magnetic) => {
                (Self::Purge, MAGNETIC)
            }
            (Method::AtaSecurityErase { .. }, Storage::Magnetic) => (Self::Clear, MAGNETIC),
            (Method::AtaSecurityErase { .. }, _) => (Self::Clear, FLASH),
            (Method::AtaSanitize(_) | Method::ScsiSanitize(_), Storage::Magnetic) => {
                (Self::Purge, MAGNETIC)
            }
            (Method::AtaSanitize(_) | Method::ScsiSanitize(_), _) => (Self::Purge, FLASH),
            (Method::Overwrite { .. }, Storage::Magnetic) => (Self::Clear, MAGNETIC),
            (Method::Overwrite { .. }, Storage::SolidState | Storage::Nvme) => (Self::Clear, FLASH),
            (Method::Overwrite { .. }, _) => (Self::Clear, ANY),
        }
    }

    /// The word in a record.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Clear => "clear",
            Self::Purge => "purge",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn device(name: &str, kind: &str, tran: Option<&str>, rotational: bool) -> BlockDevice {
        BlockDevice {
            name: name.to_owned(),
            tran: tran.map(str::to_owned),
            rotational,
            extra: json!({"type": kind}),
            ..BlockDevice::default()
        }
    }

    #[test]
    fn storage_is_told_by_what_the_kernel_knows() {
        for (name, kind, tran, rotational, storage) in [
            ("/dev/sda", "disk", Some("sata"), true, Storage::Magnetic),
            ("/dev/sda", "disk", Some("sas"), false, Storage::SolidState),
            ("/dev/sda", "disk", Some("usb"), false, Storage::Unknown),
            ("/dev/sda", "disk", None, true, Storage::Unknown),
            ("/dev/nvme0n1", "disk", Some("nvme"), false, Storage::Nvme),
            ("/dev/mmcblk0", "disk", None, false, Storage::Embedded),
            ("/dev/vda", "disk", None, true, Storage::Virtual),
            ("/dev/md127", "raid1", None, false, Storage::Array),
            ("/dev/loop0", "loop", None, false, Storage::Virtual),
        ] {
            assert_eq!(
                Storage::of(&device(name, kind, tran, rotational)),
                storage,
                "{name}"
            );
        }
        for model in ["QEMU HARDDISK", "PERC H730P Mini", "Virtual disk"] {
            let mut disk = device("/dev/sda", "disk", Some("sata"), false);
            disk.model = Some(model.to_owned());
            let storage = Storage::of(&disk);
            assert!(
                !matches!(storage, Storage::SolidState),
                "{model}: {storage:?}"
            );
        }
    }

    #[test]
    fn a_drives_own_erase_is_worth_what_the_table_of_its_medium_says() {
        let enhanced = Method::AtaSecurityErase { enhanced: true };
        let normal = Method::AtaSecurityErase { enhanced: false };
        for (method, storage, category) in [
            (enhanced, Storage::Magnetic, Category::Purge),
            (normal, Storage::Magnetic, Category::Clear),
            (enhanced, Storage::SolidState, Category::Clear),
            (
                Method::AtaSanitize(Sanitize::Overwrite),
                Storage::Magnetic,
                Category::Purge,
            ),
            (
                Method::AtaSanitize(Sanitize::Block),
                Storage::SolidState,
                Category::Purge,
            ),
            (
                Method::ScsiSanitize(Sanitize::Overwrite),
                Storage::SolidState,
                Category::Clear,
            ),
            (Method::ScsiFormat, Storage::Magnetic, Category::None),
            (enhanced, Storage::Unknown, Category::None),
            (enhanced, Storage::Virtual, Category::None),
        ] {
            assert_eq!(
                Category::reached(&method, storage).0,
                category,
                "{method} {storage:?}"
            );
        }
    }

    #[test]
    fn overwriting_clears_and_purges_nothing() {
        let overwrite = Method::Overwrite {
            random_passes: 35,
            zero_pass: true,
        };
        for storage in [
            Storage::Magnetic,
            Storage::SolidState,
            Storage::Nvme,
            Storage::Virtual,
        ] {
            let (category, section) = Category::reached(&overwrite, storage);
            assert_eq!(category, Category::Clear);
            assert!(section.is_some());
        }
        assert_eq!(
            Category::reached(&overwrite, Storage::Array),
            (Category::None, None)
        );
        assert_eq!(
            Category::reached(&Method::Metadata, Storage::Magnetic),
            (Category::None, None)
        );
    }
}
