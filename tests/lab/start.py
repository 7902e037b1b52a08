"""A timed start of a server, from power on until the conductor hears of it."""

import time
from dataclasses import dataclass

from lab.load import Load, process_seconds
from lab.patience import patience

# What the console says at the end of each phase of a start, in this order.
PHASES = {
    'kernel': r'Run /init as init process',
    'devices': r'udev has handled all devices',
    'network': r'network \S+ dhcp',
    'inspection': r'now +handing in the inspection data',
    'heartbeat': r'now +ready for the conductor',
}


@dataclass(frozen=True)
class Start:
    """Seconds: to the first heartbeat, of each phase that the console told, and of processor time that the emulator
    took until then. `others` is the share of this machine that others used meanwhile."""

    seconds: float
    phases: dict[str, float]
    processor: float
    others: float


def timed_start(lab, node):
    """Lets the conductor inspect the node's server, which is off."""
    server = node.server
    load = Load(lab.network)
    started = len(server.console.starts())
    node.inspect()
    mark, power_on = server.console.starts()[started]
    heartbeat, processor = _first_heartbeat(lab, node, power_on)
    others = load.share_of_others()
    phases, previous = {}, power_on
    for phase, pattern in PHASES.items():
        if when := server.console.time_of(pattern, mark):
            phases[phase] = when - previous
            previous = when
    return Start(heartbeat - power_on, phases, processor, others)


def _first_heartbeat(lab, node, since):
    """When the conductor was told that the server is there, and the emulator's processor time then."""
    deadline = time.monotonic() + patience(60)
    while True:
        beats = [beat for beat in lab.conductor.heartbeats(node) if beat > since]
        if beats:
            return beats[0], process_seconds(node.server.pid())
        assert time.monotonic() < deadline, 'no heartbeat'
        time.sleep(0.2)
