//! Devices that can be virtual media, and how long they are waited for.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::super::network;
use crate::block::virtual_media::{BOOT_IMAGES, FLOPPY, SIZE_LIMIT, is_model, is_one_of};
use libblkid_rs::{BlkidProbe, BlkidSublks, BlkidSublksFlags};

/// How long a medium may take to appear: USB controllers need a few seconds. Booting over UEFI HTTP
/// sets `boot_method=vmedia` too and has no medium at all, so that this is counted from the agent's
/// start; where the medium must be there, from when udev has handled the devices of the boot.
pub(super) const APPEARANCE: Duration = Duration::from_secs(8);

/// How often it is looked for.
const POLL: Duration = Duration::from_millis(100);

/// A device that can be virtual media.
#[derive(Debug)]
pub(super) struct Medium {
    /// Its node.
    pub device: PathBuf,
    /// The file system's label, if there is one.
    pub label: Option<String>,
    /// Whether its controller calls it so.
    pub is_virtual_by_model: bool,
}

impl Medium {
    /// Whether its label is one of these, in capitals or not.
    pub(super) fn is_labelled(&self, labels: &[&str]) -> bool {
        self.label
            .as_ref()
            .is_some_and(|label| is_one_of(label, labels))
    }
}

/// The media that are there once the conductor's are, or once they are late. Where the parameters are known, those with
/// configuration are enough. Blocks.
pub(super) fn wait_for_media(
    root: &Path,
    parameters_known: bool,
    notes: &mut Vec<String>,
) -> Vec<Medium> {
    let started = Instant::now();
    let mut settled = None;
    loop {
        let media = media(root);
        let config = media.iter().any(|medium| medium.is_labelled(&BOOT_IMAGES));
        let floppy = media.iter().any(|medium| medium.is_labelled(&[FLOPPY]));
        if config && (floppy || parameters_known) {
            return media;
        }
        if settled.is_none() && network::has_settled(root) {
            settled = Some(Instant::now());
        }
        let since_settled = settled.map(|settled: Instant| settled.elapsed());
        if is_late(started.elapsed(), since_settled, parameters_known) {
            notes.push(missing(config, floppy, parameters_known));
            return media;
        }
        thread::sleep(POLL);
    }
}

/// What is said when no more media are waited for.
fn missing(config: bool, floppy: bool, parameters_known: bool) -> String {
    let missing = match (config, floppy || parameters_known) {
        (true, _) => "no stick with the conductor's parameters",
        (false, true) => "no image of the conductor's with configuration files",
        (false, false) => "neither a stick nor an image of the conductor's",
    };
    let rest = if floppy {
        "the parameters are the kernel's and those of the stick"
    } else {
        "the parameters are the kernel's alone"
    };
    format!("booted from virtual media, but {missing} has appeared; {rest}")
}

/// Whether media are waited for no longer, so long after the agent has started and udev has settled.
/// Before drivers are loaded no medium can appear, and the agent has nothing else to do.
fn is_late(since_start: Duration, since_settled: Option<Duration>, parameters_known: bool) -> bool {
    let late = since_settled.is_some_and(|since_settled| {
        let since = if parameters_known {
            since_start
        } else {
            since_settled
        };
        since > APPEARANCE
    });
    late || since_start > network::DEVICES
}

fn media(root: &Path) -> Vec<Medium> {
    let class = root.join("sys/class/block");
    let Ok(entries) = fs::read_dir(&class) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    names
        .iter()
        .filter(|name| can_be_medium(&class.join(name)))
        .map(|name| {
            let device = root.join("dev").join(name);
            let model = fs::read_to_string(class.join(name).join("device/model"));
            Medium {
                label: label(&device),
                is_virtual_by_model: model.is_ok_and(|model| is_model(&model)),
                device,
            }
        })
        .collect()
}

/// The reference's check, by sysfs: an optical drive, or a USB disk under 4 GiB; no partition, and
/// nothing that is stacked on other devices.
fn can_be_medium(block: &Path) -> bool {
    if block.join("partition").exists() {
        return false;
    }
    let stacked =
        fs::read_dir(block.join("slaves")).is_ok_and(|mut slaves| slaves.next().is_some());
    let has_device = block.join("device").exists();
    if stacked || !has_device {
        return false;
    }
    let number = |file: &str| -> Option<u64> {
        fs::read_to_string(block.join(file))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    // SCSI peripheral device type 5, CD/DVD (SPC-4, table 142).
    if number("device/type") == Some(5) {
        return true;
    }
    let over_usb = fs::canonicalize(block).is_ok_and(|path| {
        path.components()
            .any(|part| is_usb(part.as_os_str().as_encoded_bytes()))
    });
    // sysfs counts in units of 512 bytes, whatever the device's sectors are.
    over_usb && number("size").is_some_and(|sectors| sectors > 0 && sectors * 512 < SIZE_LIMIT)
}

fn is_usb(part: &[u8]) -> bool {
    part.strip_prefix(b"usb")
        .is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
}

/// The file system's label; `None` where there is no medium in the drive or no known file system.
fn label(device: &Path) -> Option<String> {
    let mut probe = BlkidProbe::new_from_filename(device).ok()?;
    probe.enable_superblocks(true).ok()?;
    probe
        .set_superblock_flags(BlkidSublksFlags::new(vec![BlkidSublks::Label]))
        .ok()?;
    probe.do_safeprobe().ok()?;
    probe.lookup_value("LABEL").ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A block device in sysfs: its place in the device tree, and the files in it.
    fn device(root: &Path, place: &str, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let directory = root
            .join("sys/devices")
            .join(place)
            .join("block")
            .join(name);
        for (file, content) in files {
            let path = directory.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let class = root.join("sys/class/block");
        fs::create_dir_all(&class).unwrap();
        symlink(&directory, class.join(name)).unwrap();
        class.join(name)
    }

    #[test]
    fn media_are_told_from_disks() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let usb = "pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0";
        let sata = "pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0";
        let disk = [("device/type", "0\n"), ("size", "2880\n")];
        let large = [("device/type", "0\n"), ("size", "8388608\n")];
        let optical = [("device/type", "5\n"), ("size", "2097151\n")];
        let partition = [
            ("partition", "1\n"),
            ("size", "2048\n"),
            ("device/type", "0\n"),
        ];
        for (place, name, files, expected) in [
            (usb, "sda", &disk[..], true),
            (usb, "sdb", &large, false),
            (usb, "sda1", &partition, false),
            (usb, "sr0", &optical, true),
            (sata, "sr1", &optical, true),
            (sata, "sdc", &disk, false),
            ("virtual", "loop0", &[("size", "2880\n")], false),
            (
                usb,
                "sdd",
                &[("device/type", "0\n"), ("size", "0\n")],
                false,
            ),
        ] {
            let path = device(root, place, name, files);
            assert_eq!(can_be_medium(&path), expected, "{name}");
        }
    }

    #[test]
    fn a_file_systems_label_is_read() {
        if !Path::new("/sbin/mkfs.vfat").exists() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("floppy.img");
        fs::write(&image, vec![0; 1_474_560]).unwrap();
        assert_eq!(label(&image), None);
        crate::sys::process::Program::new("/sbin/mkfs.vfat")
            .arg("-n")
            .arg("IR-VFD-DEV")
            .arg(image.to_str().unwrap())
            .run()
            .unwrap();
        let medium = Medium {
            label: label(&image),
            device: image,
            is_virtual_by_model: false,
        };
        assert!(medium.is_labelled(&[FLOPPY]), "{medium:?}");
    }

    #[test]
    fn media_that_must_come_are_waited_for_until_drivers_are_loaded() {
        let seconds = Duration::from_secs;
        for (since_start, since_settled, parameters_known, expected) in [
            (9, None, false, false),
            (9, None, true, false),
            (9, Some(1), true, true),
            (9, Some(1), false, false),
            (17, Some(9), false, true),
            (61, None, false, true),
        ] {
            assert_eq!(
                is_late(
                    seconds(since_start),
                    since_settled.map(seconds),
                    parameters_known
                ),
                expected,
                "{since_start} {since_settled:?} {parameters_known}"
            );
        }
    }

    #[test]
    fn what_has_not_appeared_is_said_and_where_the_parameters_are_from() {
        let kernel = "the parameters are the kernel's alone";
        for (config, floppy, known, expected) in [
            (false, false, true, ["no image of", kernel]),
            (false, false, false, ["neither a stick nor", kernel]),
            (true, false, false, ["no stick", kernel]),
            (
                false,
                true,
                false,
                ["no image of", "and those of the stick"],
            ),
        ] {
            let said = missing(config, floppy, known);
            assert!(expected.iter().all(|part| said.contains(part)), "{said}");
        }
    }
}
