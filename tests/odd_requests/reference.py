#!/usr/bin/env python3
"""Asks ironic-python-agent what it makes of every request in cases.py: reference.py FILE.

    python3 -m venv /tmp/reference
    /tmp/reference/bin/pip install ironic-python-agent==13.0.0
    /tmp/reference/bin/python tests/odd_requests/reference.py tests/fixtures/odd_requests/cases.json

The reference's own API answers, over a socket, with its own extensions; each case has an agent of its own. Only what
would touch this machine is replaced: the hardware manager by one that does what src/command/fake.rs does, the parts of
the extensions that write images, end the machine or keep a password, and whatever starts a program.
"""

import base64
import contextlib
import http.client
import importlib.metadata
import json
import logging
import pathlib
import subprocess
import sys
import tempfile
import time
from unittest import mock

# Its options must be there before the modules that read them.
from ironic_python_agent import config  # noqa: F401 pylint: disable=unused-import
from ironic_python_agent import agent, disk_utils, errors, hardware, partition_utils, utils
from ironic_python_agent.extensions import image, rescue, standby

import cases

# How long the step `gate` takes.
PAUSE = 0.5


class GenericHardwareManager(hardware.HardwareManager):
    """Knows the steps of the fake manager."""

    HARDWARE_MANAGER_NAME = 'generic_hardware_manager'
    HARDWARE_MANAGER_VERSION = '1.2'
    write_image = hardware.GenericHardwareManager.write_image

    def evaluate_hardware_support(self):
        return hardware.HardwareSupport.GENERIC

    def wait_for_disks(self):
        pass

    def get_os_install_device(self, permit_refresh=False):
        return '/dev/vda'

    def get_clean_steps(self, node, ports):
        step = {'interface': 'deploy', 'reboot_requested': False, 'abortable': True}
        return [{'step': 'erase_devices', 'priority': 10, **step},
                {'step': 'erase_devices_metadata', 'priority': 99, **step}]

    def get_deploy_steps(self, node, ports):
        return [{'step': 'write_image', 'priority': 0, 'interface': 'deploy', 'reboot_requested': False}]

    def get_service_steps(self, node, ports):
        raise RuntimeError('service steps are broken')

    def erase_devices(self, node, ports, **_):
        return {'/dev/sda': None}

    def gate(self, node, ports):
        time.sleep(PAUSE)

    def full_sync(self):
        pass

    def list_hardware_info(self):
        return {}


def refuse(*arguments, **_):
    raise OSError(f'no program is started here: {arguments}')


@contextlib.contextmanager
def served():
    """An agent whose API is served; nothing of it reaches this machine."""
    manager = GenericHardwareManager()
    manager = {'name': 'GenericHardwareManager', 'manager': manager, 'support': manager.evaluate_hardware_support()}
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        for target, attribute, value in (
                (hardware, '_global_managers', [manager]), (hardware, 'NODE', None),
                (subprocess, 'Popen', refuse), (utils, 'execute', refuse),
                (utils, 'collect_system_logs', lambda: base64.b64encode(b'logs').decode()),
                (disk_utils, 'get_disk_identifier', lambda _: '0x00000000'),
                (partition_utils, 'create_config_drive_partition', lambda *_: None),
                (standby, '_validate_partitioning', lambda _: None),
                (standby.StandbyExtension, '_cache_and_write_image', lambda *_: None),
                (standby.StandbyExtension, '_stream_raw_image_onto_device', lambda *_: None),
                (standby.StandbyExtension, '_download_container_and_bootc_install', lambda *_: None),
                (standby.StandbyExtension, '_run_shutdown_command', lambda *_: None),
                (image, '_efi_boot_setup', lambda *_: False),
                (rescue, 'PASSWORD_FILE', f'{folder}/password')):
            stack.enter_context(mock.patch.object(target, attribute, value))
        # Of its two files one has a fixed name.
        own = open
        stack.enter_context(mock.patch.object(
            rescue, 'open', lambda name, mode: own(name if name.startswith(folder) else f'{folder}/rescued', mode),
            create=True))
        peer = agent.IronicPythonAgent(
            api_url=None, advertise_address=agent.Host('localhost', 9999), listen_address=agent.Host('127.0.0.1', 0),
            ip_lookup_attempts=1, ip_lookup_sleep=0, network_interface=None, lookup_timeout=1, lookup_interval=1,
            standalone=False, agent_token=cases.TOKEN)
        peer.started_at = 0
        peer.heartbeater = mock.Mock()
        peer.api.start()
        while not peer.api.server.ready:
            time.sleep(0.01)
        try:
            yield peer.api.server.socket.getsockname()[1]
        finally:
            peer.api.server.shutdown_timeout = 0
            peer.api.server.stop()


def exchange(port, method, target, body=b'', content_type='application/json'):
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
    connection.putrequest(method, target, skip_accept_encoding=True)
    connection.putheader('Content-Length', str(len(body)))
    if content_type:
        connection.putheader('Content-Type', content_type)
    connection.endheaders(body)
    response = connection.getresponse()
    text = response.read().decode()
    location = response.getheader('Location')
    connection.close()
    return response.status, location, text


def command(result):
    """A command's result without what is another one each time."""
    error = result['command_error']
    outcome = result['command_result']
    if result['command_name'] == 'collect_system_logs' and outcome:
        assert base64.b64decode(outcome.pop('system_logs'), validate=True)
        outcome['system_logs'] = 'in base64'
    if result['command_name'] == 'get_hardware_info' and outcome is not None:
        outcome = 'an inventory'
    if result['command_name'] == 'get_partition_uuids' and outcome is not None:
        outcome = 'UUIDs'
    named = {'command': result['command_name'], 'ends': result['command_status']}
    if error:
        return {**named, 'error': error['type'], 'details': error['details']}
    return {**named, 'result': outcome}


def answer(case):
    sent = case['body'].encode() if 'body' in case else base64.b64decode(case.get('base64', ''))
    with served() as port:
        status, location, text = exchange(port, case['method'], case['target'], sent,
                                          case.get('content_type', 'application/json'))
        listed, _, commands = exchange(port, 'GET', f'/v1/commands/?agent_token={cases.TOKEN}')
        listed = [each['command_name'] for each in json.loads(commands)['commands']] if listed == 200 else listed
    if location:
        said = {'location': location.removeprefix(f'http://127.0.0.1:{port}')}
    elif not text:
        said = {}
    else:
        try:
            said = json.loads(text)
        except ValueError:
            # The server's own words, before the reference was asked.
            said = {'text': text}
        if 'faultstring' in said:
            said = {'fault': said['faultstring']}
        elif 'command_name' in said:
            said = command(said)
        elif 'commands' in said:
            said = {'commands': [command(each) for each in said['commands']]}
        else:
            said = {'names': sorted(said)}
    return {'status': status, **said, 'listed': listed}


def evaluate(case):
    reference = answer(case)
    ours = case.pop('farrier', reference)
    why = case.pop('why', None)
    assert (ours != reference) == bool(why), (case, reference, ours, why)
    return {**case, 'reference': reference, 'farrier': ours, **({'why': why} if why else {})}


def main(path):
    logging.disable()
    version = f'ironic-python-agent {importlib.metadata.version("ironic-python-agent")}'
    evaluated = [evaluate(case) for case in cases.all_cases()]
    assert len({case['name'] for case in evaluated}) == len(evaluated)
    # A case is a line, so that a change of one is a change of a line.
    lines = ',\n'.join('  ' + json.dumps(case, ensure_ascii=False) for case in evaluated)
    head = json.dumps({'reference': version, 'reasons': cases.REASONS}, indent=1, ensure_ascii=False)
    head = head.removesuffix('\n}')
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'{head},\n "cases": [\n{lines}\n ]\n}}\n')
    differing = sum('why' in case for case in evaluated)
    print(f'{len(evaluated)} requests to {version}; farrier differs in {differing}')


if __name__ == '__main__':
    main(pathlib.Path(sys.argv[1]))
