"""Disks between two tenants: a real conductor cleans a server, and the host looks at what is left."""

import json
import re
import subprocess
import tarfile

import pytest

from lab import Agent, Disk, Hand, Receiver
from lab.archive import append
from lab.disk import MIB
from lab.hand import KILL_AGENT
from lab.load import Load
from lab.mirror import make_mirror
from lab.node import ProvisionError
from lab.remains import make_gfs2, make_lvm, make_stale_gpt

# What the tenant before wrote all over its disks.
SECRET = b'a former tenant!'

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


# A mirror that is in use, and a volume that a program has open: LVM's own programs would make it as
# dmsetup does here.
OCCUPY = '''\
read -r holder < /hand/holder && kill $holder
/sbin/mdadm --assemble --run /dev/md7 /dev/vda /dev/vdb
/sbin/mdadm --readwrite /dev/md7
/sbin/dmsetup create farrier-root --noudevsync --uuid LVM-root --table "0 32768 linear /dev/vdc 2048"
/hand/busybox setsid /hand/busybox sh -c 'echo $$ > /hand/holder; exec 3</dev/dm-0; exec /hand/busybox sleep 3600' &
/hand/busybox sleep 1
/hand/busybox cat /proc/mdstat
/sbin/dmsetup info -c
echo "hand: occupied the disks"
'''


@pytest.fixture(scope='module')
def hand():
    return Hand(occupy=OCCUPY, kill=KILL_AGENT)


@pytest.fixture(scope='module')
def used(lab, hand):
    """A server whose disks are used, and a hand in it; it stays up between actions."""
    ramdisk = hand.into(lab.ramdisk, lab.run.boot / 'used.img')
    disks = [Disk('virtio', 32, serial=serial) for serial in ('M0', 'M1', 'LVM', 'GPT')]
    with lab.enrolled('used', boot='direct', disks=[*disks, Hand.disk()],
                      node={'clean': False, 'fast_track': True, 'ramdisk': ramdisk}) as node:
        # Boots the agent. An inspection would do as well, but for some minutes after one a conductor
        # does not start a server anew whose step failed.
        node.clean('erase_pstore')
        yield node


@pytest.mark.parametrize('step', ['erase_devices_metadata', 'erase_devices'])
def test_what_uses_a_disk_is_taken_apart_and_erased(lab, used, hand, step):
    """A running mirror, a volume that a program has open, a partition table that a smaller disk
    left: none is in the way, none is left out."""
    first, second, volume, table, _ = used.server.disks
    for disk in (first, second, volume, table):
        disk.fill(SECRET)
    make_mirror([first, second], 'web:root')
    make_lvm(volume)
    make_stale_gpt(table)
    console = used.server.console
    mark = console.mark()
    hand.move(used.server, 'occupy')
    console.wait_for('hand: occupied the disks', 30, mark)
    before = console.text(mark)
    assert re.search(r'md7 : active raid1 vd[ab]', before), before
    assert re.search(r'^farrier-root +\d+ +\d+ +L--w +1 ', before, re.M), before

    used.clean(step)
    after = console.text(mark)
    assert re.search('stopped, so that its disks can be erased.*md7', after)
    assert re.search('cut off from its disk, since a program has it open.*dm-0', after)
    assert first.is_zero(4096, 4096) and second.is_zero(4096, 4096)
    assert volume.find(b'LABELONE') is None
    assert table.find(b'EFI PART') is None
    records = by_serial(archived(lab, used)[step])
    assert {serial: record['result'] for serial, record in records.items()} == dict.fromkeys(
        ('M0', 'M1', 'LVM', 'GPT', 'HAND'), 'erased')
    if step == 'erase_devices':
        assert all(disk.find(SECRET) is None for disk in used.server.disks)


def test_agent_killed_during_an_erase(used, hand):
    """The step fails with the signal's name, and the next cleaning erases the disk."""
    start_slowly(used)
    hand.move(used.server, 'kill')
    error = used.wait_for_failure(120)
    assert used.state == 'clean failed'
    assert 'erase_devices' in error and 'signal' in error
    assert used.server.disks[0].find(SECRET) is not None, 'killed too late to prove anything'
    used.recover()
    used.clean('erase_devices')
    assert used.server.disks[0].find(SECRET) is None


def test_power_cut_during_an_erase(used):
    """The server comes back with an agent that knows of nothing: the conductor does not take that
    for the end of the step, and the next cleaning erases the disk."""
    start_slowly(used)
    used.server.kill()
    assert used.server.disks[0].find(SECRET) is not None, 'cut too late to prove anything'
    used.server.power_on()
    console = used.server.console
    console.wait_for('given out this node.s token before', 90, console.mark_of_last_start())
    assert used.state == 'clean wait'
    assert used.show()['clean_step']['step'] == 'erase_devices'
    # In the place of clean_callback_timeout, which is half an hour by default.
    used.target('abort')
    used.wait_for_failure(60)
    assert used.state == 'clean failed'
    used.recover()
    used.clean('erase_devices')
    assert used.server.disks[0].find(SECRET) is None
    used.server.power_off()


def test_power_cut_during_an_erase_with_a_token_known_beforehand(lab, used, tmp_path):
    """With a certificate that is not made anew the conductor hears the fresh agent as if nothing had
    happened. That is not the end of the step: the agent says that it was cut off."""
    folder = 'etc/ironic-python-agent.d'
    (tmp_path / folder).mkdir(parents=True)
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                    'ec_paramgen_curve:P-256', '-nodes', '-days', '3650', '-subj', '/CN=agent',
                    '-keyout', 'static.key', '-out', 'static.crt'],
                   cwd=tmp_path / folder, check=True, capture_output=True)
    (tmp_path / folder / 'static.conf').write_text(
        f'[DEFAULT]\nlisten_tls = true\ntls_cert_file = /{folder}/static.crt\n'
        f'tls_key_file = /{folder}/static.key\n')
    ramdisk = append(lab.ramdisk, tmp_path, [folder], lab.run.boot / 'static.img')
    used.update(**{'driver_info/deploy_ramdisk': f'file://{ramdisk}',
                   'driver_info/agent_verify_ca': False})
    disk = used.server.disks[0]
    disk.fill(SECRET)
    mark = used.server.console.mark()
    with used.server.throttled_from_next_start(0, 4 * MIB):
        used.start_cleaning('erase_devices')
    used.server.console.wait_for('erasing /dev/vda: pass 1', 90, mark)
    used.wait_for_step('erase_devices', 30)
    used.server.add_parameters(f'ipa-agent-token={lab.conductor.agent_token(used)}')
    used.server.kill()
    used.server.power_on()
    error = used.wait_for_failure(90)
    assert 'started anew in the middle of clean step erase_devices' in error
    assert used.state == 'clean failed'
    assert disk.find(SECRET) is not None, 'cut too late to prove anything'
    used.server.power_off()


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


def start_slowly(node):
    """Begins to erase a disk full of secrets; returns in the middle of it."""
    node.server.disks[0].fill(SECRET)
    node.server.throttle(0, 4 * MIB)
    mark = node.server.console.mark()
    node.start_cleaning('erase_devices')
    node.server.console.wait_for('erasing /dev/vda: pass 1', 60, mark)
    node.wait_for_step('erase_devices', 30)


def digests(server):
    return [server.disk_digest(number) for number in range(len(server.disks))]


def results(lab, node, step):
    """The result of the last step of this name, as the agent still has it."""
    steps = [command['command_result'] for command in Agent(lab, node).commands()
             if command['command_name'] == 'execute_clean_step']
    return [each['clean_result'] for each in steps if each['clean_step']['step'] == step][-1]


def archived(lab, node, number=-1):
    """The erase records of an archive of logs that the conductor stored, of the last one: by step
    and device."""
    records = {}
    with tarfile.open(lab.conductor.stored_logs(node)[number]) as archive:
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
