#!/usr/bin/env bash
# The list for shim's fallback loader is UTF-16 without a byte order mark in Debian's package.
#
# Expected: BOOTX64.CSV begins with the mark FF FE, as files in UTF-16 commonly do; a reader may look for it to tell
#           UTF-16 from ASCII.
# Happens:  Debian's file begins with the first letter of the loader's name (73 00), in little-endian order.
# Matters:  agents that make UEFI boot entries read this file of an installed image for the loader and the label.
#           One that wants the mark finds no loader; one that takes the file for UTF-8 finds a NUL after each
#           letter; Python's "utf-16" without a mark means the order of the machine that runs it.
# Source:   shim, README.fallback.
# Tried:    shim-unsigned 16.1-2~deb12u1.
# Needs:    python3-minimal
set -euo pipefail
export LC_ALL=C
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-cache show shim-unsigned 2>/dev/null | grep -q . || apt-get -qq update
from=(apt-get -qq -o APT::Sandbox::User=root download)
"${from[@]}" shim-unsigned=16.1-2~deb12u1 2>/dev/null || "${from[@]}" shim-unsigned || exit 2
dpkg -x shim-unsigned_*.deb root
version=$(dpkg-deb -f shim-unsigned_*.deb Version)

python3 - "$version" root/usr/lib/shim/BOOTX64.CSV <<'PYTHON'
import sys

version, path = sys.argv[1:]
content = open(path, "rb").read()
fields = content.decode("utf-16-le").strip().split(",")
seen = (content[:4].hex(" "), fields[:2])
expected = ("73 00 68 00", ["shimx64.efi", "debian"])
if seen != expected:
    sys.exit(f"changed: expected {expected}, seen {seen}")
print(f"shim-unsigned {version}: begins {seen[0]}, without a mark; fields {fields}")
PYTHON
