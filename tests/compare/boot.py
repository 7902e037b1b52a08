"""One start of one agent in one machine, led by the conductor, and what was measured of it."""

import contextlib
import json
import time
from dataclasses import dataclass

from compare.bmc import Bmc
from lab import Agent
from lab.load import Load

MIB = 1024 * 1024

# How often the agent is asked for an inventory, and for next to nothing.
ROUNDS = 8

# Seconds until the conductor has heard of the guest; on a quiet machine it is a tenth.
_HEARTBEAT = 900


@dataclass
class Boot:
    """What one start has shown; times in seconds, memory in MiB."""

    heartbeat: float
    # Between power on and first heartbeat: the share of this machine that others used.
    others: float
    # Of the guest's kernel at the first heartbeat: MemTotal - MemFree. Nothing of it can be dropped
    # but some kernel caches, since what is cached of files is the ramdisk itself.
    memory: float
    # MemTotal - MemAvailable, which counts what the kernel holds back free as well.
    unavailable: float
    # The quickest of some, asked of the running agent.
    inventory: float
    # As the conductor stored them.
    stored: dict
    plugin_data: dict


def start(lab, machine, agent):
    """Power on by the conductor's inspection, with the agent left running after it."""
    hardware = machine.hardware()
    hardware['arguments'] = [*hardware['arguments'],
                             '-device', 'virtio-balloon-pci,id=balloon']
    with contextlib.ExitStack() as stack:
        if machine.bmc:
            bmc = stack.enter_context(Bmc(lab.run.tmp / 'bmc.sock', **machine.bmc))
            hardware['arguments'] += bmc.arguments
        node = stack.enter_context(lab.enrolled(machine.name, **hardware, node={
            'clean': False, 'fast_track': True, 'ramdisk': agent.image}))
        load = Load(lab.network)
        node.target('inspect')
        power_on, heartbeat = _first_heartbeat(lab, node)
        others = load.share_of_others()
        memory = _memory(node.server, heartbeat)
        node.wait_for('manageable', 120)
        stored = lab.api.get(f'/v1/nodes/{node.uuid}/inventory')
        return Boot(heartbeat - power_on, others,
                    (memory['stat-total-memory'] - memory['stat-free-memory']) / MIB,
                    (memory['stat-total-memory'] - memory['stat-available-memory']) / MIB,
                    _inventory_seconds(lab, node), stored['inventory'], stored['plugin_data'])


def _first_heartbeat(lab, node):
    """When the machine was switched on, and when the conductor first heard of it."""
    console = node.server.console
    deadline = time.monotonic() + _HEARTBEAT
    reporting = False
    while time.monotonic() < deadline:
        if console.starts() and not reporting:
            reporting = _report_memory(node.server)
        if beats := lab.conductor.heartbeats(node):
            return console.starts()[-1][1], beats[0]
        time.sleep(0.2)
    tail = '\n'.join(console.text().splitlines()[-30:])
    raise TimeoutError(f'{node.server.name}: no heartbeat within {_HEARTBEAT} s; the console '
                       f'ends with:\n{tail}')


def _report_memory(server):
    """From now on the guest's kernel tells its memory every second, through the balloon device."""
    with contextlib.suppress(OSError, EOFError), server.qmp() as qmp:
        qmp.execute('qom-set', path='/machine/peripheral/balloon',
                    property='guest-stats-polling-interval', value=1)
        return True
    return False


def _memory(server, since):
    """The guest's first report from then on."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with server.qmp() as qmp:
            report = qmp.execute('qom-get', path='/machine/peripheral/balloon',
                                 property='guest-stats')
        if report['last-update'] >= since:
            return report['stats']
        time.sleep(0.2)
    raise TimeoutError(f'{server.name}: no report of its memory')


def _inventory_seconds(lab, node):
    """How long the agent takes to answer `poll.get_hardware_info`, which neither agent answers from
    its memory, less what it takes to answer at all. Both ask the BMC once in their life."""
    agent = Agent(lab, node)
    token = lab.conductor.agent_token(node)
    command = {'name': 'poll.get_hardware_info', 'params': {}}
    return (_quickest(lambda: agent.post('/v1/commands/', command, wait='true',
                                         agent_token=token))
            - _quickest(lambda: agent.get('/v1/status')))


def _quickest(ask):
    seconds = []
    for _ in range(ROUNDS):
        started = time.monotonic()
        answer = ask()
        seconds.append(time.monotonic() - started)
        answer.raise_for_status()
        if answer.json().get('command_status', 'SUCCEEDED') != 'SUCCEEDED':
            raise RuntimeError(f'the agent answered {answer.text}')
    return min(seconds)


def save(boot, path):
    """For whoever wants to look at a difference."""
    path.write_text(json.dumps(vars(boot), indent=1, sort_keys=True))
