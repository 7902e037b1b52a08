"""A disk of a server: a sparse file on the host, readable and writable while the server is off."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from lab.write_log import WriteLog, write_log_paths

MIB = 1024 * 1024
BUSES = ('virtio', 'sata', 'nvme', 'scsi', 'card', 'ufs')


@dataclass
class Disk:
    """What a test asks for.

    `bus` is one of BUSES (`card` is a SCSI disk on a controller of its own behind a PCIe bridge, as
    a flash card is; `ufs` needs QEMU 8.2), `sector` the logical sector size in bytes (SATA knows only
    512, UFS only 4096; its serial number is disk0, the name in QEMU), `rotational`
    whether the disk says that it spins (SATA and SCSI), `logged` whether QEMU keeps a log of all
    writes and flushes (`DiskFile.write_logs`), `bad_mib` a MiB of which one sector of 512 bytes, the
    `bad_sector`, cannot be written, `model` what a card's disk calls itself, `discard` whether a virtio
    disk offers to discard and to write zeroes, `plugged` whether it is in the server at all.
    """

    bus: str = 'virtio'
    size_mib: int = 256
    serial: str = ''
    sector: int = 512
    rotational: bool = False
    logged: bool = False
    bad_mib: int | None = None
    bad_sector: int = 0
    model: str = ''
    discard: bool = True
    plugged: bool = True

    def __post_init__(self):
        if self.bus not in BUSES:
            raise ValueError(f'disk bus {self.bus!r} is none of {", ".join(BUSES)}')
        if self.bus == 'sata' and self.sector != 512:
            raise ValueError('QEMU emulates SATA disks with 512-byte sectors only')
        if self.bus == 'ufs' and self.sector != 4096:
            raise ValueError('UFS has 4096-byte sectors only')
        if self.model and self.bus != 'card':
            raise ValueError(f'a {self.bus} disk has the model that QEMU gives it')
        if self.rotational and self.bus not in ('sata', 'scsi'):
            raise ValueError(f'a {self.bus} disk cannot be rotational')
        if not self.discard and self.bus != 'virtio':
            raise ValueError(f'a {self.bus} disk always offers to discard')


class DiskFile:
    """The content of one disk."""

    def __init__(self, disk: Disk, path: Path):
        self.disk = disk
        self.path = path

    def make(self):
        with open(self.path, 'wb') as file:
            file.truncate(self.disk.size_mib * MIB)

    def read(self, offset, length):
        with open(self.path, 'rb') as file:
            file.seek(offset)
            return file.read(length)

    def write(self, offset, data):
        with open(self.path, 'r+b') as file:
            file.seek(offset)
            file.write(data)

    def fill(self, pattern=b'\xa5'):
        """Old data all over the disk."""
        block = (pattern * (MIB // len(pattern) + 1))[:MIB]
        with open(self.path, 'r+b') as file:
            for _ in range(self.disk.size_mib):
                file.write(block)

    def find(self, pattern):
        """The offset of the first occurrence, or None."""
        with open(self.path, 'rb') as file:
            before, start = b'', 0
            while piece := file.read(8 * MIB):
                # What begins in one piece can end in the next.
                found = (before + piece).find(pattern)
                if found >= 0:
                    return start - len(before) + found
                start += len(piece)
                before = piece[-len(pattern) + 1:]
        return None

    def put(self, path: Path):
        """The content of another file from the start of the disk on, and nothing after it."""
        shutil.copy(path, self.path)
        with open(self.path, 'r+b') as file:
            file.truncate(self.disk.size_mib * MIB)

    def is_zero(self, offset, length):
        return self.read(offset, length).count(0) == length

    def write_logs(self):
        """The log of each time the server was started, oldest first."""
        return [WriteLog(path) for path in write_log_paths(self.path) if path.exists()]

    def write_log_bytes(self):
        """How long the log of the latest start is by now."""
        return [path for path in write_log_paths(self.path) if path.exists()][-1].stat().st_size

    def allocated_mib(self):
        """How much the host stores for it: what has been written and not been zeroed away."""
        return self.path.stat().st_blocks * 512 // MIB
