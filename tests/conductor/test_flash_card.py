"""The flash-card manager: it came with the boot, and a card that formats itself is erased by it and
proven erased. The vendor's tool is a stand-in that speaks its formats and really erases."""

import hashlib
import json
import re
import shutil
import subprocess
import tarfile

import pytest

from lab import Agent, Disk, Hand, Port, Switch, paths
from lab.node import ProvisionError

FIXTURES = paths.ROOT / 'tests' / 'fixtures' / 'onmetal'
PLACE = '/opt/farrier/plugins/onmetal'
MODEL = 'NWD-BLP4-1600'
OLD_DATA = b'the last tenant was here. '
CHASSIS = '00:1b:21:aa:bb:cc'

FIRMWARE = {'preflash': 'flasher.fw', 'package': 'package.bin'}
DIGESTS = ', '.join(f'{key} = "{hashlib.sha256(name.encode()).hexdigest()}"'
                    for key, name in FIRMWARE.items())
CONFIGURATION = f'''\
tool = "ddoemcli"
settle_timeout_s = 10
smartctl = "root/usr/sbin/smartctl"
satadom_models = ["QEMU HARDDISK"]
[[cards]]
model = "{MODEL}"
firmware = "12.22.00.00"
preflash = "{FIRMWARE["preflash"]}"
package = "{FIRMWARE["package"]}"
sha256 = {{ {DIGESTS} }}
[[expect]]
trait = "CUSTOM_ONMETAL_IO1"
models = {{ "{MODEL}" = 1, "@satadom" = 1 }}
'''


def state(mode, version='12.22.00.00'):
    """What the stand-in knows; it finds its cards in /sys."""
    return json.dumps({'models': [MODEL], 'version': version, 'latest': '12.22.00.00',
                       'format_seconds': 3, 'mode': mode})


def fails_as(mode):
    return f"echo '{state(mode)}' > {PLACE}/state.json\necho 'hand: the tool fails: {mode}'"


@pytest.fixture(scope='module')
def hand():
    return Hand(lie=fails_as('keeps-end'), fail=fails_as('no-sentence'))


@pytest.fixture(scope='module')
def archive(tmp_path_factory):
    """The manager with its configuration, the stand-in, and what that needs."""
    folder = tmp_path_factory.mktemp('flash-card') / 'onmetal'
    folder.mkdir()
    shutil.copy(paths.BUILD / 'farrier-onmetal-manager', folder / 'plugin')
    shutil.copy(FIXTURES / 'health.txt', folder)
    tool = (FIXTURES / 'ddoemcli').read_text().replace(
        '#!/usr/bin/python3', f'#!{PLACE}/root/usr/bin/python3', 1)
    (folder / 'ddoemcli').write_text(tool)
    (folder / 'ddoemcli').chmod(0o755)
    (folder / 'state.json').write_text(state('', '11.00.00.00'))
    (folder / 'onmetal.toml').write_text(CONFIGURATION)
    for name in FIRMWARE.values():
        # Its content is its name; the stand-in only looks whether it is there.
        (folder / name).write_text(name)
    subprocess.run(['make', '-s', 'plugin-initrd', f'PLUGIN={folder}', 'NAME=onmetal',
                    'PACKAGES=python3-minimal smartmontools'], cwd=paths.ROOT, check=True)
    return paths.BUILD / 'plugins' / 'onmetal.img'


@pytest.fixture(scope='module')
def node(lab, archive, hand):
    """A server with a boot disk and a flash card, both full of old data."""
    ramdisk = lab.run.boot / 'flash-card.img'
    with ramdisk.open('wb') as whole:
        for part in (lab.ramdisk, archive):
            whole.write(part.read_bytes())
            whole.write(bytes(-whole.tell() % 4))
    ramdisk = hand.into(ramdisk, ramdisk.with_name('flash-card-hand.img'))
    disks = [Disk('sata', 64), Disk('card', 64, model=MODEL), Hand.disk()]
    with lab.enrolled('flash-card', boot='direct', memory_mib=1024, disks=disks,
                      parameters='ipa-required-hardware-managers=onmetal ipa-lldp-timeout=10',
                      node={'clean': False, 'fast_track': True, 'ramdisk': ramdisk}) as node:
        for disk in node.server.disks[:2]:
            disk.fill(OLD_DATA)
        lab.api.put(f'/v1/nodes/{node.uuid}/traits', {'traits': ['CUSTOM_ONMETAL_IO1']})
        port, = lab.api.get(f'/v1/ports?node={node.uuid}')['ports']
        lab.api.patch(f'/v1/ports/{port["uuid"]}', {'/local_link_connection': {
            'switch_id': CHASSIS, 'port_id': 'Ethernet1/17', 'switch_info': 'leaf-12'}})
        yield node


def test_conductor_cleans_a_server_with_a_flash_card(lab, node):
    """The card is brought to its firmware and formats itself, every other disk is erased by the
    agent, and of the old data nothing is left; then health, cabling and hardware are read."""
    ports = [Port(node.server.cards[0]['tap'], 'Ethernet1/17')]
    with Switch(lab.network, 'leaf-12', CHASSIS, ports):
        node.clean('onmetal_update_flash_card_firmware', 'erase_devices',
                   'onmetal_collect_disk_health', 'onmetal_verify_ports',
                   'onmetal_verify_hardware')
    firmware, erased, health, cabling, hardware = (
        command['command_result']['clean_result'] for command in Agent(lab, node).commands()
        if command['command_name'] == 'execute_clean_step')

    flashed, = firmware['cards']
    assert (flashed['before'], flashed['after']) == ('11.00.00.00', '12.22.00.00')

    card, = (name for name, record in erased.items() if 'warpdrive-format' in json.dumps(record))
    assert erased[card]['serial'] == node.server.disks[1].disk.serial
    assert erased[card]['result'] == 'erased'
    assert erased[card]['proof']['erased_byte'] == '0x00'
    assert erased[card]['duration_s'] >= 3
    assert len(erased) == 3
    for disk in node.server.disks:
        assert not holds_old_data(disk)
    node.server.console.wait_for('ddoemcli -c 1 -format -op -level nom -s', 20)

    assert health[card]['slots']['4_ZZ00AA1B']['values']['Power-OnHours'] == 812.3
    boot_disk, = (name for name in erased if name.startswith('/dev/sd') and name != card)
    assert isinstance(health[boot_disk]['attributes']['9-Power_On_Hours']['raw'], int), health
    checked, = cabling['checked']
    assert (checked['switch'], checked['port']) == (CHASSIS, 'ethernet1/17')
    assert hardware['models'][MODEL] == 1
    listed = next(command['command_result'] for command in Agent(lab, node).commands()
                  if command['command_name'] == 'get_clean_steps')
    steps = listed['clean_steps']['OnMetalHardwareManager']
    offered = {step['step']: step['priority'] for step in steps}
    assert listed['hardware_manager_version']['onmetal_hardware_manager'].startswith('5+')
    assert offered == {'onmetal_update_flash_card_firmware': 70, 'onmetal_collect_disk_health': 40,
                       'onmetal_verify_ports': 20, 'onmetal_verify_hardware': 0}


def test_a_card_that_only_says_that_it_was_erased_is_not(lab, node, hand):
    """Its tool's success is not enough: the last MiB still holds what was written before."""
    tell(node, hand, 'lie', 'keeps-end')
    failed = Agent(lab, node).clean('erase_devices')
    assert failed['command_status'] == 'FAILED'
    details = failed['command_error']['details']
    assert 'must be taken for not erased' in details and 'still there' in details
    assert str(63 << 20) in details


def test_conductor_names_the_card_that_was_not_erased(lab, node, hand):
    """Device and tool's words are in last_error, the other disks are erased all the same, and the
    record in the archive of logs does not say that the card is."""
    for disk in node.server.disks[:2]:
        disk.fill(OLD_DATA)
    tell(node, hand, 'fail', 'no-sentence')
    with pytest.raises(ProvisionError) as failure:
        node.clean('erase_devices')
    error = failure.value.last_error
    assert 'must be taken for not erased' in error
    assert 'Execution completed successfully.' in error and '-format -op -level nom -s' in error
    card = re.search(r'"(/dev/sd\w+)": onmetal: ', error)[1]
    assert card not in error.split('Erased: ')[1]
    assert holds_old_data(node.server.disks[1])
    assert not holds_old_data(node.server.disks[0])
    records = json.loads(archived(lab, node, 'onmetal-erase-records.json'))
    assert [record['result'] == 'erased' for record in records] == [True, False, False]
    assert {record['device'] for record in records} == {card}


def holds_old_data(disk):
    content = disk.path.read_bytes()
    return OLD_DATA in content


def tell(node, hand, command, mode):
    """Lets the stand-in fail from now on."""
    console = node.server.console
    mark = console.mark()
    hand.move(node.server, command)
    console.wait_for(f'hand: the tool fails: {mode}', 20, mark)


def archived(lab, node, name):
    """A member of the newest archive of logs that the conductor stored for the node."""
    with tarfile.open(lab.conductor.stored_logs(node)[-1]) as archive:
        member, = (each for each in archive.getnames() if each.endswith(name))
        return archive.extractfile(member).read()
