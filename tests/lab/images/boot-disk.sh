# shellcheck shell=bash
# How the lab's disk images are put together: Debian packages in, a GPT disk that boots under BIOS
# and UEFI out. Sourced by the builders, never run by itself.
#
# No loop device and no mount is used: the FAT file system is filled by mtools, the partition table
# written by sfdisk, and GRUB's BIOS parts are copied into place and told their sector by hand
# (place_bios_grub). So an interrupted build leaves nothing behind but files, and a build works
# where loop devices are not to be had.

# Partition types, UEFI specification 2.10 section 5.3.3 and the Discoverable Partitions
# Specification.
readonly TYPE_BIOS_BOOT=21686148-6449-6E6F-744E-656564454649
# shellcheck disable=SC2034 # used by the builders
readonly TYPE_ESP=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
# shellcheck disable=SC2034 # used by build-demo-image
readonly TYPE_ROOT_X86_64=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709

# Bytes of a sector. The images are for disks with 512-byte logical sectors.
readonly SECTOR=512
# The BIOS boot partition: 1 MiB at 1 MiB, which is where every partitioning tool puts it too.
readonly BIOS_BOOT_START=2048
readonly BIOS_BOOT_SECTORS=2048
# First sector after it.
# shellcheck disable=SC2034 # used by the builders
readonly AFTER_BIOS_BOOT=$((BIOS_BOOT_START + BIOS_BOOT_SECTORS))
# Room for the backup table (33 sectors) rounded up, so that an image is whole MiBs.
# shellcheck disable=SC2034 # used by the builders
readonly BACKUP_TABLE_SECTORS=2048

# The release that the images have, on whichever this machine runs. GRUB and mkfs are this machine's.
readonly RELEASE=trixie

# The architecture of the images, in Debian's word, and what it is called in the names of EFI programs.
readonly ARCHITECTURE=${ARCH:-amd64}
case $ARCHITECTURE in
    amd64) readonly EFI_SUFFIX=x64 ;;
    arm64) readonly EFI_SUFFIX=aa64 ;;
    *) echo "ARCH is amd64 or arm64, not $ARCHITECTURE" >&2; exit 1 ;;
esac

readonly GRUB_BIOS=/usr/lib/grub/i386-pc
readonly GRUB_UEFI=/usr/lib/grub/x86_64-efi

# stub_command: GRUB's command, and module, that starts a kernel by its EFI stub: that of Debian's 2.06 is linuxefi, since
# its linux does it in GRUB's own way, which wants more memory; in 2.12 linux does it, and there is no other.
stub_command() {
    if [ "$ARCHITECTURE" = amd64 ] && [ -e "$GRUB_UEFI/linuxefi.mod" ]; then echo linuxefi; else echo linux; fi
}

# say MESSAGE: one line of progress.
say() {
    printf '%s: %s\n' "${0##*/}" "$*"
}

# fail MESSAGE: ends the build.
fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# recipe_hash FILE|FOLDER ...: one digest over names and contents. A digest and not time stamps: a
# fresh checkout makes every recipe file newer than an image kept from an earlier run.
recipe_hash() {
    find "$@" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1
}

# is_current IMAGE HASH: whether IMAGE and its sums exist and were made by the recipe HASH.
is_current() {
    [ -s "$1" ] && [ -s "$1.sha256" ] && [ -s "$1.sha512" ] && [ -s "$1.recipe" ] \
        && [ "$(cat "$1.recipe")" = "$2" ]
}

# install_packages PACKAGE ...: what the build needs on this machine, and fresh lists, which tell the mirror.
install_packages() {
    # An update that fails (no network, another apt running) is no reason to stop: the lists of an
    # earlier one may do, and if they do not, the next command says so.
    apt-get update -qq || say 'apt-get update failed, going on with the package lists there are'
    "$here/../../check/install-packages" "$@"
}

# use_release FOLDER: from here on apt knows the packages of RELEASE, and keeps its state in FOLDER.
use_release() {
    # Settings of the ramdisk that is built beside it, which make exports.
    KERNEL='' FIRMWARE='' "$here/../../../image/apt-state" "$1" "$RELEASE"
    export APT_CONFIG=$1/apt/apt.conf
}

# unpack_package PACKAGE TARGET: downloads the package and unpacks its files below TARGET. Nothing
# of it is installed or configured, so a kernel does not end up in this machine's /boot. TARGET has merged folders, as
# RELEASE has, for programs that know the old names.
unpack_package() {
    local package=$1 target=$2 download name
    download=$(mktemp -d "$target.deb.XXXXXX")
    (cd "$download" && apt-get download -qq "$package")
    mkdir -p "$target"
    dpkg-deb -x "$download"/*.deb "$target"
    say "unpacked $(basename "$download"/*.deb)"
    rm -r "$download"
    for name in bin lib; do
        mkdir -p "$target/usr/$name"
        [ -e "$target/$name" ] || ln -s "usr/$name" "$target/$name"
    done
}

# kernel_package META: the package that a kernel meta package such as linux-image-amd64 stands for.
kernel_package() {
    apt-cache depends --important "$1" \
        | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1 | grep .
}

# grub_efi FILE PREFIX MODULE ...: GRUB as one EFI program. PREFIX without a drive is on the disk
# that the firmware loaded it from, so a second disk with the same image is never picked by mistake
# (a search by label would do that). The kernel is started by its EFI stub (stub_command), as
# Debian does under Secure Boot.
grub_efi() {
    local file=$1 prefix=$2
    shift 2
    grub-mkimage -O x86_64-efi -d "$GRUB_UEFI" -p "$prefix" -o "$file" \
        part_gpt normal "$(stub_command)" serial terminal echo test configfile "$@"
}

# place_bios_grub IMAGE PREFIX MODULE ...: GRUB for BIOS: boot.img as the boot code of the
# (protective) MBR, core.img in the BIOS boot partition.
#
# This is what grub-bios-setup does, minus its wish for a block device and for the drive's name:
# boot.img holds the first sector of core.img at 0x5c, and core.img's first sector holds at 0x1f4
# where its remainder starts (GRUB's include/grub/i386/pc/boot.h, GRUB_BOOT_MACHINE_KERNEL_SECTOR
# and struct grub_pc_bios_boot_blocklist). Left out is the Reed-Solomon redundancy, which is for
# cores embedded in the gap after an MBR, where other software writes.
place_bios_grub() {
    local image=$1 prefix=$2 core sectors length
    shift 2
    core=$(mktemp "$image.core.XXXXXX")
    grub-mkimage -O i386-pc -d "$GRUB_BIOS" -p "$prefix" -o "$core" \
        biosdisk part_gpt normal linux serial terminal echo test configfile "$@"

    sectors=$((($(stat -c %s "$core") + SECTOR - 1) / SECTOR))
    [ "$sectors" -le "$BIOS_BOOT_SECTORS" ] || fail "GRUB's core image needs $sectors sectors"
    length=$(od -A n -t u2 -j $((0x1fc)) -N 2 "$core" | tr -d ' ')
    [ "$length" -eq $((sectors - 1)) ] \
        || fail "GRUB's core image names $length sectors to load and has $((sectors - 1))"
    put_u64 "$core" $((0x1f4)) $((BIOS_BOOT_START + 1))

    # 440 bytes: the rest of the sector is the disk signature and the protective MBR's partition.
    dd if="$GRUB_BIOS/boot.img" of="$image" bs=440 count=1 conv=notrunc status=none
    put_u64 "$image" $((0x5c)) "$BIOS_BOOT_START"
    # Two NOPs over a jump: some BIOSes pass a wrong drive number, this makes boot.img use the first
    # hard disk then; grub-bios-setup does the same for every hard disk
    # (GRUB_BOOT_MACHINE_DRIVE_CHECK).
    printf '\x90\x90' | dd of="$image" bs=1 seek=$((0x66)) conv=notrunc status=none

    dd if="$core" of="$image" bs=$SECTOR seek="$BIOS_BOOT_START" conv=notrunc status=none
    rm "$core"
}

# put_u64 FILE OFFSET VALUE: VALUE as 8 bytes, little-endian.
put_u64() {
    local value=$3 bytes='' i
    for ((i = 0; i < 8; i++)); do
        bytes+=$(printf '\\x%02x' $((value >> (8 * i) & 0xff)))
    done
    printf '%b' "$bytes" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# make_esp FILE SECTORS VOLUME_ID VENDOR LABEL LOADER: an EFI system partition. LOADER goes to the
# path that firmware falls back to, EFI/BOOT/BOOTX64.EFI, and to EFI/VENDOR/grubx64.efi (arm64: AA64, aa64) with the
# BOOT.CSV that gives whoever makes a boot entry its name, LABEL (the format of shim's fallback
# program: UTF-16LE with a byte order mark; file, label, arguments, comment).
make_esp() {
    local file=$1 sectors=$2 volume_id=$3 vendor=$4 label=$5 loader=$6 grub=grub$EFI_SUFFIX.efi
    truncate -s 0 "$file"
    truncate -s $((sectors * SECTOR)) "$file"
    mkfs.fat --invariant -F 16 -s 2 -n ESP -i "$volume_id" "$file" >/dev/null
    mmd -i "$file" ::/EFI ::/EFI/BOOT "::/EFI/$vendor"
    mcopy -i "$file" "$loader" ::/EFI/BOOT/BOOT${EFI_SUFFIX^^}.EFI
    mcopy -i "$file" "$loader" "::/EFI/$vendor/$grub"
    {
        printf '\xff\xfe'
        printf '%s,%s,,This is the boot entry for %s\n' "$grub" "$label" "$label" \
            | iconv -f UTF-8 -t UTF-16LE
    } | mcopy -i "$file" - "::/EFI/$vendor/BOOT.CSV"
}

# make_gpt IMAGE SECTORS DISK_GUID BIOS_BOOT_GUID: an empty image with a table read from standard
# input, in sfdisk's language, after the BIOS boot partition, which is the first wherever there is a BIOS.
make_gpt() {
    local image=$1 sectors=$2 guid=$3 bios_boot_guid=$4
    truncate -s 0 "$image"
    truncate -s $((sectors * SECTOR)) "$image"
    {
        printf 'label: gpt\nlabel-id: %s\nunit: sectors\n' "$guid"
        [ "$ARCHITECTURE" != amd64 ] || printf 'start=%s, size=%s, type=%s, uuid=%s, name="BIOS boot"\n' \
            "$BIOS_BOOT_START" "$BIOS_BOOT_SECTORS" "$TYPE_BIOS_BOOT" "$bios_boot_guid"
        cat
    } | sfdisk --quiet --no-reread --no-tell-kernel "$image"
}

# put_partition IMAGE START FILE: the content of a partition; holes stay holes.
put_partition() {
    dd if="$3" of="$1" bs=$SECTOR seek="$2" conv=notrunc,sparse status=none
}

# finish_image TEMPORARY IMAGE HASH: checks the table, and puts the image in place.
finish_image() {
    local problems
    problems=$(sgdisk -v "$1") || true
    grep -q '^No problems found' <<<"$problems" || fail "the partition table is not right: $problems"
    publish_image "$@"
}

# publish_image TEMPORARY IMAGE HASH: writes the sums and puts everything in place; the recipe's hash last, so that an
# interrupted build is not taken for a finished one.
publish_image() {
    local temporary=$1 image=$2 hash=$3
    rm -f "$image.recipe"
    mv "$temporary" "$image"
    sha256sum "$image" | cut -d' ' -f1 >"$image.sha256"
    sha512sum "$image" | cut -d' ' -f1 >"$image.sha512"
    printf '%s\n' "$hash" >"$image.recipe"
    say "made $image, $(($(stat -c %s "$image") / 1048576)) MiB," \
        "$(($(stat -c %b "$image") * 512 / 1048576)) MiB of it not holes"
}
