"""The images to write, and the digest of each file and of the disk that it makes."""

import dataclasses
import hashlib
import pathlib
import random
import struct
import subprocess

from measure import MIB, say

CLUSTER = 64 << 10
OFFSET = 0x00fffffffffffe00
COPIED = 1 << 63


@dataclasses.dataclass
class Image:
    """A file, what the conductor would call its format, and what its disk hashes to."""

    name: str
    format: str
    path: pathlib.Path
    content: str

    def digest(self, algorithm):
        with open(self.path, 'rb') as file:
            return hashlib.file_digest(file, algorithm).hexdigest()


def sha256(path):
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def write_full(path, mib):
    """Data without a hole that no program compresses; each MiB differs."""
    block = random.Random(1).randbytes(MIB)
    with open(path, 'wb') as file:
        for number in range(mib):
            file.write(number.to_bytes(8, 'little') + block[8:])


def write_disk(path, mib):
    """What an installed system looks like: of 8 MiB, 5 are data, and half of that compresses."""
    rng = random.Random(2)
    noise = rng.randbytes(MIB)
    words = [bytes(rng.choices(b'abcdefghijklmnopqrstuvwxyz_/', k=rng.randint(2, 9)))
             for _ in range(3000)]
    text = b' '.join(rng.choices(words, k=MIB // 4))[:MIB]
    with open(path, 'wb') as file:
        for number in range(mib):
            if number % 8 < 5:
                half = noise if number % 2 else text
                start = number * 4099 % (MIB // 2)
                file.seek(number * MIB)
                file.write(number.to_bytes(8, 'little') + (half[start:] + half[:start])[8:])
        file.truncate(mib * MIB)


def convert(disk, path, options):
    subprocess.run(['qemu-img', 'convert', '-q', '-f', 'raw', '-O', 'qcow2', *options, disk, path],
                   check=True)


def wear(path):
    """Shuffle the data and the tables of a plain qcow2 file, as years of writing do.

    Only places change: each cluster keeps one reference, so the refcounts stay right.
    """
    with open(path, 'r+b') as file:
        header = file.read(48)
        l1_size, l1_offset = struct.unpack('>IQ', header[36:48])
        file.seek(l1_offset)
        l1 = list(struct.unpack(f'>{l1_size}Q', file.read(8 * l1_size)))

        def cluster(offset):
            file.seek(offset)
            return file.read(CLUSTER)

        tables = {number: list(struct.unpack(f'>{CLUSTER // 8}Q', cluster(entry & OFFSET)))
                  for number, entry in enumerate(l1) if entry & OFFSET}
        owners = [('l1', number, None) for number in tables]
        owners += [('l2', number, index) for number, table in tables.items()
                   for index, entry in enumerate(table) if entry & OFFSET]
        places = [l1[number] & OFFSET if kind == 'l1' else tables[number][index] & OFFSET
                  for kind, number, index in owners]
        contents = {(number, index): cluster(tables[number][index] & OFFSET)
                    for kind, number, index in owners if kind == 'l2'}
        random.Random(3).shuffle(places)
        for (kind, number, index), place in zip(owners, places):
            if kind == 'l1':
                l1[number] = place | COPIED
            else:
                tables[number][index] = place | COPIED
                file.seek(place)
                file.write(contents[number, index])
        for number, table in tables.items():
            file.seek(l1[number] & OFFSET)
            file.write(struct.pack(f'>{CLUSTER // 8}Q', *table))
        file.seek(l1_offset)
        file.write(struct.pack(f'>{l1_size}Q', *l1))
    subprocess.run(['qemu-img', 'check', '-q', path], check=True)


def make(folder, mib, names):
    """The images of these names, each in a file of the folder."""
    images = []
    if 'raw' in names:
        path = folder / 'raw'
        write_full(path, mib)
        images.append(Image('raw', 'raw', path, sha256(path)))
    if not set(names) - {'raw'}:
        return images
    disk = folder / 'disk'
    write_disk(disk, mib)
    content = sha256(disk)
    for name, options in (('qcow2', []), ('qcow2-zlib', ['-c']),
                          ('qcow2-zstd', ['-c', '-o', 'compression_type=zstd']),
                          ('qcow2-worn', [])):
        if name in names:
            say(f'making {name}')
            convert(disk, folder / name, options)
            if name == 'qcow2-worn':
                wear(folder / name)
            images.append(Image(name, 'qcow2', folder / name, content))
    if 'raw-zstd' in names:
        say('making raw-zstd')
        subprocess.run(['zstd', '-q', '-3', disk, '-o', folder / 'raw-zstd'], check=True)
        images.append(Image('raw-zstd', 'raw', folder / 'raw-zstd', content))
    disk.unlink()
    return images
