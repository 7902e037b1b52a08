"""Seeds of images: a tiny disk in every format, each behind the byte that the target takes first."""

import base64
import bz2
import gzip
import json
import lzma
import pathlib
import random
import subprocess

HERE = pathlib.Path(__file__).resolve().parent

RAW, GPT, ISO, UNDECLARED, QCOW2 = range(5)
WITHOUT_LENGTH, WITHOUT_RANGES = 8, 16

TOKENS = {
    'image_plain': [b'\x55\xaa', b'CD001', b'EFI PART', b'KDMV', b'conectix', b'vhdxfile', b'QED\0',
                    b'LUKS\xba\xbe', b'# Disk DescriptorFile', b'NSR02', b'PK\3\4', b'ustar\0', b'\4\x22\x4d\x18',
                    b'\x5d\0\0\x80\0' + b'\xff' * 8 + b'\0', b'070701', b'\x1f\x9d\x90', b'HdrS', b'<html'],
    'image_gzip': [b'\x1f\x8b\x08', b'\x04', b'\x08', b'\x10', b'\0\0\0\xff\xff'],
    'image_bzip2': [b'BZh9', b'\x31\x41\x59\x26\x53\x59', b'\x17\x72\x45\x38\x50\x90'],
    'image_xz': [b'\xfd7zXZ\0', b'YZ', b'\x21\1', b'\x04\1', b'\x06\1', b'\0\4', b'\0\1', b'\0\0'],
    'image_zstd': [b'\x28\xb5\x2f\xfd', b'\x50\x2a\x4d\x18', b'\1\0\0', b'\xff\xff\xff\xff'],
    'image_qcow2': [b'QFI\xfb\0\0\0\2', b'QFI\xfb\0\0\0\3', b'\0\0\0\x09', b'\0\0\0\x10', b'\x80\0',
                    b'\x40\0', b'\0\0\0\x68', b'\0\0\0\x70', b'\x68\x03\xf8\x57', b'\0\0\0\x10\0\0'],
}


def image_seeds(folder):
    """Target, seed and dictionary."""
    disk = random.Random(4).randbytes(3000) + bytes(9000) + b'words and words ' * 300
    disk += bytes(-len(disk) % 512)
    table = disk[:446] + b'\0\0\2\0\xee\xff\xff\xff\1\0\0\0\x20\0\0\0' + bytes(48) + b'\x55\xaa'
    yield from ((f'image_{name}', bytes([kind]) + content, TOKENS[f'image_{name}'])
                for name, kind, content in (*plain(table), *packed(disk), *qcow2(folder, disk)))


def plain(table):
    for kind in (RAW, GPT, UNDECLARED, RAW | WITHOUT_LENGTH):
        yield 'plain', kind, table + bytes(1024)
    yield 'plain', ISO, bytes(32769) + b'CD001' + bytes(2048)
    foreign = json.loads((HERE.parent / 'tests/fixtures/foreign_images/cases.json').read_text())
    for case in foreign['cases']:
        yield 'plain', RAW, gzip.decompress(base64.b64decode(case['file']))[:8192]


def packed(disk):
    def zstd(*options):
        return subprocess.run(['zstd', '-q', '-c', *options], input=disk, check=True,
                              capture_output=True).stdout

    for kind in (RAW, RAW | WITHOUT_LENGTH):
        yield 'gzip', kind, gzip.compress(disk)
        yield 'bzip2', kind, bz2.compress(disk)
        yield 'xz', kind, lzma.compress(disk)
        yield 'zstd', kind, zstd()
    yield 'gzip', UNDECLARED, gzip.compress(disk[:600]) + gzip.compress(disk[600:])
    yield 'bzip2', UNDECLARED, bz2.compress(disk[:600]) + bz2.compress(disk[600:])
    yield 'xz', UNDECLARED, lzma.compress(disk, check=lzma.CHECK_SHA256) + bytes(8)
    yield 'xz', RAW, lzma.compress(disk, check=lzma.CHECK_CRC32, filters=[
        {'id': lzma.FILTER_X86}, {'id': lzma.FILTER_LZMA2, 'dict_size': 1 << 16}])
    yield 'zstd', UNDECLARED, zstd('--no-check', '-19') + b'\x50\x2a\x4d\x18\4\0\0\0skip' + zstd()


def qcow2(folder, disk):
    source, image = folder / 'source', folder / 'image'
    source.write_bytes(disk)
    for options in (['-o', 'cluster_size=512'], ['-o', 'cluster_size=4096,compat=0.10'],
                    ['-c', '-o', 'cluster_size=4096'],
                    ['-c', '-o', 'cluster_size=4096,compression_type=zstd'],
                    ['-o', 'cluster_size=16384,extended_l2=on'],
                    ['-o', 'cluster_size=512,refcount_bits=1'],
                    ['-o', 'cluster_size=4096,preallocation=metadata']):
        subprocess.run(['qemu-img', 'convert', '-q', '-f', 'raw', '-O', 'qcow2', *options, source,
                        image], check=True)
        for kind in (QCOW2, QCOW2 | WITHOUT_LENGTH, UNDECLARED | WITHOUT_RANGES):
            yield 'qcow2', kind, image.read_bytes()
