"""Kernel and ramdisk without their compression.

An emulated processor spends half of a start on decompressing: 3 s for the kernel's xz (Debian 12; less for the
zstd of 13), 2 s for the ramdisk's zstd. This machine's own does it once in the lab, in less than one. What then runs is the
same, byte for byte; that a server can decompress it is shown by every start over the network, from
virtual media, or with UEFI, and by the servers that are to load the files as they are shipped.
"""

import hashlib
import lzma
import subprocess
import threading
import zlib
from pathlib import Path

_XZ = b'\xfd7zXZ\0'
_ELF = b'\x7fELF'
_ZSTD = b'\x28\xb5\x2f\xfd'
_GZIP = b'\x1f\x8b'
_CPIO = b'070701'
# What a bzImage says where its compressed part begins and how long it is (Linux, Documentation/arch/x86/
# boot.rst: setup_sects, payload_offset, payload_length).
_SETUP_SECTORS, _PAYLOAD = 0x1f1, 0x248
# The kernel looks for an archive's beginning at multiples of 4.
_ALIGNMENT = 512


# Two servers may start at once.
_one_at_a_time = threading.Lock()


class Unpacked:
    """Keeps what it unpacked in a folder, by the digest of what that came from."""

    def __init__(self, folder: Path):
        self._folder = folder

    def kernel(self, path: Path) -> Path:
        """The ELF file inside of a bzImage, which QEMU starts at its PVH entry."""
        return self._of(path, unpack_kernel)

    def ramdisk(self, path: Path) -> Path:
        return self._of(path, unpack_ramdisk)

    def _of(self, path, unpack):
        content = path.read_bytes()
        unpacked = self._folder / hashlib.sha256(content).hexdigest()
        with _one_at_a_time:
            if not unpacked.exists():
                partial = unpacked.with_suffix('.partial')
                partial.write_bytes(unpack(content))
                partial.rename(unpacked)
        return unpacked


def unpack_kernel(image: bytes) -> bytes:
    """Raises ValueError for what is no bzImage with an xz or a frame of zstd inside."""
    start = (image[_SETUP_SECTORS] + 1) * 512 + int.from_bytes(image[_PAYLOAD:_PAYLOAD + 4], 'little')
    if image.startswith(_XZ, start):
        kernel = lzma.LZMADecompressor().decompress(image[start:])
    elif image.startswith(_ZSTD, start):
        kernel = _decompress_zstd(image[start:_end_of_frame(image, start)])
    else:
        raise ValueError('the kernel is compressed neither by xz nor by zstd')
    if not kernel.startswith(_ELF):
        raise ValueError('the kernel is no ELF file')
    return kernel


def unpack_ramdisk(ramdisk: bytes) -> bytes:
    """Every archive in it, one behind the other as the kernel takes them, none of them compressed.

    Raises ValueError where something begins that is neither an archive nor compressed by zstd or gzip.
    """
    parts = []
    at = 0
    while at < len(ramdisk):
        if ramdisk[at] == 0:
            at += 1
            continue
        if ramdisk.startswith(_CPIO, at):
            end = _end_of_archive(ramdisk, at)
            part = ramdisk[at:end]
        elif ramdisk.startswith(_ZSTD, at):
            end = _end_of_frame(ramdisk, at)
            part = _decompress_zstd(ramdisk[at:end])
        elif ramdisk.startswith(_GZIP, at):
            stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
            part = stream.decompress(ramdisk[at:])
            end = len(ramdisk) - len(stream.unused_data)
        else:
            raise ValueError(f'neither an archive nor compressed by zstd or gzip at {at}: '
                             f'{ramdisk[at:at + 8]!r}')
        parts += [part, bytes(-len(part) % _ALIGNMENT)]
        at = end
    return b''.join(parts)


def _decompress_zstd(frame):
    # As much memory as the kernel's own frame wants, of level 22.
    return subprocess.run(['zstd', '-q', '-d', '-c', '--long=31'], input=frame, check=True,
                          stdout=subprocess.PIPE).stdout


def _end_of_archive(data, at):
    """Where a cpio archive ends that begins here: behind the entry of that name."""
    while True:
        size, name_size = (int(data[at + field:at + field + 8], 16) for field in (54, 94))
        name = data[at + 110:at + 110 + name_size - 1]
        at += _padded(110 + name_size) + _padded(size)
        if name == b'TRAILER!!!':
            return at


def _padded(size):
    return size + -size % 4


def _end_of_frame(data, at):
    """Where a frame of zstd ends that begins here (RFC 8878, section 3.1.1)."""
    descriptor = data[at + 4]
    single_segment = descriptor >> 5 & 1
    content_size = (single_segment, 2, 4, 8)[descriptor >> 6]
    at += 5 + (1 - single_segment) + (0, 1, 2, 4)[descriptor & 3] + content_size
    last = False
    while not last:
        header = int.from_bytes(data[at:at + 3], 'little')
        last, kind, size = header & 1, header >> 1 & 3, header >> 3
        # A block of one repeated byte holds it once.
        at += 3 + (1 if kind == 1 else size)
    return at + (4 if descriptor & 4 else 0)
