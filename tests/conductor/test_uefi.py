"""Servers whose firmware is UEFI: it starts the deployed system from the entry that the agent wrote.

One that is booted over the network is in test_dhcp.
"""

import re

import pytest

from conductor.expectations import config_drive, expect_deployed_system
from lab import Disk
from lab.mirror import MAGIC, PLACE, make_mirror


def test_uefi_server_with_512_mib(lab, image):
    """Direct boot, with little memory. First onto a mirror, of which this firmware sees two disks:
    that is refused before a byte is written. Then, without a reboot, onto one of these disks: the mirror is
    stopped, and nothing of it is left there or changed on the other."""
    disks = [Disk('nvme', 256), Disk('sata', 64)]
    with lab.enrolled('uefi-direct', firmware='uefi', boot='direct', as_shipped=True,
                      memory_mib=512, disks=disks, node={'clean': False, 'fast_track': True}) as node:
        members = [0, 1]
        make_mirror([node.server.disks[number] for number in members], 'web:root')
        before = [node.server.disk_digest(number) for number in members]
        node.provide()
        hints = node.show()['properties']['root_device']
        node.update(**{'properties/root_device': {'name': '<in> /dev/md'}})
        error = node.fail_to_deploy(image)
        assert 'software RAID (raid1, metadata 1.2)' in error and '/dev/md' in error
        assert [node.server.disk_digest(number) for number in members] == before
        node.update(**{'properties/root_device': hints,
                       'properties/skip_block_devices': [{'name': '/dev/sda'}]})
        error = node.fail_to_deploy(image)
        assert 'skip_block_devices' in error and '/dev/md' in error
        assert [node.server.disk_digest(number) for number in members] == before
        node.update(**{'properties/skip_block_devices': []})
        node.deploy(image, config_drive('five hundred and twelve'))
        said = node.server.console.text()
        assert re.search('stopped, so that an image can be written to /dev/nvme0n1.*/dev/md', said)
        assert re.search('on others, which are not written to.*/dev/sda', said)
        assert node.server.disk_digest(1) == before[1]
        assert node.server.disks[0].read(PLACE, 4) != MAGIC.to_bytes(4, 'little')
        expect_deployed_system(node.server, 'five hundred and twelve',
                               node.server.console.mark_of_last_start())


@pytest.mark.full
def test_uefi_server_booted_from_virtual_media(lab, image):
    """The token and the parameters come on the ISO that the conductor builds. test_networks and test_secure_boot have
    servers that are booted so and know more."""
    with lab.enrolled('vmedia', firmware='uefi', boot='vmedia', disks=[Disk('scsi', 256)],
                      node={'clean': False}) as node:
        node.provide()
        node.deploy(image, config_drive('on a disc'))
        text = node.server.console.text()
        assert 'boot_method=vmedia' in text
        expect_deployed_system(node.server, 'on a disc', node.server.console.mark_of_last_start())
