//! The files of GRUB's that are read from an image, as bytes of a stranger's.

use super::core_image::Parts;
use super::kernel_image;
use super::module_list::ModuleList;

/// One content as each of them.
pub(in crate::deploy) fn files(data: &[u8]) {
    if let Ok(list) = ModuleList::parse(data) {
        let wanted = ["ext2", "part_gpt", "biosdisk"];
        let modules = list.closure(&wanted);
        assert!(wanted.iter().all(|name| modules.contains(name)));
    }
    // Both what may be no kernel, and one that is whole but for what is given.
    let mut disk_boot = vec![0; 512];
    disk_boot[510..].copy_from_slice(&[0x20, 0x08]);
    let kernel = kernel_image::fixture(&[(0x9000, Ok(b"code")), (0x9010, Err(64))]);
    let mut changed = kernel.clone();
    for (byte, change) in changed.iter_mut().zip(data) {
        *byte ^= change;
    }
    for kernel in [data, &kernel, &changed] {
        let core = Parts {
            directory: "/usr/lib/grub/i386-pc",
            disk_boot: &disk_boot,
            decompressor: &[0; 0x100],
            kernel,
            modules: &[data.to_vec()],
            prefix: "(,gpt2)/boot/grub",
        }
        .compose();
        if let Ok(core) = core {
            assert_eq!(core.size(), core.at(1).len() as u64);
        }
    }
}
