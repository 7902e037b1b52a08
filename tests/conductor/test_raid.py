"""Software RAID: a conductor has arrays created, systems deployed onto them, and the arrays taken apart."""

import re
import subprocess

import pytest

from conductor.arrays import (
    CREATE,
    DELETE,
    SUPERBLOCK,
    efi_partition,
    logical_disk,
    partitions,
    start,
    started,
    superblocks,
)
from conductor.erase_records import SECRET
from conductor.expectations import config_drive, wait_for_heartbeats
from lab import Disk, Hand
from lab.disk import MIB
from lab.hand import KILL_AGENT
from lab.mirror import PLACE, make_mirror

MIRROR = logical_disk('root', '1', 1, is_root_volume=True)
# Above what the agent takes for a system's disk where nobody says which: it waits for one.
DISK_MIB = 4608
# What the kernel keeps of a member from its superblock on, for that, a bitmap and the list of bad blocks.
RESERVED = 36 * 1024

# Of a master boot record: what a BIOS starts.
BOOT_CODE = 440


@pytest.fixture(scope='module')
def pair(lab):
    """A UEFI server with an NVMe and a SATA disk; it is off between two actions, and no hint says where to deploy."""
    with lab.enrolled('raid-pair', firmware='uefi', boot='direct',
                      disks=[Disk('nvme', DISK_MIB), Disk('sata', DISK_MIB)],
                      node={'clean': False, 'raid': True, 'root_device': {}}) as node:
        yield node


def test_a_system_on_a_mirror_boots_with_each_of_its_disks(pair, disk_image):
    """Created by cleaning, found again by the deployment, which is another start of the agent. The EFI system
    partition is a mirror outside the array, whose halves firmware reads, each by an entry of its own.
    """
    node, server = pair, pair.server
    node.set_raid(MIRROR)
    node.clean(CREATE)
    shown = node.show()
    assert shown['raid_config']['logical_disks'] == [MIRROR]
    assert shown['properties']['local_gb'] == 1 and 'raid_level:1' in shown['properties']['capabilities']

    node.provide()
    node.deploy(disk_image, config_drive('mirrored'))
    seen = started(server, 'mirrored', server.console.mark_of_last_start())
    server.power_off()
    root, esp = seen.arrays['root'], seen.arrays['esp']
    assert (root.level, root.metadata, root.missing) == ('raid1', '1.2', 0)
    assert (esp.level, esp.metadata, esp.missing) == ('raid1', '1.0', 0)
    for array in (root, esp):
        assert [re.sub(r'p?\d+$', '', member) for member in array.members] == ['nvme0n1', 'sda'], seen.text
    assert seen.root.startswith(f'{root.device}p') and seen.efi == esp.device
    guids = [efi_partition(disk) for disk in server.disks]
    assert seen.entry_partition in guids, seen.text

    # This firmware forgets entries of a disk that is not there: each start is the first without one.
    variables = server.folder / 'efivars.fd'
    entries = variables.read_bytes()
    for number, guid in enumerate(guids):
        variables.write_bytes(entries)
        server.change_disk(1 - number, plugged=False)
        alone = start(server, 'mirrored')
        server.change_disk(1 - number, plugged=True)
        assert alone.arrays['root'].missing == alone.arrays['esp'].missing == 1, alone.text
        assert alone.entry_partition == guid, alone.text


@pytest.mark.full
def test_arrays_that_fell_apart_are_deleted(pair):
    """Both halves have been written alone since the last test, and neither is what the other takes it for."""
    node = pair
    node.undeploy()
    node.manage()
    places = [superblocks(disk) for disk in node.server.disks]
    assert [len(each) for each in places] == [2, 2], 'one of the array, one of the EFI system partition'
    node.clean(DELETE)
    assert node.show()['raid_config'] == {}
    for disk, each in zip(node.server.disks, places, strict=True):
        assert all(disk.read(place, 4) != SUPERBLOCK for place in each), 'a superblock is left'
    node.set_raid(logical_disk('root', '1', 'MAX', is_root_volume=True))
    node.clean(CREATE)
    for disk in node.server.disks:
        [partition] = partitions(disk)
        # After 551 MiB, and up to the last MiB, where the second copy of the table is.
        assert partition['size'] * 512 == (DISK_MIB - 552) * MIB


@pytest.mark.full
def test_a_partition_image_on_a_mirror(pair, partition_image):
    """On the array of the last test. The EFI system partition that its layout has is the mirror outside."""
    node, server = pair, pair.server
    node.provide()
    node.deploy(partition_image.partition_info(root_gb=1, swap_mb=64), config_drive('a part of an array'))
    seen = started(server, 'a part of an array', server.console.mark_of_last_start())
    root, esp = seen.arrays['root'], seen.arrays['esp']
    assert (root.level, root.missing, esp.level, esp.metadata, esp.missing) == ('raid1', 0, 'raid1', '1.0', 0)
    assert seen.root.startswith(f'{root.device}p') and seen.efi == esp.device, seen.text
    assert f'swap: /dev/{root.device}p' in seen.text
    assert seen.entry_partition in [efi_partition(disk) for disk in server.disks]


@pytest.mark.full
def test_a_disk_is_erased_beside_the_array_that_stays_on_it(lab):
    """Whatever a disk held before the array was made is gone from where the array has nothing, and the array runs on."""
    # As many times the same as a disk has sectors, so that a sector which was left over is found.
    disks = [Disk('virtio', 512, serial='FIRST'), Disk('sata', 640, serial='SECOND')]
    with lab.enrolled('raid-erased', boot='direct', disks=disks,
                      node={'clean': False, 'raid': True, 'root_device': {}}) as node:
        for disk in node.server.disks:
            disk.fill(SECRET)
        node.set_raid(logical_disk('root', '1', 'MAX'))
        node.clean(CREATE)
        tables = [partitions(disk) for disk in node.server.disks]
        # Of the larger disk the array uses as much as the other has.
        assert node.server.disks[1].read(600 * MIB, len(SECRET)) == SECRET
        # Another start of the agent, which finds an array.
        node.clean('erase_devices')
        assert [partitions(disk) for disk in node.server.disks] == tables
        for disk in node.server.disks:
            [place] = superblocks(disk)
            kept = range(place, place + RESERVED)
            left = [offset for offset in _with(disk, SECRET) if offset not in kept]
            assert left == [], f'{len(left)} sectors, the first at {left[0]}'
        node.clean('erase_devices', DELETE)
        assert all(superblocks(disk) == [] for disk in node.server.disks)


def _with(disk, secret):
    """Offsets of the sectors of a disk that hold this."""
    with open(disk.path, 'rb') as file:
        offset = 0
        while piece := file.read(MIB):
            if secret in piece:
                yield from (offset + at for at in range(0, len(piece), 512) if secret in piece[at:at + 512])
            offset += len(piece)


@pytest.fixture(scope='module')
def bios_pair(lab):
    """A server with a BIOS and the same disks."""
    with lab.enrolled('raid-bios', boot='direct', disks=[Disk('nvme', DISK_MIB), Disk('sata', DISK_MIB)],
                      node={'clean': False, 'raid': True, 'root_device': {}}) as node:
        yield node


@pytest.mark.full
def test_a_bios_boots_a_mirror_with_each_of_its_disks(bios_pair, disk_image):
    """By GRUB of the image, which the agent puts behind the MBR of each disk; the image itself has none for a BIOS,
    and nobody says which of its partitions is the root file system.
    """
    node, server = bios_pair, bios_pair.server
    node.set_raid(MIRROR)
    node.clean(CREATE)
    node.provide()
    node.deploy(disk_image, config_drive('by bios'))
    seen = started(server, 'by bios', server.console.mark_of_last_start())
    server.power_off()
    root = seen.arrays.pop('root')
    assert (root.level, root.metadata, root.missing, seen.arrays) == ('raid1', '1.2', 0, {}), seen.text
    assert [re.sub(r'p?\d+$', '', member) for member in root.members] == ['nvme0n1', 'sda'], seen.text
    assert seen.root.startswith(f'{root.device}p'), seen.text
    for number in range(2):
        server.change_disk(1 - number, plugged=False)
        alone = start(server, 'by bios')
        server.change_disk(1 - number, plugged=True)
        assert alone.arrays['root'].missing == 1, alone.text


@pytest.mark.full
def test_a_partition_image_on_a_mirror_with_gpts_by_bios(bios_pair, partition_image):
    """In BIOS boot partitions beside the members. A deployment that fails afterwards leaves no disk that boots."""
    node, server = bios_pair, bios_pair.server
    if node.state == 'active':
        node.undeploy()
        node.manage()
    node.set_raid({**MIRROR, 'size_gb': 2})
    node.update(**{'properties/capabilities': 'boot_mode:bios,disk_label:gpt'})
    node.clean(DELETE, CREATE)
    node.provide()
    info = partition_image.partition_info(root_gb=1, swap_mb=64)
    node.deploy(info, config_drive('by bios and gpt'))
    seen = started(server, 'by bios and gpt', server.console.mark_of_last_start())
    server.power_off()
    root = seen.arrays['root']
    assert (root.level, root.missing) == ('raid1', 0) and seen.root.startswith(f'{root.device}p'), seen.text
    for number, disk in enumerate(server.disks):
        # Of Ironic's Python agent, and where it puts them.
        [boot] = [each for each in partitions(disk) if each['type'] == '21686148-6449-6E6F-744E-656564454649']
        assert boot['name'] == f'bios-boot-part-{number}' and (boot['start'], boot['size']) == (2048, 4096)

    assert not any(disk.is_zero(0, BOOT_CODE) for disk in server.disks)
    node.undeploy()
    node.fail_to_deploy({**info, 'image_os_hash_value': '0' * 128})
    assert all(disk.is_zero(0, BOOT_CODE) for disk in server.disks), 'half an image boots'


SERIALS = ['FIRST', 'SECOND', 'THIRD', 'FOURTH']


@pytest.fixture(scope='module')
def four(lab):
    """A UEFI server with four disks of several kinds, of which an operator chose the places by their numbers."""
    disks = [Disk(bus, DISK_MIB, serial=serial) for bus, serial in
             zip(('sata', 'scsi', 'virtio', 'nvme'), SERIALS, strict=True)]
    with lab.enrolled('raid-four', firmware='uefi', boot='direct', disks=disks,
                      node={'clean': False, 'raid': True, 'root_device': {}}) as node:
        yield node


@pytest.mark.full
def test_a_deploy_template_makes_two_arrays_of_four_disks(lab, four, disk_image):
    """A mirror for the system and what is left as RAID 5, created and used in one start of the agent, of disks that
    were in other servers: each is half of a mirror, and both mirrors have the name of the one that is to be.
    """
    node, server = four, four.server
    make_mirror(server.disks[:1], 'web1:root')
    make_mirror(server.disks[1:2], 'web2:root')
    config = {'logical_disks': [MIRROR, logical_disk('data', '5', 'MAX')]}
    step = {'interface': 'raid', 'step': 'apply_configuration', 'priority': 90, 'args': {'raid_config': config}}
    lab.api.post('/v1/deploy_templates', {'name': 'CUSTOM_RAID_FIVE', 'steps': [step]})
    lab.api.put(f'/v1/nodes/{node.uuid}/traits', {'traits': ['CUSTOM_RAID_FIVE']})
    # What a conductor goes by to have the boot loader installed.
    node.set_raid(*config['logical_disks'])
    node.provide()
    mark = server.console.mark()
    node.deploy({**disk_image.instance_info(), 'traits': ['CUSTOM_RAID_FIVE']}, config_drive('on four disks'))
    assert node.show()['raid_config']['logical_disks'] == config['logical_disks']

    seen = started(server, 'on four disks', server.console.mark_of_last_start())
    # RAID 5 is not in step yet when the agent ends: nothing may ask disks that the kernel has switched off.
    assert not re.search('I/O error|DID_BAD_TARGET', server.console.text(mark))
    levels = {name: (array.level, array.metadata, array.missing, len(array.members))
              for name, array in seen.arrays.items()}
    # What RAID 5 is missing is its parity, until its last disk has been filled.
    assert levels.pop('data')[:2] == ('raid5', '1.2')
    assert levels == {'root': ('raid1', '1.2', 0, 4), 'esp': ('raid1', '1.0', 0, 4)}, seen.text
    assert len(seen.arrays['data'].members) == 4
    assert seen.root.startswith(f'{seen.arrays["root"].device}p') and seen.efi == seen.arrays['esp'].device
    assert seen.entry_partition in [efi_partition(disk) for disk in server.disks]


@pytest.mark.full
def test_a_protected_volume_survives_its_neighbour(four, disk_image):
    """An operator keeps `data` while the system's volume beside it is made and deployed anew."""
    node, server = four, four.server
    node.undeploy()
    node.update(**{'properties/skip_block_devices': [{'volume_name': 'data'}]})
    node.manage()
    kept = [partitions(disk) for disk in server.disks]
    node.clean(DELETE, CREATE)
    assert [partitions(disk) for disk in server.disks] == kept
    node.provide()
    node.deploy(disk_image, config_drive('beside data'))
    seen = started(server, 'beside data', server.console.mark_of_last_start())
    assert seen.arrays['data'].level == 'raid5' and len(seen.arrays['data'].members) == 4, seen.text
    assert seen.root.startswith(f'{seen.arrays["root"].device}p')


# What the kernel has of arrays, whatever the agent thinks.
LOOK = '''\
/hand/busybox cat /proc/mdstat
for array in /dev/md[0-9]*; do
    [ -b $array ] && /sbin/mdadm --detail $array
done
echo "hand: end of arrays"
'''


@pytest.fixture(scope='module')
def hand():
    return Hand(look=LOOK, kill=KILL_AGENT)


@pytest.fixture(scope='module')
def faulty(lab, hand):
    """A server whose agent stays up, and what is wrong with its disks: of the fourth the sector cannot be written
    where mdadm puts its superblock, and the third has a partition.
    """
    disks = [Disk('virtio', DISK_MIB, serial=serial) for serial in SERIALS]
    disks[3] = Disk('virtio', DISK_MIB, serial=SERIALS[3], bad_mib=1, bad_sector=PLACE // 512)
    ramdisk = hand.into(lab.ramdisk, lab.run.boot / 'faulty.img')
    with lab.enrolled('raid-faulty', boot='direct', disks=[*disks, Hand.disk()],
                      node={'clean': False, 'raid': True, 'fast_track': True, 'ramdisk': ramdisk}) as node:
        subprocess.run(['sfdisk', '--quiet', node.server.disks[2].path], input='label: dos\n2048,4M\n', text=True,
                       check=True)
        # Boots the agent (see test_erase_disturbed).
        node.clean('erase_pstore')
        yield node


def mirror_of(*serials):
    return logical_disk('root', '1', 1, physical_disks=[{'serial': serial} for serial in serials])


def fails_to_create(node, *logical_disks):
    """Has this cleaned; returns why it failed."""
    node.set_raid(*logical_disks)
    node.start_cleaning(CREATE)
    error = node.wait_for_failure(120)
    assert node.state == 'clean failed'
    node.recover()
    return error


def arrays_of(node, hand):
    """What the hand sees of arrays in the running server."""
    mark = node.server.console.mark()
    hand.move(node.server, 'look')
    node.server.console.wait_for('hand: end of arrays', 30, mark)
    return node.server.console.text(mark)


def test_a_disk_with_partitions_is_named_and_no_disk_is_touched(faulty, hand):
    before = [faulty.server.disk_digest(number, length=16 * MIB) for number in (0, 2)]
    error = fails_to_create(faulty, mirror_of('FIRST', 'THIRD'))
    assert 'Partitions detected on devices /dev/vdc during RAID config' in error
    assert [faulty.server.disk_digest(number, length=16 * MIB) for number in (0, 2)] == before
    assert 'md0' not in arrays_of(faulty, hand)


@pytest.mark.full
def test_all_faults_of_a_configuration_are_named_at_once(faulty):
    first = logical_disk('root', '0', 'MAX', is_root_volume=True)
    second = logical_disk('root', '1', 'MAX', is_root_volume=True)
    error = fails_to_create(faulty, first, {**second, 'is_root_volume': False})
    assert 'Duplicate software RAID device name root' in error
    assert 'requires RAID-1 for the first logical disk' in error
    assert "only one RAID device with size 'MAX'" in error
    assert faulty.server.disks[0].is_zero(0, MIB)


@pytest.mark.full
def test_a_volume_larger_than_its_disks_is_refused(faulty):
    error = fails_to_create(faulty, {**mirror_of('FIRST', 'SECOND'), 'size_gb': 5})
    assert 'Failed to create partitions on /dev/vda' in error and 'nothing was written to any disk' in error
    assert 'size_gb' in error, error
    assert all(faulty.server.disks[number].is_zero(0, MIB) for number in (0, 1))


def test_a_disk_that_fails_while_an_array_is_created(faulty, hand):
    """It is named, and no array of what is left of it runs on. The next cleaning, with another disk, succeeds."""
    error = fails_to_create(faulty, mirror_of('FIRST', 'FOURTH'))
    assert '/dev/vdd' in error, error
    assert 'active raid1' not in arrays_of(faulty, hand)
    faulty.set_raid(mirror_of('FIRST', 'SECOND'))
    faulty.clean(DELETE, CREATE)
    seen = arrays_of(faulty, hand)
    assert re.search(r'md0 : active raid1 vdb1\[1\] vda1\[0\]', seen), seen


@pytest.mark.full
def test_an_agent_that_was_started_anew_takes_apart_what_another_made(lab, faulty, hand):
    """The array of the last test; and what it makes is the same again."""
    node = faulty
    beats = len(lab.conductor.heartbeats(node))
    hand.move(node.server, 'kill')
    wait_for_heartbeats(lab, node, beats + 1, 60)
    node.clean(DELETE)
    assert node.show()['raid_config'] == {}
    assert 'md0' not in arrays_of(node, hand)
    node.clean(CREATE)
    seen = arrays_of(node, hand)
    assert re.search(r'md0 : active raid1 vdb1\[1\] vda1\[0\]', seen), seen
    assert re.search(r'Name : (any:|\S+:)?root\b', seen), seen


@pytest.fixture(scope='module')
def logged(lab):
    """A server in which a mirror was created, and for each of its disks the log of what that was told."""
    with lab.enrolled('raid-cut', boot='direct', disks=[Disk('virtio', DISK_MIB, logged=True) for _ in range(2)],
                      node={'clean': False, 'raid': True, 'root_device': {}}) as node:
        node.set_raid(MIRROR)
        node.clean(CREATE)
        yield node, [disk.write_logs()[0] for disk in node.server.disks]


@pytest.mark.full
@pytest.mark.parametrize('written', [(False, False), (True, False), (True, True)],
                         ids=['no-superblock', 'one-superblock', 'created'])
def test_power_cut_between_partitions_and_deploy(lab, logged, written):
    """The disks as they were then: with partitions, and no array, half of one, or one that nobody stopped. The next
    cleaning makes it, by itself.
    """
    node, logs = logged
    before = lab.run.tmp / 'before-the-raid-cut.img'
    with open(before, 'wb') as file:
        file.truncate(DISK_MIB * MIB)
    for disk, log, has_superblock in zip(node.server.disks, logs, written, strict=True):
        moment = _first_superblock(log)
        if has_superblock:
            # Until a flush it may be lost.
            moment = log.first_flush(since=moment + 1) + 1
        log.cut(moment, before, disk.path)
        assert len(partitions(disk)) == 1
        assert (_superblock(disk) == SUPERBLOCK) == has_superblock
    node.clean(DELETE, CREATE)
    assert [_superblock(disk) for disk in node.server.disks] == [SUPERBLOCK] * 2


def _first_superblock(log):
    """Number of the entry that puts the superblock of an array."""
    return next(number for number, entry in enumerate(log.entries)
                if entry.is_write and log.data(entry)[:4] == SUPERBLOCK)


def _superblock(disk):
    """What lies in the disk's only partition where an array's superblock does."""
    [partition] = partitions(disk)
    return disk.read(partition['start'] * 512 + PLACE, 4)
