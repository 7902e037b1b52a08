"""A real conductor leads a server with an arm64 processor: UEFI, and devices of such a board alone."""

import re

import pytest

from conductor.expectations import config_drive, expect_deployed_system
from lab import Disk

MEMORY_MIB = 1536


def test_arm64_server_booted_over_the_network(lab, image):
    """Its firmware gets iPXE for arm64 by DHCP and TFTP, and that the ramdisk by Ironic's own script. Inspected,
    cleaned and deployed in one start, it boots the image by the entry that the agent wrote."""
    disks = [Disk('virtio', 256, serial='ROOT'), Disk('nvme', 64, serial='DATA')]
    with lab.enrolled('arm64', architecture='aarch64', firmware='uefi', boot='network', cpus=2,
                      memory_mib=MEMORY_MIB, disks=disks, node={'fast_track': True}) as node:
        server = node.server
        label = b'old partition table'.ljust(512)
        for disk in server.disks:
            disk.write(0, label + b'EFI PART')
        inventory = node.inspect(timeout=600)['inventory']
        assert inventory['cpu']['architecture'] == 'aarch64'
        assert inventory['cpu']['count'] == 2
        assert inventory['memory']['physical_mb'] == MEMORY_MIB
        assert inventory['boot']['current_boot_mode'] == 'uefi'
        assert inventory['boot']['pxe_interface'] == server.mac
        assert inventory['system_vendor']['serial_number'] == server.serial
        assert inventory['system_vendor']['manufacturer'] == 'Farrier'
        assert {disk['serial'] for disk in inventory['disks']} == {'ROOT', 'DATA'}
        properties = node.show()['properties']
        assert properties['cpu_arch'] == 'aarch64'
        assert properties['cpus'] == 2

        node.provide(timeout=600)
        for disk in server.disks:
            assert disk.is_zero(0, 17 * 1024), 'cleaning left metadata at the start of the disk'

        node.deploy(image, config_drive('on another processor'), timeout=900)
        since = server.console.mark_of_last_start()
        expect_deployed_system(server, 'on another processor', since)
        text = server.console.text(since)
        assert 'boot-mode: uefi' in text
        assert re.search(r'starting Boot\w+ "Farrier test system" from HD\(1,GPT,.*\\EFI\\farrier-test\\grubaa64\.efi', text), \
            'not started from the entry that the agent wrote'


@pytest.mark.parametrize('dhcp', ['kea', 'dnsmasq'])
def test_other_dhcp_servers_know_such_firmware(lab, dhcp):
    """As far as Ironic's script for iPXE; isc-dhcpd serves the test above."""
    server = lab.server(f'arm64-{dhcp}', architecture='aarch64', firmware='uefi', boot='network', disks=[])
    try:
        with lab.dhcp.served_by(dhcp):
            server.power_on('Pxe')
            server.console.wait_for(r'NBP filename is ipxe-arm64\.efi', 60)
            server.console.wait_for(r'boot\.ipxe\.\.\. ok', 60)
    finally:
        lab.remove(server)
