#!/usr/bin/env bash
# nvme-cli leaves out a namespace of firmware's boot table that is reached over one card alone.
#
# Expected: a namespace without secondary interfaces is shown, and connected, over its primary one.
# Happens:  libnvme takes a Secondary HFI Associations field of zeros for an error and drops the namespace without a
#           word; with the primary interface once more in that list it is shown. `nvme connect-nbft` sees it no more.
# Matters:  the server boots from the array and its initramfs finds no root disk; whoever writes such a table (firmware,
#           a boot loader, a test) follows the specification and is not understood.
# Source:   NVM Express Boot Specification 1.0, figure 15: "If this field is cleared to 0h, then no secondary HFI
#           associations are specified."
# Tried:    nvme-cli 2.13-2 with libnvme 1.13-2 of Debian 13, on a table of one host, one interface, one namespace.
set -euo pipefail
export LC_ALL=C
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir -p lists/partial archives/partial new none same

# Debian 13 from this machine's mirror, with its own C library.
from=(apt-get -qq -o APT::Sandbox::User=root)
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/*$' | head -n 1)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" > sources.list
from+=(-o "Dir::Etc::SourceList=$PWD/sources.list" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$PWD/lists"
    -o "Dir::Cache=$PWD" -o Acquire::Languages=none)
"${from[@]}" update
unpack() {  # PACKAGE VERSION: that version while the archive has it, else the one that it has
    rm -f -- *.deb
    "${from[@]}" download "$1=$2" 2>/dev/null || "${from[@]}" download "$1" || { echo "no package $1" >&2; exit 2; }
    dpkg -x ./*.deb new
}
unpack nvme-cli 2.13-2
unpack libnvme1t64 1.13-2
unpack libjson-c5 0.18+ds-1
unpack libssl3t64 3.5.4-1~deb13u2
unpack libkeyutils1 1.6.3-6
unpack libdbus-1-3 1.16.2-2
unpack libsystemd0 257.13-1~deb13u1
unpack libcap2 1:2.75-10+deb13u1+b3
unpack zlib1g 1:1.3.dfsg+really1.3.1-1+b1
unpack libzstd1 1.5.7+dfsg-1
unpack libc6 2.41-12+deb13u5
nvme() { new/usr/lib64/ld-linux-x86-64.so.2 --library-path new/usr/lib/x86_64-linux-gnu new/usr/sbin/nvme "$@"; }

python3 - <<'PYTHON'
import struct

def table(secondary):
    heap_at = 64 + 64 + 32 + 32 + 128
    heap = b''
    def put(data, length):
        nonlocal heap
        heap += data
        return struct.pack('<IH', heap_at + len(heap) - len(data), length) if length else bytes(6)
    def text(words):
        return put(words.encode() + b'\0', len(words))
    v4 = lambda last: bytes(10) + b'\xff\xff' + bytes([192, 0, 2, last])
    host = struct.pack('<BB16s6s8x', 2, 1, bytes(range(16)), text('nqn.2024-01.test:host'))
    info = struct.pack('<BBBBHBI6sHB16sB16sxH66x18x', 7, 1, 3, 1, 1, 1, 0x18, b'\x52\x54\0\x12\x34\x56', 0, 1,
                       v4(10), 24, bytes(16), 500)
    interface = struct.pack('<BBBB12x6s10x', 3, 1, 1, 3, put(info, len(info)))
    namespace = struct.pack('<BHHBHBx6s6sHIB16sBBx6s6s6x62x', 4, 1, 1, 3, 0, 0, put(v4(1), 16), text('4420'), 1, 1, 0,
                            bytes(16), 0, 1, put(secondary, len(secondary)), text('nqn.2024-01.test:array'))
    control = struct.pack('<BBBxHBxIHBx', 1, 1, 0, 64, 1, 128, 32, 1)
    for at, length, count in (160, 32, 1), (192, 128, 1), (0, 0, 0), (0, 0, 0):
        control += struct.pack('<IHBB', at, length, 1, count)
    control += bytes(16)
    header = struct.pack('<4sIBB6s8sIIIIIIHB13x', b'NBFT', heap_at + len(heap), 1, 0, b'TEST', b'TEST', 1, 1, 1,
                         heap_at, len(heap), 0, 0, 0)
    whole = bytearray(header + control + host + interface + namespace + heap)
    whole[9] = -sum(whole) & 0xff
    return whole

open('none/NBFT', 'wb').write(table(b''))
open('same/NBFT', 'wb').write(table(b'\1'))
PYTHON

shown() { nvme nbft show --output-format=json --nbft-path="$PWD/$1" -s | grep -c '"subsys_nqn":"nqn.2024-01.test:array"' || true; }
seen="no secondary interface: $(shown none) shown; the primary one named twice: $(shown same) shown"
expected="no secondary interface: 0 shown; the primary one named twice: 1 shown"
[ "$seen" = "$expected" ] || { echo "changed: expected $expected; seen $seen" >&2; exit 1; }
echo "$(nvme version | tr '\n' ' '): $seen"
