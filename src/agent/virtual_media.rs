//! Parameters and configuration on virtual media (contract/control-plane 1.3.1, 1.3.2).

use std::fs::{self, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use farrier_plugin::chain;

use self::medium::{Medium, wait_for_media};
use crate::block::virtual_media::{BOOT_IMAGES, FLOPPY};
use crate::config::KernelParameters;
use crate::init;
use crate::net::network_data;
use crate::sys::mounted::Mounted;
use crate::sys::root::Root;
use crate::sys::{kernel_parameters, private_file, run_files, text_encoding};

mod medium;

/// File systems that conductors and BMCs make.
const FILE_SYSTEMS: [&str; 2] = ["iso9660", "vfat"];

/// Where configuration lies, on the medium and on this machine.
const CONFIG_DIRECTORIES: [&str; 2] = ["etc/ironic-python-agent", "etc/ironic-python-agent.d"];

/// Where network data lie on the medium, in a directory for each version of their format.
const OPENSTACK: &str = "openstack";

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
    // With a URL on the kernel's line, the parameters are there too, and the boot ISO is enough.
    let media = wait_for_media(root, !parameters.awaits_virtual_media(), notes);
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
    private_file::replace(to, &bytes)
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
    let partial = to.with_added_extension("partial");
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
