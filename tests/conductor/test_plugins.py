"""Hardware managers that came with the boot, not with the ramdisk: the conductor uses them, and one
that misbehaves costs one step."""

import re
import subprocess
from pathlib import Path

import pytest

from lab import Agent, Disk, Hand, paths
from lab.hand import END_AGENT, PROCESSES
from lab.node import ProvisionError

MANAGERS = paths.ROOT / 'hardware_managers'
FIXTURES = paths.ROOT / 'tests' / 'fixtures' / 'plugins'
SCRIPT = MANAGERS / 'example' / 'example.py'
LIBRARY = paths.BUILD / 'libfarrier_example_manager.so'

# What the conductor is to know of the examples' clean steps.
POLISH = {
    'priority': 0, 'interface': 'deploy', 'reboot_requested': False, 'abortable': True,
    'requires_ramdisk': True,
    'argsinfo': {'passes': {'description': 'How often to polish, 1 to 100; 3 by default',
                            'required': False}}}


@pytest.fixture(scope='module')
def hand():
    return Hand(processes=PROCESSES, end_agent=END_AGENT)


@pytest.fixture(scope='module')
def archives(tmp_path_factory):
    """Paths of the plugins' archives, by name: two examples, and two that misbehave."""
    folder = tmp_path_factory.mktemp('plugins')
    faulty = folder / 'faulty'
    faulty.mkdir()
    # One interpreter in the server is enough for two scripts.
    text = (FIXTURES / 'faulty.py').read_text().replace(
        '#!/usr/bin/python3', '#!/opt/farrier/plugins/example_script/root/usr/bin/python3', 1)
    (faulty / 'plugin').write_text(text)
    (faulty / 'plugin').chmod(0o755)
    (faulty / 'mode').write_text('asks_for_a_reboot')
    return {
        'example': pack(LIBRARY, 'example'),
        'example_script': pack(SCRIPT, 'example_script', 'python3-minimal'),
        'faulty': pack(faulty, 'faulty'),
        'crashing': pack(crashing_library(folder / 'crashing.so'), 'crashing')}


@pytest.fixture(scope='module')
def node(lab, archives, hand):
    """A server whose ramdisk has the plugins behind it; it stays up between actions."""
    ramdisk = with_archives(lab, archives.values(), 'plugins.img')
    ramdisk = hand.into(ramdisk, ramdisk.with_name('plugins-hand.img'))
    with lab.enrolled('plugins', boot='direct', memory_mib=1024,
                      disks=[Disk('virtio', 64), Disk('sata', 64), Hand.disk()],
                      node={'clean': False, 'fast_track': True, 'ramdisk': ramdisk}) as node:
        yield node


def test_conductor_runs_the_step_of_a_plugin(lab, node):
    """Their arguments arrive, their results come back, and their versions are the conductor's to
    compare."""
    node.start_cleaning(
        {'step': 'example_polish', 'interface': 'deploy', 'args': {'passes': 2}},
        {'step': 'script_polish', 'interface': 'deploy', 'args': {'passes': 20}})
    node.wait_for_step('script_polish', 200)
    expect_steps_of_the_examples(node)
    node.wait_for('manageable', 60)
    results = [command['command_result'] for command in Agent(lab, node).commands()
               if command['command_name'] == 'execute_clean_step']
    assert [result['clean_result'] for result in results] == [
        {'passes': 2, 'disks': 3}, {'passes': 20, 'disks': 3}]
    assert results[1]['clean_step']['step'] == 'script_polish'


def test_round_trip_to_a_plugin(lab, node, record_property):
    """How long an empty request and its answer take in a server, the script's part included."""
    seconds = Agent(lab, node).clean('round_trips')['command_result']['clean_result']
    record_property('empty request and answer in the server, ms', round(seconds * 1000, 2))
    assert seconds < 0.1


def test_a_plugin_that_crashes_costs_one_command(lab, node):
    """The agent names plugin and signal, and the next command works: it was not restarted. The crash
    is a shared library's."""
    starts = len(node.server.console.starts())
    failed = Agent(lab, node).clean('crash')
    assert failed['command_status'] == 'FAILED'
    assert 'crashing was killed by signal SIGSEGV' in failed['command_error']['details']
    failed = Agent(lab, node).clean('example_polish', passes=101)
    assert failed['command_error']['details'] == 'example: passes must be 1 to 100, and is 101'
    assert Agent(lab, node).clean('example_polish')['command_status'] == 'SUCCEEDED'
    assert len(node.server.console.starts()) == starts


def test_limits_hold_in_the_ramdisk(lab, node, hand):
    """Each plugin is alone in a group with its limits, and the first to go for lack of memory; the
    agent is the last."""
    processes, limits = observe(node, hand)
    agent, = (process for process in processes if process['name'] == 'farrier' and process['pid'] != '1')
    assert agent['score'] == '-999'
    plugins = [process for process in processes if '/farrier/' in process['group']]
    assert {process['group'].split('/')[-1].split('.')[0] for process in plugins} == {
        'example', 'example_script', 'faulty', 'crashing'}
    assert {process['score'] for process in plugins} == {'800'}
    assert all(process['score'] == '0' for process in processes
               if process['pid'] != agent['pid'] and process not in plugins)
    assert len(limits) == 4
    for limit in limits.values():
        assert limit.get('memory.swap.max', '0') == '0'
        assert (limit['memory.max'], limit['memory.oom.group'], limit['pids.max']) == (
            str(512 << 20), '1', '256')


def test_a_plugin_that_eats_memory_dies_alone(lab, node, hand):
    """And is named; agent and the other plugins are the same processes as before."""
    def others():
        return {(process['pid'], process['name']) for process in observe(node, hand)[0]
                if 'farrier' in (process['name'], *process['group'].split('/'))
                and '/faulty.' not in process['group']}

    before = others()
    failed = Agent(lab, node).clean('eat_memory')
    assert 'faulty' in failed['command_error']['details']
    assert 'memory' in failed['command_error']['details']
    assert others() == before
    assert Agent(lab, node).clean('show')['command_status'] == 'SUCCEEDED'


def test_what_a_plugin_started_ends_with_it(lab, node, hand):
    """A child with a session of its own, too."""
    failed = Agent(lab, node).clean('orphan')
    assert 'faulty was killed by signal SIGSEGV' in failed['command_error']['details']
    processes, _ = observe(node, hand)
    assert not [process for process in processes if '/faulty.' in process['group']]


def test_an_agent_that_ends_has_its_plugin_stop(lab, node, hand):
    """The plugin stops in order, and says how far it was; the command has failed, also for the agent that
    PID 1 starts next."""
    console = node.server.console
    polish = {'step': 'script_polish', 'interface': 'deploy', 'args': {'passes': 100}}
    begun = Agent(lab, node).begin('clean.execute_clean_step', node={'uuid': node.uuid}, ports=[],
                                   step=polish)
    mark = console.mark()
    hand.move(node.server, 'end_agent')
    console.wait_for('now +ending, because the agent was asked to end', 10, mark)
    # Until it ends the agent serves, and says that it is ready.
    console.wait_for('agent ended .*starting it again', 40, mark)
    console.wait_for('now +ready for the conductor', 60, console.mark())
    command, = (each for each in Agent(lab, node).commands() if each['id'] == begun['id'])
    assert command['command_status'] == 'FAILED'
    assert re.search(r'told to stop, because the agent was asked to end .*cancelled after \d+ of 100 passes',
                     command['command_error']['details'])


def test_a_step_that_asks_for_a_reboot_has_ended_with_it(node):
    """In automated cleaning: Ironic leaves the wish out of the steps of a manual one. The agent after
    the reboot does not take the step for one that was cut off."""
    starts = len(node.server.console.starts())
    node.update(automated_clean=True)
    node.provide()
    assert len(node.server.console.starts()) == starts + 1
    assert 'executing step kind=clean step=settle' in node.server.console.text()
    node.update(automated_clean=False)
    node.manage()


def test_conductor_names_the_plugin_that_crashed(node):
    """It reboots the server after a failed step."""
    with pytest.raises(ProvisionError, match='crashing was killed by signal SIGSEGV'):
        node.clean('crash')
    node.recover()


def test_a_required_manager_that_is_missing_stops_the_cleaning(node):
    """By name, so that no generic step stands in for the vendor's; without the requirement the next
    clean succeeds."""
    node.server.power_off()
    node.server.add_parameters('ipa-required-hardware-managers=flash_card')
    with pytest.raises(ProvisionError, match='flash_card: there is no such plugin'):
        node.clean('example_polish')
    node.recover()
    node.server.power_off()
    node.server.add_parameters('')
    node.clean('script_polish')


def test_plugin_over_ipxe(lab, archives):
    """Unmodified ramdisk, the template that we ship, the plugins named by the node: automated
    cleaning runs their steps."""
    served = lab.run.http / 'plugins'
    served.mkdir(exist_ok=True)
    served.chmod(0o755)
    for name in ('example', 'example_script'):
        (served / f'{name}.img').write_bytes(archives[name].read_bytes())
    template = paths.ROOT / 'image' / 'ipxe_config.template'
    with lab.conductor.boot_template(template), \
            lab.enrolled('ipxe-plugin', boot='network', firmware='uefi',
                         disks=[Disk('virtio', 64)]) as node:
        node.update(**{'driver_info/kernel_append_params':
                       '%default% farrier.plugins=example,example_script '
                       'ipa-required-hardware-managers=example,example_script'})
        node.target('provide')
        node.wait_for_step('script_polish', 200)
        # The site's priorities, conductor.py, are no business of the agent's.
        expect_steps_of_the_examples(node)
        plan = [step['step'] for step in node.show()['driver_internal_info']['clean_steps']]
        assert plan == ['erase_devices_metadata', 'script_polish', 'example_polish']
        node.wait_for('available', 120)
        for name in ('example', 'example_script'):
            assert any(f'GET /plugins/{name}.img' in line for line in lab.web.requests())


def expect_steps_of_the_examples(node):
    """What the conductor knows of them while it cleans."""
    known = node.show()['driver_internal_info']
    steps = {step['step']: step for step in known['agent_cached_clean_steps']['deploy']}
    for name in ('example_polish', 'script_polish'):
        assert steps[name] == {'step': name, **POLISH}
    versions = known['hardware_manager_version']
    assert (versions['example'], versions['example_script']) == ('1.0', '1.0')


def crashing_library(path):
    """A manager in C, of whose steps one writes where nothing is."""
    introduction = ('{"class_name": "CrashingHardwareManager", "name": "crashing", "version": "1", '
                    '"methods": ["evaluate_hardware_support", "get_clean_steps", "execute_step"]}')
    quoted = introduction.replace('"', r'\"')
    subprocess.run(['cc', '-std=c11', '-shared', '-fPIC', '-I', MANAGERS / 'sdk' / 'include',
                    '-DOFFERS_CRASH', f'-DINTRODUCTION="{quoted}"', '-o', path,
                    FIXTURES / 'faulty_library.c'], check=True)
    return path


def pack(plugin, name, packages='') -> Path:
    subprocess.run(['make', '-s', 'plugin-initrd', f'PLUGIN={plugin}', f'NAME={name}',
                    f'PACKAGES={packages}'], cwd=paths.ROOT, check=True)
    return paths.BUILD / 'plugins' / f'{name}.img'


def with_archives(lab, archives, name) -> Path:
    """The ramdisk with these behind it, where the conductor finds it."""
    ramdisk = lab.run.boot / name
    ramdisk.write_bytes(b''.join(part.read_bytes() for part in (lab.ramdisk, *archives)))
    ramdisk.chmod(0o644)
    return ramdisk


def observe(node, hand):
    """The server's processes, and the limits of the plugins' groups."""
    console = node.server.console
    mark = console.mark()
    hand.move(node.server, 'processes')
    console.wait_for('hand: end of processes', 20, mark)
    text = console.text(mark)
    names = ('pid', 'name', 'score', 'group')
    processes = [dict(zip(names, found)) for found in
                 re.findall(r'hand: process (\S+) (.+) (\S+) (\S+)$', text, re.M)]
    limits = {}
    for group, limit, value in re.findall(r'hand: limit (\S+) (\S+) (\S+)$', text, re.M):
        limits.setdefault(group, {})[limit] = value
    return processes, limits
