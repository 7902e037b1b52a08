#!/usr/bin/env bash
# sgdisk --zap-all leaves file systems behind that blkid then finds on the whole disk.
#
# Expected: after "zap all" a disk is blank to everything that looks at it.
# Happens:  it removes both partition tables, 34 sectors at the start and 33 at the end. An ISO 9660 (its descriptor
#           lies at 32 KiB) and a Btrfs (64 KiB) are still there, label and all; an ext4 (1 KiB) is gone by luck.
# Matters:  a disk that once had an installation or config drive ISO written over it is still "config-2" to whoever
#           looks for one by its label, and a Btrfs is joined again by its UUID. wipefs --all removes them.
# Source:   sgdisk(8), --zap-all: "Zap (destroy) the GPT and MBR data structures".
# Tried:    gdisk 1.0.9-2.1, util-linux 2.38.1-5+deb12u3, btrfs-progs 6.2-1+deb12u2, xorriso 1.5.4-4.
set -euo pipefail
export LC_ALL=C
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir -p archives/partial root

# Everything that the tools need but the C library, whatever is installed here.
from=(apt-get -qq -y -o APT::Sandbox::User=root -o "Dir::State::Status=$PWD/status" -o "Dir::Cache=$PWD"
    -o APT::Install-Recommends=false --download-only install)
touch status
apt-cache show gdisk 2>/dev/null | grep -q . || apt-get -qq update
"${from[@]}" gdisk=1.0.9-2.1 util-linux=2.38.1-5+deb12u3 btrfs-progs=6.2-1+deb12u2 xorriso=1.5.4-4 e2fsprogs \
    >/dev/null 2>&1 || "${from[@]}" gdisk util-linux btrfs-progs xorriso e2fsprogs >/dev/null || exit 2
for package in archives/*.deb; do
    case $package in */libc6_*) ;; *) dpkg -x "$package" root ;; esac
done
run() {  # TOOL ARGUMENT...
    LD_LIBRARY_PATH=$PWD/root/lib/x86_64-linux-gnu:$PWD/root/usr/lib/x86_64-linux-gnu \
        "$(find root -path "*bin/$1" | head -n 1)" "${@:2}"
}
on_disk() { run blkid --probe --output value --match-tag TYPE disk || echo nothing; }

mkdir files
echo '{}' > files/meta_data.json
truncate -s 256M image.ext4 image.btrfs
{
    run mkfs.ext4 -q image.ext4
    run mkfs.btrfs -q image.btrfs
    run xorriso -as mkisofs -quiet -V config-2 -o image.iso9660 files
} > said 2>&1 || { cat said >&2; exit 1; }

seen=
for kind in ext4 btrfs iso9660; do
    rm -f disk
    truncate -s 512M disk
    run sgdisk --new 1:2048:+64M disk > /dev/null
    dd if=image.$kind of=disk conv=notrunc status=none
    run sgdisk --zap-all disk > /dev/null 2>&1 || true
    seen+="$kind: $(on_disk)"
    run wipefs --all --quiet disk
    seen+=", $(on_disk); "
done
expected="ext4: nothing, nothing; btrfs: btrfs, nothing; iso9660: iso9660, nothing; "
[ "$seen" = "$expected" ] || { echo "changed: expected $expected seen $seen" >&2; exit 1; }
echo "gdisk $(dpkg-deb -f archives/gdisk_*.deb Version), after --zap-all, after wipefs: ${seen%; }"
