"""The files of a ramdisk, as the kernel unpacks it: cpio archives (newc) one after the other, plain or compressed by zstd."""

import dataclasses
import stat
import subprocess

ZSTD = b"\x28\xb5\x2f\xfd"
HEADER = 110


@dataclasses.dataclass
class File:
    """A regular file with its content, or a link with its target."""
    mode: int
    data: bytes


def files(image):
    """Regular files and links of IMAGE by path; a later archive's replace an earlier one's."""
    found = {}
    at = _unpack(image, 0, found)
    if at < len(image):
        if image[at:at + 4] != ZSTD:
            raise ValueError(f"what begins at byte {at} of the ramdisk is neither a cpio archive nor compressed by zstd")
        # All frames to the end of the image are one stream.
        rest = subprocess.run(["zstd", "-q", "-d", "-c"], input=image[at:], stdout=subprocess.PIPE, check=True).stdout
        if _unpack(rest, 0, found) != len(rest):
            raise ValueError("behind the compressed archives of the ramdisk is something else")
    return found


def _unpack(data, at, found):
    """Reads archives from AT on; where they end."""
    while at < len(data):
        if data[at] == 0:
            at += 1
            continue
        if data[at:at + 6] != b"070701":
            break
        fields = [int(data[at + 6 + 8 * index:at + 14 + 8 * index], 16) for index in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = data[at + HEADER:at + HEADER + name_size - 1].decode()
        begin = _aligned(at + HEADER + name_size)
        at = _aligned(begin + size)
        if name != "TRAILER!!!" and not stat.S_ISDIR(mode):
            # GNU cpio gives several names of one file their content with the last one.
            found[name] = File(mode, data[begin:begin + size])
    return at


def _aligned(offset):
    return (offset + 3) & ~3
