"""A software RAID mirror, made without a kernel that knows any: only its superblocks are written.

The format is version 1.2 of `struct mdp_superblock_1`, linux/raid/md_p.h.
"""

import struct
import uuid

from lab.disk import MIB

MAGIC = 0xa92b4efc
PLACE = 4096  # version 1.2
DATA_SECTOR = 2048
MEMBERS = 2


def make_mirror(disks, name):
    """Writes the superblocks of a mirror of two whole disks that was never synchronised: a kernel
    that starts it for writing copies the first disk to the second. Of one disk: the first half."""
    array = uuid.uuid5(uuid.NAMESPACE_DNS, name).bytes
    sectors = min(disk.disk.size_mib for disk in disks) * MIB // 512 - DATA_SECTOR
    for number, disk in enumerate(disks):
        disk.write(PLACE, superblock(array, name, number, sectors))


def superblock(array, name, number, sectors):
    constant = struct.pack('<IIII16s32sQIIQIIi', MAGIC, 1, 0, 0, array, name.encode(), 0, 1, 0,
                           sectors, 0, MEMBERS, 0).ljust(128, b'\0')
    this = struct.pack('<QQQQII16sB7x', DATA_SECTOR, sectors, PLACE // 512, 0, number, 0,
                       bytes([number + 1] * 16), 0)
    # Nothing is in sync yet: the synchronisation begins at sector 0.
    state = struct.pack('<QQQII32x', 0, 1, 0, 0, MEMBERS)
    roles = struct.pack(f'<{MEMBERS}H', *range(MEMBERS))
    block = constant + this + state + roles
    checksum = sum(struct.unpack(f'<{len(block) // 4}I', block))
    checksum = (checksum & 0xffffffff) + (checksum >> 32)
    at = len(constant + this) + 24
    return block[:at] + struct.pack('<I', checksum & 0xffffffff) + block[at + 4:]
