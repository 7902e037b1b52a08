"""What the tests expect of a system on arrays: the image's init says which there are (partition-os/init)."""

import json
import re
import subprocess
import uuid
from dataclasses import dataclass

from conductor.expectations import expect_deployed_system
from lab.mirror import MAGIC, PLACE

CREATE = {'interface': 'raid', 'step': 'create_configuration'}
DELETE = {'interface': 'raid', 'step': 'delete_configuration'}

SUPERBLOCK = MAGIC.to_bytes(4, 'little')

_LINE = re.compile(r'^array: (?P<device>\S+) (?P<level>\S+) (?P<metadata>\S+) (?P<name>\S+) degraded=(?P<degraded>\d*)'
                   r'(?P<members>.*)$', re.M)


def logical_disk(name, level, size_gb, **more):
    """One of a RAID configuration."""
    return {'size_gb': size_gb, 'raid_level': level, 'controller': 'software', 'volume_name': name, **more}


@dataclass
class Array:
    """One array as the deployed system's kernel has it; `members` are partitions, in their order of names."""

    device: str
    level: str
    metadata: str
    name: str
    missing: int
    members: list


@dataclass
class Started:
    """What a start of a deployed system has said: its arrays by name, the device of its root, of /boot/efi, and the
    GUID of the partition from which the firmware's entry led to it.
    """

    arrays: dict
    root: str
    efi: str
    text: str

    @property
    def entry_partition(self):
        found = re.search(r'^boot-partition: (\S+)$', self.text, re.M)
        return found and found[1]


def started(server, value, since):
    """Waits for the system on the arrays, with its config drive."""
    expect_deployed_system(server, value, since)
    text = server.console.text(since)
    arrays = {}
    for found in _LINE.finditer(text):
        members = sorted(member.partition(':')[0] for member in found['members'].split())
        array = Array(found['device'], found['level'], found['metadata'], found['name'].rpartition(':')[2],
                      int(found['degraded'] or 0), members)
        assert array.name not in arrays, f'two arrays of one name:\n{text}'
        arrays[array.name] = array
    root = re.search(r'^root: (?:/dev/)?(\S+)', text, re.M)
    efi = re.search(r'^efi-partition: (?:/dev/)?(\S+)', text, re.M)
    return Started(arrays, root and root[1], efi and efi[1], text)


def start(server, value):
    """Switches the server on from its disks; what the system says. It is off afterwards."""
    mark = server.console.mark()
    server.power_on('Hdd')
    try:
        return started(server, value, mark)
    finally:
        server.power_off()


def partitions(disk):
    """The disk's partitions, as sfdisk reads them; none where it has no table."""
    table = subprocess.run(['sfdisk', '--json', disk.path], capture_output=True, text=True)
    if table.returncode and 'does not contain a recognized partition table' in table.stderr:
        return []
    table.check_returncode()
    return json.loads(table.stdout)['partitiontable'].get('partitions', [])


def superblocks(disk):
    """Where an array's superblock lies in a partition of the disk: of version 1.2, or at the end as of 1.0."""
    found = []
    for partition in partitions(disk):
        start, size = partition['start'], partition['size']
        places = (start + PLACE // 512, start + ((size - 16) & ~7))
        found += [sector * 512 for sector in places if disk.read(sector * 512, 4) == SUPERBLOCK]
    return found


def efi_partition(disk):
    """The GUID of the disk's EFI system partition, as its bytes are on the disk and in a boot entry."""
    [esp] = [partition for partition in partitions(disk) if partition['type'].upper().startswith('C12A7328')]
    return uuid.UUID(esp['uuid']).bytes_le.hex()
