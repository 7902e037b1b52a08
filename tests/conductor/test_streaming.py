"""Images that are no plain raw file, written as they arrive."""

import os
import subprocess

import pytest

from conductor.expectations import config_drive, expect_deployed_system
from lab import Disk, Image, paths
from lab.disk import MIB

# More than all memory of the guest: there is no way to have the file in it.
MEMORY_MIB = 512
DATA_MIB = 560


@pytest.fixture(scope='module')
def large(lab):
    """The test image with a partition of random bytes added: its raw form, and where those are."""
    raw = lab.run.tmp / 'large.img'
    raw.write_bytes(paths.TEST_IMAGE.read_bytes())
    start = raw.stat().st_size
    with open(raw, 'r+b') as file:
        file.seek(start)
        for _ in range(DATA_MIB):
            file.write(os.urandom(MIB))
        file.truncate(start + (DATA_MIB + 1) * MIB)
    subprocess.run(['sgdisk', '--move-second-header', f'--new=3:{start // 512}:+{DATA_MIB}M', raw],
                   check=True, capture_output=True)
    return raw, start


def test_qcow2_larger_than_the_memory(lab, large):
    """The conductor passes the URL on; the agent has room for the file nowhere but on the disk."""
    raw, start = large
    path = lab.run.tmp / 'large.qcow2'
    subprocess.run(['qemu-img', 'convert', '-O', 'qcow2', raw, path], check=True)
    assert path.stat().st_size > MEMORY_MIB * MIB
    image = Image.publish(lab, path, disk_format='qcow2')
    with lab.enrolled('large', boot='direct', memory_mib=MEMORY_MIB, as_shipped=True,
                      disks=[Disk('virtio', 768)],
                      node={'clean': False}) as node:
        node.provide()
        node.deploy(image, config_drive('larger than memory'))
        server = node.server
        expect_deployed_system(server, 'larger than memory', server.console.mark_of_last_start())
        with open(raw, 'rb') as file:
            file.seek(start)
            assert server.disks[0].read(start, DATA_MIB * MIB) == file.read(DATA_MIB * MIB)
        fetched = [line for line in lab.web.requests() if 'GET /images/large.qcow2' in line]
        assert len(fetched) == 1, 'one pass over the file'
