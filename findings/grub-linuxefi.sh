#!/usr/bin/env bash
# GRUB's commands linuxefi and initrdefi are gone in 2.12 of Debian 13, from its signed network loader too.
#
# Expected: a grub.cfg that starts a kernel over the network under 2.06 does so under 2.12. Under secure boot, linuxefi
#           and initrdefi were the commands to use, and instructions for years have said so.
# Happens:  Debian's patched 2.06 has both, in module linuxefi, built into grubnetx64.efi.signed. 2.12 has neither:
#           no module, no name left for the old ones. "linux" and "initrd" do in 2.12 what they did. grub-mkimage of
#           2.12 ends at "linuxefi" among its modules.
# Matters:  a boot server takes the loader from its distribution and keeps its own grub.cfg, which fails only at the
#           next boot of a server. linux and initrd are in both, though in 2.06 linux starts a kernel by
#           GRUB's own way, not by the kernel's EFI stub.
# Source:   none: neither GRUB's manual nor NEWS knows linuxefi, which was a patch of distributions.
# Tried:    grub-efi-amd64-bin, grub-efi-amd64-signed 2.06-13+deb12u2, 2.12-9+deb13u4. Nothing is booted: the commands
#           are those of GRUB's own command.lst, and the words in the signed program.
set -euo pipefail
export LC_ALL=C
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir -p lists/partial archives/partial old new
touch status  # no package is installed, as these lists see it

from=(apt-get -qq -o APT::Sandbox::User=root)
apt-cache show grub-efi-amd64-bin 2>/dev/null | grep -q . || "${from[@]}" update
suite() {  # NAME: from here on packages come from that one of Debian, from the same mirror
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $1 main" > sources.list
    "${from[@]}" update
}
unpack() {  # FOLDER PACKAGE VERSION: that version while the archive has it, else the one that it has
    rm -f -- *.deb
    "${from[@]}" download "$2=$3" 2>/dev/null || "${from[@]}" download "$2" || { echo "no package $2" >&2; exit 2; }
    dpkg -x ./*.deb "$1"
    ! [ "$2" = grub-efi-amd64-bin ] || dpkg-deb -f ./*.deb Version >> versions
}
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/*$' | head -n 1)
from+=(-o "Dir::Etc::SourceList=$PWD/sources.list" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$PWD/lists"
    -o "Dir::State::status=$PWD/status" -o "Dir::Cache=$PWD" -o Acquire::Languages=none)

suite bookworm
unpack old grub-efi-amd64-bin 2.06-13+deb12u2
unpack old grub-efi-amd64-signed 1+2.06+13+deb12u2
suite trixie
unpack new grub-efi-amd64-bin 2.12-9+deb13u4
unpack new grub-efi-amd64-signed 1+2.12+9+deb13u4
unpack new grub-common 2.12-9+deb13u4
unpack new liblzma5 5.8.1-1+deb13u2
unpack new libdevmapper1.02.1 2:1.02.205-2
unpack new libselinux1 3.8.1-1
unpack new libpcre2-8-0 10.46-1~deb13u3
unpack new libudev1 257.13-1~deb13u1
unpack new libcap2 1:2.75-10+deb13u1+b3
unpack new libc6 2.41-12+deb13u5

mkimage() {  # MODULE: whether 2.12 makes a loader with it
    if new/usr/lib64/ld-linux-x86-64.so.2 --library-path new/usr/lib/x86_64-linux-gnu new/usr/bin/grub-mkimage \
        -O x86_64-efi -d new/usr/lib/grub/x86_64-efi -p /boot/grub -o loader.efi part_gpt normal "$1" 2> said
    then echo "makes a loader with $1"
    elif grep -q "cannot open .*/$1.mod" said
    then echo "has no module $1"
    else cat said
    fi
}

seen=
for grub in old new; do
    commands=$grub/usr/lib/grub/x86_64-efi/command.lst
    seen+="$grub: $(sed -nE 's/^(linux|initrd)(efi)?: .*/\1\2/p' $commands | sort | xargs), "
    # A command is a word in its module: between two bytes of zero.
    seen+="signed: $(tr '\0' '\n' < $grub/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed \
        | grep -axE '(linux|initrd)(efi)?' | sort -u | xargs); "
done
seen+="grub-mkimage $(mkimage linux), $(mkimage linuxefi)"
expected="old: initrd initrdefi linux linuxefi, signed: initrd initrdefi linux linuxefi; "
expected+="new: initrd linux, signed: initrd linux; grub-mkimage makes a loader with linux, has no module linuxefi"
[ "$seen" = "$expected" ] || { echo "changed: expected $expected; seen $seen" >&2; exit 1; }
echo "GRUB $(cat versions | xargs): $seen"
