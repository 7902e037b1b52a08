"""Disks whose boot loaders are stand-ins: a small EFI program that says from where it was started, and fails."""

import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lab import paths

SOURCE = paths.ROOT / 'tests/lab/images/stand-in'
FIXTURE = paths.ROOT / 'tests/fixtures/boot_entries/boot_files.json'

# Nothing of a system around it, no calls into a library, and no place where it has to lie.
_COMPILE = ['gcc', '-Wall', '-Wextra', '-Werror', '-Os', '-ffreestanding', '-fpie', '-mno-red-zone',
            '-fno-stack-protector', '-fno-asynchronous-unwind-tables', '-fcf-protection=none', '-fno-jump-tables',
            '-fno-tree-loop-distribute-patterns', '-nostdlib', '-static', '-no-pie', '-Wl,--oformat,binary',
            '-Wl,--build-id=none']

_LINE = re.compile(r'stand-in: Boot([0-9a-f]{4}) (\S+) on ([0-9a-f-]{36}) told \[([^\]]*)\]')

_START = 2048
_SECTOR = 512


@dataclass(frozen=True)
class Started:
    """One start of a stand-in: the file, its partition's GUID, what it was told."""

    path: str
    partition: str
    told: str


@dataclass(frozen=True)
class BootFiles:
    """An EFI system partition of the fixture, and what is to boot from it."""

    name: str
    origin: str
    source: str
    files: list
    tables: dict
    loader: str
    label: str
    arguments: str
    removable: str | None

    @staticmethod
    def all():
        return [BootFiles(**case) for case in json.loads(FIXTURE.read_text())]

    def lay(self, disk, program, partition):
        """Onto a disk with a GPT, as the partition of this GUID; every EFI program is the stand-in."""
        size = disk.disk.size_mib * 1024 * 1024
        sectors = size // _SECTOR - 2 * _START
        where = f'{disk.path}@@{_START * _SECTOR}'
        _run('sgdisk', '-n', f'1:{_START}:+{sectors - 1}', '-t', '1:ef00', '-u', f'1:{partition}', disk.path)
        _run('mkfs.vfat', '-F', '16', '--offset', _START, disk.path, sectors * _SECTOR // 1024)
        folders = sorted({str(parent) for file in [*self.files, *self.tables] for parent in Path(file).parents} - {'.'})
        _run('mmd', '-i', where, *(f'::{folder}' for folder in folders))
        with tempfile.TemporaryDirectory() as work:
            for file in self.files:
                content = Path(work, 'content')
                content.write_bytes(program if file.lower().endswith('.efi') else b'\n')
                _run('mcopy', '-o', '-i', where, content, f'::{file}')
            for file, text in self.tables.items():
                table = Path(work, 'table')
                table.write_bytes(text.encode('utf-16-le'))
                _run('mcopy', '-o', '-i', where, table, f'::{file}')


def build():
    """The stand-in, as bytes."""
    with tempfile.TemporaryDirectory() as work:
        target = Path(work, 'stand-in.efi')
        _run(*_COMPILE, '-Wl,-T,' + str(SOURCE / 'layout.ld'), '-o', target, SOURCE / 'header.S', SOURCE / 'stand_in.c')
        return target.read_bytes()


def started(text):
    """All that stand-ins have said in a console's text, in order."""
    return [Started(path, partition, told) for _, path, partition, told in _LINE.findall(text)]


def _run(*command):
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
