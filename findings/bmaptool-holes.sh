#!/usr/bin/env bash
# bmaptool leaves what was on the disk where the image's file has holes, zeros that belong to files among them.
#
# Expected: after bmaptool copy, with its checksums, the disk holds the image.
# Happens:  a hole in the image's file counts as "not used" and is not written. But many tools make holes of any zeros:
#           qemu-img convert, cp --sparse, fallocate --dig-holes. A file of zeros inside the image, such as a swap or
#           database file, then has the old disk's bytes; bmaptool ends with 0, since it sums up what it wrote.
# Matters:  on a new disk all is well; on one that had another system before, files are damaged or show another's
#           data. Wipe first, or make the map of an image in which zeros were written, not punched.
# Source:   bmaptool(1).
# Tried:    bmap-tools 3.6-2, e2fsprogs' debugfs; a file stands for the disk, opened as bmaptool opens a device.
# Needs:    python3-minimal e2fsprogs util-linux
set -euo pipefail
export LC_ALL=C
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-cache show bmap-tools 2>/dev/null | grep -q . || apt-get -qq update
from=(apt-get -qq -o APT::Sandbox::User=root download)
"${from[@]}" bmap-tools=3.6-2 2>/dev/null || "${from[@]}" bmap-tools || exit 2
dpkg -x bmap-tools_*.deb root
version=$(dpkg-deb -f bmap-tools_*.deb Version)

# An image with a file of zeros in it, as a running system writes it (mkfs would leave a hole in the file system); once
# written out in full, and once with all zeros made holes.
mkdir tree
head -c 4M /dev/zero | tr '\0' U > tree/swapfile
truncate -s 32M image
mkfs.ext4 -q -d tree image
python3 -c 'image = open("image", "r+b"); data = image.read(); image.seek(0)
image.write(data.replace(b"U" * 4096, bytes(4096)))'
head -c 4M /dev/zero > tree/swapfile
cp --sparse=never image written
cp --sparse=always image punched

cat > try.py <<'PYTHON'
import sys

sys.path.insert(0, "root/usr/lib/python3/dist-packages")
from bmaptools import BmapCopy, BmapCreate  # noqa: E402

for image in ("written", "punched"):
    with open(f"{image}.bmap", "w+") as bmap:
        BmapCreate.BmapCreate(image, bmap, "sha256").generate()
    with open(f"{image}.disk", "wb") as disk:
        disk.write(b"old data" * (4 << 20))
    with open(image, "rb") as source, open(f"{image}.bmap") as bmap, open(f"{image}.disk", "r+b") as disk:
        BmapCopy.BmapCopy(source, disk, bmap).copy()
PYTHON
python3 -W ignore try.py

zeros() { debugfs -R 'cat /swapfile' "$1.disk" 2>/dev/null | cmp -s - tree/swapfile && echo whole || echo damaged; }
seen="zeros written: swapfile $(zeros written), zeros punched: swapfile $(zeros punched)"
expected="zeros written: swapfile whole, zeros punched: swapfile damaged"
[ "$seen" = "$expected" ] || { echo "changed: expected $expected; seen $seen" >&2; exit 1; }
echo "bmap-tools $version, copied over old data without an error: $seen"
