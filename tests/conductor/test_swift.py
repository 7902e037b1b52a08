"""Images from a real OpenStack Swift, through temporary URLs and bad links."""

import hashlib
import os
import re
import subprocess
import time
from dataclasses import replace

import pytest

from conductor.expectations import config_drive, expect_deployed_system
from lab import Cutter, Disk, Swift, paths
from lab.disk import MIB

SIZE = 12 * MIB + 512


@pytest.fixture(scope='module')
def swift(lab):
    with Swift(lab.network, lab.run) as swift:
        yield swift


@pytest.fixture(scope='module')
def content():
    return os.urandom(SIZE)


@pytest.fixture
def target(lab):
    """A file of 16 MiB that stands for a disk with an older system."""
    path = lab.run.tmp / 'swift-target'
    path.write_bytes(b'\xeb' * (16 * MIB))
    yield path
    path.unlink()


def write(lab, url, target, content, disk_format='raw'):
    """`farrier write` on the lab's network; nothing it prints tells the signature."""
    digest = hashlib.sha512(content).hexdigest()
    done = subprocess.run(
        ['ip', 'netns', 'exec', lab.run.namespace, paths.BUILD / 'farrier', 'write',
         '--url', url, '--device', target, '--format', disk_format,
         '--checksum', f'sha512:{digest}'],
        env={**os.environ, 'FARRIER_IMAGE_DOWNLOAD_CONNECTION_RETRY_INTERVAL': '0'},
        capture_output=True, text=True, timeout=120)
    assert signature(url) not in done.stdout + done.stderr
    return done


def signature(url):
    return re.search('temp_url_sig=([0-9a-f]+)', url)[1]


def put(swift, kind, name, content):
    {'plain': swift.put,
     'static': lambda *args: swift.put_static(*args, parts=5),
     'dynamic': lambda *args: swift.put_dynamic(*args, parts=5)}[kind](name, content)


@pytest.mark.parametrize('kind', ['plain', 'static', 'dynamic'])
def test_object_over_a_link_that_breaks(lab, swift, content, target, kind):
    """Each connection goes on where the one before ended, inside of segments and at their edge."""
    name = f'{kind}.raw'
    put(swift, kind, name, content)
    with Cutter(lab.network, 8082, swift.port, [3 * MIB, 5 * MIB + 1, 100]) as cutter:
        done = write(lab, swift.temporary_url(name, port=cutter.port), target, content)
    assert done.returncode == 0, done.stderr
    assert target.read_bytes()[:SIZE] == content
    first, *resumed = cutter.ranges
    assert first is None
    assert len(resumed) == 3
    assert None not in resumed, 'nothing was asked for twice'
    assert resumed == sorted(resumed)


@pytest.mark.parametrize('kind', ['plain', 'static', 'dynamic'])
def test_object_replaced_between_two_connections(lab, swift, content, target, kind):
    """The old beginning is never continued with the new end."""
    name = f'replaced-{kind}.raw'
    new = bytes(reversed(content))
    put(swift, kind, name, content)

    def on_cut(number):
        if number == 0:
            put(swift, kind, name, new)

    for promised in (new, content):
        with Cutter(lab.network, 8082, swift.port, [9 * MIB], on_cut) as cutter:
            done = write(lab, swift.temporary_url(name, port=cutter.port), target, promised)
        assert cutter.ranges[0] is None
        assert cutter.ranges[1] > MIB, 'a resume was tried'
        assert cutter.ranges[2] is None, 'and then a start from the beginning'
        if promised is new:
            assert done.returncode == 0, done.stderr
            assert target.read_bytes()[:SIZE] == new
            put(swift, kind, name, content)
        else:
            assert done.returncode != 0
            assert 'failed to verify against checksum' in done.stderr
            assert target.read_bytes()[:MIB] == bytes(MIB)


@pytest.mark.parametrize('kind', ['plain', 'static', 'dynamic'])
def test_map_at_the_end_of_the_file(lab, swift, target, kind):
    """The map of a resized qcow2 is fetched by ranges, and the file is read once."""
    content = os.urandom(20 * MIB)
    raw, qcow2 = lab.run.tmp / 'resized.raw', lab.run.tmp / 'resized.qcow2'
    raw.write_bytes(content)
    for command in (['convert', '-O', 'qcow2', '-o', 'cluster_size=4096', raw, qcow2],
                    ['resize', qcow2, '4G']):
        subprocess.run(['qemu-img', *command], check=True, capture_output=True)
    put(swift, kind, 'resized.qcow2', qcow2.read_bytes())
    os.truncate(target, 4096 * MIB)
    with Cutter(lab.network, 8082, swift.port, [9 * MIB]) as cutter:
        url = swift.temporary_url('resized.qcow2', port=cutter.port)
        done = write(lab, url, target, qcow2.read_bytes(), 'qcow2')
    assert done.returncode == 0, done.stderr
    with open(target, 'rb') as disk:
        assert disk.read(len(content)) == content
        assert disk.read(MIB) == bytes(MIB)
    assert cutter.ranges.count(None) == 1
    assert 2 < len(cutter.ranges) < 20


def test_url_that_has_expired(lab, swift, content, target):
    swift.put('expired.raw', content)
    url = swift.temporary_url('expired.raw', seconds=-1)
    done = write(lab, url, target, content)
    assert done.returncode != 0
    assert (f'Received status code 401 from {url.split("?")[0]}, expected 200 (the temporary URL '
            'has probably expired, or its signature is wrong)') in done.stderr
    assert target.read_bytes()[:MIB] == b'\xeb' * MIB, 'nothing was touched'


def test_url_that_expires_on_the_way(lab, swift, content, target):
    swift.put('expiring.raw', content)
    expires = time.time() + 10
    url = swift.temporary_url('expiring.raw', seconds=10, port=8082)
    with Cutter(lab.network, 8082, swift.port, [9 * MIB],
                lambda _: time.sleep(max(0, expires + 1 - time.time()))) as cutter:
        done = write(lab, url, target, content)
    assert done.returncode != 0
    assert 'while resuming: the temporary URL has probably expired' in done.stderr
    assert len(cutter.ranges) == 2
    assert target.read_bytes()[:MIB] == bytes(MIB)


@pytest.mark.full
def test_deployment_through_a_temporary_url(lab, swift, image):
    """A real conductor, a real Swift, and a link that breaks three times."""
    swift.put_static('system.img', (lab.run.images / 'test.img').read_bytes(), parts=4)
    cuts = [5 * MIB, 10 * MIB, 1 * MIB]
    with lab.enrolled('swift', boot='direct', disks=[Disk('virtio', 256)],
                      parameters='ipa-image-download-connection-retry-interval=1',
                      node={'clean': False}) as node, \
            Cutter(lab.network, 8082, swift.port, cuts) as cutter:
        node.provide()
        url = swift.temporary_url('system.img', seconds=1800, port=cutter.port)
        node.deploy(replace(image, url=url), config_drive('from Swift'))
        expect_deployed_system(node.server, 'from Swift', node.server.console.mark_of_last_start())
        assert len(cutter.ranges) == 4 and None not in cutter.ranges[1:]
        assert signature(url) not in node.server.console.text()
