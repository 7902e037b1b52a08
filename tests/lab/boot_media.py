"""Boot media as `make iso` and `make esp` make them."""

import os
import subprocess
from pathlib import Path

from lab import paths


def boot_iso(folder: Path, parameters='') -> Path:
    """An ISO image of the lab's kernel and ramdisk with these kernel parameters of a site."""
    return _make(folder, parameters=parameters) / 'farrier.iso'


def boot_esp(folder: Path) -> Path:
    """The EFI system partition for an ISO image that Ironic builds."""
    return _make(folder, 'esp') / 'esp.img'


def _make(folder, *what, parameters=''):
    folder.mkdir(exist_ok=True)
    subprocess.run([paths.ROOT / 'image' / 'iso', *what], check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, 'BUILD': str(paths.RAMDISK_FOLDER), 'OUTPUT': str(folder),
                        'PARAMETERS': parameters})
    return folder
