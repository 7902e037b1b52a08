"""One run of a program: seconds, processor seconds, peak memory."""

import dataclasses
import os
import resource
import sys
import tempfile
import time

MIB = 1 << 20


@dataclasses.dataclass(order=True)
class Run:
    """What one run took. The fastest of several counts."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    note: str = ''


class Refused(Exception):
    """The program said that it does not do this; its last line says why."""


def run(command, environment=None):
    """Run to the end. Processor time and peak memory include the children it waited for."""
    with tempfile.TemporaryFile() as log:
        started = time.monotonic()
        pid = os.posix_spawn(command[0], command, environment or os.environ, file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, log.fileno(), 1),
            (os.POSIX_SPAWN_DUP2, log.fileno(), 2)])
        _, status, usage = os.wait4(pid, 0)
        seconds = time.monotonic() - started
        if status != 0:
            log.seek(0)
            lines = log.read().decode(errors='replace').strip().splitlines()
            raise Refused(lines[-1].split('\r')[-1] if lines else f'status {status}')
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def own_processor_seconds():
    """Of this process and of the children it waited for."""
    return sum(usage.ru_utime + usage.ru_stime
               for usage in map(resource.getrusage,
                                (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def own_peak_mib():
    return max(resource.getrusage(who).ru_maxrss
               for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024


def say(text):
    print(text, file=sys.stderr, flush=True)
