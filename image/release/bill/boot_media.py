"""Which packages gave what boots in an EFI system partition or an ISO image."""

import fnmatch

# Loaders that are copied as they are, and so are found in the image.
COPIED = ("usr/lib/shim/*.efi.signed", "usr/lib/grub/*-efi-signed/grub*.efi.signed")
# What a disc starts a BIOS by: GRUB made of its modules, behind the code for a boot sector, of which the image has all
# but the addresses.
BIOS = "usr/lib/grub/i386-pc/boot_hybrid.img"
CODE = slice(0x70, 0x1a0)


def packages(loaders, image):
    found = []
    for package in (package for package in loaders.packages if package.name.startswith(("grub-", "shim-"))):
        for path, data in package.contents(lambda path: path == BIOS or any(fnmatch.fnmatch(path, mask) for mask in COPIED)):
            here = data[CODE] == image[CODE] if path == BIOS else data in image
            if here and package not in found:
                found.append(package)
    if not found:
        raise SystemExit("sbom: no package has given the boot loaders of the boot media")
    return found
