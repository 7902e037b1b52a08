//! What an NVMe controller says about itself, as far as an erase needs it.
//!
//! Field positions are those of the NVM Express base specification 1.4, figures 247 (controller) and
//! 245 (namespace), which later versions keep.

use crate::erase::drive::offer::Subsystem;
use crate::erase::drive::watch::Standing;
use crate::sys::nvme::{self, NvmeError};
use crate::sys::root::Root;

/// Identify data structures by their number, CNS.
const NAMESPACE: u8 = 0x00;
const CONTROLLER: u8 = 0x01;
const ACTIVE_NAMESPACES: u8 = 0x02;
const ALLOCATED_NAMESPACES: u8 = 0x10;

/// Capabilities of a controller.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::erase) struct Controller {
    /// OACS bit 1: Format NVM.
    pub(in crate::erase) format: bool,
    /// OACS bit 3: Namespace Management, with which namespaces can exist that are not attached.
    pub(in crate::erase) namespace_management: bool,
    /// FNA bits 0 and 1: a format, or its secure erase, is one of all namespaces.
    pub(in crate::erase) format_is_of_all: bool,
    /// FNA bit 2: a format can erase by a new key.
    pub(in crate::erase) format_crypto: bool,
    /// SANICAP bits 0 to 2.
    pub(in crate::erase) sanitize_crypto: bool,
    pub(in crate::erase) sanitize_block: bool,
    pub(in crate::erase) sanitize_overwrite: bool,
}

/// How a namespace is formatted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::erase) struct Namespace {
    /// Index of the LBA format, from 0.
    format: u8,
    /// Metadata lies at the end of each block.
    extended: bool,
    /// Protection information: type, and whether it comes first.
    protection: u8,
    protection_first: bool,
}

/// How the last sanitize ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::erase) enum SanitizeEnd {
    Never,
    Done,
    Failed,
}

/// Read what a plan for this device is made of, for a recording. A device that does not answer has
/// nothing to record.
pub(crate) fn read_capabilities(root: &Root, device: &str) {
    let _ = Facts::read(root, device);
}

/// All that a plan needs to know of a namespace's device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Facts {
    pub(super) controller: Controller,
    pub(super) subsystem: Subsystem,
    /// It is reached over a network: the subsystem is a storage system's, which others use too.
    pub(super) is_remote: bool,
}

impl Controller {
    /// Where the answer is whole.
    pub(in crate::erase) fn parse(data: &[u8]) -> Option<Self> {
        let oacs = le16(data, 256)?;
        let sanicap = le16(data, 328)?;
        let fna = *data.get(524)?;
        Some(Self {
            format: oacs & 1 << 1 != 0,
            namespace_management: oacs & 1 << 3 != 0,
            format_is_of_all: fna & 0b11 != 0,
            format_crypto: fna & 1 << 2 != 0,
            sanitize_crypto: sanicap & 1 != 0,
            sanitize_block: sanicap & 1 << 1 != 0,
            sanitize_overwrite: sanicap & 1 << 2 != 0,
        })
    }

    /// Whether it has the sanitize command.
    pub(in crate::erase) fn sanitizes(&self) -> bool {
        self.sanitize_crypto || self.sanitize_block || self.sanitize_overwrite
    }
}

impl Namespace {
    pub(in crate::erase) fn parse(data: &[u8]) -> Option<Self> {
        let size = data.get(..8)?;
        let flbas = *data.get(26)?;
        let dps = *data.get(29)?;
        // A namespace that is not active answers with zeros.
        size.iter().any(|byte| *byte != 0).then_some(Self {
            // Bits 6:5 are the upper bits where there are more than 16 formats, and else zero.
            format: flbas & 0x0f | (flbas >> 5 & 0b11) << 4,
            extended: flbas & 1 << 4 != 0,
            protection: dps & 0b111,
            protection_first: dps & 1 << 3 != 0,
        })
    }

    /// Dword 10 of a Format NVM that keeps everything as it is and erases with this setting (SES):
    /// 1 user data, 2 cryptographic.
    pub(in crate::erase) fn format_dword(self, secure_erase: u32) -> u32 {
        let format = u32::from(self.format);
        format & 0x0f
            | u32::from(self.extended) << 4
            | u32::from(self.protection) << 5
            | u32::from(self.protection_first) << 8
            | secure_erase << 9
            | (format >> 4) << 12
    }
}

/// Where a sanitize stands, by its log page (figure 214). `None` for an answer that makes no sense.
pub(in crate::erase) fn sanitize_standing(data: &[u8]) -> Option<Standing<SanitizeEnd>> {
    let progress = le16(data, 0)?;
    match le16(data, 2)? & 0b111 {
        0 => Some(Standing::Ended(SanitizeEnd::Never)),
        // 4: and deallocated, although it was asked not to.
        1 | 4 => Some(Standing::Ended(SanitizeEnd::Done)),
        2 => Some(Standing::Running(progress)),
        3 => Some(Standing::Ended(SanitizeEnd::Failed)),
        _ => None,
    }
}

/// The numbers of a namespace list, which ends with a zero.
pub(in crate::erase) fn namespace_list(data: &[u8]) -> Vec<u32> {
    data.chunks_exact(4)
        .map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        .take_while(|number| *number != 0)
        .collect()
}

impl Facts {
    /// Read them. `Ok(None)` where the device is no NVMe namespace.
    pub(in crate::erase) fn read(root: &Root, device: &str) -> Result<Option<Self>, NvmeError> {
        let kname = device.trim_start_matches("/dev/");
        if namespace_number(root, device).is_none() {
            return Ok(None);
        }
        let unreadable = || NvmeError::NotRecorded {
            asked: format!("{device}: the identify data is cut short"),
        };
        let controller = Controller::parse(&nvme::identify(root, device, CONTROLLER, 0)?)
            .ok_or_else(unreadable)?;
        let nqn = |kname: &str| root.attribute(format!("{}/device/subsysnqn", place(kname)));
        // Controllers before 1.2.1 need have no name; then a controller is its own subsystem.
        let subsystem = nqn(kname)
            .or_else(|| root.link_name(format!("{}/device", place(kname))))
            .unwrap_or_else(|| kname.to_owned());
        let siblings: Vec<String> = root
            .names_beginning("/sys/block", "nvme")
            .into_iter()
            .filter(|other| {
                let other_subsystem =
                    nqn(other).or_else(|| root.link_name(format!("{}/device", place(other))));
                other == kname || other_subsystem.as_deref() == Some(subsystem.as_str())
            })
            // A path of a multipath namespace is not shown beside it.
            .filter(|other| root.number(format!("{}/hidden", place(other))) != Some(1))
            .collect();
        let shown: Vec<u32> = siblings
            .iter()
            .filter_map(|other| namespace_number(root, other))
            .collect();
        let mut existing = list(root, device, ACTIVE_NAMESPACES);
        if controller.namespace_management {
            existing.extend(list(root, device, ALLOCATED_NAMESPACES));
        }
        existing.sort_unstable();
        existing.dedup();
        let devices = siblings.into_iter().map(|name| format!("/dev/{name}"));
        Ok(Some(Self {
            controller,
            is_remote: is_remote(root, device),
            subsystem: Subsystem {
                name: subsystem,
                devices: devices.collect(),
                without_device: existing
                    .into_iter()
                    .filter(|number| !shown.contains(number))
                    .collect(),
            },
        }))
    }
}

/// Whether this is a namespace of which a controller is on a network; also where no controller says what it is on. With
/// several ways to it the kernel shows the subsystem in place of a controller, and the controllers in that.
pub(in crate::erase) fn is_remote(root: &Root, device: &str) -> bool {
    if namespace_number(root, device).is_none() {
        return false;
    }
    let parent = format!("{}/device", place(device));
    let ways = root.names_beginning(&parent, "nvme");
    let mut places = vec![parent.clone()];
    places.extend(ways.iter().map(|way| format!("{parent}/{way}")));
    let mut transports = places
        .iter()
        .filter_map(|place| root.attribute(format!("{place}/transport")))
        .peekable();
    transports.peek().is_none()
        || transports.any(|transport| !matches!(&*transport, "pcie" | "apple-nvme"))
}

/// The number of the namespace whose device this is; none for every other device.
pub(super) fn namespace_number(root: &Root, device: &str) -> Option<u32> {
    let number = root.number(format!("{}/nsid", place(device)))?;
    u32::try_from(number).ok()
}

/// Where sysfs has a device.
fn place(device: &str) -> String {
    format!("/sys/block/{}", device.trim_start_matches("/dev/"))
}

/// The namespaces of one list; none where the controller does not have that list.
fn list(root: &Root, device: &str, cns: u8) -> Vec<u32> {
    nvme::identify(root, device, cns, 0).map_or_else(|_| Vec::new(), |data| namespace_list(&data))
}

/// How a namespace is formatted now.
pub(in crate::erase) fn namespace_of(
    controller: &dyn nvme::NvmeAdmin,
    namespace: u32,
) -> Result<Option<Namespace>, NvmeError> {
    let data = nvme::identify_of(controller, NAMESPACE, namespace)?;
    Ok(Namespace::parse(&data))
}

fn le16(data: &[u8], offset: usize) -> Option<u16> {
    let bytes = data.get(offset..offset.checked_add(2)?)?;
    Some(u16::from_le_bytes([bytes[0], bytes[1]]))
}

/// What a controller could answer, of any length.
#[cfg(any(test, fuzzing))]
pub(in crate::erase) fn fuzz(data: &[u8]) {
    let _ = Controller::parse(data).map(|controller| controller.sanitizes());
    if let Some(namespace) = Namespace::parse(data) {
        let dword = namespace.format_dword(2);
        assert_eq!(dword >> 14, 0, "only fields that exist");
        assert_eq!(dword >> 9 & 0b111, 2);
    }
    let _ = sanitize_standing(data);
    assert!(namespace_list(data).iter().all(|number| *number != 0));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sys::recording::Recording;

    /// Composed by hand after the specification.
    pub(in crate::erase) fn controller_page(oacs: u16, fna: u8, sanicap: u16) -> Vec<u8> {
        let mut page = vec![0; nvme::IDENTIFY];
        page[256..258].copy_from_slice(&oacs.to_le_bytes());
        page[328..330].copy_from_slice(&sanicap.to_le_bytes());
        page[524] = fna;
        page
    }

    #[test]
    fn capabilities_are_the_bits_of_the_specification() {
        let controller = Controller::parse(&controller_page(0b1010, 0b110, 0b011)).unwrap();
        assert_eq!(
            controller,
            Controller {
                format: true,
                namespace_management: true,
                format_is_of_all: true,
                format_crypto: true,
                sanitize_crypto: true,
                sanitize_block: true,
                sanitize_overwrite: false,
            }
        );
        assert!(
            !Controller::parse(&controller_page(0, 0, 0))
                .unwrap()
                .sanitizes()
        );
        assert_eq!(Controller::parse(&[0; 500]), None);
    }

    #[test]
    fn a_format_keeps_what_the_namespace_is() {
        let mut page = vec![0; nvme::IDENTIFY];
        assert_eq!(Namespace::parse(&page), None);
        page[0] = 1;
        // LBA format 3, metadata at the end, protection type 2 in the first bytes.
        page[26] = 0x13;
        page[29] = 0x0a;
        let namespace = Namespace::parse(&page).unwrap();
        assert_eq!(
            namespace.format_dword(1),
            0x3 | 0x10 | 2 << 5 | 1 << 8 | 1 << 9
        );
        // LBA format 18.
        page[26] = 0x22;
        page[29] = 0;
        let namespace = Namespace::parse(&page).unwrap();
        assert_eq!(namespace.format_dword(2), 0x2 | 2 << 9 | 1 << 12);
    }

    #[test]
    fn siblings_and_namespaces_without_device_are_found() {
        let recording = Recording::unpack(
            "/sys/block/nvme0n1/nsid = 1\n\
             /sys/block/nvme0n1/device/subsysnqn = nqn.a\n\
             /sys/block/nvme0n2/nsid = 2\n\
             /sys/block/nvme0n2/device/subsysnqn = nqn.a\n\
             /sys/block/nvme0c0n1/nsid = 1\n\
             /sys/block/nvme0c0n1/hidden = 1\n\
             /sys/block/nvme0c0n1/device/subsysnqn = nqn.a\n\
             /sys/block/nvme1n1/nsid = 1\n\
             /sys/block/nvme1n1/device/subsysnqn = nqn.b",
        );
        let mut page = controller_page(0b1010, 0, 0);
        page.truncate(525);
        recording.add(&format!(
            "/recorded/nvme.json = {{\"/dev/nvme0n1 identify 1 0\": \"{}\", \
             \"/dev/nvme0n1 identify 2 0\": \"0100000002000000\", \
             \"/dev/nvme0n1 identify 16 0\": \"010000000200000007000000\"}}",
            crate::sys::hex::encode(&page)
        ));
        let facts = Facts::read(&recording.root(), "/dev/nvme0n1")
            .unwrap()
            .unwrap();
        let subsystem = facts.subsystem;
        assert_eq!(subsystem.devices, ["/dev/nvme0n1", "/dev/nvme0n2"]);
        assert_eq!(subsystem.without_device, [7]);
        let namespace = namespace_number(&recording.root(), "/dev/nvme0n1");
        assert_eq!((namespace, subsystem.name.as_str()), (Some(1), "nqn.a"));
        assert_eq!(Facts::read(&recording.root(), "/dev/sda").unwrap(), None);
        assert!(Facts::read(&recording.root(), "/dev/nvme1n1").is_err());
    }

    proptest! {
        #[test]
        fn no_answer_is_too_short_or_too_wild(
            data in proptest::collection::vec(any::<u8>(), 0..5000)
        ) {
            fuzz(&data);
        }
    }
}
