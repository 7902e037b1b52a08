"""The two agents: their ramdisks, which differ in nothing else that is booted."""

import re
from dataclasses import dataclass
from pathlib import Path

from lab import paths

COMPARE = paths.BUILD / 'compare'


@dataclass(frozen=True)
class Agent:
    """One agent's ramdisk; sizes in bytes."""

    name: str
    image: Path
    unpacked: int
    modules: int


def farrier():
    unpacked = sum((paths.RAMDISK.parent / name).stat().st_size
                   for name in ('base.cpio', 'agent.cpio'))
    modules = (COMPARE / 'modules').read_text().count('\n')
    return Agent('farrier', paths.RAMDISK, unpacked, modules)


def reference():
    return Agent('IPA', COMPARE / 'reference.img',
                 int((COMPARE / 'reference.unpacked').read_text()),
                 len(re.findall(r'\.ko(\.xz)?$', (COMPARE / 'reference.files').read_text(), re.M)))
