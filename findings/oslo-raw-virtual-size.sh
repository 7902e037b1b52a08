#!/usr/bin/env bash
# oslo.utils says 256 KiB for the virtual size of every raw image.
#
# Expected: detect_file_format(path).virtual_size is the size of the disk that the image makes; for a raw image that
#           is the file's.
# Happens:  the inspector stops reading once it knows the format, and a raw image's virtual size, as that of one with
#           a partition table (format gpt), is what has been read by then: 262144 bytes, for 8 MiB as for 64. For
#           qcow2 and others it is the disk's size, from the header.
# Matters:  a check that an image fits its partition or disk passes for raw images of any size, and the write ends with
#           "no space left" in the middle. Take the file's size for raw and gpt.
# Source:   oslo.utils, imageutils.format_inspector: "the virtual size of the disk image, or zero if unknown".
# Tried:    oslo.utils 10.2.0.
# Needs:    python3-venv
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q --disable-pip-version-check install --no-compile oslo.utils==10.2.0 cryptography==50.0.2

cat > try.py <<'PYTHON'
import struct
import sys

from oslo_utils.imageutils import format_inspector

MIB = 1 << 20


def write(path, size, start=b""):
    with open(path, "wb") as image:
        image.write(start)
        image.truncate(size)


def mbr(sectors):
    entry = struct.pack("<B3sB3sII", 0x80, b"\0\x02\0", 0x83, b"\xfe\xff\xff", 2048, sectors - 2048)
    return bytes(446) + entry + bytes(48) + b"\x55\xaa"


def empty_qcow2(size):
    # Version 2: magic, version, no backing file, clusters of 64 KiB, size, no encryption, tables.
    return struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, 16, size, 0, 1, 3 << 16, 1 << 16, 1, 0, 0)


seen = {}
for mib in (8, 64):
    write("raw", mib * MIB)
    write("partitioned", mib * MIB, mbr(mib * MIB // 512))
    write("qcow2", 4 << 16, empty_qcow2(mib * MIB))
    for path in ("raw", "partitioned", "qcow2"):
        found = format_inspector.detect_file_format(path)
        seen[f"{path} of {mib} MiB"] = (str(found), found.virtual_size)

expected = {
    "raw of 8 MiB": ("raw", 262144), "partitioned of 8 MiB": ("gpt", 262144), "qcow2 of 8 MiB": ("qcow2", 8 * MIB),
    "raw of 64 MiB": ("raw", 262144), "partitioned of 64 MiB": ("gpt", 262144), "qcow2 of 64 MiB": ("qcow2", 64 * MIB),
}
if seen != expected:
    sys.exit(f"changed: expected {expected}, seen {seen}")
print(f"oslo.utils 10.2.0, format and virtual size: {seen}")
PYTHON
venv/bin/python -W ignore try.py
