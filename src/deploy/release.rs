//! Taking apart what uses the root device, before an image is written to it: mounted file systems, swap,
//! arrays and volumes that a former tenant left.
//!
//! All of it has the root device below it. Where something protected lies below it too, nothing is taken apart, and
//! nothing written. What is on other disks stays as it is: an array that is stopped leaves their members unwritten,
//! but for the note that it was stopped, if it was written to.

mod survey;

use std::io;
use std::thread;
use std::time::Instant;

use farrier_plugin::Context;
use tracing::{info, warn};

pub(crate) use self::survey::Protected;
use self::survey::{Mounted, Survey};
use super::error::DeployError;
use crate::block::exclusive;
use crate::block::holders::kernel_name;
use crate::block::list::{ListedDevice, all_devices};
use crate::block::signatures::{self, Contents};
use crate::block::take_apart::take_apart;
use crate::sys::root::Root;
use crate::sys::{mount, swap};

/// Free the root device of what uses it.
///
/// Where something could not be taken apart, it stays and is told; who opens the device finds it again. A device
/// that the kernel does not list is left to the manager that chose it.
///
/// # Errors
/// [`DeployError::RootProtected`], [`DeployError::HolderProtected`], [`DeployError::RootMounted`] and
/// [`DeployError::RootSwapped`]: with nothing taken apart, where that is known before anything is.
pub(super) fn release(
    root: &Root,
    device: &str,
    protected: &Protected,
    context: &dyn Context,
) -> Result<(), DeployError> {
    let contents = |device: &ListedDevice| {
        let path = root.path(&device.device.name);
        signatures::contents(&path).unwrap_or_else(|error| {
            // What is on it could not be used by others either.
            let device = &device.device.name;
            warn!(device, %error, "could not be searched for shared file systems");
            Contents::default()
        })
    };
    let Some(kname) = kernel_name(root, device) else {
        return Ok(());
    };
    let devices = all_devices(root)?;
    let Some(survey) = Survey::of(root, &devices, &kname, protected, &contents)? else {
        return Ok(());
    };
    survey.check()?;
    let used = survey.in_the_way()?;
    if used.is_empty() {
        return Ok(());
    }
    survey.tell(&used);
    for swapped in &used.swaps {
        // What is in it belongs to programs that run: a volume with it must not be cut off.
        swap::off(&root.path(swapped)).map_err(|source| DeployError::RootSwapped {
            device: survey.name().to_owned(),
            part: swapped.clone(),
            source,
        })?;
        let device = swapped;
        info!(device, "swap is switched off, {}", survey.purpose());
    }
    for mounted in used.mounts.iter().rev() {
        unmount(&survey, root, mounted, context)?;
    }
    take_apart(root, used.holders, &survey.purpose(), context);
    // What was hidden in an array can be seen now.
    let devices = all_devices(root)?;
    match Survey::of(root, &devices, &kname, protected, &contents)? {
        Some(survey) => survey.check(),
        None => Ok(()),
    }
}

/// Unmount, waiting for programs that have a file open there.
fn unmount(
    survey: &Survey<'_>,
    root: &Root,
    mounted: &Mounted<'_>,
    context: &dyn Context,
) -> Result<(), DeployError> {
    let deadline = Instant::now() + exclusive::LIMIT;
    loop {
        let outcome = match root.is_system() {
            true => mount::unmount(&mounted.place),
            false => Err(io::ErrorKind::Unsupported.into()),
        };
        match outcome {
            Ok(()) => {
                let device = &mounted.part.device.name;
                info!(
                    device,
                    place = mounted.place,
                    "unmounted, {}",
                    survey.purpose()
                );
                return Ok(());
            }
            Err(error)
                if error.raw_os_error() == Some(libc::EBUSY)
                    && Instant::now() < deadline
                    && !context.is_cancelled() =>
            {
                thread::sleep(exclusive::PAUSE);
            }
            Err(error) => {
                return Err(survey.mounted(mounted, format!("it cannot be unmounted: {error}")));
            }
        }
    }
}

#[cfg(test)]
mod tests;
