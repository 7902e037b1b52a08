//! The table that the build of the ramdisk makes: which files the drivers in it ask for, and which
//! of Debian's packages has each.

/// Where the build puts it.
pub(super) const TABLE: &str = "/usr/share/farrier/firmware";

/// The first line of the table for a file, "FILE MODULE KIND PACKAGE"; several modules may ask for one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Row<'a> {
    /// What the drivers that ask for it drive.
    pub(super) kind: Kind,
    pub(super) origin: Origin<'a>,
    module: &'a str,
}

/// Where FIRMWARE=1 would get a file from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Origin<'a> {
    /// A package of Debian's.
    Package(&'a str),
    /// None of the packages that FIRMWARE=1 takes has it.
    Nowhere,
    /// The build did not know: of this kernel there was no lock.
    Unknown,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Network,
    Storage,
    Other,
}

/// What the table says of a file; `None` where no driver in the ramdisk named it to the build.
pub(super) fn look_up<'a>(table: &'a str, file: &str) -> Option<Row<'a>> {
    rows(table).find_map(|(name, row)| (name == file).then_some(row))
}

/// The other files that the module of a file asks for.
pub(super) fn others<'a>(table: &'a str, file: &'a str) -> impl Iterator<Item = &'a str> {
    let module = look_up(table, file).map(|row| row.module);
    rows(table)
        .filter_map(move |(name, row)| (Some(row.module) == module && name != file).then_some(name))
}

fn rows(table: &str) -> impl Iterator<Item = (&str, Row<'_>)> {
    table.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let file = words.next()?;
        let module = words.next()?;
        let kind = match words.next()? {
            "network" => Kind::Network,
            "storage" => Kind::Storage,
            _ => Kind::Other,
        };
        let origin = match words.next() {
            Some("-") => Origin::Nowhere,
            Some("?") | None => Origin::Unknown,
            Some(package) => Origin::Package(package),
        };
        Some((
            file,
            Row {
                kind,
                origin,
                module,
            },
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_their_whole_name() {
        let table = "intel/ice/ddp/ice.pkg ice network firmware-intel-misc\n\
                     ql2700_fw.bin qla2xxx storage -\n\
                     renesas_usb_fw.mem xhci-pci-renesas other ?\n";
        let row = look_up(table, "intel/ice/ddp/ice.pkg").unwrap();
        assert_eq!(row.kind, Kind::Network);
        assert_eq!(row.origin, Origin::Package("firmware-intel-misc"));
        let row = look_up(table, "ql2700_fw.bin").unwrap();
        assert_eq!((row.kind, row.origin), (Kind::Storage, Origin::Nowhere));
        let row = look_up(table, "renesas_usb_fw.mem").unwrap();
        assert_eq!((row.kind, row.origin), (Kind::Other, Origin::Unknown));
        assert_eq!(
            look_up(table, "intel/ice/ddp/ice-0011223344556677.pkg"),
            None
        );
        assert_eq!(look_up(table, "ice"), None);
        assert_eq!(look_up(table, ""), None);
    }
}
