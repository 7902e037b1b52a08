"""What is in the way of an erase is taken apart; an erase that is cut off has failed, and the next one erases."""

import re
import subprocess

import pytest

from conductor.erase_records import SECRET, archived, by_serial
from lab import Disk, Hand
from lab.archive import append
from lab.disk import MIB
from lab.hand import KILL_AGENT
from lab.mirror import make_mirror
from lab.remains import make_lvm, make_stale_gpt

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
    with lab.enrolled('used', boot='direct', cpus=2, disks=[*disks, Hand.disk()],
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


@pytest.mark.full
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


def start_slowly(node):
    """Begins to erase a disk full of secrets; returns in the middle of it."""
    node.server.disks[0].fill(SECRET)
    node.server.throttle(0, 4 * MIB)
    mark = node.server.console.mark()
    node.start_cleaning('erase_devices')
    node.server.console.wait_for('erasing /dev/vda: pass 1', 60, mark)
    node.wait_for_step('erase_devices', 30)
