"""Where images are written to."""

import contextlib
import hashlib
import pathlib
import subprocess

from measure import MIB

POISON = b'\xa5' * 4096


class Target:
    """A plain file or a device of a fixed size, whose every block has been written before."""

    def __init__(self, name, path, mib):
        self.name, self.path, self.mib = name, pathlib.Path(path), mib

    def is_device(self):
        return self.path.is_block_device()

    def spoil(self):
        """So that what the run before left is not what the next is praised for."""
        with open(self.path, 'r+b', buffering=0) as file:
            for mib in range(0, self.mib, 4):
                file.seek(mib * MIB)
                file.write(POISON)
        subprocess.run(['sync', self.path], check=True)

    def sha256(self, start, mib):
        """Of so many MiB from this byte on."""
        digest = hashlib.sha256()
        with open(self.path, 'rb') as file:
            file.seek(start)
            for _ in range(mib):
                digest.update(file.read(MIB))
        return digest.hexdigest()


def fill(path, mib):
    """Every page and block is there before the first run: what is measured is the streaming."""
    with open(path, 'wb') as file:
        for _ in range(mib):
            file.write(b'\xff' * MIB)
    subprocess.run(['sync', path], check=True)


@contextlib.contextmanager
def targets(memory, disk, mib, names):
    """Warm memory, a file on a disk, a loop device over warm memory."""
    found = []
    with contextlib.ExitStack() as stack:
        for name, path in (('memory', memory / 'target'), ('file', disk / 'target'),
                           ('loop', memory / 'loop')):
            if name not in names:
                continue
            fill(path, mib)
            stack.callback(path.unlink)
            if name == 'loop':
                device = subprocess.run(['losetup', '--partscan', '--find', '--show', path], check=True,
                                        capture_output=True, text=True).stdout.strip()
                stack.callback(subprocess.run, ['losetup', '--detach', device], check=True)
                path = device
            found.append(Target(name, path, mib))
        yield found
