#!/usr/bin/env bash
# A FAT32 below 65525 clusters is made, checked and booted from, but mtools cannot read it.
#
# Expected: mkfs.vfat -F 32 makes a file system that every reader of FAT32 reads, or says no.
# Happens:  for fewer clusters than FAT32 has by its specification it makes one all the same, with a warning and exit
#           status 0; fsck.fat finds nothing wrong and GRUB reads it. mtools goes by the number of clusters, takes it
#           for FAT16 and ends with "Error reading FAT".
# Matters:  with sectors of 512 bytes that is an EFI system partition below 33 MiB; for a 4Kn drive, where a cluster has
#           4096 bytes at least, it is every one below 260 MiB, the usual 100 and 200 among them. A build on one machine
#           works, the tool that fills in or inspects the partition elsewhere does not.
# Source:   Microsoft's FAT specification, "FAT Type Determination"; mkfs.fat(8), -F.
# Tried:    dosfstools 4.2-1, mtools 4.0.33-1+really4.0.32-1, grub-common 2.06-13+deb12u2.
set -euo pipefail
export LC_ALL=C
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-cache show mtools 2>/dev/null | grep -q . || apt-get -qq update
from=(apt-get -qq -o APT::Sandbox::User=root download)
unpack() {  # PACKAGE VERSION: that version while the archive has it, else the one that it has
    "${from[@]}" "$1=$2" 2>/dev/null || "${from[@]}" "$1" || { echo "no package $1" >&2; exit 2; }
    dpkg -x "$1"_*.deb root
}
unpack dosfstools 4.2-1
unpack mtools 4.0.33-1+really4.0.32-1
unpack grub-common 2.06-13+deb12u2
unpack libfuse2 2.9.9-6+b1
unpack libdevmapper1.02.1 2:1.02.185-2
unpack libselinux1 3.4-1+b6
unpack libpcre2-8-0 10.42-1
unpack libudev1 252.39-1~deb12u1
unpack liblzma5 5.4.1-1
run() { LD_LIBRARY_PATH=$PWD/root/lib/x86_64-linux-gnu:$PWD/root/usr/lib/x86_64-linux-gnu "$@"; }

readers() {  # SECTOR-SIZE MIB
    local made=ok checked=ok grub=no mtools=ok
    rm -f esp
    truncate -s "$2M" esp
    run root/sbin/mkfs.fat -F 32 -S "$1" -n ESP esp > said 2>&1 || made=failed
    ! grep -qi 'less then suggested minimum' said || made+=" with a warning"
    run root/sbin/fsck.fat -n esp > /dev/null 2>&1 || checked=failed
    ! run root/usr/bin/grub-fstest "$PWD/esp" ls -- -l '(loop0)' 2>&1 | grep -q 'Filesystem type fat' || grub=ok
    MTOOLSRC=/dev/null run root/usr/bin/mdir -i esp :: > /dev/null 2> said || mtools=$(head -n 1 said)
    echo "mkfs.fat $made, fsck.fat $checked, GRUB $grub, mtools $mtools"
}
small="mkfs.fat ok with a warning, fsck.fat ok, GRUB ok, mtools Error reading FAT"
fine="mkfs.fat ok, fsck.fat ok, GRUB ok, mtools ok"
while read -r sector mib expected; do
    seen=$(readers "$sector" "$mib")
    [ "$seen" = "${!expected}" ] ||
        { echo "changed: $mib MiB in sectors of $sector: expected ${!expected}; seen $seen" >&2; exit 1; }
done <<'CASES'
512 32 small
512 34 fine
4096 100 small
4096 200 small
4096 256 small
4096 260 fine
CASES
echo "dosfstools $(dpkg-deb -f dosfstools_*.deb Version), mtools $(dpkg-deb -f mtools_*.deb Version): $small"
