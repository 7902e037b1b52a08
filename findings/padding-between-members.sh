#!/usr/bin/env bash
# Zeros between compressed members: xz reads on where Python stops, Python reads on where gzip stops.
#
# Expected: a tool and Python's module of the same name make the same bytes of a file.
# Happens:  two members with zeros between them, as they come of padding parts to blocks:
#             .xz  (stream padding of the format, a multiple of four zeros): xz gives both members,
#                  Python's lzma the first one only, without any error;
#             .gz: Python's gzip gives both members, gzip(1) the first one, with exit status 2 ("trailing garbage
#                  ignored"), which many scripts and pipelines take for success.
# Matters:  half a disk image is written and nothing says so, unless the size or the digest of the *unpacked* bytes
#           is known. Which half-reader it is changes between the host that tests an image and the one that writes it.
# Source:   The .xz File Format, 2.2 Stream Padding; gzip(1), DIAGNOSTICS.
# Tried:    xz 5.4.1, gzip 1.12, Python 3.11.
# Needs:    python3-minimal
set -euo pipefail
export LC_ALL=C
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-cache show xz-utils 2>/dev/null | grep -q . || apt-get -qq update

unpack() {  # PACKAGE VERSION: that version while the archive has it, else the one that it has
    local from=(apt-get -qq -o APT::Sandbox::User=root download)
    "${from[@]}" "$1=$2" 2>/dev/null || "${from[@]}" "$1" || { echo "no package $1" >&2; exit 2; }
    dpkg -x "$1"_*.deb root
}
unpack xz-utils 5.4.1-1
unpack liblzma5 5.4.1-1
unpack gzip 1.12-1
export LD_LIBRARY_PATH=$PWD/root/lib/x86_64-linux-gnu:$PWD/root/usr/lib/x86_64-linux-gnu
xz=root/usr/bin/xz gzip=$(find root -name gzip -type f -perm /111 | head -n 1)

seq 1 1000 > first
seq 1001 3000 > second
{ $xz -c first; head -c 512 /dev/zero; $xz -c second; } > padded.xz
{ $gzip -nc first; head -c 512 /dev/zero; $gzip -nc second; } > padded.gz
cat first second > both

which_part() { cmp -s "$1" both && echo both && return; cmp -s "$1" first && echo first && return; echo other; }
status=0; $xz -dc padded.xz > out 2>/dev/null || status=$?
seen="xz: $(which_part out) ($status)"
unset LD_LIBRARY_PATH
python3 -c 'import lzma, sys; sys.stdout.buffer.write(lzma.open("padded.xz").read())' > out
seen+=", Python lzma: $(which_part out)"
status=0; $gzip -dc padded.gz > out 2>/dev/null || status=$?
seen+=", gzip: $(which_part out) ($status)"
python3 -c 'import gzip, sys; sys.stdout.buffer.write(gzip.open("padded.gz").read())' > out
seen+=", Python gzip: $(which_part out)"

expected="xz: both (0), Python lzma: first, gzip: first (2), Python gzip: both"
[ "$seen" = "$expected" ] || { echo "changed: expected $expected; seen $seen" >&2; exit 1; }
echo "$($xz --version | head -n 1), $($gzip --version | head -n 1), $(python3 --version): $seen"
