#!/usr/bin/env bash
# mdadm 4.4 refuses array names that 4.2 takes: with a colon, with a blank.
#
# Expected: a name that made an array in one release makes one in the next.
# Happens:  --name=root:data and --name="boot mirror" pass mdadm 4.2 of Debian 12; 4.4 of Debian 13 ends with
#           "cannot be set as name. Reason: Not POSIX compatible." before it looks at the disks.
# Matters:  an array's name comes from an operator's wish for a volume in a conductor, years old perhaps and never
#           looked at again; a deploy fails when the ramdisk that makes the array is built from a newer distribution.
# Source:   mdadm(8), --name.
# Tried:    mdadm 4.2-5, 4.4-11+deb13u1. No array is made: both are asked for one of missing disks only.
set -euo pipefail
export LC_ALL=C
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir -p lists/partial archives/partial old new

from=(apt-get -qq -o APT::Sandbox::User=root)
apt-cache show mdadm 2>/dev/null | grep -q . || "${from[@]}" update
unpack() {  # FOLDER PACKAGE VERSION: that version while the archive has it, else the one that it has
    rm -f -- *.deb
    "${from[@]}" download "$2=$3" 2>/dev/null || "${from[@]}" download "$2" || { echo "no package $2" >&2; exit 2; }
    dpkg -x ./*.deb "$1"
}
unpack old mdadm 4.2-5
unpack old libudev1 252.39-1~deb12u1

# Debian 13 from the same mirror, with its own C library.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/*$' | head -n 1)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" > sources.list
from+=(-o "Dir::Etc::SourceList=$PWD/sources.list" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$PWD/lists"
    -o "Dir::Cache=$PWD" -o Acquire::Languages=none)
"${from[@]}" update
unpack new mdadm 4.4-11+deb13u1
unpack new libudev1 257.13-1~deb13u1
unpack new libcap2 1:2.75-10+deb13u1+b3
unpack new libc6 2.41-12+deb13u5

old() { LD_LIBRARY_PATH=old/usr/lib/x86_64-linux-gnu old/sbin/mdadm "$@"; }
new() { new/usr/lib64/ld-linux-x86-64.so.2 --library-path new/usr/lib/x86_64-linux-gnu new/usr/sbin/mdadm "$@"; }

# With no disk at all the command ends at the disks, if the name has let it get there.
answer() {
    local said
    said=$("$1" --create /dev/md/finding --name "$2" --level 1 --raid-devices 2 --bitmap none missing missing \
        < /dev/null 2>&1) || true
    case $said in
        *"Not POSIX compatible"*) echo refused ;;
        *"all missing"*) echo taken ;;
        *) echo "$said" ;;
    esac
}
seen=
for name in data root:data "boot mirror"; do
    seen+="'$name': $(answer old "$name"), $(answer new "$name"); "
done
expected="'data': taken, taken; 'root:data': taken, refused; 'boot mirror': taken, refused; "
[ "$seen" = "$expected" ] || { echo "changed: expected $expected seen $seen" >&2; exit 1; }
echo "$(old --version 2>&1), $(new --version 2>&1): ${seen%; }"
