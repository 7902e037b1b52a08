"""What a disk was told, in order: to write, to discard, to flush.

QEMU's `blklogwrites` driver writes it down in the format of the kernel's dm-log-writes target
(Documentation/admin-guide/device-mapper/log-writes.rst): a sector with magic, version, number of
entries and sector size; then each entry, a sector of its own, with its data after it.

From such a log a test makes what a power cut would have left at any moment: everything up to the
last flush for certain, of what came after it any part.
"""

import random
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD = 1, 2, 4


def write_log_paths(disk: Path):
    """Where the logs of a disk's first, second … start are."""
    return (disk.with_suffix(f'.writes{number}') for number in range(1000))


@dataclass(frozen=True)
class Entry:
    """One request; `position` is where its data are in the log."""

    offset: int
    length: int
    flags: int
    position: int

    @property
    def is_write(self):
        return self.length > 0 and not self.flags & DISCARD


class WriteLog:
    """The requests of one start of a server."""

    def __init__(self, path: Path):
        self._path = path
        self.entries = []
        if path.stat().st_size == 0:
            return  # Nobody has written anything: not even the driver a header.
        with open(path, 'rb') as file:
            magic, version, count, sector = struct.unpack('<QQQI', file.read(28))
            if (magic, version) != (MAGIC, 1):
                raise ValueError(f'{path} is no log of writes')
            position = sector
            for _ in range(count):
                file.seek(position)
                start, sectors, flags, _ = struct.unpack('<QQQQ', file.read(32))
                position += sector
                self.entries.append(Entry(start * sector, sectors * sector, flags, position))
                if not flags & DISCARD:
                    position += sectors * sector

    def data(self, entry):
        with open(self._path, 'rb') as file:
            file.seek(entry.position)
            return file.read(entry.length)

    def writes_into(self, end):
        """Numbers of the entries that put something else than zeros below `end` bytes."""
        return [number for number, entry in enumerate(self.entries)
                if entry.is_write and entry.offset < end
                and any(self.data(entry)[:end - entry.offset])]

    def first_flush(self, since=0):
        """Number of the first flush from entry `since` on."""
        return next(number for number, entry in enumerate(self.entries)
                    if number >= since and entry.flags & FLUSH)

    def writes_since_flush(self, moment):
        """Numbers of the writes before entry `moment` that no flush had followed yet."""
        pending = []
        for number, entry in enumerate(self.entries[:moment]):
            if entry.flags & FLUSH:
                pending = []
            if entry.length and not entry.flags & FUA:
                pending.append(number)
        return pending

    def cut(self, moment, before: Path, after: Path):
        """What the disk holds if the power fails before entry `moment`: `before`, changed by every
        write that was flushed and by each other one or not."""
        lost = {number for number in self.writes_since_flush(moment) if random.random() < 0.5}
        # Not shutil.copy: a large disk that holds little would be written out in full.
        subprocess.run(['cp', '--sparse=always', before, after], check=True)
        with open(after, 'r+b') as file:
            for number, entry in enumerate(self.entries[:moment]):
                if entry.is_write and number not in lost:
                    file.seek(entry.offset)
                    file.write(self.data(entry))
