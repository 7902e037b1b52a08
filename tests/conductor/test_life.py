"""The agent's life beside its work: how small, how steadily."""

import itertools
import json
import re
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from ironic.conf import CONF
from ironic.drivers.modules.agent_client import AgentClient

from conductor import planted
from conductor.expectations import config_drive, expect_deployed_system, wait_for_heartbeats
from lab import Agent, Disk, Hand, conductor
from lab.hand import AGENT_MEMORY
from lab.patience import patience

LEASE = 60

# What a person needs to see why a server did not come up, and the lab's servers all have.
MEMBERS = ('journal', 'options', 'plugins', 'dmesg', 'cmdline', 'boot-times', 'commands.jsonl',
           'log/dhcpcd.log', 'dhcpcd.conf', 'ip_addr', 'routes', 'links', 'net/arp',
           'lsblk', 'lsblk-full', 'lspci', 'ps', 'df', 'mount', 'modules', 'meminfo', 'interrupts',
           'time', 'dmi')


@pytest.fixture(scope='module')
def hand():
    return Hand(memory=AGENT_MEMORY, secrets=planted.LOOK)


@pytest.fixture(scope='module')
def node(lab, hand):
    """An idle guest with 512 MiB: inspected, and kept up with fast track."""
    lab.dhcp.set_lease(LEASE)
    ramdisk = hand.into(lab.ramdisk, lab.run.boot / 'observed.img')
    with lab.enrolled('life', boot='direct', memory_mib=512, cpus=2, as_shipped=True,
                      disks=[Disk('virtio', 256), Hand.disk()],
                      parameters=' '.join(f'{key}={value}'
                                          for key, value in planted.PARAMETERS.items()),
                      node={'clean': False, 'fast_track': True, 'ramdisk': ramdisk}) as node:
        node.inspect()
        wait_for_heartbeats(lab, node, 1, 60)
        yield node


def test_resident_memory_after_the_first_heartbeat(node, hand, record_property):
    """At most 10.5 MiB, three quarters of which are the program's own pages, and PID 1 beside it."""
    mark = node.server.console.mark()
    hand.move(node.server, 'memory')
    node.server.console.wait_for('hand: end of memory', 20, mark)
    lines = re.findall(r'hand: pid (\d+) VmRSS: (\d+) kB', node.server.console.text(mark))
    resident = {int(pid): int(kib) for pid, kib in lines}
    agent = max(kib for pid, kib in resident.items() if pid != 1)
    record_property('resident memory, KiB', agent)
    assert agent <= 10.5 * 1024


def test_heartbeats_come_at_the_rate_of_the_contract(lab, node):
    """After a success the next follows in 0.3 to 0.6 of the conductor's time-out."""
    beats = wait_for_heartbeats(lab, node, 4, 2 * conductor.HEARTBEAT_TIMEOUT + 60)
    for earlier, later in itertools.pairwise(beats):
        # The agent's clock wakes every 5 s at the latest; the rest is for a slow host.
        assert 0.3 <= (later - earlier) / conductor.HEARTBEAT_TIMEOUT <= 0.6 + 20 / 60


def test_short_lease_is_renewed(lab, node):
    """At its second renewal the first lease of 60 s has run out: the address is kept."""
    deadline = time.monotonic() + patience(LEASE + 30)
    while lab.dhcp.acknowledged(node.server.mac) < 3:
        assert time.monotonic() < deadline, 'the lease was not renewed twice'
        time.sleep(0.5)
    assert wait_for_heartbeats(lab, node, len(lab.conductor.heartbeats(node)) + 1, 60)


@pytest.mark.parametrize('path, body, token, status, fault', [
    ('/v1/commands/', {'name': 'clean.get_clean_steps', 'params': {}}, 'wrong', 401,
     'Token invalid'),
    ('/v1/commands/', b'{"name": ', None, 400, 'Failed to decode JSON object'),
    ('/v1/commands/', {'name': 'clean.no_such_command', 'params': {}}, None, 400,
     'Invalid command: Unknown command: no_such_command'),
    ('/v1/commands/', {'name': 'nothing.at_all', 'params': {}}, None, 404,
     'Extension with id nothing not found'),
    ('/v1/commands/', {'name': 'clean.get_clean_steps'}, None, 400,
     'Missing or invalid name or params'),
    ('/v1/commands/', {'name': 'standby.prepare_image', 'params': {
        'image_info': {'id': 'i', 'urls': ['http://192.0.2.1/i'], 'checksum': 'a' * 64},
        'configdrive': {}}}, None, 400, "The argument 'configdrive' must be a string"),
    ('/v1/no-such-thing', {}, None, 404, 'Not Found'),
], ids=['token', 'json', 'command', 'extension', 'params', 'drive', 'path'])
def test_agent_refuses(lab, node, path, body, token, status, fault):
    answer = Agent(lab, node).post(
        path, body, agent_token=token or lab.conductor.agent_token(node))
    assert answer.status_code == status
    assert fault in answer.json()['faultstring']


@pytest.mark.parametrize('hashed', ['$6$salt$hash', '$1$saltsalt$9xy1btjgzLYfb7hivXtC//', 'no hash'])
def test_rescue_fails_and_no_plain_password_is_sent(lab, node, hashed):
    """Ironic's own client, where hashed passwords are not required: it would answer a status from
    400 on with the plain one. The agent serves on."""
    info = node.show()['driver_internal_info']
    rescued = SimpleNamespace(
        uuid=node.uuid, driver_info={},
        driver_internal_info={**info, 'agent_secret_token': lab.conductor.agent_token(node)},
        instance_info={'hashed_rescue_password': hashed, 'rescue_password': 'open sesame'})
    client, sent = AgentClient(), []
    post = client.session.post

    def watched(*args, **request):
        sent.append(json.loads(request['data']))
        return post(*args, **request)

    client.session.post = watched
    before = len(Agent(lab, node).commands())
    CONF.set_override('require_rescue_password_hashed', False, group='conductor')
    try:
        with lab.network.inside():
            result = client.finalize_rescue(rescued)
    finally:
        CONF.clear_override('require_rescue_password_hashed', group='conductor')
    assert result['command_status'] == 'FAILED'
    assert 'crypt(5)' in result['command_error']['details']
    assert [request['params'] for request in sent] == [
        {'rescue_password': hashed, 'hashed': True}]
    arrived = Agent(lab, node).commands()[before:]
    assert [command['command_name'] for command in arrived] == ['finalize_rescue']


def test_settings_of_a_real_conductor_are_in_force(node):
    """It manages this node by Redfish, so that nobody need look for the controller's address; and of
    what it says with its default configuration nothing is without effect."""
    console = node.server.console.text()
    assert re.search('the conductor.s settings are in force .*skip_bmc_detect=true', console)
    assert 'has no effect' not in console and 'makes no sense' not in console


def test_no_command_tells_the_secrets_that_it_was_given(lab, node, hand):
    """Neither in its result, nor in its error, nor below /run/farrier, nor to other programs. Those of
    the next test find them in the log as little."""
    agent = Agent(lab, node)

    def clean(step):
        known = {'uuid': node.uuid, 'properties': node.show()['properties']}
        return agent.run('clean.execute_clean_step', node=known, ports=[], step=step)

    # No step of the agent itself takes a secret; this one takes nothing, and repeats what is beside.
    done = clean({'step': 'erase_pstore', 'interface': 'deploy', 'beside': planted.ARGUMENTS})
    step = done['command_result']['clean_step']
    assert (step['step'], step['interface']) == ('erase_pstore', 'deploy')
    assert step['beside']['password'] == '***' and step['beside']['source'].endswith('&x=1')
    for name in ('erase_pstore', 'no_such_step'):
        failed = clean({'step': name, 'interface': 'deploy', 'args': planted.OTHER_ARGUMENTS})
        assert failed['command_status'] == 'FAILED'
    agent.run('rescue.finalize_rescue', **planted.RESCUE)
    agent.run('rescue.finalize_rescue', **planted.PLAIN_RESCUE)
    absent = agent.run('standby.prepare_image', configdrive=None,
                       image_info=planted.absent_image(lab.web.url('absent.img')))
    assert '404' in absent['command_error']['details']
    planted.expect_none('command list', agent.commands(), lab.conductor.agent_token(node))

    mark = node.server.console.mark()
    hand.move(node.server, 'secrets')
    node.server.console.wait_for('hand: end of secrets', 20, mark)
    seen = node.server.console.text(mark)
    # The kernel makes variables of PID 1 of parameters that it does not know. Nobody inherits them.
    assert set(re.findall(r'hand: secret in (\S+)', seen)) <= {'/proc/1/environ', '/proc/1/cmdline'}
    limits = re.findall(r'hand: (\d+) Max core file size +0 +0 ', seen)
    assert len(limits) >= 2 and '1' in limits, 'agent and PID 1 leave no core dump'
    assert re.search(r'hand: mode 700\s+700\s+600\s', seen)


def test_deploys_and_the_conductor_stores_the_logs(lab, node, image):
    token = lab.conductor.agent_token(node)
    node.provide()
    node.deploy(replace(image, url=planted.with_secrets(image.url)),
                config_drive('small') | planted.CONFIG_DRIVE)
    expect_deployed_system(node.server, 'small', node.server.console.mark_of_last_start())
    logs = lab.conductor.stored_logs(node)[-1]
    members = planted.members(logs)
    assert b'write_image' in b''.join(members.values())
    for name, content in members.items():
        planted.expect_none(name, content, token)
    planted.expect_none('console', planted.said(node.server.console.text()), token)
    shown = node.show()
    for field in ('last_error', 'driver_internal_info'):
        planted.expect_none(field, shown[field], token)
    for name in MEMBERS:
        assert members[name] and not members[name].startswith(b'[not collected'), name
    leases = [name for name in members if name.startswith('leases/')]
    assert any(name.endswith('.dhcp.json') for name in leases), leases
    card = next(iter(leases)).removeprefix('leases/').split('.')[0]
    assert f'default (0.0.0.0/0) via 192.0.2.1 dev {card} '.encode() in members['routes']
    assert b'driver: rx' in members['links'], "the driver's own counters"
    assert b'dev ' + card.encode() in members['routes']
    assert card.encode() in members['log/dhcpcd.log']


def test_what_the_archive_has_in_place_of_secrets(lab, node):
    """The names of parameters stay, and which step a command ran."""
    members = planted.members(lab.conductor.stored_logs(node)[-1])
    words = members['cmdline'].decode().split()
    for word in ('ipa-erase-record-url=***', 'ipa-agent-token=***', 'rootpwd="***"',
                 'site.proxy=http://me:***@192.0.2.1:3128'):
        assert word in words
    assert b'"write_image"' in members['commands.jsonl']
    assert b'configdrive' not in members['commands.jsonl'], 'it holds what its owner put in'


@pytest.mark.full
def test_api_over_ipv6_only(lab):
    """A server that never gets an IPv4 address is cleaned."""
    server = lab.server('six', boot='direct', disks=[Disk('virtio', 256)],
                        parameters=f'ipa-api-url={conductor.URL6}')
    lab.dhcp.ignore(server.mac)
    node = lab.enrol(server, clean=False)
    try:
        server.disks[0].write(0, b'old' * 512)
        node.clean('erase_devices_metadata')
        assert server.disks[0].is_zero(0, 1536)
        assert lab.dhcp.acknowledged(server.mac) == 0
        assert 'https://[fd00:fa:1:' in server.console.text()
    finally:
        node.remove()
        lab.remove(server)
