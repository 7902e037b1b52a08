"""Disks between two tenants: a real conductor cleans a server, and the host looks at what is left."""

import json
import tarfile

import pytest

from lab import Agent, Disk, Receiver

# What the tenant before wrote all over its disks.
SECRET = b'a former tenant!'

# In the order of what the kernel calls vda, sda, nvme0n1, sdb and vdb.
KINDS = {
    'VIRTIO': Disk('virtio', 64, serial='VIRTIO'),
    'SATA': Disk('sata', 64, serial='SATA'),
    'NVME': Disk('nvme', 64, serial='NVME'),
    'SCSI': Disk('scsi', 64, serial='SCSI', rotational=True),
    '4K': Disk('virtio', 48, serial='4K', sector=4096, discard=False),
}

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
            lab.enrolled('erase', boot='direct', disks=list(KINDS.values()), parameters=parameters,
                         node={'fast_track': True}) as node:
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


def test_metadata_of_five_disks_is_quick(lab, node, record_property):
    """By the agent's own clock, from the first disk's begin to the last one's end."""
    records = archived(lab, node)['erase_devices_metadata'].values()
    assert len(records) == len(KINDS)
    spent = seconds_of_day(max(record['ended'] for record in records)) \
        - seconds_of_day(min(record['started'] for record in records))
    record_property('erase_devices_metadata of five disks, s', round(spent, 3))
    assert spent <= 2


def results(lab, node, step):
    """The result of the last step of this name, as the agent still has it."""
    token = lab.conductor.agent_token(node)
    commands = Agent(lab, node).get('/v1/commands', agent_token=token).json()['commands']
    steps = [command['command_result'] for command in commands
             if command['command_name'] == 'execute_clean_step']
    return [each['clean_result'] for each in steps if each['clean_step']['step'] == step][-1]


def archived(lab, node):
    """The erase records of the last archive of logs that the conductor stored: by step and
    device."""
    records = {}
    with tarfile.open(lab.conductor.stored_logs(node)[-1]) as archive:
        for member in archive:
            step, _, name = member.name.rpartition('/')
            if member.isfile() and name.endswith('.json'):
                records.setdefault(step.rpartition('/')[2], {})[name.removesuffix('.json')] = \
                    json.load(archive.extractfile(member))
    return {step: found for step, found in records.items() if step.startswith('erase_')}


def by_serial(records):
    records = records.values() if isinstance(records, dict) else records
    return {record['device']['serial']: record for record in records}


def seconds_of_day(text):
    """Of a time as records have it: 2026-11-22T07:14:20.123Z."""
    hours, minutes, seconds = text.partition('T')[2].rstrip('Z').split(':')
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
