#!/usr/bin/env python3
"""Makes a file of every kind that is given for an image and is none, and disks that are: files.py FILE.

    tests/check/install-packages zip p7zip-full lz4 lzip lzop ncompress cpio binutils android-sdk-libsparse-utils \\
        partclone ntfs-3g wimtools xz-utils zstd xorriso isolinux syslinux-common grub-pc-bin \\
        e2fsprogs dosfstools squashfs-tools
    python3 tests/foreign_images/files.py tests/fixtures/foreign_images/cases.json

Of boot code under another licence than this only the first 64 bytes are kept; all of it was looked at.
"""

import base64
import datetime
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile


def run(command, folder, **options):
    return subprocess.run(['sh', '-c', command], cwd=folder, check=True, capture_output=True, timeout=60,
                          **options).stdout


# Title, command that writes the file (the disk is disk.raw), what it is called, and the command that
# is recommended.
FOREIGN = [
    ('zip', 'zip -q out disk.raw; mv out.zip out', 'a zip archive', 'unzip IMAGE'),
    ('zip, streamed', 'cat disk.raw | zip -q - - > out', 'a zip archive', 'unzip IMAGE'),
    ('zip, stored', 'zip -q -0 out.zip disk.raw; mv out.zip out', 'a zip archive', 'unzip IMAGE'),
    ('zip, empty', 'zip -q out.zip disk.raw; zip -q -d out.zip disk.raw; printf "PK\\005\\006" > out; '
     'head -c 18 /dev/zero >> out', 'a zip archive', 'unzip IMAGE'),
    ('tar, GNU', 'tar --format=gnu -cf out disk.raw', 'a tar archive', 'tar xf IMAGE'),
    ('tar, POSIX', 'tar --format=pax -cf out disk.raw', 'a tar archive', 'tar xf IMAGE'),
    ('tar, ustar', 'tar --format=ustar -cf out disk.raw', 'a tar archive', 'tar xf IMAGE'),
    ('tar, seventh edition', 'tar --format=v7 -cf out disk.raw', 'a tar archive', 'tar xf IMAGE'),
    ('tar, sparse', 'tar -S --format=gnu -cf out disk.raw', 'a tar archive', 'tar xf IMAGE'),
    ('tar, as of an OVA', 'cp disk.raw disk.vmdk; echo "<Envelope/>" > box.ovf; '
     'tar --format=ustar -cf out box.ovf disk.vmdk', 'a tar archive', 'qemu-img convert -f vmdk'),
    ('tar in gzip', 'tar -czf out disk.raw', 'a tar archive inside gzip', 'tar xf IMAGE'),
    ('tar in xz', 'tar -cJf out disk.raw', 'a tar archive inside xz', 'tar xf IMAGE'),
    ('tar in zstd', 'tar --zstd -cf out disk.raw', 'a tar archive inside zstd', 'tar xf IMAGE'),
    ('tar in bzip2', 'tar -cjf out disk.raw', 'a tar archive inside bzip2', 'tar xf IMAGE'),
    ('lz4', 'lz4 -q disk.raw out', 'compressed with lz4', 'lz4 -d IMAGE IMAGE.raw'),
    ('lz4, with sizes', 'lz4 -q --content-size -BX -B4 disk.raw out', 'compressed with lz4', 'lz4 -d'),
    ('lz4, legacy', 'lz4 -q -l disk.raw out', 'compressed with lz4', 'lz4 -d IMAGE IMAGE.raw'),
    ('lz4 behind a skippable frame', '{ printf "\\120\\052\\115\\030\\003\\0\\0\\0abc"; lz4 -q -c disk.raw; } '
     '> out', 'compressed with lz4', 'lz4 -d'),
    ('lzma', 'xz --format=lzma -c disk.raw > out', 'compressed with LZMA', 'xz --format=lzma -dc IMAGE'),
    ('lzma -9', 'xz --format=lzma -9 -c disk.raw > out', 'compressed with LZMA', 'xz --format=lzma'),
    ('lzma -0', 'xz --format=lzma -0 -c disk.raw > out', 'compressed with LZMA', 'xz --format=lzma'),
    ('lzma, other properties', 'xz --format=lzma --lzma1=dict=192KiB,lc=1,lp=2,pb=0 -c disk.raw > out',
     'compressed with LZMA', 'xz --format=lzma'),
    # As the LZMA SDK writes it.
    ('lzma with a size', 'xz --format=lzma -c disk.raw > out; printf "\\0\\020\\002\\0\\0\\0\\0\\0" | '
     'dd of=out bs=1 seek=5 conv=notrunc', 'compressed with LZMA', 'xz --format=lzma'),
    ('sparse', 'img2simg disk.raw out', 'an Android sparse image', 'simg2img IMAGE IMAGE.raw'),
    ('sparse in gzip', 'img2simg disk.raw out && gzip out && mv out.gz out',
     'an Android sparse image inside gzip', 'decompress it with `gzip -d`, then convert it with `simg2img'),
    ('7z', '7z a out.7z disk.raw; mv out.7z out', 'a 7z archive', '7z x IMAGE'),
    ('lzip', 'lzip -c disk.raw > out', 'compressed with lzip', 'lzip -dc IMAGE'),
    ('lzop', 'lzop -c disk.raw > out', 'compressed with lzop', 'lzop -dc IMAGE'),
    ('compress', 'compress -c disk.raw > out', 'compressed with compress', 'gzip -dc < IMAGE'),
    ('compress, 12 bits', 'compress -b 12 -c disk.raw > out', 'compressed with compress', 'gzip -dc'),
    ('cpio, new', 'echo disk.raw | cpio --quiet -o -H newc > out', 'a cpio archive', 'cpio -id < IMAGE'),
    ('cpio, with sums', 'echo disk.raw | cpio --quiet -o -H crc > out', 'a cpio archive', 'cpio -id'),
    ('cpio, old', 'echo disk.raw | cpio --quiet -o -H odc > out', 'a cpio archive', 'cpio -id'),
    ('an initial ramdisk', 'echo disk.raw | cpio --quiet -o -H newc | zstd -q > out',
     'a cpio archive, as an initial ramdisk is inside zstd', 'decompress it with `zstd -d`, then unpack'),
    ('lz4 in gzip', 'lz4 -q -c disk.raw | gzip > out', 'compressed with lz4 inside gzip',
     'decompress it with `gzip -d`'),
    ('zip in xz', 'zip -q out.zip disk.raw; xz -c out.zip > out', 'a zip archive inside xz',
     'decompress it with `xz -d`, then unpack it with `unzip'),
    ('a Debian package', 'echo 2.0 > debian-binary; ar rc out debian-binary', 'an ar archive', 'a disk'),
    ('partclone', 'partclone.extfs -q -c -s ext.raw -o out -F -L /dev/null', 'a partclone image',
     'partclone.restore'),
    ('ntfsclone', 'truncate -s 8M n.raw; /usr/sbin/mkfs.ntfs -q -F n.raw; '
     '/usr/sbin/ntfsclone -q --save-image -O out n.raw', 'an ntfsclone image', 'ntfsclone --restore-image'),
    ('WIM', 'mkdir w; echo x > w/x; wimcapture w out.wim; mv out.wim out', 'a Windows image (WIM)',
     'wimapply'),
    ('a program', 'cp /bin/true out', 'an ELF program', 'the image of a disk'),
    ('a script', 'printf "#!/bin/sh\\necho\\n" > out', 'a script', 'unpacks'),
    ('a page', 'printf "\\n<!DOCTYPE HTML>\\n<title>Login</title>" > out', 'an HTML or XML page', 'check the'),
    ('a page in UTF-8', 'printf "\\357\\273\\277<html>" > out', 'an HTML or XML page', 'check the URL'),
    ('an error of a store', 'printf "<?xml version=\\"1.0\\"?>\\n<Error/>" > out', 'an HTML or XML page',
     'check the URL'),
    ('a pointer', 'printf "version https://git-lfs.github.com/spec/v1\\noid sha256:0\\n" > out',
     'a pointer of Git LFS', 'git lfs pull'),
]

# Title, command, and how many bytes are kept.
BOOT_CODE = '/usr/lib/syslinux/mbr'
DISKS = [
    *((f'boot code {name}', f'cp {BOOT_CODE}/{name} out', 512) for name in
      ('mbr.bin', 'gptmbr.bin', 'altmbr.bin')),
    ('boot code of GRUB', 'cp /usr/lib/grub/i386-pc/boot.img out', 64),
    ('boot code of GRUB for hybrids', 'cp /usr/lib/grub/i386-pc/boot_hybrid.img out', 64),
    ('boot code of GRUB for CDs', 'cp /usr/lib/grub/i386-pc/cdboot.img out', 64),
    *((f'isohybrid {name}', f'mkdir -p t; echo x > t/x; cp /usr/lib/ISOLINUX/isolinux.bin t/; xorriso -as '
       f'mkisofs -quiet -V X -o out -isohybrid-mbr /usr/lib/ISOLINUX/{name} -b isolinux.bin -c boot.cat '
       '-no-emul-boot -boot-load-size 4 -boot-info-table t', 512)
      for name in ('isohdpfx.bin', 'isohdppx.bin')),
    ('a FAT file system', 'truncate -s 1M f; /usr/sbin/mkfs.fat f >/dev/null; cp f out', 4096),
    ('a FAT32 file system', 'truncate -s 64M f3; /usr/sbin/mkfs.fat -F 32 f3 >/dev/null; cp f3 out', 4096),
    ('an NTFS file system', 'truncate -s 8M n2; /usr/sbin/mkfs.ntfs -q -F n2; cp n2 out', 64),
    ('an ext4 file system', 'cp ext.raw out', 4096),
    ('a squashfs', 'mkdir -p q; echo x > q/x; mksquashfs q out -quiet -no-progress', 4096),
    ('zeros', 'truncate -s 64K out', 4096),
]


def stored(content):
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()


def made(command):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        # Compressible, and larger than what is looked at.
        (folder / 'disk.raw').write_bytes(bytes(4096) + b'words on a disk ' * 4096 + bytes(64 << 10))
        (folder / 'ext.raw').write_bytes(bytes(1 << 20))
        run('/usr/sbin/mkfs.ext4 -q -O ^has_journal ext.raw', folder)
        run(command, folder)
        return (folder / 'out').read_bytes()


def main(path):
    cases = []
    for title, command, what, remedy in FOREIGN:
        # A file that is cut begins as one that is not; what is inside a compression is read.
        file = made(command)[:64 << 10]
        cases.append({'title': title, 'file': stored(file), 'what': what, 'remedy': remedy})
    for title, command, kept in DISKS:
        content = made(command)
        # With the mark of a boot sector, which installing the code writes.
        start = content[:kept].ljust(512, b'\0')[:-2] + b'\x55\xaa' if kept <= 512 else content[:kept]
        cases.append({'title': title, 'file': stored(start)})
    head = json.dumps({'date': datetime.date.today().isoformat()}, indent=1).removesuffix('\n}')
    lines = ',\n'.join('  ' + json.dumps(case) for case in cases)
    path.write_text(f'{head},\n "cases": [\n{lines}\n ]\n}}\n')
    print(f'{len(FOREIGN)} foreign files, {len(DISKS)} disks')


if __name__ == '__main__':
    main(pathlib.Path(sys.argv[1]))
