"""Debian's signed boot loaders, for virtual media of servers with Secure Boot."""

import subprocess
from pathlib import Path

# Where Debian's packages lay shim and GRUB, and where a firmware and shim look for them.
LOADERS = {'usr/lib/shim/shimx64.efi.signed': 'BOOTX64.EFI',
           'usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed': 'grubx64.efi'}
SIZE_MIB = 8


def signed_esp(partition_image: Path, folder: Path) -> Path:
    """An EFI system partition for the ISO that Ironic builds, made once a folder.

    The loaders are those in the lab's partition image. This GRUB looks for its configuration in
    EFI/debian; Ironic's is beside the loaders on the ISO (`[DEFAULT]grub_config_path`).
    """
    image = folder / 'signed-esp.img'
    if image.exists():
        return image
    partial = image.with_suffix('.partial')
    with open(partial, 'wb') as file:
        file.truncate(SIZE_MIB * 1024 * 1024)
    _run('mkfs.vfat', partial)
    _run('mmd', '-i', partial, '::EFI', '::EFI/BOOT', '::EFI/debian')
    for source, target in LOADERS.items():
        loader = folder / target
        _run('debugfs', '-R', f'dump /{source} {loader}', partition_image)
        _run('mcopy', '-i', partial, loader, f'::EFI/BOOT/{target}')
    config = folder / 'signed-grub.cfg'
    config.write_text('search --no-floppy --set=root --file /EFI/BOOT/grub.cfg\n'
                      'configfile /EFI/BOOT/grub.cfg\n')
    _run('mcopy', '-i', partial, config, '::EFI/debian/grub.cfg')
    partial.rename(image)
    return image


def _run(*command):
    subprocess.run(command, check=True, capture_output=True)
