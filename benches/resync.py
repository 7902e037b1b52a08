#!/usr/bin/env python3
"""What the resync of a new mirror costs a write to it, with the kernel's limits and with a lowered one.

    benches/resync.py [RUNS]

A QEMU guest runs the ramdisk's kernel and mdadm (make ramdisk; busybox-static). Its two disks are files that QEMU holds
to so many bytes a second, each for itself, as a disk's medium does; that seeks cost time is not emulated. Per run and kind
a new mirror is made, and 384 MiB are written to it past the page cache. Prints seconds.
"""

import re
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / 'tests' / 'fixtures' / 'pack'))
import guests  # noqa: E402

RATE = 48 << 20
SIZE = 1 << 30
KINDS = {'in sync': ('--assume-clean', ':'),
         'resync, limits of the kernel': ('', ':'),
         'resync, sync_speed_max 1000': ('', 'echo 1000 > /sys/block/md0/md/sync_speed_max')}

START = '/usr/sbin/modprobe -a virtio_pci virtio_blk raid1; $b sleep 3; $b cat /proc/sys/dev/raid/speed_limit_*\n'
# The first write is not counted: the kernel notices a resync's company after a moment.
RUN = '''\
yes y | /usr/sbin/mdadm --create /dev/md0 --run --level=1 --raid-devices=2 --bitmap=internal {create} /dev/vda /dev/vdb
{limit}
$b sleep 2
$b dd if=/dev/zero of=/dev/md0 bs=4M count=8 oflag=direct
begin=$($b cut -d' ' -f1 /proc/uptime)
$b dd if=/dev/zero of=/dev/md0 bs=4M count=96 oflag=direct conv=fsync
end=$($b cut -d' ' -f1 /proc/uptime)
echo "took:{kind}:$begin:$end"
$b cat /proc/mdstat
/usr/sbin/mdadm --stop /dev/md0
/usr/sbin/mdadm --zero-superblock /dev/vda /dev/vdb
'''


def main(runs):
    guests.TIMEOUT = 60 + 60 * runs * len(KINDS)
    script = START + ''.join(RUN.format(kind=kind, create=create, limit=limit)
                             for _ in range(runs) for kind, (create, limit) in KINDS.items())
    with tempfile.TemporaryDirectory() as folder:
        devices = ['-machine', 'q35']
        for letter in 'ab':
            path = Path(folder) / letter
            with open(path, 'wb') as file:
                file.truncate(SIZE)
            devices += ['-drive', f'file={path},format=raw,if=none,id={letter},cache=none,throttling.bps-total={RATE}',
                        '-device', f'virtio-blk-pci,drive={letter}']
        guests.boot(Path(folder), devices, guests.PREPARE.replace('%s', script), '')
        console = (Path(folder) / 'console').read_text(errors='replace')
    took = {kind: [] for kind in KINDS}
    for kind, begin, end in re.findall(r'took:([^:\n]+):([\d.]+):([\d.]+)', console):
        took[kind].append(float(end) - float(begin))
    if any(len(each) != runs for each in took.values()):
        sys.exit(console)
    for kind, seconds in took.items():
        print(f'{kind}: median {statistics.median(seconds):.1f} s, {", ".join(f"{each:.1f}" for each in seconds)}')


if __name__ == '__main__':
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
