"""A real conductor leads servers through their whole life with our ramdisk."""

from conductor.expectations import config_drive, expect_deployed_system
from lab import Disk


def test_bios_server_booted_over_the_network(lab, image):
    """Enrol, inspect, clean, deploy, run, undeploy, clean: as on a real site."""
    disks = [Disk('virtio', 256, serial='ROOT'), Disk('sata', 64, serial='DATA')]
    with lab.enrolled('bios', firmware='bios', boot='network', cpus=2, disks=disks) as node:
        server = node.server

        inventory = node.inspect()['inventory']
        assert {disk['serial'] for disk in inventory['disks']} == {'ROOT', 'DATA'}
        assert [card['mac_address'] for card in inventory['interfaces']] == [server.mac]
        assert inventory['boot']['current_boot_mode'] == 'bios'
        assert inventory['cpu']['architecture'] == 'x86_64'
        assert inventory['memory']['physical_mb'] == 768
        assert inventory['system_vendor']['serial_number'] == server.serial

        label = b'old partition table'.ljust(512)
        for disk in server.disks:
            disk.write(0, label + b'EFI PART')
        node.provide()
        for disk in server.disks:
            assert disk.is_zero(0, 17 * 1024), 'cleaning left metadata at the start of the disk'

        node.deploy(image, config_drive('from the network'))
        expect_deployed_system(server, 'from the network', server.console.mark_of_last_start())

        node.undeploy()
        assert server.disks[0].is_zero(0, 17 * 1024), 'the deployed partition table is still there'
        assert not server.is_on()
