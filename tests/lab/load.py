"""How much of this machine others used while something was measured."""

import os
from pathlib import Path

_TICKS = os.sysconf('SC_CLK_TCK')


class Load:
    """From when it is made: the share of all processors' time that was neither idle nor used by
    the processes of a network namespace. Time stolen by a hypervisor is used by others, too."""

    def __init__(self, network):
        self._network = network
        self._busy, self._total = _processors()
        self._own = self._own_seconds()

    def share_of_others(self):
        """0 on a quiet machine, near 1 where there was hardly any time left. At most 0.9."""
        busy, total = _processors()
        own = self._own_seconds() - self._own
        share = (busy - self._busy - own) / max(total - self._total, 1 / _TICKS)
        return min(max(share, 0.0), 0.9)

    def _own_seconds(self):
        return sum(process_seconds(pid) for pid in [*self._network.processes(), os.getpid()])


def _processors():
    """Seconds since the start of the machine that all processors were busy, and in all."""
    # user nice system idle iowait irq softirq steal; guest time is in user already.
    values = [int(text) / _TICKS for text in
              Path('/proc/stat').read_text().splitlines()[0].split()[1:9]]
    return sum(values) - values[3] - values[4], sum(values)


def process_seconds(pid):
    """Of processor time that a process and its threads took; 0 if there is none."""
    try:
        fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    except FileNotFoundError:
        return 0
    return (int(fields[11]) + int(fields[12])) / _TICKS
