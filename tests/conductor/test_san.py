"""Servers whose disk is on a storage network: firmware has left where it is, and the ramdisk finds it again."""

import contextlib
import sys
import tarfile
import threading
import time
from pathlib import Path

import pytest

from conductor.expectations import config_drive, wait_for_heartbeats
from lab import Disk, network, nvme_target
from lab.dhcp_settings import BOOT_SCRIPT
from lab.iscsi_target import IscsiTarget
from lab.nvme_target import NvmeTarget
from lab.patience import patience
from lab.web import HTTP_PORT

sys.path.insert(0, str(Path(__file__).parents[1] / 'boot_tables'))
from nbft import Nbft  # noqa: E402

IQN = 'iqn.2024-01.test.farrier'
LUN_MIB = 320
CHAP = ('operator', 'chap-secret-47')
NQN = 'nqn.2024-01.test.farrier:array'


@pytest.fixture
def lun(lab):
    """The disk of a target."""
    path = lab.run.tmp / 'lun.img'
    with open(path, 'wb') as file:
        file.truncate(LUN_MIB << 20)
    yield path
    path.unlink()


@pytest.fixture
def hooked(lab):
    """Has iPXE hook a target before it boots what the conductor has for the server, so that it leaves an iBFT as a
    card's firmware does. The conductor keeps `boot.ipxe` as it is, so this is another script, in front of it."""
    with contextlib.ExitStack() as stack:
        yield lambda *hooking: stack.enter_context(lab.dhcp.telling(boot_script=script(lab, *hooking)))


def script(lab, target, name, *commands):
    """Writes it, and returns its URL."""
    lines = ['#!ipxe', f'set initiator-iqn {IQN}:{name}', 'set keep-san 1', *commands,
             f'sanhook --drive 0x80 {target.root_path} || echo no SAN', f'chain {BOOT_SCRIPT}']
    (lab.run.http / 'san.ipxe').write_text('\n'.join(lines) + '\n')
    return f'http://{network.ADDRESS}:{HTTP_PORT}/san.ipxe'


def test_an_image_is_deployed_onto_a_disk_of_a_storage_network(lab, image, lun, hooked):
    """With CHAP, on a server that has no other disk. The secret is nowhere."""
    user, password = CHAP
    with IscsiTarget(lab, f'{IQN}:lun', lun, chap=CHAP) as target:
        hooked(target, 'san', f'set username {user}', f'set password {password}')
        options = {'root_device': {'name': '/dev/sda'}, 'clean': False, 'fast_track': True}
        with lab.enrolled('san', boot='network', disks=[], node=options) as node:
            console = node.server.console
            [disk] = node.inspect()['inventory']['disks']
            assert (disk['name'], disk['size']) == ('/dev/sda', LUN_MIB << 20)
            assert disk['by_path'].endswith(f'iscsi-{IQN}:lun-lun-1')
            assert disk['tran'] == 'iscsi'
            # Twice for a while: nobody ends the session that iPXE had before the agent's.
            assert set(target.sessions()) == {f'{IQN}:san'}

            # As an array that was restarted: whoever looks after the session makes it again.
            target.stop()
            assert target.sessions() == []
            target.start()
            deadline = time.monotonic() + patience(60)
            while target.sessions() != [f'{IQN}:san']:
                assert time.monotonic() < deadline, 'the session was not made again'
                time.sleep(1)

            # A fast track without an agent that the conductor knows is begun, and boots without a boot script.
            wait_for_heartbeats(lab, node, 1, 60)
            node.provide()
            node.deploy(image, config_drive('over iSCSI'))
            with open(lun, 'rb') as written, open(lab.run.images / image.name, 'rb') as wanted:
                assert written.read(440) == wanted.read(440), 'the image is not on the disk of the target'
            logs = b''.join(unpacked(archive) for archive in lab.conductor.stored_logs(node))
            assert IQN.encode() in logs and password.encode() not in logs
            assert password not in console.text()


@pytest.mark.full
def test_a_target_that_lets_nobody_in_is_named_and_the_server_inspected(lab, lun, hooked):
    """What firmware has reached a moment before wants a secret now."""
    with IscsiTarget(lab, f'{IQN}:lun', lun) as target:
        hooked(target, 'locked')
        with lab.enrolled('locked', boot='network', disks=[Disk('virtio', 64, serial='LOCAL')]) as node:
            console = node.server.console

            def lock():
                console.wait_for('Linux version', 120)
                target.require(*CHAP)

            locking = threading.Thread(target=lock)
            locking.start()
            inventory = node.inspect()['inventory']
            locking.join()
            assert [disk['serial'] for disk in inventory['disks']] == ['LOCAL']
            console.wait_for(f'Could not log in to the iSCSI target {IQN}:lun at 192.0.2.1, port 3260', 1)


def test_a_subsystem_of_firmwares_nvme_table_is_connected(lab, lun):
    """The table gives the card an address of its own, where nobody else gives one."""
    with NvmeTarget(lab, NQN, lun) as target:
        with lab.enrolled('fabric', boot='direct', disks=[], node={'clean': False}) as node:
            server = node.server
            table = Nbft(host_name=f'{NQN}-host')
            card = table.interface(server.mac, '192.0.2.77', 24)
            table.namespace(NQN, nvme_target.ADDRESS, card, port=str(nvme_target.PORT))
            file = lab.run.tmp / 'nbft.bin'
            file.write_bytes(table.bytes)
            server.add_arguments(['-acpitable', f'file={file}'])
            [disk] = node.inspect()['inventory']['disks']
            assert (disk['name'], disk['size'], disk['tran']) == ('/dev/nvme0n1', LUN_MIB << 20, 'nvme')
            console = server.console.text()
            assert target.name in console
            told = [line for line in console.splitlines() if 'address as in firmware' in line]
            assert any('192.0.2.77' in line for line in told), told


def unpacked(archive):
    """All that is in an archive of logs."""
    with tarfile.open(archive) as tar:
        return b''.join(tar.extractfile(member).read() for member in tar if member.isfile())
