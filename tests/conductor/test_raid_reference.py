"""Arrays that the reference made are rebuilt and deleted by farrier, and the reverse. Both make the same of one
configuration, but for what stands in this file with its reason.
"""

import re

import pytest

from conductor.arrays import CREATE, DELETE, logical_disk, partitions
from lab import Disk, Hand, paths

REFERENCE = paths.BUILD / 'compare' / 'reference.img'

CONFIG = [logical_disk('root', '1', 1, is_root_volume=True), logical_disk('data', '5', 'MAX')]

# As programs of the ramdisks; each has its own mdadm.
LOOK = '''\
for array in /dev/md[0-9]*; do
    [ -b $array ] || continue
    echo "hand: array $array"
    /sbin/mdadm --detail $array
done
echo "hand: end of arrays"
'''

# What two runs of one program do not agree on either.
VOLATILE = ('Creation-Time', 'Update-Time', 'UUID', 'Events', 'State', 'Resync-Status', 'Rebuild-Status', 'uuid')

# Path of a field of `mdadm --detail` or of a partition to the values of farrier and of the reference.
DIFFERENCES = {
    path: values for array, name in (('/dev/md0', 'root'), ('/dev/md1', 'data')) for path, values in (
        # Whose name stands before an array's: mdadm's word for any host, since the ramdisk is nobody that a deployed
        # system meets again. The reference leaves it to mdadm, which takes the ramdisk's.
        (f'{array} Name', (f'any:{name}', f'localhost:{name}  (local to host localhost)')),
        # A member that was away, or all after a crash, are synchronised where something was written. Without being told,
        # mdadm 4.4 makes a bitmap of large arrays alone.
        (f'{array} Intent-Bitmap', ('Internal', None)),
        (f'{array} Consistency-Policy', ('bitmap', 'resync')))}


@pytest.mark.full
@pytest.mark.skipif(not REFERENCE.exists(),
                    reason=f'there is no {REFERENCE}: `tests/compare/build-reference` builds it')
def test_each_takes_apart_what_the_other_made(lab):
    hand = Hand(look=LOOK)
    disks = [Disk(bus, 2048, serial=f'{bus.upper()}') for bus in ('nvme', 'sata', 'scsi')]
    ours = hand.into(lab.ramdisk, lab.run.boot / 'raid-ours.img')
    theirs = hand.into(REFERENCE, lab.run.boot / 'raid-theirs.img')
    config = [{**each, 'physical_disks': [{'serial': disk.serial} for disk in disks]} for each in CONFIG]
    with lab.enrolled('raid-reference', firmware='uefi', boot='direct', memory_mib=1536, cpus=2,
                      disks=[*disks, Hand.disk()],
                      node={'clean': False, 'raid': True, 'fast_track': True, 'ramdisk': theirs}) as node:
        node.set_raid(*config)
        node.clean(CREATE, timeout=900)
        by_theirs = _made(node, hand)
        _start_with(node, ours)
        node.clean(DELETE, timeout=900)
        assert node.show()['raid_config'] == {}
        assert _arrays(node, hand) == {}
        node.clean(CREATE, timeout=900)
        by_ours = _made(node, hand)
        _start_with(node, theirs)
        node.clean(DELETE, timeout=900)
        assert _arrays(node, hand) == {}
        node.clean(CREATE, timeout=900)
        assert _differences(_made(node, hand), by_theirs) == {}, 'the same agent twice'
        assert _differences(by_ours, by_theirs) == DIFFERENCES


def _start_with(node, ramdisk):
    """The next action starts the server anew, with this ramdisk."""
    node.server.power_off()
    node.update(**{'driver_info/deploy_ramdisk': f'file://{ramdisk}'})


def _made(node, hand):
    """All fields of all arrays and of all partitions, by their paths."""
    made = dict(_arrays(node, hand))
    for disk in node.server.disks[:-1]:
        for number, partition in enumerate(partitions(disk), 1):
            for name, value in partition.items():
                made[f'{disk.disk.serial} {number} {name}'] = value
    return {path: value for path, value in made.items() if path.rpartition(' ')[2] not in VOLATILE}


def _arrays(node, hand):
    """What `mdadm --detail` says of each array, and of each of its members."""
    mark = node.server.console.mark()
    hand.move(node.server, 'look')
    node.server.console.wait_for('hand: end of arrays', 60, mark)
    arrays = {}
    for text in node.server.console.text(mark).split('hand: array ')[1:]:
        device, _, detail = text.partition('\n')
        for name, value in re.findall(r'^ *([A-Z][A-Za-z ]+?) : (.*)$', detail, re.M):
            arrays[f'{device.strip()} {name.replace(" ", "-")}'] = value.strip()
        for place, state, member in re.findall(r'^ +\d+ +\d+ +\d+ +(\d+) +(.*?) +(/dev/\S+)$', detail, re.M):
            arrays[f'{device.strip()} member-{place}'] = f'{member} {state}'
    return arrays


def _differences(ours, theirs):
    """Path to both values, where they differ."""
    return {path: (ours.get(path), theirs.get(path)) for path in sorted(ours.keys() | theirs.keys())
            if ours.get(path) != theirs.get(path)}
