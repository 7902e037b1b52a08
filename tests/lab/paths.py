"""Where the lab finds its parts and keeps its files."""

import hashlib
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get('FARRIER_BUILD', ROOT / 'build'))
LAB = BUILD / 'lab'
VENV = LAB / 'venv'

# What image/build made: the two files that servers boot, and beside them what they were made of.
RAMDISK_FOLDER = Path(os.environ.get('FARRIER_RAMDISK', BUILD / 'ramdisk')).resolve()
KERNEL = RAMDISK_FOLDER / 'vmlinuz'
RAMDISK = RAMDISK_FOLDER / 'initrd.img'
# The same for servers with arm64 processors (ARCH=arm64).
ARM64_RAMDISK_FOLDER = Path(os.environ.get('FARRIER_ARM64_RAMDISK', BUILD / 'arm64' / 'ramdisk')).resolve()
ARM64_TEST_IMAGE = LAB / 'images' / 'test-arm64.img'
PARTITION_IMAGE = LAB / 'images' / 'partition.img'
DISK_IMAGE = LAB / 'images' / 'disk.img'
TEST_IMAGE = Path(os.environ.get('FARRIER_TEST_IMAGE', LAB / 'images' / 'test.img'))

# Where the machine's own packages of QEMU could not be used (see install, install-arm64), the lab's come first.
for programs in (LAB / 'qemu' / 'bin', LAB / 'arm64' / 'qemu' / 'bin'):
    if programs.is_dir():
        os.environ['PATH'] = f'{programs}{os.pathsep}{os.environ["PATH"]}'


class Run:
    """The folder of one lab: every file it writes, and the names it takes on this machine.

    Two labs with different folders can be up at the same time: the namespace's name is derived
    from the folder, and everything else lives inside the namespace or the folder.
    """

    def __init__(self, folder: Path):
        self.folder = folder.resolve()
        digest = hashlib.sha256(str(self.folder).encode()).hexdigest()[:6]
        self.namespace = f'farrier-{digest}'
        self.logs = self.folder / 'logs'
        self.agent_logs = self.logs / 'agent'
        self.http = self.folder / 'http'
        self.tftp = self.folder / 'tftp'
        self.images = self.folder / 'images'
        self.boot = self.folder / 'boot'
        self.unpacked = self.folder / 'unpacked'
        self.servers = self.folder / 'servers'
        self.conductor = self.folder / 'conductor'
        self.etc = self.folder / 'etc'
        self.tmp = self.folder / 'tmp'
        self.lock = self.folder.with_name(self.folder.name + '.lock')

    def make(self):
        """Creates all folders, readable for the HTTP server."""
        for folder in (self.logs, self.agent_logs, self.http, self.tftp, self.images,
                       self.boot, self.unpacked, self.servers, self.conductor, self.etc, self.tmp):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o755)
