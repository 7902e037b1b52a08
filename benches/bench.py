#!/usr/bin/python3
"""How fast `farrier write` is, against the agent that it replaces and against this machine.

One table in one run: farrier, the Python agent from PyPI (its own download class for a raw image,
its download and `qemu-img convert` for qcow2) and the floors: OpenSSL's hash alone, receiving over
loopback alone, direct writing alone. Machines are noisy, so the ratios count. Programs take turns,
and the fastest run of each counts.

MB are 10^6 bytes of the disk's content, CPU seconds are those of the writing program (not of the
server, nor of the kernel's loop worker) for each GiB of it, peak is its largest resident memory;
the Python agent's copy of a qcow2 file in memory comes on top of that.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor

import floors
import images
import ipa
import partitions
import seeks
from measure import MIB, Refused, Run, run, say
from server import Server
from table import Table
from targets import targets

IMAGES = ('raw', 'qcow2', 'qcow2-zlib', 'qcow2-zstd', 'qcow2-worn', 'raw-zstd')
TARGETS = ('memory', 'file', 'loop')
# Beside the images: the deploy step with one that is a disk and a partition.
STEP = 'partition'
BUILD = pathlib.Path(__file__).resolve().parent.parent / 'build'
OURS, THEIRS = 'farrier', 'IPA'


class Bench:
    def __init__(self, options, memory, disk):
        self.options, self.memory, self.disk = options, memory, disk
        self.agent = str(options.agent)
        self.their_python = ipa.install(BUILD / 'bench' / 'venv')
        self.table = Table(options.size)

    def our_command(self, image, url, target, algorithm, digest):
        command = [self.agent, 'write', '--url', url, '--device', str(target.path), '--checksum',
                   f'{algorithm}:{digest}', '--format', image.format]
        return command + (['--force'] if target.is_device() else [])

    def their_command(self, image, url, target, algorithm, digest):
        return [self.their_python, pathlib.Path(ipa.__file__), url, target.path, image.format,
                algorithm, digest, self.memory]

    def farrier(self, image, *rest):
        return run(self.our_command(image, *rest))

    def theirs(self, image, *rest):
        if image.name == 'raw-zstd':
            raise Refused('no such format')
        reply = subprocess.run(self.their_command(image, *rest), capture_output=True, text=True,
                               check=False)
        if reply.returncode != 0:
            raise Refused(reply.stderr.strip().splitlines()[-1])
        return Run(**json.loads(reply.stdout.splitlines()[-1]))

    def compare(self, server, image, target, algorithm):
        digest = image.digest(algorithm)
        url = server.url(image.name)
        best = {}
        for turn in range(self.options.rounds):
            for who, write in ((THEIRS, self.theirs), (OURS, self.farrier)):
                if isinstance(best.get(who), Refused):
                    continue
                target.spoil()
                server.forget_requests()
                try:
                    taken = write(image, url, target, algorithm, digest)
                    taken.note = f'{server.range_requests()} ranges' if who == OURS else ''
                except Refused as reason:
                    best[who] = reason
                    continue
                if target.sha256(0, target.mib) != image.content:
                    raise SystemExit(f'{who} wrote {image.name} wrongly to {target.name}')
                best[who] = min(best.get(who, taken), taken)
        self.table.pair(image.name, algorithm, target.name, best[OURS], best[THEIRS])

    def count_seeks(self, server, image, target):
        algorithm = self.options.hashes[0]
        rest = image, server.url(image.name), target, algorithm, image.digest(algorithm)
        for who, command in ((THEIRS, self.their_command), (OURS, self.our_command)):
            try:
                writes, moves = seeks.count(command(*rest), target.path, self.disk / 'trace')
                self.table.remark(f'{image.name} to {target.name}, {who} makes {writes} writes '
                                  f'with {moves} seeks')
            except subprocess.CalledProcessError:
                self.table.remark(f'{image.name}: {who} refused')

    def floors(self, server, raw, every):
        for algorithm in self.options.hashes:
            self.table.floor_hash(algorithm, floors.hash_alone(algorithm))
        received = min(floors.receive_alone(server.url(raw.name))
                       for _ in range(self.options.rounds))
        self.table.floor_run('receive alone', received)
        for target in every:
            taken = min(floors.write_alone(raw.path, target.path)
                        for _ in range(self.options.rounds))
            self.table.floor_run(f'dd to {target.name}', taken)

    def compare_partition(self):
        """Onto a loop device, where the image's partition has room around it."""
        for made in self.memory.iterdir():
            made.unlink()
        mib = self.options.size
        with Server(self.disk, self.memory) as server, \
                targets(self.memory, self.disk, mib + partitions.AROUND, ['loop']) as (target,):
            for line in partitions.compare(server, self.memory, target, mib, self.options.rounds):
                self.table.remark(line)

    def main(self):
        options = self.options
        names = set(options.only) - {STEP}
        # In a process of its own: what this one holds would count as the peak of those it starts.
        with ProcessPoolExecutor(1) as maker:
            made = maker.submit(images.make, self.memory, options.size, names | {'raw'}).result()
        with Server(self.disk, self.memory) as server, \
                targets(self.memory, self.disk, options.size, options.to) as every:
            self.floors(server, made[0], every)
            for image in (image for image in made if image.name in names):
                for algorithm in options.hashes:
                    for target in every:
                        say(f'{time.strftime("%H:%M:%S")} {image.name} {algorithm} {target.name}')
                        self.compare(server, image, target, algorithm)
                if image.name == 'qcow2-worn' and every:
                    self.count_seeks(server, image, every[-1])
        if STEP in options.only:
            self.compare_partition()
        print(self.table)
        (BUILD / 'bench' / 'table.txt').write_text(f'{self.table}\n')


def main():
    words = str.split
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('agent', type=pathlib.Path, help='the farrier executable')
    parser.add_argument('--size', type=int, default=2048, help='MiB of each disk')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--only', type=words, default=(*IMAGES, STEP),
                        help='of ' + ' '.join((*IMAGES, STEP)))
    parser.add_argument('--to', type=words, default=TARGETS, help='of ' + ' '.join(TARGETS))
    parser.add_argument('--hashes', type=words, default=('sha256', 'sha512'))
    options = parser.parse_args()
    for chosen, known in ((options.only, (*IMAGES, STEP)), (options.to, TARGETS)):
        if not set(chosen) <= set(known):
            parser.error(f'not all of {chosen} are of {known}')
    disk = BUILD / 'bench' / 'disk'
    shutil.rmtree(disk, ignore_errors=True)
    disk.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir='/dev/shm', prefix='farrier-bench.') as memory:
        Bench(options, pathlib.Path(memory), disk).main()
    shutil.rmtree(disk)


if __name__ == '__main__':
    main()
