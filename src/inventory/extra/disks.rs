//! Facts of disks.

use super::fact::{Fact, Facts};
use crate::sys::root::Root;

const BLOCK: &str = "/sys/block";
const BY_ID: &str = "/dev/disk/by-id";
const GB: u64 = 1_000_000_000;

/// Number of the disks, and for each what its driver and its queue tell.
pub(super) fn add(root: &Root, list: &mut Vec<Fact>) {
    let disks: Vec<(String, u64)> = root
        .names(BLOCK)
        .into_iter()
        .filter(|name| is_disk(root, name))
        .map(|name| {
            let sectors = root.number(format!("{BLOCK}/{name}/size")).unwrap_or(0);
            let size = sectors.saturating_mul(512) / GB;
            (name, size)
        })
        // Card readers without a card, and disks under 1 GB, which it takes for such.
        .filter(|(_, size)| *size > 0)
        .collect();
    Facts::of(list, "disk", "logical").add("count", Some(disks.len().to_string()));
    let links = links(root);
    for (name, size) in disks {
        let mut facts = Facts::of(list, "disk", &name);
        facts.add("size", Some(size.to_string()));
        attributes(root, &name, &mut facts);
        cache(root, &name, &mut facts);
        for (link, _) in links.iter().filter(|(_, disk)| *disk == name) {
            let kind = match link {
                link if link.starts_with("wwn") => "wwn-id",
                link if link.starts_with("scsi") => "scsi-id",
                _ => "id",
            };
            facts.add(kind, Some(link.as_str()));
        }
    }
}

/// SCSI, IDE and virtio disks, and NVMe namespaces; a namespace's hidden paths are no disks of
/// their own, though the reference lists them, too.
fn is_disk(root: &Root, name: &str) -> bool {
    let is_named_so = matches!(name.as_bytes(), [b's' | b'h' | b'v', b'd', ..]);
    let is_hidden = root.number(format!("{BLOCK}/{name}/hidden")) == Some(1);
    (is_named_so || name.starts_with("nvme")) && !is_hidden
}

fn attributes(root: &Root, disk: &str, facts: &mut Facts<'_>) {
    let attribute = |path: &str| root.attribute(format!("{BLOCK}/{disk}/{path}"));
    // An NVMe namespace belongs to a controller, and that to a PCI device.
    let of_device = |name: &str| {
        attribute(&format!("device/{name}")).or_else(|| attribute(&format!("device/device/{name}")))
    };
    facts.add("vendor", of_device("vendor"));
    facts.add("model", of_device("model"));
    match attribute("device/rev") {
        Some(revision) => facts.add("rev", Some(revision)),
        None => facts.add("revision", attribute("device/device/revision")),
    }
    for name in [
        "optimal_io_size",
        "physical_block_size",
        "rotational",
        "nr_requests",
    ] {
        facts.add(name, attribute(&format!("queue/{name}")));
    }
    let scheduler = attribute("queue/scheduler")
        .and_then(|all| Some(all.split_once('[')?.1.split_once(']')?.0.to_owned()));
    facts.add("scheduler", scheduler);
}

/// What a SCSI disk says of its caches. NVMe has no such switches.
fn cache(root: &Root, disk: &str, facts: &mut Facts<'_>) {
    let device = format!("{BLOCK}/{disk}/device");
    let Some(kind) = root
        .link_name(&device)
        .and_then(|address| root.attribute(format!("{device}/scsi_disk/{address}/cache_type")))
    else {
        return;
    };
    let writes = !matches!(kind.as_str(), "write through" | "none");
    // The kernel's word for a cache that writes and does not read is "daft".
    let no_reads = kind == "none" || kind.contains("daft");
    let flag = |set: bool| Some(if set { "1" } else { "0" });
    facts.add("Write Cache Enable", flag(writes));
    facts.add("Read Cache Disable", flag(no_reads));
}

/// udev's links, each with the name of the disk or partition that it leads to.
fn links(root: &Root) -> Vec<(String, String)> {
    root.names(BY_ID)
        .into_iter()
        .filter_map(|link| {
            let disk = root.link_name(format!("{BY_ID}/{link}"))?;
            Some((link, disk))
        })
        .collect()
}
