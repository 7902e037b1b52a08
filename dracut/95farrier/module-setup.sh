#!/bin/bash
# farrier's dracut module: everything of the ramdisk except the agent itself, which image/build
# appends as a second archive so that a new agent does not need a new dracut run.
#
# Stands alone: dracut's own "base" module (a shell, hooks, switch_root) and "systemd" are left out
# on purpose, PID 1 is `farrier init`. A missing file or module is reported as FAILED, on which
# image/build stops; dracut itself would end with 0.
# shellcheck disable=SC2154  # moddir, initdir, srcmods and kernel come from dracut

# The kernel's release ends with Debian's name of the architecture.
case $kernel in
    *-arm64) farrier_libraries=/usr/lib/aarch64-linux-gnu farrier_loader=/usr/lib/ld-linux-aarch64.so.1 ;;
    *) farrier_libraries=/usr/lib/x86_64-linux-gnu farrier_loader=/usr/lib64/ld-linux-x86-64.so.2 ;;
esac

check() { return 0; }

depends() { return 0; }

# Names of the modules that the list asks for, one a line, sorted.
farrier_modules() {
    local _word _dir
    local -A _left_out=()
    local _wanted=()

    while read -r _ _word _; do
        case $_word in
            -*/*) while read -r _dir; do _left_out[$_dir]=1; done < <(farrier_folder "${_word#-}") ;;
            -*) _left_out[${_word#-}]=1 ;;
            =*) mapfile -t -O "${#_wanted[@]}" _wanted < <(farrier_folder "${_word#=}") ;;
            *) _wanted+=("$_word") ;;
        esac
    done < <(farrier_words | grep '^here ')

    for _word in "${_wanted[@]}"; do
        [[ ${_left_out[$_word]} ]] || echo "$_word"
    done | sort -u
}

# The list's words, one a line: "here" or "elsewhere" (a word of other kernels than this one), the
# word without the bound on the kernel's version and the architecture, and the line's reason.
farrier_words() {
    local _family _rest _word _where _version=${kernel%%[!0-9.]*} _architecture=${kernel##*-}

    while read -r _family _rest; do
        [[ $_family && $_family != \#* ]] || continue
        for _word in ${_rest%%#*}; do
            _where=here
            [[ $_word != *@* || ${_word#*@} == "$_architecture" ]] || _where=elsewhere
            _word=${_word%@*}
            case $_word in
                *'>='*) farrier_older "$_version" "${_word#*>=}" && _where=elsewhere ;;
                *'<'*) farrier_older "$_version" "${_word#*<}" || _where=elsewhere ;;
            esac
            echo "$_where ${_word%%[<>]*} ${_rest#*#}"
        done
    done < "$moddir/modules"
}

# Whether version $1 is older than $2.
farrier_older() {
    [[ $1 != "$2" ]] && printf '%s\n' "$1" "$2" | sort -CV
}

# Names of the modules in a folder of the kernel's tree.
farrier_folder() {
    if ! [[ -d $srcmods/kernel/$1 ]]; then
        derror "FAILED: the kernel has no folder $1 (dracut/95farrier/modules)"
        return
    fi
    find "$srcmods/kernel/$1" -name '*.ko*' -printf '%f\n' | sed 's/\.ko.*//'
}

# Whether the kernel has a module, as a file or built in.
farrier_known() {
    local _pattern="/${1//[-_]/[-_]}\.ko"
    grep -q -- "$_pattern" "$srcmods/modules.order" "$srcmods/modules.builtin"
}

installkernel() {
    local _modules _module

    mapfile -t _modules < <(farrier_modules)
    for _module in "${_modules[@]}"; do
        farrier_known "$_module" || derror "FAILED: the kernel has no module $_module"
    done
    hostonly='' instmods "${_modules[@]}"
    inst_multiple /usr/lib/modprobe.d/aliases.conf
    farrier_firmware
    farrier_compress_modules
}

# The files that drivers ask for, as a table that PID 1 reads when a card does not get one: "file module
# kind package". instmods took the files that modules name and that are there; some ask for more.
farrier_firmware() {
    local _file _module _kind _package _else=-
    local -A _packages=()

    # The file "*" stands for all that are not named: "?" where it is not known whether a package has them.
    while read -r _file _package; do
        if [[ $_file == '*' ]]; then _else=$_package; else _packages[$_file]=$_package; fi
    done < "$dracutsysrootdir/firmware.files"

    mkdir -p "$initdir/usr/share/farrier"
    {
        find "$initdir/usr/lib/modules" -name '*.ko*' -print0 | { xargs -0 -r modinfo ||
            derror "FAILED: modinfo could not read a module"; } | awk '
            $1 == "filename:" { file = $2; kind = "other" }
            $1 == "filename:" && file ~ /\/drivers\/(net|infiniband)\// { kind = "network" }
            $1 == "filename:" && file ~ /\/drivers\/(ata|block|message|mmc|nvme|scsi|ufs|usb\/storage)\// { kind = "storage" }
            $1 == "filename:" { sub(/.*\//, "", file); sub(/\.ko.*/, "", file) }
            $1 == "firmware:" { print $2, file, kind }'
        grep -v '^#' "$moddir/firmware"
    } | sort -u | while read -r _file _module _kind; do
        [[ -e $initdir/usr/lib/firmware/$_file ]] || inst_multiple -o "/usr/lib/firmware/$_file"
        echo "$_file $_module $_kind ${_packages[$_file]:-$_else}"
    done > "$initdir/usr/share/farrier/firmware"
}

# The ramdisk's files lie in memory for as long as it runs, and of the modules, its greater part, a
# machine loads a tenth: compressed they take a quarter. modprobe and udev expand what they load.
# Debian 13 brings them compressed by xz, and they stay so: its kernel unpacks them by itself, with less
# memory; by zstd they would take 3 MB more, and a start is as fast (10.4 s of a processor without
# hardware virtualisation, both). Those of Debian 12 are not compressed, and its kernel cannot unpack any.
# dracut writes the indexes of the modules after this.
farrier_compress_modules() {
    find "$initdir/usr/lib/modules" -name '*.ko' -print0 |
        xargs -0 -r -n 16 -P "$(nproc)" zstd -q -19 --rm ||
        derror "FAILED: a module could not be compressed"
}

# Take files as they are, programs and libraries with the libraries that they link to. dracut's own
# functions are silent about some files that are missing.
farrier_take() {
    local _file
    for _file in "$@"; do
        inst "$_file" || derror "FAILED: the chroot has no $_file"
    done
}

install() {
    local _rule _file

    # udev: device manager, its helpers, and only the rules that inventory, root device hints and
    # interface names need. Left out on purpose: 64-md-raid-assembly (arrays are assembled by the
    # agent, after settling), 60-multipath (it would ask multipath about each disk before anything
    # else; the agent starts multipath where it sees a disk twice), kpartx and LVM activation, seats,
    # sound, input, video.
    farrier_take \
        /usr/bin/udevadm /usr/lib/systemd/systemd-udevd \
        /usr/lib/udev/{ata_id,cdrom_id,scsi_id} \
        /usr/lib/systemd/network/{73-usb-net-by-mac,99-default}.link
    for _rule in \
        50-firmware 50-udev-default 55-dm 56-dm-mpath 60-block 60-cdrom_id 60-infiniband \
        60-persistent-storage 60-persistent-storage-dm 63-md-raid-arrays 73-special-net-names \
        75-net-description 80-debian-compat 80-drivers 80-net-setup-link 95-dm-notify; do
        farrier_take "/usr/lib/udev/rules.d/$_rule.rules"
    done
    # Compiled by image/chroot from 20-net-ifname.hwdb alone (the whole base is 12 MB).
    farrier_take /usr/lib/udev/hwdb.bin

    # modprobe: the kernel starts /sbin/modprobe itself for file systems, nls tables and crypto.
    farrier_take /usr/bin/kmod /usr/sbin/modprobe "$farrier_libraries/libkmod.so.2"

    # Arrays and multipath, started by the agent. The modules of multipath are its path checkers and
    # priorities for kinds of storage; foreign is NVMe's own multipath, which needs none.
    farrier_take /usr/sbin/{mdadm,mdmon,dmsetup,multipath,multipathd} \
        /usr/lib/multipath/lib{check,prio}*.so

    # File systems beside a partition image, made by the agent. mkfs.ext2, mkfs.ext3 and mkfs.ext4 are one program,
    # which takes their properties from its configuration.
    farrier_take /usr/sbin/{mke2fs,mkfs.ext2,mkfs.ext3,mkfs.ext4,mkfs.fat,mkfs.vfat,mkfs.xfs,mkswap} /etc/mke2fs.conf

    # What a person who logs in checks and mends file systems with; all else that he needs is in busybox. mount of that
    # looks into /etc/filesystems, since what the kernel lists is only what is loaded.
    farrier_take /usr/sbin/{blkid,fsck,e2fsck,fsck.ext2,fsck.ext3,fsck.ext4,fsck.fat,fsck.vfat,xfs_repair}

    # Log in to the iSCSI targets of firmware's table, and look after the sessions. Both are started by the agent, and
    # only where there is such a table.
    farrier_take /usr/sbin/{iscsistart,iscsid}

    # dhcpcd, with the module that makes it wait until udev has named an interface, and that
    # module's library. dhcpcd's hook script is not taken: the hook is farrier itself, so that no
    # shell runs on the boot path.
    farrier_take /usr/sbin/dhcpcd "$farrier_libraries"/{dhcpcd/dev/udev.so,libudev.so.1}

    # What farrier-plugin-host and plugins that are shared libraries link to. The programs above
    # bring some of these, but that is not to be relied upon. libdl, libpthread and librt are empty
    # since glibc 2.34, and whatever was linked before asks for them; libgcc_s unwinds the stack of
    # C++ and Rust. Not libstdc++ (2 MB): a plugin in C++ brings its own, of the version it needs.
    farrier_take "$farrier_loader" \
        "$farrier_libraries"/{libc.so.6,libm.so.6,libdl.so.2,libpthread.so.0,librt.so.1,libgcc_s.so.1}

    # A login, which PID 1 makes possible when somebody may come (src/init/ssh_server.rs). doas for its user, who finds it
    # under the name of sudo; of PAM it asks nothing that needs a module but the one that permits (etc/pam.d/doas).
    farrier_take /usr/sbin/dropbear /usr/bin/{dropbearkey,doas} \
        "$farrier_libraries/security/pam_permit.so"

    farrier_take /etc/ssl/certs/ca-certificates.crt /usr/bin/busybox /etc/os-release

    # Our own configuration files.
    (cd "$moddir/root" && find . -type f -printf "%P\n") | sort | while read -r _file; do
        # Not the function around us, the program.
        command install -D -m 0644 "$moddir/root/$_file" "$initdir/$_file"
    done

    mkdir -p "$initdir"/{dev,proc,sys,run,mnt,tmp,root,opt/farrier/plugins} \
        "$initdir"/{usr/lib/dhcpcd,var/lib/dhcpcd}
    chmod 0700 "$initdir/root"
    chmod 1777 "$initdir/tmp"
    ln -sfn /run "$initdir/var/run"
    # Written by the lease hook, below PID 1's own directory.
    ln -sfn /run/farrier/resolv.conf "$initdir/etc/resolv.conf"
    ln -sfn /proc/self/mounts "$initdir/etc/mtab"
    ln -sfn farrier "$initdir/usr/bin/farrier-lease"
    ln -sfn farrier "$initdir/usr/bin/farrier-network"
    ln -sfn farrier "$initdir/usr/bin/farrier-port"
    ln -sfn farrier "$initdir/usr/bin/farrier-ssh"
    chmod 0755 "$initdir/usr/bin/sudo"
    chmod 4755 "$initdir/usr/bin/doas"
}
