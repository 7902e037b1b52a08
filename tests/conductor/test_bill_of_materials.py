"""The bill of materials and the archive for registries of what was built; no server is needed. `make release-check` holds
both of a release against tools of others."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile

import pytest

from lab import paths
from release import evidence

RELEASE = paths.ROOT / 'image/release'
sys.path.append(str(RELEASE / 'bill'))

import copyright_file  # noqa: E402
import debian  # noqa: E402

PROGRAMS = ('farrier', 'farrier-plugin-host')
TIME = {'RELEASE_VERSION': '1.2.3', 'RELEASE_ARCHITECTURES': 'amd64', 'SOURCE_DATE_EPOCH': '1700000000'}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('release')
    (folder / 'amd64').mkdir()
    for file in (paths.RAMDISK_FOLDER / 'vmlinuz', paths.RAMDISK_FOLDER / 'initrd.img', paths.RAMDISK_FOLDER / 'esp.img',
                 *(paths.BUILD / name for name in PROGRAMS)):
        shutil.copy(file, folder / 'amd64')
    run(['/usr/bin/python3', RELEASE / 'bill', 'amd64', folder / 'amd64', paths.RAMDISK_FOLDER], '1')
    return folder


@pytest.fixture(scope='module')
def bill(folder):
    return json.loads((folder / 'amd64/farrier.cdx.json').read_text())


def pack(folder, seed):
    run([RELEASE / 'oci', folder], seed)


def run(command, seed):
    """Order in sets is by chance, of which the seed is."""
    subprocess.run(command, check=True,
                   env={**os.environ, **TIME, 'PYTHONHASHSEED': seed, 'PYTHONDONTWRITEBYTECODE': '1'})


def below(bill, reference):
    edges = {entry['ref']: entry.get('dependsOn', []) for entry in bill['dependencies']}
    found, todo = set(), [reference]
    while todo:
        for other in edges[todo.pop()]:
            if other not in found:
                found.add(other)
                todo.append(other)
    return found


@pytest.mark.parametrize('program', PROGRAMS)
def test_every_crate_that_a_program_names_is_in_the_bill(folder, bill, program):
    """The bill is made of what cargo says; a program names sources of its own accord."""
    named = evidence.crates_named_in((folder / 'amd64' / program).read_bytes())
    assert len(named) > 20 or program != 'farrier'
    assert named <= below(bill, program)


def test_the_bill_has_what_is_linked_from_elsewhere_and_nothing_that_only_tests(bill):
    agent = ' '.join(sorted(below(bill, 'farrier')))
    for part in ('pkg:github/aws/aws-lc@', 'pkg:github/facebook/zstd@', 'pkg:github/tukaani-project/xz@',
                 'pkg:deb/debian/libssl-dev@', 'pkg:deb/debian/libblkid-dev@', 'pkg:deb/debian/libc6-dev@',
                 'pkg:github/rust-lang/rust@'):
        assert part in agent, part
    everything = json.dumps(bill)
    for name in ('proptest', 'clap_mangen', 'vt100', 'bindgen', 'serde_derive'):
        assert f'pkg:cargo/{name}@' not in everything, name


def test_packages_of_the_ramdisk_are_those_that_gave_a_file(bill):
    ramdisk = ' '.join(below(bill, 'initrd.img'))
    for name in ('udev', 'dhcpcd-base', 'busybox-static', 'libssl3t64', 'ca-certificates', 'libpam-modules'):
        assert f'pkg:deb/debian/{name}@' in ramdisk, name
    # They only build it.
    for name in ('dracut-core', 'gawk', 'bash', 'cpio', 'adduser'):
        assert f'pkg:deb/debian/{name}@' not in ramdisk, name
    locked = dict((line.split()[0], line.split()[3]) for line in (paths.RAMDISK_FOLDER / 'cache/packages').read_text().splitlines())
    for component in bill['components']:
        if component['bom-ref'] in below(bill, 'initrd.img') - below(bill, 'farrier') and component['bom-ref'].startswith('pkg:deb'):
            assert component['hashes'] == [{'alg': 'SHA-256', 'content': locked[component['name']]}]


def test_a_file_that_is_of_nobody_stops_the_bill():
    packages = debian.Packages.__new__(debian.Packages)
    packages.packages = []
    assert packages.that_gave({'usr/bin/farrier': None, 'etc/motd': None}) == []
    with pytest.raises(SystemExit, match='usr/bin/strange'):
        packages.that_gave({'usr/bin/farrier': None, 'usr/bin/strange': None})


def test_the_archive_for_registries_is_the_same_each_time(folder):
    """So is the bill: `make release-check` makes all of a release twice."""
    pack(folder, '1')
    archive = hashlib.sha256((folder / 'farrier-oci.tar').read_bytes()).hexdigest()
    pack(folder, '2')
    assert hashlib.sha256((folder / 'farrier-oci.tar').read_bytes()).hexdigest() == archive


def test_the_archive_for_registries_leads_to_kernel_and_ramdisk(folder):
    pack(folder, '1')
    with tarfile.open(folder / 'farrier-oci.tar') as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive if member.isreg()}
    assert json.loads(files.pop('oci-layout')) == {'imageLayoutVersion': '1.0.0'}
    tag, = json.loads(files.pop('index.json'))['manifests']
    assert tag['annotations'] == {'org.opencontainers.image.ref.name': '1.2.3'}
    for name, data in files.items():
        assert name == f'blobs/sha256/{hashlib.sha256(data).hexdigest()}'

    def blob(descriptor):
        data = files[f"blobs/sha256/{descriptor['digest'].removeprefix('sha256:')}"]
        assert len(data) == descriptor['size']
        return data

    together, *alone = json.loads(blob(tag))['manifests']
    assert together['platform'] == {'architecture': 'amd64', 'os': 'linux'}
    layers = {layer['annotations']['org.opencontainers.image.title']: blob(layer) for layer in json.loads(blob(together))['layers']}
    assert layers == {name: (folder / 'amd64' / name).read_bytes() for name in ('vmlinuz', 'initrd.img', 'farrier.cdx.json')}
    for entry, name in zip(alone, ('vmlinuz', 'initrd.img'), strict=True):
        layer, = json.loads(blob(entry))['layers']
        assert blob(layer) == layers[name]


HEAD = 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n'


@pytest.mark.parametrize(('licences', 'expression'), [
    (['GPL-2+', 'Expat'], 'GPL-2.0-or-later AND MIT'),
    (['BSD-3-clause or GPL-2', 'BSD-3-clause and ISC'], '(BSD-3-Clause OR GPL-2.0-only) AND BSD-3-Clause AND ISC'),
    (['GPL-2 with Linux-syscall-note exception'], 'GPL-2.0-only WITH Linux-syscall-note'),
    (['LGPL-2.1 or BSD-3-clause'], 'LGPL-2.1-only OR BSD-3-Clause'),
    (['GFDL-NIV-1.3+'], 'GFDL-1.3-no-invariants-or-later'),
    # What SPDX has no name for, or more than one, is not guessed.
    (['public-domain'], 'LicenseRef-Debian-public-domain'),
    (['GPL'], 'LicenseRef-Debian-GPL'),
    (['GPL-3+ with Autoconf exception'], 'LicenseRef-Debian-GPL-3-or-later-with-Autoconf-exception'),
])
def test_licences_of_a_copyright_file(licences, expression):
    text = HEAD + '\n'.join(f'Files: {number}/*\nLicense: {name}\n Text of it.\n' for number, name in enumerate(licences))
    assert copyright_file.expression(text + '\nFiles: debian/*\nLicense: MPL-2.0\n') == expression


def test_a_copyright_file_for_people_is_no_expression():
    assert copyright_file.expression('This package was debianized by hand.\n\nLicense: GPL-2+\n') is None
