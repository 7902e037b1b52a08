#!/usr/bin/env bash
# The format that oslo.utils calls gpt is none that qemu-img knows.
#
# Expected: the name of a format that an image is found to have can be handed to the tool that converts it.
# Happens:  oslo.utils calls a raw image with a partition table "gpt" (one with an MBR, too). ironic-python-agent allows
#           it by default and passes the name on; qemu-img: "Unknown driver 'gpt'". With -f raw it is converted.
# Matters:  a whole-disk image whose format nobody declared, from a plain URL for instance, passes every check and fails
#           when it is written, after its download. Declare it raw.
# Source:   oslo.utils, imageutils.format_inspector; qemu-img(1), -f.
# Tried:    ironic-python-agent 13.0.0, oslo.utils 10.2.0, qemu-utils 1:7.2+dfsg-7+deb12u18+b3.
# Needs:    python3-venv
set -euo pipefail
export LC_ALL=C
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q --disable-pip-version-check install --no-compile ironic-python-agent==13.0.0 oslo.utils==10.2.0
mkdir -p archives/partial root

# Everything that qemu-img needs but the C library, whatever is installed here.
from=(apt-get -qq -y -o APT::Sandbox::User=root -o "Dir::State::Status=$PWD/status" -o "Dir::Cache=$PWD"
    -o APT::Install-Recommends=false --download-only install)
touch status
apt-cache show qemu-utils 2>/dev/null | grep -q . || apt-get -qq update
"${from[@]}" qemu-utils=1:7.2+dfsg-7+deb12u18+b3 >/dev/null 2>&1 || "${from[@]}" qemu-utils >/dev/null || exit 2
for package in archives/*.deb; do
    case $package in */libc6_*) ;; *) dpkg -x "$package" root ;; esac
done

cat > try.py <<'PYTHON'
import struct

from ironic_python_agent import config  # its options, before what reads them
from ironic_python_agent import disk_utils

# An MBR with one partition, on a disk of 8 MiB.
entry = struct.pack("<B3sB3sII", 0x80, b"\0\x02\0", 0x83, b"\xfe\xff\xff", 2048, 14336)
with open("image", "wb") as image:
    image.write(bytes(446) + entry + bytes(48) + b"\x55\xaa")
    image.truncate(8 << 20)
print(disk_utils.get_and_validate_image_format("image", "unknown")[0])
PYTHON
format=$(venv/bin/python -W ignore try.py)

convert() {
    LD_LIBRARY_PATH=$PWD/root/lib/x86_64-linux-gnu:$PWD/root/usr/lib/x86_64-linux-gnu \
        root/usr/bin/qemu-img convert -f "$1" -O raw image disk 2>said && cmp -s image disk && echo converted ||
        grep -o "Unknown driver '.*'" said || cat said
}
seen="the agent says $format; qemu-img -f $format: $(convert "$format"), -f raw: $(convert raw)"
expected="the agent says gpt; qemu-img -f gpt: Unknown driver 'gpt', -f raw: converted"
[ "$seen" = "$expected" ] || { echo "changed: expected $expected; seen $seen" >&2; exit 1; }
echo "ironic-python-agent 13.0.0, qemu-utils $(dpkg-deb -f archives/qemu-utils_*.deb Version): $seen"
