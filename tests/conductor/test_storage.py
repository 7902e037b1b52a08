"""Disks that are more, or less, than they seem: two paths to one disk, and two disks of a mirror."""

import json
import re
import subprocess
import uuid

import pytest

from conductor.expectations import config_drive, expect_deployed_system, wait_for_heartbeats
from lab import Disk, Hand
from lab.mirror import make_mirror

LUN_MIB = 256
WWN = '0x600a0980feedf00d'

# What a tenant left on the disk of the SAN: volumes of which one is mounted, one swapped to and one on another
# disk too, and a volume on a mirror of two others, which lacks its third and is being synchronised.
LEAVE = '''\
read -r lun < /sys/block/dm-0/dev
make() { /sbin/dmsetup create old-$1 --noudevsync --uuid LVM-old-$1; }
echo "0 32768 linear $lun 2048" | make data
echo "0 8192 linear $lun 34816" | make swap
echo "0 65536 linear $lun 65536" | make first
echo "0 65536 linear $lun 131072" | make second
{ echo "0 8192 linear $lun 43008"; echo "8192 8192 linear /dev/vda 2048"; } | make both
/hand/busybox mke2fs /dev/dm-1
/hand/busybox mkdir /mnt/old
/hand/busybox mount -t ext4 /dev/dm-1 /mnt/old
/hand/busybox mkswap /dev/dm-2
/hand/busybox swapon /dev/dm-2
echo 1 > /proc/sys/dev/raid/speed_limit_min
echo 1 > /proc/sys/dev/raid/speed_limit_max
/sbin/mdadm --create /dev/md8 --run --metadata 1.0 --bitmap none --level 1 --raid-devices 3 /dev/dm-3 /dev/dm-4 missing
read -r array < /sys/block/md8/dev
echo "0 8192 linear $array 0" | make top
/hand/busybox cat /proc/mdstat /proc/swaps
/hand/busybox mount
/sbin/dmsetup info -c
echo "hand: left things behind"
'''


@pytest.fixture(scope='module')
def inspected(lab):
    """A server with a disk of a SAN behind two HBAs, a mirror and a hand; its inventory, and what the
    members of the mirror held before the server saw them."""
    hand = Hand(leave=LEAVE)
    lun = lab.run.tmp / 'lun.img'
    with open(lun, 'wb') as file:
        file.truncate(LUN_MIB << 20)
    arguments = []
    for path in (0, 1):
        arguments += [
            '-device', f'virtio-scsi-pci,id=hba{path}',
            '-drive', f'if=none,id=path{path},format=raw,file.locking=off,file={lun}',
            '-device', f'scsi-hd,bus=hba{path}.0,drive=path{path},share-rw=on,serial=LUN7,wwn={WWN},'
                       f'bootindex={50 + path}',
        ]
    disks = [Disk('virtio', 64), Disk('sata', 64, serial='M0'), Disk('sata', 64, serial='M1'),
             Hand.disk()]
    ramdisk = hand.into(lab.ramdisk, lab.run.boot / 'storage.img')
    with lab.enrolled('storage', firmware='uefi', boot='direct', disks=disks, arguments=arguments,
                      node={'clean': False, 'fast_track': True, 'ramdisk': ramdisk,
                            'root_device': {'wwn': WWN}}) as node:
        members = [1, 2]
        # mdadm 4.4 makes no array of this name, but older ones did.
        make_mirror([node.server.disks[number] for number in members], 'web:boot mirror:1')
        before = [node.server.disk_digest(number) for number in members]
        yield node, node.inspect()['inventory'], members, before, hand


def disks(inspected, start):
    return [disk for disk in inspected[1]['disks'] if disk['name'].startswith(start)]


def test_two_paths_are_one_disk(inspected):
    """The path devices are not offered: what is written to one of them goes behind the other's
    back."""
    [lun] = disks(inspected, '/dev/dm-')
    assert lun['wwn'] == WWN
    assert lun['serial'] == '3' + WWN.removeprefix('0x')
    assert lun['size'] == LUN_MIB << 20
    serials = [disk['serial'] for disk in inspected[1]['disks']]
    assert 'LUN7' not in serials


def test_an_array_is_assembled(inspected):
    [array] = disks(inspected, '/dev/md')
    assert array['size'] == (64 << 20) - (1 << 20)
    # Its members are still disks: cleaning has to find them.
    serials = [disk['serial'] for disk in inspected[1]['disks']]
    assert 'M0' in serials and 'M1' in serials
    # In the way that mdadm wants it made.
    assert not re.search('Fail to create md|autoloading is deprecated', inspected[0].server.console.text())


def test_looking_at_disks_changes_nothing_on_them(inspected):
    """Neither a new count of events nor a synchronisation, which would write the second disk."""
    node, _, members, before, _ = inspected
    assert [node.server.disk_digest(number) for number in members] == before


def test_a_system_is_deployed_onto_two_paths_to_one_disk(lab, inspected, image):
    """Whatever a tenant left there is taken apart, and the other disk of a volume is not written. The image's
    partitions can be used, and the boot entry names one of them."""
    node, _, _, _, hand = inspected
    console = node.server.console
    mark = console.mark()
    hand.move(node.server, 'leave')
    console.wait_for('hand: left things behind', 60, mark)
    left = console.text(mark)
    assert re.search(r'md8 : active raid1 dm-4.* dm-3', left) and 'resync' in left, left
    assert '/dev/dm-1 on /mnt/old' in left and re.search(r'^/dm-2|^/dev/dm-2 +partition', left, re.M), left
    assert left.count('old-') >= 6, left
    other = node.server.disk_digest(0)
    node.provide()
    # Before that a deployment starts the server anew.
    wait_for_heartbeats(lab, node, 1, 60)
    node.deploy(image, config_drive('on two paths'))

    said = console.text(mark)
    for what in ('swap is switched off, so that an image.*dm-2', 'unmounted, so that an image.*dm-1',
                 'stopped, so that an image.*md8', 'removed, so that an image.*dm-6',
                 'lies on the root device and on others.*dm-5.*/dev/vda'):
        assert re.search(what, said), what
    assert 'cannot be taken apart' not in said and 'is not visible' not in said
    assert re.search('partitions of the image.*/dev/dm-1.*/dev/dm-2', said)
    assert node.server.disk_digest(0) == other
    expect_deployed_system(node.server, 'on two paths', console.mark_of_last_start())

    table = subprocess.run(['sfdisk', '--json', lab.run.tmp / 'lun.img'], capture_output=True, check=True)
    partitions = json.loads(table.stdout)['partitiontable']['partitions']
    [esp] = [partition for partition in partitions if partition['type'].startswith('C12A7328')]
    variables = (node.server.folder / 'efivars.fd').read_bytes()
    assert uuid.UUID(esp['uuid']).bytes_le in variables
