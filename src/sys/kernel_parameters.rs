//! The parameters of this boot, from one source for every reader: those of the kernel's command
//! line, and over them those that virtual media brought (contract/control-plane 1.3.1).
//!
//! The agent reads the media, once, and keeps their parameters in a file: for PID 1, for an agent
//! after it, and for a person's `farrier inventory`.

use std::io;

use super::private_file;
use super::root::Root;
use super::run_files;
use crate::config::KernelParameters;

/// The kernel's command line; empty where it cannot be read.
pub(crate) const COMMAND_LINE: &str = "/proc/cmdline";

/// Those of the kernel's command line, and over them those of virtual media once they are known.
///
/// Only the kernel's command line says whether the machine was booted from virtual media; without
/// that, kept parameters count for nothing.
pub(crate) fn all(root: &Root) -> KernelParameters {
    let mut parameters = of_command_line(root);
    if parameters.is_virtual_media_boot()
        && let Ok(text) = root.text(run_files::PARAMETERS)
    {
        parameters.merge(KernelParameters::parse(&text));
    }
    parameters
}

/// The texts of all, in which later ones count over earlier ones.
pub(crate) fn texts(root: &Root) -> Vec<String> {
    let line = root.text(COMMAND_LINE).unwrap_or_default();
    let is_media_boot = KernelParameters::parse(&line).is_virtual_media_boot();
    let kept = root.text(run_files::PARAMETERS).ok();
    let kept = kept.filter(|_| is_media_boot);
    [Some(line), kept].into_iter().flatten().collect()
}

/// Those of the kernel's command line alone.
pub(crate) fn of_command_line(root: &Root) -> KernelParameters {
    KernelParameters::parse(&root.text(COMMAND_LINE).unwrap_or_default())
}

/// Whether the media of this boot were looked at already.
pub(crate) fn are_kept(root: &Root) -> bool {
    root.exists(run_files::PARAMETERS)
}

/// Keep what virtual media brought, which may be nothing, for all later readers. The text may hold a
/// token: root alone can read it.
///
/// # Errors
/// The file cannot be written. Then only this process knows the parameters.
pub(crate) fn keep(root: &Root, text: &str) -> io::Result<()> {
    let directory = root
        .path("/")
        .join(run_files::DIRECTORY.trim_start_matches('/'));
    private_file::make_directory(&directory)?;
    private_file::replace(&root.path(run_files::PARAMETERS), text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_media_brought_is_seen_by_all_later_readers() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        assert_eq!(all(&root), KernelParameters::default());
        fs::create_dir(directory.path().join("proc")).unwrap();
        let line = |text: &str| fs::write(directory.path().join("proc/cmdline"), text).unwrap();
        line("boot_method=vmedia a=1 BOOTIF=x\n");
        assert!(!are_kept(&root));
        keep(&root, "BOOTIF=y\nfarrier.shell\nboot_method=pxe\n").unwrap();
        assert!(are_kept(&root));
        let parameters = all(&root);
        assert_eq!(parameters.boot_interface(), Some("y"));
        assert_eq!(parameters.value("a"), Some("1"));
        assert_eq!(parameters.value_or_word("farrier.shell"), Some(""));
        assert_eq!(of_command_line(&root).boot_interface(), Some("x"));
        let path = directory.path().join("run/farrier/parameters.txt");
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(texts(&root).len(), 2);
        // A machine that was booted otherwise is told nothing by a file.
        line("a=1 BOOTIF=x\n");
        assert_eq!(texts(&root), ["a=1 BOOTIF=x\n"]);
        assert_eq!(all(&root).boot_interface(), Some("x"));
    }
}
