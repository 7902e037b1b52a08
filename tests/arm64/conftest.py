"""A lab whose servers have arm64 processors: `make lab-arm64`."""

import pytest

from lab import Image, Lab, paths


def _built(path, how):
    if not path.exists():
        pytest.exit(f'{path} is missing: `{how}` builds it', returncode=2)
    return path


@pytest.fixture(scope='session')
def lab():
    """The real conductor, with kernel and ramdisk for arm64."""
    kernel, ramdisk = (_built(paths.ARM64_RAMDISK_FOLDER / name, 'make ramdisk ARCH=arm64')
                       for name in ('vmlinuz', 'initrd.img'))
    with Lab(paths.LAB / 'run-arm64', kernel=kernel, ramdisk=ramdisk) as lab:
        yield lab


@pytest.fixture(scope='session')
def image(lab):
    """A whole-disk image for arm64 and UEFI that prints its config drive's value."""
    return Image.publish(lab, _built(paths.ARM64_TEST_IMAGE, 'ARCH=arm64 tests/lab/images/build-test-image'))
