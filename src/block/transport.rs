//! How a disk is attached: lsblk's TRAN.

use crate::sys::root::Root;

/// Transports by the beginning of a kernel name, for what is no SCSI device: lsblk of util-linux 2.41.
/// That of 2.38, which the reference's ramdisks of Debian 12 run, has no word for the last two, so that
/// a hint for them would match there and not here, or the other way round, by the age of a program.
const BY_NAME: [(&str, &str); 3] = [("nvme", "nvme"), ("vd", "virtio"), ("mmcblk", "mmc")];

/// `sata`, `sas`, `nvme`, `usb`, `fc`, `fcoe`, `iscsi`, `spi`, `sbp`, `ata`, `virtio` or `mmc`, as lsblk 2.41
/// decides; `None` where it does not know.
pub(crate) fn transport(root: &Root, kname: &str, sysfs: &str) -> Option<String> {
    let device = root.resolve(format!("{sysfs}/device"));
    let address = device
        .as_ref()
        .and_then(|path| path.file_name()?.to_str())
        .filter(|name| is_scsi_address(name));
    let Some(address) = address else {
        // A partition has no `device`, but keeps the disk's prefix.
        let mut known = BY_NAME.iter();
        return known
            .find(|(prefix, _)| kname.starts_with(prefix))
            .map(|(_, name)| (*name).to_owned());
    };
    let host = address.split(':').next().unwrap_or_default();
    let class = |class: &str| format!("/sys/class/{class}_host/host{host}");
    let host_is = |name: &str| root.is_dir(class(name));
    let has = |attribute: &str| root.exists(format!("{sysfs}/device/{attribute}"));
    let name = if host_is("spi") {
        "spi"
    } else if host_is("fc") {
        let name = root.attribute(format!("{}/symbolic_name", class("fc")))?;
        if name.contains(" over ") {
            "fcoe"
        } else {
            "fc"
        }
    } else if host_is("sas") || has("sas_device") {
        "sas"
    } else if has("ieee1394_id") {
        "sbp"
    } else if host_is("iscsi") {
        "iscsi"
    } else if device
        .as_ref()
        .is_some_and(|path| path.to_string_lossy().contains("usb"))
    {
        "usb"
    } else if host_is("scsi") {
        let driver = root.attribute(format!("{}/proc_name", class("scsi")))?;
        if driver.starts_with("ahci") || driver.starts_with("sata") {
            "sata"
        } else if driver.contains("ata") {
            "ata"
        } else {
            return None;
        }
    } else {
        return None;
    };
    Some(name.to_owned())
}

/// Whether this is host, channel, target and LUN: `0:0:0:0`.
fn is_scsi_address(name: &str) -> bool {
    let mut parts = 0;
    name.split(':').all(|part| {
        parts += 1;
        part.parse::<u64>().is_ok()
    }) && parts == 4
}
