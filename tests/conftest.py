"""One lab for all tests of a run; with pytest-xdist (`-n 3`) one for each of its workers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lab import Image, Lab, paths  # noqa: E402  (needs the path above)


def pytest_configure(config):
    config.addinivalue_line('markers', 'alone: measures time, so nothing may run beside it')
    config.addinivalue_line('markers', 'full: a variation of other cases, for make lab-full alone')


@pytest.fixture(scope='session')
def lab():
    """The real conductor, its network and its BMC, up for the whole run."""
    for path in (paths.KERNEL, paths.RAMDISK):
        if not path.exists():
            pytest.exit(f'{path} is missing: `make ramdisk` builds it', returncode=2)
    worker = os.environ.get('PYTEST_XDIST_WORKER', '')
    with Lab(paths.LAB / f'run{worker and "-"}{worker}') as lab:
        yield lab


@pytest.fixture(scope='session')
def image(lab):
    """A whole-disk image that boots under BIOS and UEFI and prints its config drive's value."""
    if not paths.TEST_IMAGE.exists():
        pytest.exit(f'{paths.TEST_IMAGE} is missing: `tests/lab/images/build-test-image` builds '
                    'it', returncode=2)
    return Image.publish(lab, paths.TEST_IMAGE)


@pytest.fixture(scope='session')
def partition_image(lab):
    """Debian's root file system alone, which prints config drive, swap and ephemeral partition."""
    if not paths.PARTITION_IMAGE.exists():
        pytest.exit(f'{paths.PARTITION_IMAGE} is missing: `tests/lab/images/build-partition-image` '
                    'builds it', returncode=2)
    return Image.publish(lab, paths.PARTITION_IMAGE)


@pytest.fixture(scope='session')
def disk_image(lab):
    """The same system as a whole disk, which also says of which arrays it is made."""
    if not paths.DISK_IMAGE.exists():
        pytest.exit(f'{paths.DISK_IMAGE} is missing: `tests/lab/images/build-partition-image` '
                    'builds it', returncode=2)
    return Image.publish(lab, paths.DISK_IMAGE)


@pytest.fixture
def compressed_image(lab, image):
    """The same inside zstd; a conductor has no word for that and declares it raw."""
    path = lab.run.tmp / f'{image.name}.zst'
    subprocess.run(['zstd', '-q', '-f', lab.run.images / image.name, '-o', path], check=True)
    return Image.publish(lab, path)
