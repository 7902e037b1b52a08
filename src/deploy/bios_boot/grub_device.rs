//! Where GRUB finds the image's file system, in its own words, and the modules by which it gets there.

use std::fmt;

use crate::block::raid_superblock::{Level, Metadata};
use crate::block::table::Table;

/// A partition of what GRUB reads.
#[derive(Clone, Debug)]
pub(in crate::deploy) struct GrubDevice {
    /// What it is a partition of: an array, or `None` for the disk that the BIOS boots from.
    pub(in crate::deploy) array: Option<GrubArray>,
    /// The table that it is in.
    pub(in crate::deploy) table: TableKind,
    /// The partition's number, as Linux counts.
    pub(in crate::deploy) number: u32,
}

/// A kind of partition table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::deploy) enum TableKind {
    Gpt,
    Mbr,
}

/// An array of software RAID, as GRUB knows it: by its UUID, on all disks that the BIOS shows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::deploy) struct GrubArray {
    /// 32 digits.
    uuid: String,
    /// Modules that read it.
    modules: Vec<&'static str>,
}

impl TableKind {
    pub(in crate::deploy) fn of(table: &Table) -> Self {
        match table {
            Table::Gpt(_) => Self::Gpt,
            Table::Mbr(_) => Self::Mbr,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gpt => "gpt",
            Self::Mbr => "msdos",
        }
    }

    fn module(self) -> &'static str {
        match self {
            Self::Gpt => "part_gpt",
            Self::Mbr => "part_msdos",
        }
    }
}

impl GrubArray {
    /// The array of this UUID, as mdadm writes it, whose members lie in tables of these kinds.
    ///
    /// # Errors
    /// GRUB cannot read it, in words that follow the array's name.
    pub(in crate::deploy) fn of(
        uuid: Option<&str>,
        level: Option<Level>,
        metadata: Option<Metadata>,
        tables: &[TableKind],
    ) -> Result<Self, String> {
        let Some(uuid) = uuid else {
            return Err("no member tells its UUID, by which GRUB would find it".to_owned());
        };
        let uuid: String = uuid.chars().filter(|digit| *digit != ':').collect();
        if uuid.len() != 32 || !uuid.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(format!("its UUID {uuid} is none that GRUB would find"));
        }
        let mut modules = vec!["diskfilter"];
        modules.push(match metadata {
            Some(Metadata::V0_90) => "mdraid09",
            Some(Metadata::V1_0 | Metadata::V1_1 | Metadata::V1_2) => "mdraid1x",
            Some(Metadata::Imsm | Metadata::Ddf) | None => {
                return Err("GRUB does not read the superblocks of its members".to_owned());
            }
        });
        match level {
            Some(Level::Raid0 | Level::Raid1 | Level::Raid10) => {}
            // What was on a disk that is missing is reckoned from the others.
            Some(Level::Raid4 | Level::Raid5) => modules.push("raid5rec"),
            Some(Level::Raid6) => modules.push("raid6rec"),
            Some(Level::Linear | Level::Container) | None => {
                return Err("GRUB does not read arrays of its level".to_owned());
            }
        }
        for kind in [TableKind::Gpt, TableKind::Mbr] {
            if tables.contains(&kind) {
                modules.push(kind.module());
            }
        }
        Ok(Self {
            uuid: uuid.to_ascii_lowercase(),
            modules,
        })
    }
}

impl GrubDevice {
    /// The modules by which it is read.
    pub(super) fn modules(&self) -> Vec<&'static str> {
        let mut modules = vec![self.table.module()];
        modules.extend(self.array.iter().flat_map(|array| &array.modules));
        modules
    }
}

impl fmt::Display for GrubDevice {
    /// Its name in a path of GRUB's. Without an array, the disk that the BIOS boots from is the one before the comma: no
    /// search that could find another disk with the same UUID.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(")?;
        if let Some(array) = &self.array {
            write!(formatter, "mduuid/{}", array.uuid)?;
        }
        write!(formatter, ",{}{})", self.table.name(), self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: Option<&str> = Some("00112233:44556677:8899AABB:ccddeeff");

    #[test]
    fn an_array_is_named_by_its_uuid_and_read_by_its_modules() {
        let of = |level, metadata, tables: &[TableKind]| {
            let device = GrubDevice {
                array: Some(GrubArray::of(UUID, Some(level), Some(metadata), tables).unwrap()),
                table: TableKind::Mbr,
                number: 3,
            };
            (device.to_string(), device.modules().join(" "))
        };
        let (name, modules) = of(Level::Raid1, Metadata::V1_2, &[TableKind::Gpt]);
        assert_eq!(name, "(mduuid/00112233445566778899aabbccddeeff,msdos3)");
        assert_eq!(modules, "part_msdos diskfilter mdraid1x part_gpt");
        for (level, metadata, expected) in [
            (Level::Raid0, Metadata::V1_0, "diskfilter mdraid1x"),
            (Level::Raid10, Metadata::V1_1, "diskfilter mdraid1x"),
            (Level::Raid4, Metadata::V1_2, "diskfilter mdraid1x raid5rec"),
            (
                Level::Raid5,
                Metadata::V0_90,
                "diskfilter mdraid09 raid5rec",
            ),
            (Level::Raid6, Metadata::V1_2, "diskfilter mdraid1x raid6rec"),
        ] {
            let (_, modules) = of(level, metadata, &[]);
            assert_eq!(modules, format!("part_msdos {expected}"));
        }
        let both = [TableKind::Mbr, TableKind::Gpt, TableKind::Mbr];
        let (_, modules) = of(Level::Raid1, Metadata::V1_2, &both);
        assert_eq!(
            modules,
            "part_msdos diskfilter mdraid1x part_gpt part_msdos"
        );
    }

    #[test]
    fn what_grub_does_not_read_is_refused() {
        let (one, new) = (Some(Level::Raid1), Some(Metadata::V1_2));
        for (uuid, level, metadata, said) in [
            (None, one, new, "no member tells its UUID"),
            (Some("0011"), one, new, "its UUID 0011"),
            (Some(&*"x".repeat(32)), one, new, "is none that GRUB"),
            (UUID, None, new, "of its level"),
            (UUID, Some(Level::Linear), new, "of its level"),
            (UUID, one, None, "superblocks"),
            (UUID, one, Some(Metadata::Imsm), "superblocks"),
        ] {
            let error = GrubArray::of(uuid, level, metadata, &[]).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
