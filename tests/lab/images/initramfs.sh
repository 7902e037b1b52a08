# shellcheck shell=bash
# The initramfs of the lab's small systems: busybox, the drivers of what QEMU emulates, and an init.
# Sourced by build-test-image and build-partition-image, never run by itself.

# What the initramfs can drive: the disks and controllers that QEMU emulates, with what they need.
modules=(
    virtio_pci virtio_blk virtio_scsi
    ahci ata_piix sd_mod sr_mod
    nvme
    mptspi mptsas megaraid_sas vmw_pvscsi sym53c8xx
    xhci_pci ehci_pci usb_storage uas
    isofs vfat nls_ascii nls_cp437 nls_iso8859-1 nls_utf8
)

# make_initramfs SYSTEM RELEASE FILE INIT MODULE ...: busybox, the modules, those that are named beside them, INIT
# and what it reads in: test-os/report.
make_initramfs() {
    local system=$1 release=$2 file=$3 init=$4 root=$1.initramfs path
    shift 4
    mkdir -p "$root"/{bin,config,dev,proc,sys,usr/lib}
    install -m 755 "$system/bin/busybox" "$root/bin/busybox"
    local applet
    # This machine's, where the system's is for other processors.
    for applet in $("$([ "$ARCHITECTURE" = amd64 ] && echo "$root/bin/busybox" || echo busybox)" --list); do
        [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
    done
    ln -s bin "$root/sbin"
    # Where each kmod looks for modules, and busybox.
    ln -s usr/lib "$root/lib"
    install -m 755 "$init" "$root/init"
    install -m 644 "$here/test-os/report" "$root/report"

    mkdir -p "$root/lib/modules/$release"
    depmod -b "$system" "$release"
    modprobe -d "$system" -S "$release" --all --show-depends "${modules[@]}" "$@" \
        | sed -n 's/^insmod //p' | sort -u >"$system.modules"
    while read -r path; do
        install -D -m 644 "$path" "$root/lib/modules/$release/${path#*"/$release/"}"
    done <"$system.modules"
    # The initramfs is compressed as a whole.
    find "$root/lib/" -name '*.ko.xz' -exec xz -d '{}' +
    cp "$system/lib/modules/$release"/modules.{order,builtin,builtin.modinfo} \
        "$root/lib/modules/$release/"
    depmod -b "$root" "$release"
    # Busybox reads the text form of the indexes.
    rm "$root/lib/modules/$release"/modules.{builtin.modinfo,*.bin}

    find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" '{}' +
    (cd "$root" && find . -mindepth 1 -print0 | LC_ALL=C sort -z \
        | cpio --quiet -0 -o -H newc -R 0:0 --reproducible) | zstd -q -19 >"$file"
}
