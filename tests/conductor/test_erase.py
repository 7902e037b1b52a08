"""Disks between two tenants: a real conductor cleans a server, and the host looks at what is left."""

import re

import pytest

from conductor.erase_records import SECRET, archived, by_serial
from lab import Agent, Disk, Receiver
from lab.disk import MIB
from lab.load import Load
from lab.node import ProvisionError
from lab.remains import make_gfs2

KINDS = {
    'VIRTIO': Disk('virtio', 64, serial='VIRTIO'),
    'SATA': Disk('sata', 64, serial='SATA'),
    'NVME': Disk('nvme', 64, serial='NVME'),
    'SCSI': Disk('scsi', 64, serial='SCSI', rotational=True),
    '4K': Disk('virtio', 48, serial='4K', sector=4096, discard=False),
}

# Where the virtio disk cannot be written, when it is to be bad.
BAD_MIB = 40

# The lab leaves the full erase out of automated cleaning.
FULL = '[deploy]\nerase_devices_priority = 10\n'


@pytest.fixture(scope='module')
def receiver(lab):
    with Receiver(lab.network, 8090) as receiver:
        yield receiver


@pytest.fixture(scope='module')
def node(lab, receiver):
    """A server with five disks of five kinds, full of secrets, that stays up between actions."""
    parameters = f'ipa-erase-record-url={receiver.url} ipa-erase-record-required=true'
    with lab.conductor.configured(FULL), \
            lab.enrolled('erase', boot='direct', cpus=2, disks=list(KINDS.values()),
                         parameters=parameters, node={'fast_track': True}) as node:
        for disk in node.server.disks:
            disk.fill(SECRET)
            assert disk.find(SECRET) == 0
        yield node


def test_automated_cleaning_erases_every_kind_of_disk(lab, node, receiver, record_property):
    """Nothing of the secret is on any disk, and each erase has its record in the step's result, in
    the archive that the conductor keeps, and where the site wants it."""
    node.provide()
    for disk in node.server.disks:
        assert disk.find(SECRET) is None, f'{disk.disk.serial}: a secret is left'

    result = results(lab, node, 'erase_devices')
    records = {record['device']['serial']: record for record in result.values()}
    assert records.keys() == KINDS.keys()
    for serial, record in records.items():
        record_property(f'{serial} methods', ', '.join(
            f'{method["method"]}: {method["result"]}' for method in record['methods']))
        record_property(f'{serial} seconds', record['seconds'])
        assert record['result'] == 'erased', record
        assert record['node'] == node.uuid
        assert record['device']['size'] == KINDS[serial].size_mib << 20
        assert record['device']['logical_block_size'] == KINDS[serial].sector
        assert record['verification']['samples']
        assert f'erase record: {record["device"]["name"]} [' in node.server.console.text()

    stored = archived(lab, node)
    assert by_serial(stored['erase_devices']) == records
    assert stored['erase_devices_metadata'].keys() == stored['erase_devices'].keys()
    assert by_serial(record for _, record in receiver.received) == records
    assert len(receiver.received) == len(KINDS)


def test_a_shared_file_system_stops_all_before_any_is_touched(lab, node):
    """The step fails before anything is written, and names file system and disk."""
    node.manage()
    for disk in node.server.disks:
        disk.write(0, SECRET * 65536)
    make_gfs2(node.server.disks[3])
    name = by_serial(archived(lab, node)['erase_devices'])['SCSI']['device']['name']
    before = digests(node.server)
    with pytest.raises(ProvisionError, match=f'Protected Red Hat Global File System 2.*{name}'):
        node.clean('erase_devices')
    assert digests(node.server) == before


def test_metadata_goes_quickly_and_a_shared_file_system_if_its_owner_wants(
        lab, node, record_property):
    """Five disks within 2 s of the agent's own clock, from the first one's begin to the last one's
    end; the faster of two times, and longer where others use this machine."""
    # The conductor starts a server anew after a failure.
    node.server.change_disk(0, bad_mib=BAD_MIB)
    node.recover()
    node.update(**{'driver_info/wipe_special_filesystems': True})
    load = Load(lab.network)
    node.clean('erase_devices_metadata')
    others = load.share_of_others()
    assert all(disk.is_zero(0, len(SECRET) * 65536) for disk in node.server.disks)
    spent = []
    for number in range(len(lab.conductor.stored_logs(node))):
        records = archived(lab, node, number).get('erase_devices_metadata', {}).values()
        assert len(records) in (0, len(KINDS))
        if records:
            spent.append(seconds_of_day(max(record['ended'] for record in records))
                         - seconds_of_day(min(record['started'] for record in records)))
    record_property('erase_devices_metadata of five disks, s', round(min(spent), 3))
    record_property('share of others', round(others, 2))
    assert min(spent) <= 2 / (1 - others)


def test_a_disk_that_cannot_be_written_fails_alone(lab, node):
    """It is named with the place, and what could be written was."""
    bad, *others = node.server.disks
    for disk in node.server.disks:
        disk.fill(SECRET)
    where = rf'/dev/vda is not erased.* at offset {BAD_MIB * MIB} of /dev/vda'
    with pytest.raises(ProvisionError, match=where) as failure:
        node.clean('erase_devices')
    assert 'Input/output error' in failure.value.last_error
    assert all(disk.find(SECRET) is None for disk in others)
    # What fails is a piece of 64 KiB.
    assert bad.find(SECRET) == BAD_MIB * MIB
    bad.write(BAD_MIB * MIB, bytes(65536))
    assert bad.find(SECRET) is None

    records = by_serial(archived(lab, node)['erase_devices'])
    assert {serial: record['result'] for serial, record in records.items()} == {
        'VIRTIO': 'failed', 'SATA': 'erased', 'NVME': 'erased', 'SCSI': 'erased', '4K': 'erased'}
    assert re.search(where, records['VIRTIO']['error'])
    assert records['VIRTIO']['category'] == 'none'


def test_a_receiver_that_points_elsewhere_has_no_record(lab, node, receiver):
    """The site's receiver is behind a portal, which answers with a redirect to its own page: all disks
    are erased, no record is kept where it must be, and the step fails."""
    node.server.change_disk(0, bad_mib=None)
    if node.state != 'manageable':
        node.recover()
    received = len(receiver.received)
    receiver.points_to = '/login?session=secret'
    with pytest.raises(ProvisionError, match='erase record was not delivered') as failure:
        node.clean('erase_devices')
    error = failure.value.last_error
    assert f'302 Found and points to {receiver.url.removesuffix("/records")}/login,' in error
    assert 'secret' not in error
    assert (len(receiver.received), receiver.read) == (received, [])
    records = by_serial(archived(lab, node)['erase_devices'])
    assert {record['result'] for record in records.values()} == {'erased'}
    # Its agent would use this machine's time for nothing.
    node.server.power_off()


@pytest.mark.parametrize('bus', ['virtio', 'nvme'])
def test_an_express_erase_takes_no_longer_for_a_large_disk(lab, express, record_property, bus):
    """64 GiB and 1 GiB. An NVMe namespace is formatted, of any other disk the metadata alone goes:
    nothing is discarded, so that what a tenant kept in the middle stays."""
    numbers = [number for number, disk in enumerate(express.server.disks) if disk.disk.bus == bus]
    small, large = (express.server.disks[number] for number in numbers)
    for disk in (small, large):
        assert disk.is_zero(0, MIB)
        in_the_middle = disk.read(disk.disk.size_mib * MIB // 2, MIB)
        assert (SECRET in in_the_middle) == (bus == 'virtio')
    taken = {'small': [], 'large': []}
    for number in range(len(lab.conductor.stored_logs(express))):
        records = by_serial(archived(lab, express, number).get('erase_devices_express', {}))
        for which, disk in (('small', small), ('large', large)):
            record = records.get(disk.disk.serial)
            if record:
                assert record['result'] == 'erased', record
                taken[which].append(record['seconds'])
                record_property(f'{bus} {which}', record['methods'][-1]['method'])
    record_property(f'{bus} 1 GiB, s', min(taken['small']))
    record_property(f'{bus} 64 GiB, s', min(taken['large']))
    # Each is a moment, in which a busy machine can be elsewhere.
    assert min(taken['large']) <= 1.5 * min(taken['small']) + 0.2


@pytest.fixture(scope='module')
def express(lab):
    """A server after some express erases of disks that differ in size."""
    disks = [Disk(bus, size, serial=f'{bus}{size}') for bus in ('virtio', 'nvme')
             for size in (1024, 65536)]
    with lab.enrolled('express', boot='direct', disks=disks,
                      node={'clean': False, 'fast_track': True}) as node:
        for disk in node.server.disks:
            disk.write(0, SECRET * 65536)
            disk.write(disk.disk.size_mib * MIB // 2, SECRET * 65536)
        for _ in range(3):
            node.clean('erase_devices_express')
        yield node


def digests(server):
    return [server.disk_digest(number) for number in range(len(server.disks))]


def results(lab, node, step):
    """The result of the last step of this name, as the agent still has it."""
    steps = [command['command_result'] for command in Agent(lab, node).commands()
             if command['command_name'] == 'execute_clean_step']
    return [each['clean_result'] for each in steps if each['clean_step']['step'] == step][-1]


def seconds_of_day(text):
    """Of a time as records have it: 2026-11-22T07:14:20.123Z."""
    hours, minutes, seconds = text.partition('T')[2].rstrip('Z').split(':')
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
