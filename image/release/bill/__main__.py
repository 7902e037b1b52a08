"""bill ARCHITECTURE FOLDER RAMDISK: writes FOLDER/farrier.cdx.json, the bill of materials of the release in FOLDER.

RAMDISK is where image/build and image/iso left the packages that they took files from. Everything is read from the
files that are shipped and from what they were made of; a file, library or package that nothing accounts for stops it.
"""

import hashlib
import os
import pathlib
import sys

import archive
import boot_media
import crates
import debian
import document

# Programs of ours, by the file and the package of the workspace.
PROGRAMS = {"farrier": "farrier", "farrier-plugin-host": "farrier-plugin-host"}


def main(architecture, folder, ramdisk):
    bill = document.Bill(os.environ["RELEASE_VERSION"], architecture, int(os.environ["SOURCE_DATE_EPOCH"]))
    for name in sorted(path.name for path in folder.iterdir()):
        if name != document.FILE:
            bill.file(name, hashlib.sha256((folder / name).read_bytes()).hexdigest())

    files = archive.files((folder / "initrd.img").read_bytes())
    for name in PROGRAMS:
        if files[f"usr/bin/{name}"].data != (folder / name).read_bytes():
            sys.exit(f"sbom: {name} is not the one in initrd.img; build both again (make iso)")
    packages = debian.Packages(ramdisk / "cache", architecture)
    taken = packages.that_gave(files)
    for package in taken:
        bill.package(package)
        bill.depends("initrd.img", package.reference)
    bill.packages_depend(taken)

    kernel = packages.of_kernel((folder / "vmlinuz").read_bytes())
    bill.package(kernel)
    bill.depends("vmlinuz", kernel.reference)

    for name, package in PROGRAMS.items():
        linked = crates.linked(package, architecture)
        bill.crates(name, linked)
        bill.depends("initrd.img", name)
        # What a program links to when it starts is in the ramdisk; what it was linked with is of the machine that did it.
        static = crates.static_libraries(architecture) if package == "farrier" else []
        for library in static:
            bill.package(library)
            bill.depends(name, library.reference)
        if not static:
            for library in taken:
                if library.name in ("libc6", "libgcc-s1"):
                    bill.depends(name, library.reference)
        for vendored in crates.vendored(linked):
            bill.vendored(vendored)
    compiler = crates.compiler()
    bill.standard_library(compiler, PROGRAMS)

    loaders = debian.Packages(ramdisk / "iso/cache", architecture)
    for name in ("esp.img", "farrier.iso"):
        if (folder / name).exists():
            for package in boot_media.packages(loaders, (folder / name).read_bytes()):
                bill.package(package)
                bill.depends(name, package.reference)
    if (folder / "farrier.iso").exists():
        for name in ("vmlinuz", "initrd.img"):
            bill.depends("farrier.iso", name)

    (folder / document.FILE).write_text(bill.text())
    print(f"sbom: {folder.name}/{document.FILE}: {bill.summary()}")


main(sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))
