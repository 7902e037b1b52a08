"""What goes wrong says so to the operator, and leaves nothing that could boot."""

import contextlib
import random
import time
from dataclasses import replace

import pytest

from conductor.expectations import wait_for_inventory, wait_for_node_with
from lab import Disk, Hand, Image, TimeServer, network
from lab.disk import MIB
from lab.hand import KILL_AGENT
from lab.name_server import zone
from lab.names import Names

BAD_MIB = 20
ABSENT = '192.0.2.77'
CONDUCTOR = 'conductor_1.my_lab.test'

# The hardware clock of a server whose battery is dead.
DEAD_BATTERY = ['-rtc', 'base=2001-01-01T00:00:00']


@pytest.fixture(scope='module')
def node(lab):
    """One booted guest that every test here asks for something impossible. Its clock is wrong, and
    its certificate is good for the conductor all the same."""
    disks = [Disk('virtio', 256), Disk('virtio', 256, serial='WORN', bad_mib=BAD_MIB)]
    with lab.enrolled('bad-input', boot='direct', disks=disks, arguments=DEAD_BATTERY,
                      node={'clean': False, 'fast_track': True}) as node:
        node.provide()
        yield node


def test_wrong_checksum(node, image):
    node.server.disks[0].write(0, b'an older system' * 1000)
    error = node.fail_to_deploy(replace(image, sha512='0' * 128))
    assert 'Image failed to verify against checksum' in error
    assert '0' * 128 in error and image.sha512 in error
    assert node.server.disks[0].is_zero(0, MIB), 'a wrong image must never boot'


def test_image_that_is_not_there(lab, node, image):
    error = node.fail_to_deploy(replace(image, url=lab.web.vanishing_url('test.img')))
    assert '404' in error


def test_image_larger_than_the_disk(lab, node):
    path = lab.run.tmp / 'large.img'
    with open(path, 'wb') as file:
        file.truncate(300 * MIB)
    error = node.fail_to_deploy(Image.publish(lab, path))
    assert str(300 * MIB) in error and str(256 * MIB) in error
    assert node.server.disks[0].is_zero(0, MIB)


def test_disk_with_a_bad_spot(lab, node):
    """The error comes from the middle of the disk, while several writes are under way."""
    path = lab.run.tmp / 'noise.img'
    path.write_bytes(random.randbytes(2 * BAD_MIB * MIB))
    disk = node.server.disks[1]
    disk.fill()
    hints = node.show()['properties']['root_device']
    node.update(**{'properties/root_device': {'serial': 'WORN'}})
    try:
        error = node.fail_to_deploy(Image.publish(lab, path))
    finally:
        node.update(**{'properties/root_device': hints})
    assert 'Could not write' in error and '/dev/vdb' in error
    assert 'Input/output error' in error
    assert disk.is_zero(0, MIB), 'the old system must not boot either'


def test_no_disk_matches_the_hints(node, image):
    hints = node.show()['properties']['root_device']
    node.update(**{'properties/root_device': {'serial': 'NOT-HERE'}})
    # Nine more looks, 3 s apart, would not find it either.
    node.server.add_parameters('ipa-disk-wait-attempts=1')
    try:
        error = node.fail_to_deploy(image)
    finally:
        node.update(**{'properties/root_device': hints})
        node.server.add_parameters('')
    assert 'No suitable device was found for deployment using these hints' in error
    assert 'not-here' in error.lower()


def test_conductor_that_is_not_there_at_first(lab):
    """A rack that boots before its control plane, with dead batteries: the agent keeps trying and
    says so. Once there is a time server its clock is set; once there is a conductor it gets the
    inspection data, and does not know the server for anything else.

    The conductor's name has underscores, the first of three name servers fails and the last knows
    better than the one in the middle, and a domain is searched that is none.
    """
    url = f'http://{CONDUCTOR}:6385'
    server = lab.server('stranger', boot='direct', arguments=DEAD_BATTERY)
    console = server.console
    zones = [zone(other='SERVFAIL'), zone({CONDUCTOR: [ABSENT]}, delay=0.01), zone()]
    node = None
    try:
        with Names(lab, zones, domain='(none)'):
            server.boot_kernel(lab.kernel, lab.ramdisk,
                               f'console=ttyS0,115200 ipa-api-url={url} '
                               f'ipa-inspection-callback-url={url}/v1/continue_inspection '
                               'ipa-inspection-collectors=default ipa-lookup-timeout=10 '
                               f'ipa-ntp-server={network.ADDRESS6}')
            server.power_on('Pxe')
            console.wait_for(rf'^2001-01-01T.*clock could not be set.*{network.ADDRESS6}', 90)
            with TimeServer(lab.network, network.ADDRESS6):
                told = console.wait_for(
                    r'clock .*was wrong by \d+ days.*behind.*now it says (\d+)-', 60)
            assert int(told[1]) >= 2026
            # After its five tries the data is handed in again, between lookups that fail as well.
            console.wait_for(rf'the inspection failed.*{CONDUCTOR}', 90)
            console.wait_for(rf'^{told[1]}-.*the lookup failed.*{url}/', 60)
            mark = console.mark()
            lab.network.add_address(f'{ABSENT}/24')
            console.wait_for('handed in the inspection data', 60, since=mark)
            node = wait_for_node_with(lab, server.mac, 30)['uuid']
            assert wait_for_inventory(lab, node, 30)['plugin_data']['auto_discovered'] is True
            # A node that waits for nothing cannot be looked up.
            console.wait_for('(?i)(not found|unknown node|404).*', 60, since=mark)
            assert server.is_on()
    finally:
        with contextlib.suppress(RuntimeError):  # It was not added yet.
            lab.network.remove_address(f'{ABSENT}/24')
        lab.remove(server)
        if node:
            lab.api.delete(f'/v1/nodes/{node}')


@pytest.fixture(scope='module')
def watched(lab):
    """A guest with a hand that can kill the agent."""
    hand = Hand(kill=KILL_AGENT)
    ramdisk = hand.into(lab.ramdisk, lab.run.boot / 'watched.img')
    with lab.enrolled('watched', boot='direct', disks=[Disk('virtio', 256), Hand.disk()],
                      node={'clean': False, 'ramdisk': ramdisk}) as node:
        yield node, hand


def test_agent_killed_during_a_write(lab, watched, image):
    node, hand = watched
    node.provide()
    with node.server.throttled_from_next_start(0, 2 * MIB):
        node.start_deploying(image)
    node.wait_for_step('write_image', 120)
    node.server.console.wait_for('writing .*image', 60, node.server.console.mark_of_last_start())
    hand.move(node.server, 'kill')
    error = node.wait_for_failure(120)
    assert node.state == 'deploy failed'
    assert 'signal' in error
    assert node.server.disks[0].is_zero(0, MIB)
