"""A server with devices that the kernel of Debian 12 has no driver for."""

import re
import struct
import subprocess

import pytest

from lab import Disk, Image, paths

# The lab's own image has a partition table for sectors of 512 bytes, UFS has some of 4096. This one
# has a partition of Linux from sector 1, and lines in it.
TABLE = (bytes(446) + struct.pack('<B3xB3xII', 0, 0x83, 1, 1023)).ljust(510, b'\0') + b'\x55\xaa'
IMAGE = TABLE.ljust(4096, b'\0') + b''.join(b'line %-59d' % number for number in range(1023 << 6))


@pytest.mark.full
def test_ufs_disk_is_inspected_and_deployed(lab):
    """Of all PCI devices that QEMU 10 emulates, its UFS controller is the one that Linux 6.1 does not
    know; with it the newest network card, igb."""
    for device in ('ufs', 'igb'):
        if f'name "{device}"' not in subprocess.run(['qemu-system-x86_64', '-device', 'help'], check=True,
                                                     text=True, stdout=subprocess.PIPE).stdout:
            pytest.skip(f'this QEMU has no {device}; 8.2 has both')
    linux = next((paths.RAMDISK_FOLDER / 'chroot/usr/lib/modules').iterdir()).name
    if re.match(r'6\.1\.', linux):
        pytest.skip(f'Linux {linux} has no driver for it')
    path = lab.run.tmp / 'lines.img'
    path.write_bytes(IMAGE)
    image = Image.publish(lab, path)
    with lab.enrolled('newer', boot='direct', card_model='igb',
                      disks=[Disk('ufs', 256, serial='disk0', sector=4096)]) as node:
        inventory = node.inspect()['inventory']
        [disk] = inventory['disks']
        assert (disk['serial'], disk['size']) == ('disk0', 256 << 20)
        assert (disk['vendor'], disk['model']) == ('QEMU', 'QEMU HARDDISK')
        assert [card['mac_address'] for card in inventory['interfaces']] == [node.server.mac]
        node.provide()
        node.deploy(image)
        node.server.power_off()
        assert node.server.disks[0].read(0, len(IMAGE)) == IMAGE
