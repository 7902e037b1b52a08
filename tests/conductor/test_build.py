"""What was built keeps its bounds; no server is needed."""

import re
import struct
import subprocess

import pytest

from lab import paths

MIB = 1024 * 1024
PT_INTERP = 3
PROGRAMS = ('farrier', 'farrier-example-manager', 'farrier-plugin-host')
EXAMPLE_LIBRARY = 'libfarrier_example_manager.so'

# What docs/plugin-protocol.md promises vendors: the C library that the host itself asks for, so that
# it runs on their machines, and those of the ramdisks, which are the newest that a plugin may need.
HOST_GLIBC = (2, 34)
RAMDISK_GLIBC = {'trixie': (2, 41), 'bookworm': (2, 36)}


def test_agent_executable_is_static_and_small(record_property):
    """No program interpreter in its ELF header: nothing is loaded when it starts."""
    agent = (paths.BUILD / 'farrier').read_bytes()
    record_property('agent executable, bytes', len(agent))
    assert PT_INTERP not in segments(agent)
    assert len(agent) <= 12 * MIB


def test_only_the_plugin_host_is_dynamically_linked():
    """Whatever else was built to be executed needs nothing of the system that it runs on."""
    dynamic = {path.name for path in paths.BUILD.iterdir()
               if path.is_file() and path.open('rb').read(4) == b'\x7fELF'
               and PT_INTERP in segments(path.read_bytes())}
    assert dynamic == {'farrier-plugin-host'}
    assert all((paths.BUILD / name).is_file() for name in PROGRAMS)


def test_busybox_is_the_only_shell():
    """dracut takes along what a script names in its first line: `/bin/sh` is bash where Debian's packages are
    unpacked without their scripts, and 0.6 MB transferred."""
    base = (paths.RAMDISK_FOLDER / 'base.cpio').read_bytes()
    assert b'usr/bin/busybox\0' in base
    for shell in ('bash', 'dash', 'sh'):
        assert f'usr/bin/{shell}\0'.encode() not in base, shell


def test_the_c_library_that_plugins_get():
    """What the host and the example library link to is in the ramdisk, and the docs say of which
    version."""
    base = (paths.RAMDISK_FOLDER / 'base.cpio').read_bytes()
    for name in ('farrier-plugin-host', EXAMPLE_LIBRARY):
        dynamic = subprocess.run(['objdump', '-p', paths.BUILD / name], check=True, text=True,
                                 stdout=subprocess.PIPE).stdout
        needed = re.findall(r'NEEDED +(\S+)', dynamic)
        assert 'libc.so.6' in needed
        for library in needed:
            assert f'/x86_64-linux-gnu/{library}\0'.encode() in base, library
        versions = [tuple(map(int, version.split('.')))
                    for version in re.findall(r'GLIBC_([0-9.]+)', dynamic)]
        assert max(versions) <= HOST_GLIBC
    # Asked for by whatever was linked before glibc 2.34.
    for library in ('libdl.so.2', 'libpthread.so.0', 'librt.so.1', 'libm.so.6'):
        assert f'/x86_64-linux-gnu/{library}\0'.encode() in base, library
    for suite, version in RAMDISK_GLIBC.items():
        lock = (paths.ROOT / 'image' / 'locks' / suite).read_text()
        assert re.search(r'^libc6 (\d+)\.(\d+)-', lock, re.MULTILINE).groups() == tuple(map(str, version))
    suite = (paths.RAMDISK_FOLDER / 'suite').read_text().strip()
    used = (paths.RAMDISK_FOLDER / 'cache' / 'packages').read_text()
    assert re.search(r'^libc6 (\d+)\.(\d+)-', used, re.MULTILINE).groups() == tuple(
        map(str, RAMDISK_GLIBC[suite]))
    page = (paths.ROOT / 'docs' / 'plugin-protocol.md').read_text()
    for version in (HOST_GLIBC, *RAMDISK_GLIBC.values()):
        assert 'glibc {}.{}'.format(*version) in page


def test_locks_with_firmware_have_all_that_those_without_have():
    """Whoever accepts new packages with RELOCK=1 does so for both."""
    locks = paths.ROOT / 'image' / 'locks'
    # There is no ramdisk for arm64 with firmware.
    pairs = [(lock, lock.with_name(f'{lock.name}.firmware')) for lock in sorted(locks.iterdir())
             if not lock.suffix and not lock.name.endswith('-arm64')]
    assert pairs
    for lock, with_firmware in pairs:
        missing = set(lock.read_text().splitlines()) - set(with_firmware.read_text().splitlines())
        assert not missing, with_firmware.name


def test_kernel_and_ramdisk_are_small(record_property):
    """At most 48 MiB over the network, and 70 MiB of memory; with the newest kernel 52 and 80."""
    size = paths.KERNEL.stat().st_size + paths.RAMDISK.stat().st_size
    record_property('kernel and ramdisk, bytes', size)
    unpacked = sum((paths.RAMDISK_FOLDER / f'{part}.cpio').stat().st_size for part in ('base', 'agent'))
    record_property('ramdisk unpacked, bytes', unpacked)
    bounds = dict(line.split() for line in (paths.RAMDISK_FOLDER / 'bounds').read_text().splitlines())
    if not bounds:
        pytest.skip('a ramdisk with FIRMWARE=1 has no bounds')
    # What is compressed less, for a trial, has none on what is transferred.
    if 'transferred' in bounds:
        assert size <= int(bounds['transferred']) * MIB
    assert unpacked <= int(bounds['unpacked']) * MIB


def segments(executable):
    """The kinds of segments in an ELF file."""
    assert executable[:4] == b'\x7fELF'
    table, = struct.unpack_from('<Q', executable, 32)
    size, count = struct.unpack_from('<HH', executable, 54)
    kinds = [struct.unpack_from('<I', executable, table + size * number)[0]
             for number in range(count)]
    assert kinds
    return kinds
