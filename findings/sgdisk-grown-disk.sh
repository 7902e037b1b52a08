#!/usr/bin/env bash
# sgdisk counts "from the end" from where the disk ended when its table was written.
#
# Expected: sgdisk --new 0:-64M:0 makes a partition in the last 64 MiB of the disk.
# Happens:  on a disk that is larger than the image on it, the end is the image's: with its last partition up to there
#           the command fails ("Could not create partition"), though most of the disk is free. sfdisk --append moves
#           the backup table to the disk's end without being asked and makes the partition; sgdisk does after
#           --move-second-header before --new.
# Matters:  whole-disk images come onto larger disks all the time, and a config drive, swap or data partition goes
#           behind them. A script that was tried with a blank disk, or with sfdisk, fails on real ones.
# Source:   sgdisk(8), --new, --move-second-header; sfdisk(8).
# Tried:    gdisk 1.0.9-2.1, fdisk 2.38.1-5+deb12u3.
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
"${from[@]}" gdisk=1.0.9-2.1 fdisk=2.38.1-5+deb12u3 >/dev/null 2>&1 || "${from[@]}" gdisk fdisk >/dev/null || exit 2
for package in archives/*.deb; do
    case $package in */libc6_*) ;; *) dpkg -x "$package" root ;; esac
done
run() {  # TOOL ARGUMENT...
    LD_LIBRARY_PATH=$PWD/root/lib/x86_64-linux-gnu:$PWD/root/usr/lib/x86_64-linux-gnu \
        "$(find root -path "*bin/$1" | head -n 1)" "${@:2}"
}

# An image of 64 MiB with one partition over all of it, on a disk of 1 GiB.
truncate -s 64M image
run sgdisk --new 1:0:0 image > /dev/null
truncate -s 1G image
try() {  # COMMAND...: the second partition's start in MiB, or that there is none
    cp --sparse=always image disk
    "$@" > said 2>&1 || true
    run sfdisk --dump disk 2>/dev/null | awk -F '[=,]' '/^disk2/ {start = int($2 / 2048) " MiB"}
        END {print start == "" ? "none" : start}'
}
append() { echo 'size=64M' | run sfdisk --append --no-reread disk; }
seen="sgdisk: $(try run sgdisk --new 0:-64M:0 disk) ($(grep -o 'Could not create partition' said || true)), "
seen+="sgdisk after a move: $(try run sgdisk --move-second-header --new 0:-64M:0 disk), sfdisk: $(try append)"
expected="sgdisk: none (Could not create partition), sgdisk after a move: 959 MiB, sfdisk: 64 MiB"
[ "$seen" = "$expected" ] || { echo "changed: expected $expected; seen $seen" >&2; exit 1; }
echo "gdisk $(dpkg-deb -f archives/gdisk_*.deb Version), fdisk $(dpkg-deb -f archives/fdisk_*.deb Version): $seen"
