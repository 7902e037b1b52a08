"""A partition image against the same bytes as a whole disk, by the deploy step that writes both.

One file is both: a partition table in its first sector and an ext4 file system from its third on, as its
content is a disk's and a partition's at once. The step runs in a process of its own, in turn as each. What
it does beside streaming (a partition gets tables and a FAT around it) does not grow with the image: what a
small image takes is taken off, and shown.
"""

import json
import os
import pathlib
import struct
import subprocess

import images
from measure import run, say

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEST = 'deploy::write_image::tests::speed::one_deploy'
# What lies around the root partition: 1 MiB before it, the EFI system partition, 1 MiB behind it.
AROUND = 552
# MiB of the small image.
SMALL = 64
PATHS = ('whole disk', 'partition')


def program():
    """The unit tests as they are compiled for release; the step is one of them."""
    say('compiling the deploy step')
    reply = subprocess.run(
        ['cargo', 'test', '--release', '--locked', '--lib', '--no-run', '-p', 'farrier', '--message-format=json'],
        cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = [json.loads(line) for line in reply.splitlines() if line.startswith('{')]
    made, = {message['executable'] for message in messages if message.get('executable')}
    return made


def make(folder, mib):
    """The image as raw and as qcow2."""
    say(f'making an image of {mib} MiB that is a disk and a partition')
    raw, qcow2 = folder / f'both-{mib}', folder / f'both-{mib}.qcow2'
    images.write_disk(raw, mib)
    subprocess.run(['mkfs.ext4', '-q', '-F', '-E', 'nodiscard', raw], check=True)
    with open(raw, 'r+b') as file:
        file.seek(446)
        # Linux (0x83), from 1 MiB to the end.
        file.write(struct.pack('<4sB3sII', bytes(4), 0x83, bytes(3), 2048, mib * 2048 - 2048))
        file.seek(510)
        file.write(b'\x55\xaa')
    images.convert(raw, qcow2, [])
    content = images.sha256(raw)
    return [images.Image(raw.name, 'raw', raw, content), images.Image(qcow2.name, 'qcow2', qcow2, content)]


def compare(server, folder, target, mib, rounds):
    """Lines: of each format, how long the image takes as a disk and as a partition."""
    made = program()
    lines = []
    for small, large in zip(make(folder, SMALL), make(folder, mib)):
        best = {}
        for _ in range(rounds):
            for path in PATHS:
                for image, size in ((small, SMALL), (large, mib)):
                    taken = deploy(made, server, target, image, size, path)
                    best[path, size] = min(best.get((path, size), taken), taken)
        disk, partition = (best[path, mib].seconds - best[path, SMALL].seconds for path in PATHS)
        processor = [best[path, mib].cpu_seconds - best[path, SMALL].cpu_seconds for path in PATHS]
        lines.append(
            f'{large.format} to {target.name} by the deploy step, sha256: of {mib - SMALL} MiB the whole disk takes '
            f'{disk:.2f} s, the partition {partition:.2f} s, ratio {disk / partition:.2f} (processor {processor[0]:.2f} and '
            f'{processor[1]:.2f} s); the first {SMALL} MiB with all that surrounds them '
            f'{best[PATHS[0], SMALL].seconds:.2f} and {best[PATHS[1], SMALL].seconds:.2f} s')
    return lines


def deploy(made, server, target, image, mib, path):
    """One run, and whether it wrote what it should."""
    target.spoil()
    told = {'URL': server.url(image.name), 'FORMAT': image.format, 'SHA256': image.digest('sha256'),
            'TARGET': str(target.path), 'ROOT_MIB': str(mib if path == 'partition' else 0)}
    taken = run([made, '--exact', '--ignored', TEST], environment={
        **os.environ, **{f'FARRIER_BENCH_{name}': value for name, value in told.items()}})
    check(image, target, mib, path)
    say(f'{image.name} as {path}: {taken.seconds:.2f} s, processor {taken.cpu_seconds:.2f} s')
    return taken


def check(image, target, mib, path):
    """The target has the image's content where it belongs."""
    start = 0
    if path == 'partition':
        table = json.loads(subprocess.run(['sfdisk', '--json', target.path], check=True, capture_output=True).stdout)
        *_, root = table['partitiontable']['partitions']
        start = root['start'] * 512
    if target.sha256(start, mib) != image.content:
        raise SystemExit(f'{image.name} as {path} was written wrongly to {target.name}')
