#!/usr/bin/env bash
# lsblk's TRAN of a virtio disk is empty in util-linux 2.38 and "virtio" in 2.41.
#
# Expected: the transport of a disk is a property of the disk.
# Happens:  the same sysfs gives no transport (null in JSON) to lsblk 2.38 of Debian 12 and "virtio" to 2.41 of 13.
# Matters:  rules that choose or exclude a disk by its transport, as root device hints may, are tried out in virtual
#           machines and meet nothing, or suddenly something, when the ramdisk's distribution changes.
# Source:   lsblk(8), TRAN: "device transport type".
# Tried:    util-linux 2.38.1-5+deb12u3, 2.41.5-0+deb13u1, each on one written sysfs of a virtio disk (--sysroot).
set -euo pipefail
export LC_ALL=C
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir -p lists/partial archives/partial old new

from=(apt-get -qq -o APT::Sandbox::User=root)
apt-cache show util-linux 2>/dev/null | grep -q . || "${from[@]}" update
unpack() {  # FOLDER PACKAGE VERSION: that version while the archive has it, else the one that it has
    rm -f -- *.deb
    "${from[@]}" download "$2=$3" 2>/dev/null || "${from[@]}" download "$2" || { echo "no package $2" >&2; exit 2; }
    dpkg -x ./*.deb "$1"
}
for package in util-linux libsmartcols1 libmount1 libblkid1; do unpack old $package 2.38.1-5+deb12u3; done

# Debian 13 from the same mirror, with its own C library.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/*$' | head -n 1)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" > sources.list
from+=(-o "Dir::Etc::SourceList=$PWD/sources.list" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$PWD/lists"
    -o "Dir::Cache=$PWD" -o Acquire::Languages=none)
"${from[@]}" update
for package in util-linux libsmartcols1 libmount1 libblkid1; do unpack new $package 2.41.5-0+deb13u1; done
unpack new libudev1 257.13-1~deb13u1
unpack new libcap2 1:2.75-10+deb13u1+b3
unpack new libselinux1 3.8.1-1
unpack new libpcre2-8-0 10.46-1~deb13u3
unpack new libtinfo6 6.5+20250216-2
unpack new libc6 2.41-12+deb13u5

# What lsblk reads of a server with one virtio disk.
virtio=devices/pci0000:00/0000:00:04.0/virtio1
disk=machine/sys/$virtio/block/vda
mkdir -p $disk/{queue,holders,slaves} machine/sys/{block,dev/block,class/block,bus/virtio} machine/proc/self machine/dev
echo 254:0 > $disk/dev
echo 20971520 > $disk/size
echo 0 | tee $disk/ro > $disk/removable
printf 'MAJOR=254\nMINOR=0\nDEVNAME=vda\nDEVTYPE=disk\n' > $disk/uevent
echo 512 | tee $disk/queue/{logical_block_size,physical_block_size} > $disk/queue/minimum_io_size
ln -s ../$virtio/block/vda machine/sys/block/vda
ln -s ../../$virtio/block/vda machine/sys/dev/block/254:0
ln -s ../../../virtio1 $disk/device
ln -s ../../../../bus/virtio machine/sys/$virtio/subsystem
touch machine/proc/self/mountinfo machine/proc/swaps

old() { LD_LIBRARY_PATH=old/lib/x86_64-linux-gnu:old/usr/lib/x86_64-linux-gnu old/bin/lsblk "$@"; }
new() { new/usr/lib64/ld-linux-x86-64.so.2 --library-path new/usr/lib/x86_64-linux-gnu new/usr/bin/lsblk "$@"; }
transport() { "$1" --sysroot "$PWD/machine" --nodeps --pairs --output KNAME,TRAN; }

seen="$(transport old); $(transport new)"
expected='KNAME="vda" TRAN=""; KNAME="vda" TRAN="virtio"'
[ "$seen" = "$expected" ] || { echo "changed: expected $expected; seen $seen" >&2; exit 1; }
echo "$(old --version), $(new --version): $seen"
