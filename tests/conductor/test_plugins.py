"""Hardware managers that came with the boot, not with the ramdisk: the conductor uses them, and one
that crashes costs one step."""

import subprocess

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
    commands = Agent(lab, node).get('/v1/commands').json()['commands']
    results = {command['command_name']: command['command_result'] for command in commands}
    assert results['execute_clean_step']['clean_result'] == {'passes': 2, 'disks': 2}
    steps = results['get_clean_steps']
    assert [step['step'] for step in steps['clean_steps']['ExampleHardwareManager']] == [
        'example_polish']
    assert steps['hardware_manager_version']['example'] == '1.0'


def test_a_wrong_argument_is_the_plugins_own_error(node):
    """What the plugin says is what the operator reads."""
    with pytest.raises(ProvisionError, match='example: passes must be 1 to 100, and is 101'):
        node.clean({'step': 'example_polish', 'interface': 'deploy', 'args': {'passes': 101}})
    recover(node)


def test_a_plugin_that_crashes_costs_one_step(node):
    """The conductor names plugin and signal; the next clean works, without a reboot."""
    starts = len(node.server.console.starts())
    with pytest.raises(ProvisionError, match='crashing was killed by signal SIGSEGV'):
        node.clean('crash')
    recover(node)
    node.clean('example_polish')
    assert len(node.server.console.starts()) == starts


def recover(node):
    """A failed cleaning puts the node into maintenance, where heartbeats count for nothing."""
    node.update(maintenance=False)
    node.manage()
