"""What image/plugin-initrd packs, and what it refuses; no server is needed."""

import gzip
import os
import platform
import stat
import subprocess

import pytest

from conductor.test_plugins import SCRIPT
from lab import paths

PLACE = 'opt/farrier/plugins/sample'


@pytest.fixture
def plugin(tmp_path):
    """A plugin as a folder, which others may write."""
    folder = tmp_path / 'sample'
    (folder / 'data').mkdir(parents=True)
    (folder / 'plugin').write_text('#!/usr/bin/busybox sh\n')
    (folder / 'plugin').chmod(0o4777)
    (folder / 'data' / 'table').write_text('1\n')
    (folder / 'link').symlink_to('data/table')
    return folder


def test_archive_holds_the_plugins_folder_and_nothing_above_it(plugin, tmp_path):
    """All of it root's, and nobody else's to write."""
    extra = tmp_path / 'firmware.bin'
    extra.write_bytes(b'firmware')
    entries = listing(pack(plugin, FILES=str(extra)))
    assert sorted(entries) == [PLACE] + [
        f'{PLACE}/{name}' for name in ('data', 'data/table', 'firmware.bin', 'link', 'plugin')]
    for mode, owner in entries.values():
        assert owner == (0, 0)
        assert stat.S_ISLNK(mode) or not mode & 0o7022, oct(mode)
    assert entries[f'{PLACE}/plugin'][0] == stat.S_IFREG | 0o755


def test_a_library_is_packed_under_the_name_that_the_agent_looks_for(tmp_path):
    library = tmp_path / 'libacme.so'
    library.write_bytes(b'\x7fELF')
    assert f'{PLACE}/plugin.so' in listing(pack(library))


def test_the_same_plugin_gives_the_same_archive(plugin):
    first = pack(plugin).read_bytes()
    os.utime(plugin / 'plugin', (0, 1e9))
    assert pack(plugin).read_bytes() == first


@pytest.mark.parametrize('target', ['/etc/passwd', '../../other', 'deeper/../../../other'])
def test_a_link_that_leads_out_is_refused(plugin, target):
    (plugin / 'data' / 'out').symlink_to(target)
    assert 'lead out of the plugin' in refusal(plugin)


def test_what_is_no_plugin_is_refused(plugin):
    (plugin / 'plugin').chmod(0o644)
    assert 'neither an executable file' in refusal(plugin)
    assert 'must be letters' in refusal(SCRIPT, NAME='..')


def test_a_script_gets_the_interpreter_that_is_packed_with_it(tmp_path):
    """With its libraries, by a path relative to itself: it runs wherever the folder is. Here that is this
    machine, so the packages are of its Debian; those of the ramdisk's run in the guests of test_plugins."""
    suite = platform.freedesktop_os_release()['VERSION_CODENAME']
    archive = pack(SCRIPT, PACKAGES='python3-minimal', SUITE=suite)
    entries = listing(archive)
    assert all(name == PLACE or name.startswith(f'{PLACE}/') for name in entries)
    assert all(owner == (0, 0) and (stat.S_ISLNK(mode) or not mode & 0o7022)
               for mode, owner in entries.values())
    assert archive.stat().st_size <= 8_500_000

    subprocess.run(['bash', '-c', 'gzip -dc "$0" | cpio -idm --quiet', archive], cwd=tmp_path,
                   check=True)
    first, _ = (tmp_path / PLACE / 'plugin').read_text().split('\n', 1)
    assert first == f'#!/{PLACE}/root/usr/bin/python3'
    root = tmp_path / PLACE / 'root'
    code = 'import json, re, ssl, subprocess, sys; print(sys.prefix, open("/proc/self/maps").read())'
    said = subprocess.run([root / 'usr/bin/python3', '-c', code], check=True, text=True, env={},
                          stdout=subprocess.PIPE).stdout
    assert said.startswith(f'{root}/usr ')
    loaded = {line.split()[-1] for line in said.splitlines() if '.so' in line}
    for library in ('libz.so', 'libexpat.so', 'libssl.so', 'libcrypto.so'):
        paths_of = [path for path in loaded if f'/{library}' in path]
        assert paths_of and all(path.startswith(str(root)) for path in paths_of), library


def pack(plugin, **settings):
    """The archive, made by the command that people use."""
    ended = make(plugin, **settings)
    assert ended.returncode == 0, ended.stderr
    return paths.BUILD / 'plugins' / 'sample.img'


def refusal(plugin, **settings):
    ended = make(plugin, **settings)
    assert ended.returncode != 0
    return ended.stderr


def make(plugin, **settings):
    words = [f'{name}={value}' for name, value in {'NAME': 'sample', **settings}.items()]
    return subprocess.run(['make', '-s', 'plugin-initrd', f'PLUGIN={plugin}', *words],
                          cwd=paths.ROOT, text=True, capture_output=True)


def listing(archive):
    """Mode and owner of each entry (cpio's newc format: 13 fields of 8 hexadecimal digits)."""
    data = gzip.decompress(archive.read_bytes())
    entries = {}
    position = 0
    while True:
        assert data[position:position + 6] == b'070701'
        fields = [int(data[position + 6 + 8 * number:position + 14 + 8 * number], 16)
                  for number in range(13)]
        name = data[position + 110:position + 109 + fields[11]].decode()
        if name == 'TRAILER!!!':
            return entries
        entries[name] = (fields[1], (fields[2], fields[3]))
        position += -(-(110 + fields[11]) // 4) * 4
        position += -(-fields[6] // 4) * 4
