#!/usr/bin/env bash
# Debian's signed GRUB, started from a disc, reads the disc's grub.cfg and never that of its own EFI system partition.
#
# Expected: its prefix is /EFI/debian, and it lies in the FAT image that the disc's El Torito entry names: it reads
#           EFI/debian/grub.cfg of that image, as it does on a stick or a disk.
# Happens:  its root is the disc (cd0), and it reads EFI/BOOT/grub.cfg of the ISO 9660 file system. A grub.cfg in the
#           image, which is no device of its own to GRUB, is read by nobody.
# Matters:  a grub.cfg in an image for Ironic's bootloader or esp_image, to lead on to where [DEFAULT]grub_config_path
#           says, is of no use on virtual media: that option has to fit this GRUB, or a server stays at "grub>".
# Source:   UEFI 2.10, 13.3.2.1 (El Torito); the prefix stands in the signed file, as Debian built it.
# Tried:    grub-efi-amd64-signed 1+2.06+13+deb12u2 (also 1+2.12+9+deb13u4), ovmf 2022.11-6+deb12u2 in QEMU 7.2.
# Needs:    qemu-system-x86_64:qemu-system-x86 ovmf xorriso mtools dosfstools
set -euo pipefail
export LC_ALL=C.UTF-8
folder=$(mktemp -d)
machine=
ended() {
    [ -z "$machine" ] || kill "$machine" 2>/dev/null || true
    rm -rf "$folder"
}
trap ended EXIT
cd "$folder"

package=grub-efi-amd64-signed
apt-get download -q "$package=1+2.06+13+deb12u2" >said 2>&1 || apt-get download -q "$package" >said 2>&1 ||
    { cat said >&2; exit 2; }
dpkg-deb -x "$package"_*.deb unpacked
version=$(dpkg-deb -f "$package"_*.deb Version)

mkdir -p disc/EFI/BOOT
truncate -s 6M disc/efi.img
mkfs.vfat disc/efi.img >/dev/null
mmd -i disc/efi.img ::EFI ::EFI/BOOT ::EFI/debian
mcopy -i disc/efi.img unpacked/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed ::EFI/BOOT/BOOTX64.EFI
say() { printf 'echo "%s was read, root=[$root] end"\nsleep 600\n' "$1"; }
say "that of the partition" | mcopy -i disc/efi.img - ::EFI/debian/grub.cfg
say "that of the disc" > disc/EFI/BOOT/grub.cfg
xorriso -as mkisofs -quiet -r -e efi.img -no-emul-boot -o disc.iso disc >said 2>&1 || { cat said >&2; exit 2; }

cp /usr/share/OVMF/OVMF_VARS_4M.fd variables
qemu-system-x86_64 -machine q35,graphics=off -accel tcg -m 256 -nodefaults -display none -serial file:console \
    -drive if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd \
    -drive if=pflash,unit=1,format=raw,file=variables -device virtio-rng-pci \
    -drive if=none,id=disc,format=raw,media=cdrom,readonly=on,file=disc.iso -device ide-cd,drive=disc,bootindex=1 \
    >said 2>&1 </dev/null &
machine=$!
touch console
line=
for _ in $(seq 300); do
    kill -0 $machine 2>/dev/null || { cat said >&2; exit 2; }
    line=$(tr -d '\r' 2>/dev/null < console | grep -ao 'that of the .* was read.* end' | head -n 1 || true)
    [ -z "$line" ] || break
    sleep 1
done
[ -n "$line" ] || { echo "GRUB read neither of the two within 5 minutes" >&2; exit 2; }
echo "GRUB $version: ${line% end}"
[[ $line == "that of the disc was read, root=[cd0]"* ]]
