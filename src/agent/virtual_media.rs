//! Parameters and configuration on virtual media (contract/control-plane 1.3.1, 1.3.2).

use std::fs::{self, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use farrier_plugin::chain;

use super::network;
use crate::block::virtual_media::{BOOT_IMAGES, FLOPPY, SIZE_LIMIT, is_model, is_one_of};
use crate::config::KernelParameters;
use crate::init;
use crate::net::network_data;
use crate::sys::mounted::Mounted;
use crate::sys::root::Root;
use crate::sys::{kernel_parameters, private_file, run_files, text_encoding};
use libblkid_rs::{BlkidProbe, BlkidSublks, BlkidSublksFlags};

/// File systems that conductors and BMCs make.
const FILE_SYSTEMS: [&str; 2] = ["iso9660", "vfat"];

/// Where configuration lies, on the medium and on this machine.
const CONFIG_DIRECTORIES: [&str; 2] = ["etc/ironic-python-agent", "etc/ironic-python-agent.d"];

/// Where network data lie on the medium, in a directory for each version of their format.
const OPENSTACK: &str = "openstack";

/// How long a medium may take to appear: USB controllers need a few seconds. Booting over UEFI HTTP
/// sets `boot_method=vmedia` too and has no medium at all, so that this is counted from the agent's
/// start; where the medium must be there, from when udev has handled the devices of the boot.
const APPEARANCE: Duration = Duration::from_secs(8);

/// How often it is looked for.
const POLL: Duration = Duration::from_millis(100);

/// Why virtual media cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VirtualMediaError {
    /// The medium cannot be mounted.
    #[error("Could not mount the virtual medium {device}")]
    Mount {
        /// The medium.
        device: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The medium for parameters has none.
    #[error("Could not read parameters.txt on the virtual medium {device}")]
    Parameters {
        /// The medium.
        device: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A configuration file cannot be copied.
    #[error("Could not copy {path} from the virtual medium {device}")]
    Copy {
        /// The medium.
        device: PathBuf,
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// What there is to say about virtual media: options decide about the log, so there is none yet.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// What was done.
    pub notes: Vec<String>,
    /// What failed. Without its media the agent may still work, and its log can tell.
    pub failures: Vec<VirtualMediaError>,
}

/// The parameters of this boot. Where the kernel says that the machine was booted from virtual
/// media, the medium's parameters are put over the kernel's and kept for all who read them later,
/// among them PID 1, which is told; and the medium's configuration files are copied to where they
/// are read. An agent that is started again takes what was kept, with the medium or without.
///
/// A medium that does not appear in time is done without, and so is what cannot be read of one: management
/// controllers eject media once the kernel runs, or in the middle of a file. Blocks.
pub(crate) fn prepare(root: &Path) -> (KernelParameters, Prepared) {
    let tree = Root::at(root);
    let mut parameters = kernel_parameters::all(&tree);
    let mut prepared = Prepared::default();
    if !parameters.is_virtual_media_boot() {
        return (parameters, prepared);
    }
    if kernel_parameters::are_kept(&tree) {
        prepared.notes.push(
            "the parameters of virtual media are those that an agent before this one took"
                .to_owned(),
        );
    } else {
        prepare_from_media(&tree, root, &mut parameters, &mut prepared);
    }
    // Each time: the agent before may have died before it could say so.
    if tree.is_system() {
        init::parameters_known();
    }
    (parameters, prepared)
}

fn prepare_from_media(
    tree: &Root,
    root: &Path,
    parameters: &mut KernelParameters,
    prepared: &mut Prepared,
) {
    let mut found = String::new();
    prepared.failures = read_media(root, parameters, &mut found, &mut prepared.notes);
    parameters.merge(KernelParameters::parse(&found));
    // After a failure the next agent tries again.
    if prepared.failures.is_empty()
        && let Err(error) = kernel_parameters::keep(tree, &found)
    {
        prepared.notes.push(format!(
            "the parameters of virtual media cannot be kept for others: {}",
            chain(&error)
        ));
    }
}

/// Look at the media: the parameters of one, the configuration of the other. What one of them does not give
/// takes nothing away of the other. Returns what failed.
fn read_media(
    root: &Path,
    parameters: &KernelParameters,
    found: &mut String,
    notes: &mut Vec<String>,
) -> Vec<VirtualMediaError> {
    let mut failures = Vec::new();
    let media = wait_for_media(root, parameters, notes);
    match take_parameters(&media, notes) {
        Ok(text) => *found = text,
        Err(error) => failures.push(error),
    }
    let boot_images: Vec<&Medium> = media
        .iter()
        .filter(|medium| medium.is_labelled(&BOOT_IMAGES))
        .collect();
    if boot_images.is_empty() {
        notes.push("there is no virtual medium with configuration files".to_owned());
    }
    let mut has_network_data = false;
    for (number, medium) in boot_images.into_iter().enumerate() {
        let mounted = match mount(medium) {
            Ok(mounted) => mounted,
            Err(error) => {
                failures.push(error);
                continue;
            }
        };
        // The network first: without it nobody hears of what fails after it.
        if !has_network_data {
            match take_network_data(medium, mounted.path(), root, notes) {
                Ok(has) => has_network_data = has,
                Err(error) => failures.push(error),
            }
        }
        if number == 0
            && let Err(error) = copy_configuration(medium, mounted.path(), root, notes)
        {
            failures.push(error);
        }
    }
    failures
}

/// The parameters of the stick by its label, else of the first device that a controller calls virtual media; empty
/// where there is neither. By its name that can be the disc as well, which has no such file.
fn take_parameters(media: &[Medium], notes: &mut Vec<String>) -> Result<String, VirtualMediaError> {
    if let Some(stick) = media.iter().find(|medium| medium.is_labelled(&[FLOPPY])) {
        return read_parameters(stick, notes);
    }
    let Some(medium) = media.iter().find(|medium| medium.is_virtual_by_model) else {
        return Ok(String::new());
    };
    none_without_file(read_parameters(medium, notes), notes)
}

fn none_without_file(
    result: Result<String, VirtualMediaError>,
    notes: &mut Vec<String>,
) -> Result<String, VirtualMediaError> {
    match result {
        Err(VirtualMediaError::Parameters { device, source })
            if source.kind() == io::ErrorKind::NotFound =>
        {
            notes.push(format!(
                "the virtual medium {} has no parameters.txt",
                device.display()
            ));
            Ok(String::new())
        }
        result => result,
    }
}

/// A device that can be virtual media.
#[derive(Debug)]
struct Medium {
    device: PathBuf,
    label: Option<String>,
    is_virtual_by_model: bool,
}

impl Medium {
    fn is_labelled(&self, labels: &[&str]) -> bool {
        self.label
            .as_ref()
            .is_some_and(|label| is_one_of(label, labels))
    }
}

fn wait_for_media(
    root: &Path,
    parameters: &KernelParameters,
    notes: &mut Vec<String>,
) -> Vec<Medium> {
    let started = Instant::now();
    // With a URL on the kernel's line, the parameters are there too, and the boot ISO is enough.
    let parameters_known = !parameters.awaits_virtual_media();
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

fn read_parameters(medium: &Medium, notes: &mut Vec<String>) -> Result<String, VirtualMediaError> {
    let mounted = mount(medium)?;
    let text = parameters_of(mounted.path()).map_err(|source| VirtualMediaError::Parameters {
        device: medium.device.clone(),
        source,
    })?;
    notes.push(format!(
        "took parameters from the virtual medium {}",
        medium.device.display()
    ));
    Ok(text)
}

fn parameters_of(medium: &Path) -> io::Result<String> {
    let text = fs::read(medium.join("parameters.txt"))?;
    Ok(text_encoding::decode(&text).into_owned())
}

/// Keep the medium's network data for `farrier-network`, which reads it. Returns whether there is any.
fn take_network_data(
    medium: &Medium,
    mounted: &Path,
    root: &Path,
    notes: &mut Vec<String>,
) -> Result<bool, VirtualMediaError> {
    let Some(path) = network_data(&mounted.join(OPENSTACK)) else {
        return Ok(false);
    };
    let kept = root.join(run_files::NETWORK_DATA.trim_start_matches('/'));
    keep_bounded(&path, &kept).map_err(|source| VirtualMediaError::Copy {
        device: medium.device.clone(),
        path,
        source,
    })?;
    notes.push(format!(
        "took network data from the virtual medium {}",
        medium.device.display()
    ));
    Ok(true)
}

/// The file with network data: the latest version's, else that of the newest dated one, as cloud-init chooses.
fn network_data(openstack: &Path) -> Option<PathBuf> {
    let mut versions: Vec<String> = fs::read_dir(openstack)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(|first: char| first.is_ascii_digit()))
        .collect();
    versions.sort();
    versions.push("latest".to_owned());
    let mut files = versions
        .iter()
        .rev()
        .map(|version| openstack.join(version).join("network_data.json"));
    files.find(|file| file.is_file())
}

/// One byte more than is read of it is kept of a file that is too long, so that its reader says so.
fn keep_bounded(from: &Path, to: &Path) -> io::Result<()> {
    let mut bytes = Vec::new();
    let limit = network_data::LIMIT as u64 + 1;
    fs::File::open(from)?.take(limit).read_to_end(&mut bytes)?;
    if let Some(directory) = to.parent() {
        private_file::make_directory(directory)?;
    }
    let partial = to.with_extension("new");
    private_file::write(&partial, &bytes)?;
    fs::rename(partial, to)
}

fn copy_configuration(
    medium: &Medium,
    mounted: &Path,
    root: &Path,
    notes: &mut Vec<String>,
) -> Result<(), VirtualMediaError> {
    for directory in CONFIG_DIRECTORIES {
        let copied = copy_files(&mounted.join(directory), &root.join(directory)).map_err(
            |(path, source)| VirtualMediaError::Copy {
                device: medium.device.clone(),
                path,
                source,
            },
        )?;
        for path in copied {
            notes.push(format!(
                "took {} from the virtual medium {}",
                path.display(),
                medium.device.display()
            ));
        }
    }
    Ok(())
}

/// Copy the regular files of a directory and say where to; one that does not exist has none.
fn copy_files(from: &Path, to: &Path) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
    let mut copied = Vec::new();
    let entries = match fs::read_dir(from) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(copied),
        Err(error) => return Err((from.to_owned(), error)),
    };
    fs::create_dir_all(to).map_err(|error| (to.to_owned(), error))?;
    for entry in entries {
        let entry = entry.map_err(|error| (from.to_owned(), error))?;
        let path = entry.path();
        if path.is_file() {
            let copy = to.join(entry.file_name());
            copy_whole(&path, &copy).map_err(|error| (path.clone(), error))?;
            copied.push(copy);
        }
    }
    Ok(copied)
}

/// Half a file of a medium that was ejected meanwhile would be wrong configuration, or half a CA. Under a name
/// that no reader of these directories takes, until it is whole; and there are secrets in some, while FAT has no modes.
fn copy_whole(from: &Path, to: &Path) -> io::Result<()> {
    let mut name = to.as_os_str().to_owned();
    name.push(".partial");
    let partial = PathBuf::from(name);
    fs::copy(from, &partial)
        .and_then(|_| fs::set_permissions(&partial, Permissions::from_mode(0o600)))
        .and_then(|()| fs::rename(&partial, to))
        .inspect_err(|_| {
            let _ = fs::remove_file(&partial);
        })
}

fn mount(medium: &Medium) -> Result<Mounted, VirtualMediaError> {
    let mut failure = io::Error::from(io::ErrorKind::NotFound);
    for file_system in FILE_SYSTEMS {
        match Mounted::read_only(&medium.device, file_system) {
            Ok(mounted) => return Ok(mounted),
            Err(error) => failure = error,
        }
    }
    Err(VirtualMediaError::Mount {
        device: medium.device.clone(),
        source: failure,
    })
}

#[cfg(test)]
mod tests;
