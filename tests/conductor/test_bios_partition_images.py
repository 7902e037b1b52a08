"""Partition images under BIOS, where the operator allows a boot loader to be installed, as the lab's conductor
does: GRUB of the image, which the agent puts on the disk without running it.

`MOMENTS=20 make lab-full` looks at more moments of a power cut than the usual three.
"""

import os
import random
import subprocess

import pytest

from conductor.expectations import config_drive, expect_partition_system
from lab import Disk

MOMENTS = int(os.environ.get('MOMENTS', '3'))

# Boot code, before the disk's signature and its table.
BOOT_CODE = 440


@pytest.fixture(scope='module')
def node(lab):
    """A server with what its disk is told in a log."""
    with lab.enrolled('partition-bios', boot='direct', disks=[Disk('virtio', 2304, logged=True)],
                      node={'clean': False}) as node:
        node.provide()
        yield node


def test_bios_and_mbr_with_a_power_cut(lab, node, partition_image, image, record_property):
    """The disk held a system that boots; from the log of writes and flushes it is put together as a power
    cut would have left it: without any boot code, until all that this leads to is there.
    """
    disk = node.server.disks[0]
    disk.put(lab.run.images / image.name)
    before = lab.run.tmp / 'before-the-bios-cut.img'
    subprocess.run(['cp', '--sparse=always', disk.path, before], check=True)
    first = len(disk.write_logs())
    node.deploy(partition_image.partition_info(root_gb=1, swap_mb=64, ephemeral_gb=1), config_drive('mbr'))
    expect_bios_system(node.server, 'mbr', ephemeral='new')
    node.server.power_off()

    log = disk.write_logs()[first]
    blank = log.first_flush()
    boots = _first_write_of_boot_code(log, since=blank)
    record_property('writes before the boot code', boots)
    assert log.writes_since_flush(boots) == [], 'boot code is written before all that it leads to is flushed'
    core = next(entry for entry in reversed(log.entries[:boots]) if entry.is_write)
    for moment in sorted([*random.sample(range(blank + 1, boots), MOMENTS - 1), boots]):
        log.cut(moment, before, disk.path)
        assert disk.is_zero(0, BOOT_CODE), f'before entry {moment} of {boots}'
    assert disk.read(core.offset, core.length) == log.data(core), 'GRUB is there before what starts it'
    _expect_start(node.server, log, boots + 1, before, 'mbr')


@pytest.mark.full
def test_power_cut_while_grub_is_installed(lab, node, partition_image, image):
    """A guest that is killed at the boot loader's turn; then the next deployment."""
    disk = node.server.disks[0]
    _free(node)
    disk.put(lab.run.images / image.name)
    node.start_deploying(partition_image.partition_info(root_gb=1), config_drive('never seen'))
    node.server.console.wait_for('file system mounted', 240, node.server.console.mark())
    node.server.kill()
    assert disk.is_zero(0, BOOT_CODE), 'half a system boots'
    # The conductor asks on for a while.
    node.wait_for_failure(600)
    node.undeploy()
    node.deploy(partition_image.partition_info(root_gb=1), config_drive('after the cut'))
    expect_bios_system(node.server, 'after the cut', swap=False)


@pytest.mark.full
def test_bios_and_gpt(node, partition_image):
    """GRUB lies in the BIOS boot partition."""
    _free(node)
    info = partition_image.partition_info(root_gb=1, swap_mb=64, capabilities={'disk_label': 'gpt'})
    node.deploy(info, config_drive('gpt'))
    expect_bios_system(node.server, 'gpt')
    table = subprocess.run(['sfdisk', '--dump', node.server.disks[0].path], capture_output=True, text=True,
                           check=True)
    assert 'label: gpt' in table.stdout
    assert '21686148-6449-6E6F-744E-656564454649' in table.stdout, 'a BIOS boot partition'


@pytest.mark.full
def test_an_image_without_grub(lab, node, partition_image):
    """What is missing is named, and so is what to add."""
    path = lab.run.tmp / 'without-grub.img'
    path.write_bytes((lab.run.images / partition_image.name).read_bytes())
    subprocess.run(['debugfs', '-w', '-R', 'rm /usr/lib/grub/i386-pc/kernel.img', path], check=True,
                   capture_output=True)
    _free(node)
    error = node.fail_to_deploy(type(partition_image).publish(lab, path).partition_info(root_gb=1))
    assert 'grub-pc-bin' in error and 'grub2-pc-modules' in error
    assert node.server.disks[0].is_zero(0, BOOT_CODE), 'it must never boot'


def expect_bios_system(server, value, *, swap=True, ephemeral='none', since=None):
    since = server.console.mark_of_last_start() if since is None else since
    server.console.wait_for('GRUB: loading the system of the partition image', 120, since)
    expect_partition_system(server, value, since, swap=swap, ephemeral=ephemeral, efi=False)


def _free(node):
    """Ready for the next deployment, whatever the test before left."""
    if node.state != 'available':
        node.undeploy()


def _expect_start(server, log, moment, before, value):
    """Once the boot code is on the medium, the whole system comes up."""
    log.cut(moment, before, server.disks[0].path)
    # What was not flushed may be lost; the boot code itself is what is asked for.
    code = log.entries[moment - 1]
    server.disks[0].write(code.offset, log.data(code))
    mark = server.console.mark()
    server.power_on('Hdd')
    expect_bios_system(server, value, ephemeral='new', since=mark)
    server.power_off()


def _first_write_of_boot_code(log, since):
    """Number of the entry that puts code into the first sector, after this one."""
    return next(number for number in log.writes_into(BOOT_CODE) if number > since)
