"""Hardware managers that came with the boot, not with the ramdisk: the conductor uses them, and one
that crashes costs one step."""

import subprocess
import time

import pytest

from lab import Agent, Disk, paths
from lab.node import ProvisionError

PLUGINS = {
    'example': paths.BUILD / 'farrier-example-manager',
    'crashing': paths.ROOT / 'tests' / 'fixtures' / 'plugins' / 'crashing.sh',
}


@pytest.fixture(scope='module')
def node(lab):
    """A server whose ramdisk has both plugins behind it; it stays up between actions."""
    archives = []
    for name, program in PLUGINS.items():
        subprocess.run([paths.ROOT / 'image' / 'plugin-initrd', program, name], check=True)
        archives.append(paths.BUILD / 'plugins' / f'{name}.img')
    ramdisk = lab.run.boot / 'plugins.img'
    with ramdisk.open('wb') as whole:
        for part in (lab.ramdisk, *archives):
            whole.write(part.read_bytes())
            # The kernel looks for the next archive at a multiple of four.
            whole.write(bytes(-whole.tell() % 4))
    ramdisk.chmod(0o644)
    with lab.enrolled('plugins', boot='direct', disks=[Disk('virtio', 64), Disk('sata', 64)],
                      node={'clean': False, 'fast_track': True, 'ramdisk': ramdisk}) as node:
        yield node


def test_conductor_runs_the_step_of_a_plugin(lab, node):
    """Its argument arrives, its result comes back, and its version is the conductor's to compare."""
    node.clean({'step': 'example_polish', 'interface': 'deploy', 'args': {'passes': 2}})
    results = {command['command_name']: command['command_result']
               for command in commands(lab, node)}
    assert results['execute_clean_step']['clean_result'] == {'passes': 2, 'disks': 2}
    steps = results['get_clean_steps']
    assert [step['step'] for step in steps['clean_steps']['ExampleHardwareManager']] == [
        'example_polish']
    assert steps['hardware_manager_version']['example'] == '1.0'


def test_a_plugin_that_crashes_costs_one_command(lab, node):
    """The agent names plugin and signal, and the next command works: it was not restarted."""
    starts = len(node.server.console.starts())
    failed = execute(lab, node, 'crash')
    assert failed['command_status'] == 'FAILED'
    assert 'crashing was killed by signal SIGSEGV' in failed['command_error']['details']
    failed = execute(lab, node, 'example_polish', passes=101)
    assert failed['command_error']['details'] == 'example: passes must be 1 to 100, and is 101'
    assert execute(lab, node, 'example_polish')['command_status'] == 'SUCCEEDED'
    assert len(node.server.console.starts()) == starts


def test_conductor_names_the_plugin_that_crashed(node):
    """It reboots the server after a failed step, and the next clean succeeds."""
    with pytest.raises(ProvisionError, match='crashing was killed by signal SIGSEGV'):
        node.clean('crash')
    recover(node)
    node.clean('example_polish')


def commands(lab, node):
    token = lab.conductor.agent_token(node)
    return Agent(lab, node).get('/v1/commands', agent_token=token).json()['commands']


def execute(lab, node, step, **arguments):
    """Runs a clean step by the agent's API, without the conductor; returns the command's end."""
    token = lab.conductor.agent_token(node)
    body = {'name': 'clean.execute_clean_step',
            'params': {'step': {'step': step, 'interface': 'deploy', 'args': arguments},
                       'node': {'uuid': node.uuid}, 'ports': []}}
    answer = Agent(lab, node).post('/v1/commands', body, agent_token=token).json()
    deadline = time.monotonic() + 60
    while True:
        command, = (each for each in commands(lab, node) if each['id'] == answer['id'])
        if command['command_status'] != 'RUNNING':
            return command
        assert time.monotonic() < deadline
        time.sleep(0.2)


def recover(node):
    """A failed cleaning puts the node into maintenance, where heartbeats count for nothing."""
    node.update(maintenance=False)
    node.target('manage')
    deadline = time.monotonic() + 60
    while (now := node.show())['provision_state'] != 'manageable' or now['reservation']:
        assert time.monotonic() < deadline, now['provision_state']
        time.sleep(0.5)
