"""A timed start of a server, from power on until the conductor hears of it, and of its kernel alone."""

import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from lab.archive import append
from lab.hand import BUSYBOX
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


def kernel_alone(lab, **hardware):
    """Seconds from power on until the lab's kernel runs a first program, which ends the machine: what a start takes of
    this machine at least, whatever is in a ramdisk."""
    server = lab.server('kernel-alone', boot='direct', as_shipped=True, **hardware)
    try:
        server.boot_kernel(lab.kernel, _ending_ramdisk(lab.run.tmp / 'kernel-alone.img'), 'nofb vga=normal console=ttyS0,115200')
        server.power_on()
        server.console.wait_for(PHASES['kernel'], 60)
        [(mark, power_on)] = server.console.starts()
        server.wait_for_off(60)
        return server.console.time_of(PHASES['kernel'], mark) - power_on
    finally:
        lab.remove(server)


def _ending_ramdisk(target):
    """What switches the machine off as soon as it runs."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copy(BUSYBOX, root / 'busybox')
        init = root / 'init'
        init.write_text('#!/busybox sh\n/busybox poweroff -f\n')
        init.chmod(0o755)
        # Behind no other ramdisk.
        return append(Path('/dev/null'), root, [], target)


def _first_heartbeat(lab, node, since):
    """When the conductor was told that the server is there, and the emulator's processor time then."""
    deadline = time.monotonic() + patience(60)
    while True:
        beats = [beat for beat in lab.conductor.heartbeats(node) if beat > since]
        if beats:
            return beats[0], process_seconds(node.server.pid())
        assert time.monotonic() < deadline, 'no heartbeat'
        time.sleep(0.2)
