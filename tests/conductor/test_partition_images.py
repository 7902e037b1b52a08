"""Partition images: a root file system, to which the agent gives a disk around it that boots."""

import base64
import json
import os
import random
import subprocess
import time

import pytest

from conductor.expectations import config_drive, expect_partition_system
from lab import Disk, Hand, Image
from lab.disk import MIB
from lab.hand import KILL_AGENT
from lab.patience import patience

MOMENTS = int(os.environ.get('MOMENTS', '3'))

# A disk for an EFI system partition of 550 MiB, an ephemeral and a root partition of 1 GiB each, and swap.
DISK_MIB = 3072


@pytest.fixture(scope='module')
def hand():
    return Hand(kill=KILL_AGENT)


@pytest.fixture(scope='module')
def node(lab, hand):
    """A server that is asked for what is impossible, then for what is not, and a hand in it."""
    ramdisk = hand.into(lab.ramdisk, lab.run.boot / 'partition.img')
    with lab.enrolled('partition', firmware='uefi', boot='direct',
                      disks=[Disk('virtio', DISK_MIB), Hand.disk()],
                      node={'clean': False, 'ramdisk': ramdisk}) as node:
        node.provide()
        yield node


def test_root_partition_smaller_than_the_image(lab, node):
    path = lab.run.tmp / 'two-gib.qcow2'
    subprocess.run(['qemu-img', 'create', '-q', '-f', 'qcow2', path, '2G'], check=True)
    image = Image.publish(lab, path, disk_format='qcow2')
    error = node.fail_to_deploy(image.partition_info(root_gb=1))
    assert 'Root partition is too small for requested image' in error
    assert 'Image virtual size: 2048 MB' in error and 'Root size: 1024 MB' in error


@pytest.mark.full
def test_partitions_larger_than_the_disk(node, partition_image):
    node.server.disks[0].write(0, b'an older system' * 1000)
    error = node.fail_to_deploy(partition_image.partition_info(root_gb=2, ephemeral_gb=1))
    assert 'ephemeral 1024 MiB' in error and 'root 2048 MiB' in error
    assert 'root_gb, ephemeral_gb and swap_mb' in error
    assert node.server.disks[0].read(0, 5) == b'an ol', 'nothing was touched'


@pytest.mark.full
def test_image_that_is_a_disk(node, image):
    error = node.fail_to_deploy(image.partition_info(root_gb=1))
    assert 'partition table' in error
    assert not _loaders(node.server), 'it must never boot'


@pytest.mark.full
def test_image_without_a_loader(lab, node, partition_image):
    """What is missing is named, and so is what to add."""
    path = lab.run.tmp / 'without-a-loader.img'
    path.write_bytes((lab.run.images / partition_image.name).read_bytes())
    for name in ('shim/shimx64.efi.signed', 'grub/x86_64-efi-signed/grubx64.efi.signed'):
        subprocess.run(['debugfs', '-w', '-R', f'rm /usr/lib/{name}', path], check=True, capture_output=True)
    error = node.fail_to_deploy(Image.publish(lab, path).partition_info(root_gb=1))
    assert 'shim-signed' in error and 'grub-efi-amd64-signed' in error
    assert not _loaders(node.server), 'it must never boot'


@pytest.mark.parametrize('moment', [
    pytest.param('the file systems are made', marks=pytest.mark.full),
    pytest.param('the loaders are copied', marks=pytest.mark.full),
    'the image is written',
])
def test_agent_killed_during_a_partition_deployment(lab, node, hand, partition_image, image, moment):
    """The deployment fails with the signal's name, and of a disk that held a system that boots nothing
    starts: neither that nor a part of the new one. The next deployment succeeds: it is that of the next test.
    """
    server, disk = node.server, node.server.disks[0]
    disk.put(lab.run.images / image.name)
    # Slow enough that a hand can come between.
    with server.throttled_from_next_start(0, partition_image.size // 8):
        node.start_deploying(partition_image.partition_info(root_gb=1, swap_mb=64), config_drive('killed'))
    node.wait_for_step('write_image', 120)
    mark = server.console.mark_of_last_start()
    server.console.wait_for('writing partition image', 60, mark)
    if moment != 'the image is written':
        server.console.wait_for('making a file system', 60, mark)
        server.throttle(0, MIB // 2)
    else:
        # What is said comes before what is done: until then the system that is there still boots.
        _wait_for_a_part_of_an_image(disk, 60)
    if moment == 'the loaders are copied':
        server.console.wait_for('boot files are put together', 120, mark)
        _wait_for_a_loader(disk, 60)
    hand.move(server, 'kill')
    error = node.wait_for_failure(120)
    assert node.state == 'deploy failed'
    assert 'signal' in error or 'prepare_instance_boot' in error, error
    server.power_off()
    assert not _starts(server), 'half a system'


def test_swap_and_ephemeral_partition_are_there(lab, node, partition_image):
    """And so are the files that a deploy step injected: into the partition that has `/etc`, which is
    neither the first nor the second, and from a server into the EFI system partition.
    """
    (lab.run.images / f'{node.uuid}.conf').write_text('timeout 7\n')
    files = [{'path': '/etc/farrier/motd', 'mode': 0o640, 'content': base64.b64encode(b'shod\n').decode()},
             {'path': '/loader/loader.conf', 'partition': 1, 'content': lab.web.url('{node[uuid]}.conf')}]
    step = {'interface': 'deploy', 'step': 'inject_files', 'priority': 70, 'args': {'files': files}}
    info = partition_image.partition_info(root_gb=1, swap_mb=64, ephemeral_gb=1)
    node.deploy(info, config_drive('first'), steps=[step])
    mark = node.server.console.mark_of_last_start()
    expect_partition_system(node.server, 'first', mark, ephemeral='new')
    node.server.console.wait_for('boot-entry: debian', 5, mark)
    disk = node.server.disks[0].path
    assert _root_file(disk, 'cat /etc/farrier/motd') == 'shod\n'
    assert 'Mode:  0640' in _root_file(disk, 'stat /etc/farrier/motd')
    loader = subprocess.run(['mtype', '-i', f'{disk}@@1M', '::loader/loader.conf'], capture_output=True,
                            text=True, check=True)
    assert loader.stdout == 'timeout 7\n'


def test_a_rebuild_keeps_the_ephemeral_partition(node, partition_image):
    """And the file on it that the first system wrote there."""
    info = partition_image.partition_info(root_gb=1, swap_mb=64, ephemeral_gb=1, preserve_ephemeral=True)
    node.rebuild(info, config_drive('second'))
    expect_partition_system(node.server, 'second', node.server.console.mark_of_last_start(),
                            ephemeral='first')


def test_power_cut_during_a_partition_deployment(lab, partition_image, image, record_property):
    """As in test_power_cut: a guest is killed while it writes; then, from the log of writes and
    flushes of the next deployment, which succeeds, the disk is put together as it was at other
    moments. Before, the disk held a system that boots, and no moment may start a part of the new one.
    """
    seconds = 8
    info = partition_image.partition_info(root_gb=1, swap_mb=64)
    with lab.enrolled('partition-cut', firmware='uefi', boot='direct', node={'clean': False},
                      disks=[Disk('virtio', 2048, logged=True)]) as node:
        server, disk = node.server, node.server.disks[0]
        disk.put(lab.run.images / image.name)
        node.provide()
        with server.throttled_from_next_start(0, partition_image.size // seconds):
            node.start_deploying(info, config_drive('never seen'))
        node.wait_for_step('write_image', 120)
        _wait_for_writes(disk, 4 * MIB, 120)
        time.sleep(random.uniform(0, seconds / 3))
        server.kill()
        assert not _starts(server), 'half a system'

        node.undeploy()
        disk.put(lab.run.images / image.name)
        before = lab.run.tmp / 'before-the-partition-cut.img'
        subprocess.run(['cp', '--sparse=always', disk.path, before], check=True)
        first = len(disk.write_logs())
        node.deploy(info, config_drive('after the cut'))
        expect_partition_system(server, 'after the cut', server.console.mark_of_last_start())
        server.power_off()

        log = disk.write_logs()[first]
        # From when the old system's head is off the medium.
        blank = log.first_flush()
        loaders = _first_write_of_a_loader(log)
        record_property('writes before the loaders', loaders)
        moments = sorted(random.sample(range(blank + 1, loaders + 1), MOMENTS - MOMENTS // 3)
                         + random.sample(range(loaders + 1, len(log.entries) + 1), MOMENTS // 3))
        for moment in moments:
            log.cut(moment, before, disk.path)
            started = _starts(server, 'after the cut')
            assert moment > loaders or not started, f'before entry {moment} of {len(log.entries)}'


def _root_file(disk, request):
    """What debugfs says of the disk's last partition, which is the root file system."""
    table = subprocess.run(['sfdisk', '--json', disk], capture_output=True, text=True, check=True)
    start = json.loads(table.stdout)['partitiontable']['partitions'][-1]['start'] * 512
    return subprocess.run(['debugfs', '-R', request, f'{disk}?offset={start}'], capture_output=True,
                          text=True, check=True).stdout


def _wait_for_writes(disk, least, timeout):
    """Until the log of the disk's writes holds that many bytes: the console says it before the first."""
    deadline = time.monotonic() + patience(timeout)
    while disk.write_log_bytes() < least:
        assert time.monotonic() < deadline, f'{disk.write_log_bytes()} bytes written in {timeout} s'
        time.sleep(0.2)


def _wait_for_a_part_of_an_image(disk, timeout):
    """Until the disk boots nothing any more, and some MiB of the image are on it."""
    deadline = time.monotonic() + patience(timeout)
    before = None
    while before is None or disk.allocated_mib() < before + 8:
        if before is None and disk.is_zero(0, MIB):
            before = disk.allocated_mib()
        assert time.monotonic() < deadline, f'nothing was written within {timeout} s'
        time.sleep(0.05)


def _wait_for_a_loader(disk, timeout):
    """Until a part of an EFI program is on the disk's first partition."""
    deadline = time.monotonic() + patience(timeout)
    while True:
        head = disk.read(MIB, 32 * MIB)
        if any(head.startswith(b'MZ', offset) for offset in range(0, len(head), 512)):
            return
        assert time.monotonic() < deadline, f'no loader within {timeout} s'
        time.sleep(0.1)


def _starts(server, value=None):
    """Whether the firmware starts the disk's system; if it does, the whole system comes up."""
    mark = server.console.mark()
    server.power_on('Hdd')
    found = server.console.wait_for('FARRIER-TEST-OS booted|^.*Shell>|No bootable option', 120, mark)
    started = 'booted' in found[0]
    if started:
        expect_partition_system(server, value, mark)
    server.power_off()
    return started


def _first_write_of_a_loader(log):
    """Number of the entry that begins to put an EFI program onto the disk's first partition."""
    return next(number for number in log.writes_into(551 * MIB)
                if log.data(log.entries[number])[:2] == b'MZ')


def _loaders(server):
    """Files below EFI on the disk's first partition, where the agent makes an EFI system partition."""
    listing = subprocess.run(['mdir', '-/', '-b', '-i', f'{server.disks[0].path}@@1M', '::EFI'],
                             capture_output=True, text=True)
    return listing.stdout.split()
