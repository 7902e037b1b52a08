#!/usr/bin/env bash
# EDK II's firmware has its UUID's first bytes the other way round in its DHCPv6 name: another client than iPXE.
#
# Expected: RFC 6355: a DUID-UUID is type 4 and the UUID of RFC 4122, whose highest byte is first, so the name is the
#           UUID as it is written in the setup, by dmidecode, by the BMC and in /sys/class/dmi/id/product_uuid.
# Happens:  OVMF sends the bytes as they lie in the table of SMBIOS, whose first three numbers are little-endian: of
#           d06a067e-661c-5eb5-… comes 00:04:7e:06:6a:d0:1c:66:b5:5e:…. iPXE, started by it a moment later, and
#           clients of Linux name the same machine 00:04:d0:6a:06:7e:66:1c:5e:b5:….
# Matters:  a reservation or a class by DUID, made from the UUID that the BMC tells, is met by iPXE and the ramdisk but
#           not by the firmware's PXE or HTTP Boot over IPv6 (or the other way round): network boot gets no boot file.
# Source:   RFC 6355, section 4; SMBIOS 3.x, 7.2.1 (byte order of the UUID).
# Tried:    ovmf 2022.11-6+deb12u2 in QEMU 7.2, its own user network, whose packets QEMU writes to a file.
# Needs:    qemu-system-x86_64:qemu-system-x86 ovmf
set -euo pipefail
export LC_ALL=C
folder=$(mktemp -d)
machine=
ended() {
    [ -z "$machine" ] || kill "$machine" 2>/dev/null || true
    rm -rf "$folder"
}
trap ended EXIT
cd "$folder"

cat > names.py <<'PYTHON'
"""Prints the first client name (DUID) that is sent to a DHCPv6 server in a file of packets."""
import struct
import sys

content = open(sys.argv[1], 'rb').read()
place = 24
while place + 16 <= len(content):
    length = struct.unpack_from('<I', content, place + 8)[0]
    frame = content[place + 16:place + 16 + length]
    place += 16 + length
    if frame[12:14] != b'\x86\xdd' or frame[20] != 17 or frame[56:58] != b'\x02\x23':
        continue
    options = frame[14 + 40 + 8 + 4:]
    while len(options) >= 4:
        code, size = struct.unpack('>HH', options[:4])
        if code == 1:
            print(options[4:4 + size].hex())
            sys.exit()
        options = options[4 + size:]
PYTHON

uuid=d06a067e-661c-5eb5-9765-e07626688853
cp /usr/share/OVMF/OVMF_VARS_4M.fd variables
qemu-system-x86_64 -machine q35 -accel tcg -m 256 -nodefaults -display none -uuid $uuid \
    -drive if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd \
    -drive if=pflash,unit=1,format=raw,file=variables \
    -netdev user,id=net -device virtio-net-pci,netdev=net,romfile=,bootindex=1 \
    -fw_cfg name=opt/org.tianocore/IPv4PXESupport,string=n -device virtio-rng-pci \
    -object filter-dump,id=dump,netdev=net,file=packets > said 2>&1 < /dev/null &
machine=$!
name=
for _ in $(seq 300); do
    kill -0 $machine 2>/dev/null || { cat said >&2; exit 2; }
    [ ! -s packets ] || name=$(python3 names.py packets)
    [ -z "$name" ] || break
    sleep 1
done
[ -n "$name" ] || { echo "the firmware asked no DHCPv6 server within 5 minutes" >&2; exit 2; }

as_written=0004${uuid//-/}
turned=0004$(python3 -c "import uuid; print(uuid.UUID('$uuid').bytes_le.hex())")
case $name in
    "$turned") echo "of $uuid the firmware makes $name, iPXE and Linux make $as_written" ;;
    "$as_written") echo "of $uuid the firmware makes $name, as it is written"; exit 1 ;;
    *) echo "of $uuid the firmware makes $name"; exit 1 ;;
esac
