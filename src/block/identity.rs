//! What a block device is called: model, serial numbers and world wide names, each from udev first
//! and from sysfs where udev does not know.
//!
//! The precedence is lsblk's and then udev's (contract/data-plane 2.5, 10.1), because nodes are
//! enrolled with hints that were read from an inventory of the reference. What only sysfs says is
//! added to the lists that hints are compared with: it makes more hints match, and none fewer.

use crate::block::udev::{UdevRecord, unescape};
use crate::block::vpd;
use crate::sys::root::Root;

/// Names of a block device.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Identity {
    pub(crate) model: Option<String>,
    pub(crate) serial: Option<String>,
    pub(crate) wwn: Option<String>,
    pub(crate) wwn_with_extension: Option<String>,
    pub(crate) wwn_vendor_extension: Option<String>,
    pub(crate) all_serials: Vec<String>,
    pub(crate) all_wwns: Vec<String>,
}

impl Identity {
    /// The names of the device at this sysfs directory.
    ///
    /// `has_own_names` is false for partitions and for devices on top of others, for which lsblk
    /// gives neither model nor serial; udev's inherited properties still count.
    ///
    /// `vendor` is the device's own, read already.
    pub(crate) fn read(
        root: &Root,
        sysfs: &str,
        vendor: Option<&str>,
        udev: &UdevRecord,
        has_own_names: bool,
    ) -> Self {
        let own = if has_own_names {
            KernelNames::read(root, sysfs, vendor)
        } else {
            KernelNames::default()
        };

        // lsblk 2.38, in this order. SCSI_IDENT_SERIAL comes from sg3_utils' rules.
        let lsblk_serial = udev
            .first_of(&[
                "SCSI_IDENT_SERIAL",
                "ID_SCSI_SERIAL",
                "ID_SERIAL_SHORT",
                "ID_SERIAL",
            ])
            .filter(|_| has_own_names)
            .map(collapse);
        let map = multipath_names(root, sysfs);
        let serials = [
            lsblk_serial,
            udev_value(udev, "SERIAL_SHORT"),
            udev_value(udev, "SERIAL"),
            map.as_ref().map(|(serial, _)| serial.clone()),
            own.unit_serial,
            own.short_serial,
            own.long_serial,
        ];
        let lsblk_wwn = udev.first_of(&["ID_WWN_WITH_EXTENSION", "ID_WWN"]);
        let wwns = [
            lsblk_wwn.map(str::to_owned),
            udev_value(udev, "WWN"),
            map.as_ref().and_then(|(_, wwn)| wwn.clone()),
            own.wwn_with_extension.clone(),
            own.wwn,
        ];
        let model = udev
            .property("ID_MODEL_ENC")
            .map(unescape)
            .or_else(|| udev.property("ID_MODEL").map(str::to_owned))
            .filter(|_| has_own_names)
            .map(|model| collapse(&model))
            .or(own.model);
        let all_serials = distinct(serials);
        let all_wwns = distinct(wwns);
        Self {
            model,
            serial: all_serials.first().cloned(),
            wwn: all_wwns.first().cloned(),
            wwn_with_extension: udev_value(udev, "WWN_WITH_EXTENSION").or(own.wwn_with_extension),
            wwn_vendor_extension: udev_value(udev, "WWN_VENDOR_EXTENSION")
                .or(own.wwn_vendor_extension),
            all_serials,
            all_wwns,
        }
    }
}

/// Serial number and world wide name of a multipath map, from its UUID: `mpath-` and what scsi_id
/// says of each path, a digit for the kind of name (3: NAA, 2: EUI-64) and the name.
///
/// udev has the same as `DM_SERIAL` and `DM_WWN` where multipath-tools' script kpartx_id runs, which
/// needs a shell.
fn multipath_names(root: &Root, sysfs: &str) -> Option<(String, Option<String>)> {
    let uuid = root.attribute(format!("{sysfs}/dm/uuid"))?;
    let serial = uuid.strip_prefix("mpath-")?;
    let name = serial
        .strip_prefix(['2', '3'])
        .filter(|name| matches!(name.len(), 16 | 32))
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_hexdigit()));
    Some((serial.to_owned(), name.map(|name| format!("0x{name}"))))
}

/// What the kernel itself says.
#[derive(Default)]
struct KernelNames {
    model: Option<String>,
    unit_serial: Option<String>,
    short_serial: Option<String>,
    long_serial: Option<String>,
    wwn: Option<String>,
    wwn_with_extension: Option<String>,
    wwn_vendor_extension: Option<String>,
}

impl KernelNames {
    fn read(root: &Root, sysfs: &str, vendor: Option<&str>) -> Self {
        let attribute = |name: &str| {
            root.attribute(format!("{sysfs}/{name}"))
                .map(|value| collapse(&value))
        };
        let page = |name: &str| root.read(format!("{sysfs}/device/{name}")).ok();
        let scsi = page("vpd_pg83")
            .map(|page| vpd::identity(&page))
            .unwrap_or_default();
        let model = attribute("device/model");
        let long_serial = scsi.long_serial.or_else(|| {
            let parts = [
                collapse(vendor?),
                model.clone()?,
                scsi.short_serial.clone()?,
            ];
            Some(format!("0{}", parts.join("_").replace(' ', "_")))
        });
        Self {
            model,
            // `serial` beside the queue is virtio's and that of some others; `device/serial` is
            // NVMe's and that of memory cards.
            unit_serial: page("vpd_pg80")
                .and_then(|page| vpd::unit_serial(&page))
                .or_else(|| attribute("serial"))
                .or_else(|| attribute("device/serial")),
            short_serial: scsi.short_serial,
            long_serial,
            // `wwid` beside the queue is NVMe's; SCSI has `device/wwid` in another notation, which
            // nobody writes into a hint.
            wwn: scsi.wwn.or_else(|| attribute("wwid")),
            wwn_with_extension: scsi.wwn_with_extension,
            wwn_vendor_extension: scsi.wwn_vendor_extension,
        }
    }
}

/// A property of a disk, or of a device-mapper device.
fn udev_value(udev: &UdevRecord, name: &str) -> Option<String> {
    udev.property(&format!("ID_{name}"))
        .or_else(|| udev.property(&format!("DM_{name}")))
        .map(str::to_owned)
}

/// Trimmed, with one space for any run of white space, as lsblk does.
fn collapse(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn distinct<const N: usize>(values: [Option<String>; N]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for value in values.into_iter().flatten() {
        if !value.is_empty() && !kept.contains(&value) {
            kept.push(value);
        }
    }
    kept
}
