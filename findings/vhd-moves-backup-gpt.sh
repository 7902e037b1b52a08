#!/usr/bin/env bash
# A VHD that qemu-img makes is larger than its image, and the backup GPT is then not at the disk's end.
#
# Expected: converting between formats leaves the disk as it is.
# Happens:  qemu-img rounds a VHD's size up to whole cylinders of an old disk geometry. A disk of 1 GiB comes back from
#           vpc with 1073995776 bytes, 248 KiB more of zeros behind its backup partition table. With -o force_size, and
#           in vmdk, vdi, vhdx and qcow2, its size stays.
# Matters:  the image has another checksum, does not fit a volume of exactly its size, and partitioning tools find the
#           backup table in the wrong place; what moves it to the end changes the image once more.
# Source:   qemu-img(1), vpc, force_size.
# Tried:    qemu-utils 1:7.2+dfsg-7+deb12u18+b3, gdisk 1.0.9-2.1.
set -euo pipefail
export LC_ALL=C
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir -p archives/partial root

# Everything that qemu-img needs but the C library, whatever is installed here.
from=(apt-get -qq -y -o APT::Sandbox::User=root -o "Dir::State::Status=$PWD/status" -o "Dir::Cache=$PWD"
    -o APT::Install-Recommends=false --download-only install)
touch status
apt-cache show qemu-utils 2>/dev/null | grep -q . || apt-get -qq update
"${from[@]}" qemu-utils=1:7.2+dfsg-7+deb12u18+b3 gdisk=1.0.9-2.1 >/dev/null 2>&1 ||
    "${from[@]}" qemu-utils gdisk >/dev/null || exit 2
for package in archives/*.deb; do
    case $package in */libc6_*) ;; *) dpkg -x "$package" root ;; esac
done
version=$(dpkg-deb -f archives/qemu-utils_*.deb Version)
run() { LD_LIBRARY_PATH=$PWD/root/lib/x86_64-linux-gnu:$PWD/root/usr/lib/x86_64-linux-gnu "$@"; }
qemu_img() { run root/usr/bin/qemu-img "$@"; }
sgdisk() { run "$(find root -name sgdisk -type f)" "$@"; }

truncate -s 1G disk.raw
sgdisk --new 1:2048:+512M disk.raw >/dev/null
there_and_back() {  # FORMAT [OPTION...]: the size that the disk comes back with
    qemu_img convert -f raw -O "$@" disk.raw there
    qemu_img convert -f "$1" -O raw there back.raw
    stat -c %s back.raw
}
misplaced() { sgdisk --verify back.raw | grep -c "self-pointer indicates that it doesn't reside" || true; }

seen=
for kind in qcow2 vmdk vdi vhdx "vpc -o force_size" vpc; do
    # shellcheck disable=SC2086
    seen+="$kind: $(there_and_back $kind)"
    seen+=" $(misplaced); "
done
expected="qcow2: 1073741824 0; vmdk: 1073741824 0; vdi: 1073741824 0; vhdx: 1073741824 0; "
expected+="vpc -o force_size: 1073741824 0; vpc: 1073995776 1; "
[ "$seen" = "$expected" ] || { echo "changed: expected $expected seen $seen" >&2; exit 1; }
echo "qemu-utils $version, 1073741824 bytes come back as, and problems with the backup GPT: ${seen%; }"
