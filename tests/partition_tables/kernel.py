#!/usr/bin/env python3
"""Asks Debian's kernels which partitions they see in every table of cases.py: kernel.py FILE PACKAGE...

    apt-get download linux-image-6.1.0-57-amd64-unsigned linux-image-6.12.117+deb12-amd64-unsigned
    python3 tests/partition_tables/kernel.py tests/fixtures/partition_tables/cases.json linux-image-*.deb

Needs qemu-system-x86, busybox-static and cpio. All tables lie on one disk of a guest of QEMU, which
attaches a loop device with a case's block size over each, and says what sysfs shows.
"""

import datetime
import json
import lzma
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import cases

PROGRAMS = ['/bin/busybox', '/sbin/losetup']
MODULES = ['virtio_ring', 'virtio', 'virtio_pci_legacy_dev', 'virtio_pci_modern_dev', 'virtio_pci',
           'virtio_blk', 'loop']
INIT = """#!/bin/busybox sh
export PATH=/bin:/sbin
/bin/busybox --install /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in {modules}; do insmod /$module.ko; done
[ -b /dev/vda ] || sleep 2
[ -b /dev/vda ] || poweroff -f
echo; echo "VERSION $(cat /proc/version)"
while read index block offset bytes; do
    device=$(/sbin/losetup --find --show --partscan --sector-size $block --offset $offset --sizelimit $bytes /dev/vda)
    name=${{device#/dev/}}
    echo "CASE $index $(cat /sys/block/$name/queue/logical_block_size) $(cat /sys/block/$name/size)"
    for part in /sys/block/$name/$name*; do
        [ -e $part/partition ] || continue
        read number < $part/partition
        read start < $part/start
        read size < $part/size
        echo "PART $number $start $size"
        while read -r line; do
            case $line in PARTNAME=*) echo "$line";; esac
        done < $part/uevent
    done
    /sbin/losetup --detach $device
done < /cases
echo END
poweroff -f
"""


def build():
    """All disks, with their pieces of 512 bytes that are not empty."""
    disks = []
    for title, why, block, size, put in cases.CASES:
        disk = cases.Disk(block, size)
        put(disk)
        pieces = {place * 512: bytes(piece) for place, piece in sorted(disk.content.items())
                  if any(piece) and place * 512 < size}
        disks.append((title, why, block, size, pieces))
    return disks


def runs(pieces):
    """The same as [offset, hexadecimal] without the zeros around."""
    found = []
    for offset, piece in pieces.items():
        for run in re.finditer(rb'[^\0](?:.{0,16}[^\0])*', piece, re.S):
            found.append([offset + run.start(), run.group().hex()])
    return found


def ramdisk(folder, package, disks):
    """Packs kernel and ramdisk."""
    unpacked = folder / 'package'
    subprocess.run(['dpkg-deb', '--extract', package, unpacked], check=True)
    tree = folder / 'tree'
    for name in ('bin', 'sbin', 'proc', 'sys', 'dev'):
        (tree / name).mkdir(parents=True)
    for program in PROGRAMS:
        said = subprocess.run(['ldd', program], capture_output=True, text=True, check=False).stdout
        for path in [program, *re.findall(r'(/\S+) \(0x', said)]:
            (tree / path[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, tree / path[1:])
    for module in MODULES:
        found = next(unpacked.rglob(f'{module}.ko*'), None)
        if found:
            content = found.read_bytes()
            (tree / f'{module}.ko').write_bytes(lzma.decompress(content) if found.suffix == '.xz' else content)
    lines = []
    offset = 0
    with open(folder / 'disk', 'wb') as image:
        for index, (_, _, block, size, pieces) in enumerate(disks):
            lines.append(f'{index} {block} {offset} {size}\n')
            for place, piece in pieces.items():
                image.seek(offset + place)
                image.write(piece)
            offset += size
        image.truncate(offset)
    (tree / 'cases').write_text(''.join(lines))
    (tree / 'init').write_text(INIT.format(modules=' '.join(MODULES)))
    (tree / 'init').chmod(0o755)
    with open(folder / 'ramdisk', 'wb') as file:
        names = subprocess.run(['find', '.'], cwd=tree, capture_output=True, check=True).stdout
        subprocess.run(['cpio', '--quiet', '-o', '-H', 'newc'], cwd=tree, input=names, stdout=file, check=True)
    return next(unpacked.glob('boot/vmlinuz-*'))


def ask(package, disks):
    """The kernel's version, and its partitions of each disk."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        kernel = ramdisk(folder, package, disks)
        said = subprocess.run(
            ['qemu-system-x86_64', '-accel', 'tcg', '-m', '768', '-nographic', '-no-reboot', '-net', 'none',
             '-kernel', kernel, '-initrd', folder / 'ramdisk', '-append', 'console=ttyS0 quiet panic=-1',
             '-drive', f'file={folder}/disk,format=raw,if=virtio'],
            stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=900).stdout
    said = said.decode('latin-1').replace('\r', '')
    if '\nEND' not in said:
        raise SystemExit(f'{package}: the guest did not get to its end\n{said[-2000:]}')
    version = re.search(r'^VERSION Linux version (\S+) .*?(\S+) \(\d{4}-\d\d-\d\d\)$', said, re.M)
    answers = []
    for head, rest in re.findall(r'^CASE (.+)\n((?:PART.*\n)*)', said, re.M):
        index, block, size = map(int, head.split())
        if (index, block, size * 512) != (len(answers), disks[index][2], disks[index][3]):
            raise SystemExit(f'{package}: case {index} came out as {head}')
        found = []
        for line in rest.splitlines():
            if line.startswith('PART '):
                number, start, count = map(int, line.split()[1:])
                found.append({'number': number, 'start': start, 'size': count})
            else:
                found[-1]['name'] = line.removeprefix('PARTNAME=')
        answers.append(sorted(found, key=lambda part: part['number']))
    if len(answers) != len(disks):
        raise SystemExit(f'{package}: {len(answers)} answers to {len(disks)} cases')
    return f'{version[1]} (Debian {version[2]})', answers


def main(path, packages):
    disks = build()
    told = [ask(package, disks) for package in packages]
    for index, disk in enumerate(disks):
        seen = [answers[index] for _, answers in told]
        if any(answer != seen[0] for answer in seen):
            raise SystemExit(f'{disk[0]}: the kernels differ: {seen}')
    used = {why for _, why, *_ in disks if why}
    if used != set(cases.REASONS):
        raise SystemExit(f'reasons without a case: {set(cases.REASONS) ^ used}')
    head = json.dumps({'kernels': [version for version, _ in told], 'date': datetime.date.today().isoformat(),
                       'reasons': cases.REASONS}, indent=1, ensure_ascii=False).removesuffix('\n}')
    # A case is a line, so that a change of one is a change of a line.
    lines = ',\n'.join('  ' + json.dumps({
        'title': title, 'block': block, 'size': size, 'content': runs(pieces), 'kernel': told[-1][1][index],
        **({'why': why} if why else {})}, ensure_ascii=False)
        for index, (title, why, block, size, pieces) in enumerate(disks))
    path.write_text(f'{head},\n "cases": [\n{lines}\n ]\n}}\n')
    print(f'{len(disks)} cases with {", ".join(version for version, _ in told)}')


if __name__ == '__main__':
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])
