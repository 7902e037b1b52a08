#!/usr/bin/env bash
# dhcpcd 9.4 names a machine in DHCPv6 by its firmware's UUID; 10.1 does not, not even when told so by "duid uuid".
#
# Expected: dhcpcd.conf(5), the same text in both: "If a system UUID is available, that will be used to create a
#           DUID-UUID", and "duid uuid" as the hint that asks for it.
# Happens:  9.4 of Debian 12 makes a DUID-UUID (type 4) from product_uuid. 10.1 of Debian 13 was built not to look
#           there, and makes a DUID-LLT (type 1) from the time of day, with "duid uuid" too; nothing is logged of it.
# Matters:  what starts without a disk has no duid file, so it is another DHCPv6 client at every boot: reservations by
#           UUID stop to match, and each boot takes an address more. Firmware and iPXE ask with the UUID, so the ramdisk
#           is no longer the client that they were either. A duid file written beforehand, or "duid ll", is steady.
# Source:   dhcpcd.conf(5), duid; RFC 6355; github.com/NetworkConfiguration/dhcpcd, issues 89 (why) and 496 (manual).
# Tried:    dhcpcd-base 9.4.1-24~deb12u5, 1:10.1.0-11+deb13u5, each in a folder with a written product_uuid,
#           started twice without a duid file, on the loopback interface of a network namespace of its own.
# Needs:    ip:iproute2
set -euo pipefail
export LC_ALL=C
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir -p lists/partial archives/partial old new
touch status  # no package is installed, as these lists see it

from=(apt-get -qq -o APT::Sandbox::User=root)
apt-cache show dhcpcd-base 2>/dev/null | grep -q . || "${from[@]}" update
suite() {  # NAME: from here on packages come from that one of Debian, from the same mirror
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $1 main" > sources.list
    "${from[@]}" update
}
unpack() {  # FOLDER PACKAGE VERSION: that version while the archive has it, else the one that it has
    rm -f -- *.deb
    "${from[@]}" download "$2=$3" 2>/dev/null || "${from[@]}" download "$2" || { echo "no package $2" >&2; exit 2; }
    dpkg -x ./*.deb "$1"
}
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/*$' | head -n 1)
from+=(-o "Dir::Etc::SourceList=$PWD/sources.list" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$PWD/lists"
    -o "Dir::State::status=$PWD/status" -o "Dir::Cache=$PWD" -o Acquire::Languages=none)

# Each with its own C library, since it runs with its folder for a root.
uuid=3c41cdef-c29c-516a-8ab1-373e5e72280a
for root in old new; do
    mkdir -p $root/{dev,etc,run,var/lib/dhcpcd,sys/class/dmi/id} $root/usr/{lib,lib64,sbin}
    ln -s usr/lib usr/lib64 usr/sbin $root
    touch $root/dev/null
    echo $uuid > $root/sys/class/dmi/id/product_uuid
done
suite bookworm
unpack old dhcpcd-base 9.4.1-24~deb12u5
unpack old libc6 2.36-9+deb12u14
suite trixie
unpack new dhcpcd-base 1:10.1.0-11+deb13u5
unpack new libssl3t64 3.5.9-1~deb13u1
unpack new libzstd1 1.5.7+dfsg-1
unpack new zlib1g 1:1.3.dfsg+really1.3.1-1+deb13u1
unpack new libc6 2.41-12+deb13u5

# ROOT CONFIGURATION: the name of a machine that has just started, in hexadecimal digits.
name() {
    local client waited=0 said=
    rm -rf "$1"/var/lib/dhcpcd/* "$1"/run/*
    : > said
    printf '%s\nnodev\nipv6only\n' "$2" > "$1/etc/dhcpcd.conf"
    unshare --net sh -c "ip link set lo up; exec chroot $1 dhcpcd --debug --nobackground --oneshot lo" \
        >> said 2>&1 < /dev/null &
    client=$!
    until said=$(sed -n 's/^DUID //p' said) && [ -n "$said" ]; do
        [ $((waited += 1)) -le 300 ] && kill -0 $client 2>/dev/null || break
        sleep 0.1
    done
    kill $client 2>/dev/null || true
    wait $client || true
    [ -n "$said" ] || { cat said >&2; return 1; }
    echo "${said//:/}"
}
answer() {  # ROOT CONFIGURATION: what the names of two starts are
    local first second
    first=$(name "$1" "$2")
    sleep 1.1  # the time in a name is in seconds
    second=$(name "$1" "$2")
    case $first in
        "0004${uuid//-/}") first="the UUID" ;;
        0001*) first="a time" ;;
    esac
    case $second in
        "0004${uuid//-/}") second="the UUID" ;;
        0001*) second="another time" ;;
    esac
    echo "$first, $second"
}
version() { chroot "$1" /usr/sbin/dhcpcd --version | head -n 1; }

seen=
for configuration in duid "duid uuid"; do
    for root in old new; do seen+="$root '$configuration': $(answer $root "$configuration"); "; done
done
expected="old 'duid': the UUID, the UUID; new 'duid': a time, another time; "
expected+="old 'duid uuid': the UUID, the UUID; new 'duid uuid': a time, another time; "
[ "$seen" = "$expected" ] || { echo "changed: expected $expected seen $seen" >&2; exit 1; }
zcat new/usr/share/man/man5/dhcpcd.conf.5.gz | grep -q 'If a system UUID is available' \
    || { echo "changed: the manual of 10.1 no longer says that the UUID is used" >&2; exit 1; }
echo "$(version old), $(version new): ${seen%; }"
