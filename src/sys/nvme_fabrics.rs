//! Connections to NVMe subsystems over a network, which the kernel makes when it is asked through `/dev/nvme-fabrics`.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};

use crate::sys::root::Root;

const DEVICE: &str = "/dev/nvme-fabrics";

/// A kernel without the device, or a module that could not be loaded: [`io::ErrorKind::NotFound`]. Otherwise the name of
/// the new controller, `nvme3`.
///
/// `options` are the kernel's own, separated by commas: `transport=tcp,traddr=192.0.2.1,…`
/// (drivers/nvme/host/fabrics.c). Blocks until the controller is connected or the kernel gives up, 3 s for a TCP
/// connection that nobody answers and 60 s for a subsystem that says nothing.
pub(crate) fn connect(root: &Root, options: &str) -> io::Result<String> {
    let mut device = OpenOptions::new()
        .read(true)
        .write(true)
        .open(root.path(DEVICE))?;
    // In one write: the kernel connects at the end of each.
    if device.write(options.as_bytes())? != options.len() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    let mut answer = [0; 256];
    let length = device.read(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer[..length]);
    instance(&answer).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// `instance=3,cntlid=1`.
fn instance(answer: &str) -> Option<String> {
    let number = answer
        .split([',', '\n'])
        .find_map(|part| part.trim().strip_prefix("instance="))?;
    number.parse::<u32>().ok().map(|n| format!("nvme{n}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_names_the_controller() {
        assert_eq!(instance("instance=3,cntlid=1\n").as_deref(), Some("nvme3"));
        assert_eq!(instance("cntlid=1,instance=0").as_deref(), Some("nvme0"));
        assert_eq!(instance("instance=,cntlid=1"), None);
        assert_eq!(instance(""), None);
    }

    #[test]
    fn without_the_device_nothing_is_connected() {
        let root = tempfile::tempdir().unwrap();
        let error = connect(&Root::at(root.path()), "transport=tcp").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
