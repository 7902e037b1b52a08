"""Disks that are more, or less, than they seem: two paths to one disk, and two disks of a mirror."""

import re

import pytest

from lab import Disk
from lab.mirror import make_mirror

LUN_MIB = 96
WWN = '0x600a0980feedf00d'


@pytest.fixture(scope='module')
def inspected(lab):
    """A server with a disk of a SAN behind two HBAs, and a mirror; its inventory, and what the
    members of the mirror held before the server saw them."""
    lun = lab.run.tmp / 'lun.img'
    with open(lun, 'wb') as file:
        file.truncate(LUN_MIB << 20)
    arguments = []
    for path in (0, 1):
        arguments += [
            '-device', f'virtio-scsi-pci,id=hba{path}',
            '-drive', f'if=none,id=path{path},format=raw,file.locking=off,file={lun}',
            '-device', f'scsi-hd,bus=hba{path}.0,drive=path{path},share-rw=on,serial=LUN7,wwn={WWN}',
        ]
    disks = [Disk('virtio', 64), Disk('sata', 64, serial='M0'), Disk('sata', 64, serial='M1')]
    with lab.enrolled('storage', boot='direct', disks=disks, arguments=arguments,
                      node={'clean': False}) as node:
        members = [1, 2]
        # mdadm 4.4 makes no array of this name, but older ones did.
        make_mirror([node.server.disks[number] for number in members], 'web:boot mirror:1')
        before = [node.server.disk_digest(number) for number in members]
        yield node, node.inspect()['inventory'], members, before


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
    node, _, members, before = inspected
    assert [node.server.disk_digest(number) for number in members] == before
