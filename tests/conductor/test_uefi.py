"""Servers whose firmware is UEFI: it starts the deployed system from the entry that the agent wrote.

One that is booted over the network is in test_dhcp.
"""

from conductor.expectations import config_drive, expect_deployed_system
from lab import Disk
from lab.mirror import make_mirror


def test_uefi_server_with_512_mib(lab, image):
    """Direct boot, with little memory. First onto a mirror, of which this firmware sees two disks:
    that is refused before a byte is written. Then, without a reboot, onto a disk."""
    disks = [Disk('nvme', 256), Disk('sata', 64), Disk('sata', 64)]
    with lab.enrolled('uefi-direct', firmware='uefi', boot='direct', as_shipped=True,
                      memory_mib=512, disks=disks, node={'clean': False, 'fast_track': True}) as node:
        members = [1, 2]
        make_mirror([node.server.disks[number] for number in members], 'web:root')
        before = [node.server.disk_digest(number) for number in members]
        node.provide()
        hints = node.show()['properties']['root_device']
        node.update(**{'properties/root_device': {'name': '<in> /dev/md'}})
        error = node.fail_to_deploy(image)
        assert 'software RAID (raid1, metadata 1.2)' in error and '/dev/md' in error
        assert [node.server.disk_digest(number) for number in members] == before
        node.update(**{'properties/root_device': hints})
        node.deploy(image, config_drive('five hundred and twelve'))
        expect_deployed_system(node.server, 'five hundred and twelve',
                               node.server.console.mark_of_last_start())


def test_uefi_server_booted_from_virtual_media(lab, image):
    """The token and the parameters come on the ISO that the conductor builds."""
    with lab.enrolled('vmedia', firmware='uefi', boot='vmedia', disks=[Disk('scsi', 256)],
                      node={'clean': False}) as node:
        node.provide()
        node.deploy(image, config_drive('on a disc'))
        text = node.server.console.text()
        assert 'boot_method=vmedia' in text
        expect_deployed_system(node.server, 'on a disc', node.server.console.mark_of_last_start())
