"""What former systems leave on disks, written without their programs where these are not at hand."""

import struct
import subprocess
import tempfile
import zlib
from pathlib import Path

from lab.disk import MIB

SECTOR = 512


def make_gfs2(disk):
    """The superblock of a GFS2 file system: `struct gfs2_sb` of linux/gfs2_ondisk.h, big-endian, at
    64 KiB."""
    header = struct.pack('>IIQII', 0x01161970, 1, 0, 100, 0)
    formats = struct.pack('>IIII', 1801, 1900, 0, 4096)
    geometry = struct.pack('>III', 12, 0, 0)
    inodes = bytes(16 * 3)
    names = b'lock_dlm'.ljust(64, b'\0') + b'farrier:shared'.ljust(64, b'\0')
    disk.write(64 * 1024, (header + formats + geometry + inodes + names).ljust(4096, b'\0'))


def make_lvm(disk):
    """The label of an LVM physical volume: `struct label_header` and `pv_header` of LVM2's
    format_text/layout.h, in the second sector."""
    pv_header = b'farrierfarrierfarrierfarrier1234' + struct.pack('<Q', disk.disk.size_mib * MIB)
    # From where the checksum ends.
    rest = (struct.pack('<I8s', 32, b'LVM2 001') + pv_header).ljust(SECTOR - 20, b'\0')
    # LVM's CRC has an initial value of its own and is not inverted.
    checksum = zlib.crc32(rest, 0xf597a6cf ^ 0xffffffff) ^ 0xffffffff
    disk.write(SECTOR, struct.pack('<8sQI', b'LABELONE', 1, checksum) + rest)


def make_stale_gpt(disk):
    """Two GPTs: the second copy of the first is at the disk's end, both of the second are those of a
    disk half as large, whose image was written over the first one."""
    size = disk.disk.size_mib * MIB
    _partition(disk.path)
    with tempfile.NamedTemporaryFile(dir=disk.path.parent) as half:
        half.truncate(size // 2)
        _partition(Path(half.name))
        image = Path(half.name).read_bytes()
    disk.write(0, image[:MIB])
    disk.write(size // 2 - MIB, image[-MIB:])


def _partition(path):
    subprocess.run(['sfdisk', '--quiet', '--wipe', 'never', path], input='label: gpt\n,4M\n,,\n',
                   text=True, check=True)
