//! The table that the build of the ramdisk makes: which files the drivers in it ask for, and which
//! of Debian's packages has each.

/// Where the build puts it.
pub(super) const TABLE: &str = "/usr/share/farrier/firmware";

/// A line of the table, "FILE MODULE KIND PACKAGE", from which the module is left out here: several
/// may ask for one file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Row<'a> {
    /// What the drivers that ask for it drive.
    pub(super) kind: Kind,
    /// `None`: no package that FIRMWARE=1 takes has it.
    pub(super) package: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Network,
    Storage,
    Other,
}

/// What the table says of a file; `None` where no driver in the ramdisk named it to the build.
pub(super) fn look_up<'a>(table: &'a str, file: &str) -> Option<Row<'a>> {
    table.lines().find_map(|line| {
        let mut words = line.split(' ');
        if words.next()? != file {
            return None;
        }
        let _module = words.next()?;
        let kind = match words.next()? {
            "network" => Kind::Network,
            "storage" => Kind::Storage,
            _ => Kind::Other,
        };
        let package = words.next().filter(|package| *package != "-");
        Some(Row { kind, package })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_their_whole_name() {
        let table = "intel/ice/ddp/ice.pkg ice network firmware-intel-misc\n\
                     ql2700_fw.bin qla2xxx storage -\n\
                     renesas_usb_fw.mem xhci-pci-renesas other -\n";
        let row = look_up(table, "intel/ice/ddp/ice.pkg").unwrap();
        assert_eq!(row.kind, Kind::Network);
        assert_eq!(row.package, Some("firmware-intel-misc"));
        let row = look_up(table, "ql2700_fw.bin").unwrap();
        assert_eq!((row.kind, row.package), (Kind::Storage, None));
        assert_eq!(
            look_up(table, "renesas_usb_fw.mem").unwrap().kind,
            Kind::Other
        );
        assert_eq!(
            look_up(table, "intel/ice/ddp/ice-0011223344556677.pkg"),
            None
        );
        assert_eq!(look_up(table, "ice"), None);
        assert_eq!(look_up(table, ""), None);
    }
}
