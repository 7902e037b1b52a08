"""Two of farrier's ramdisks, kernel and all, started in turn: which of them the conductor hears of first, and why.

`make compare BEFORE=build/bookworm`, after `make ramdisk SUITE=bookworm BUILD=build/bookworm`.
"""

import contextlib
import datetime
import os
from pathlib import Path
from statistics import median

from compare.report import processor
from lab import Disk, Lab, paths
from lab.start import PHASES, timed_start

# The first heartbeat may come this much later.
BOUND = 1.05
ROUNDS = 5


def compare(before: Path, rounds):
    """The ramdisk of the folder `before` against build/ramdisk. Prints a table; returns whether the bound is missed."""
    folders = {'before': Path(before), 'now': paths.RAMDISK.parent}
    starts = {which: [] for which in folders}
    with Lab(paths.LAB / 'run-starts') as lab, contextlib.ExitStack() as stack:
        nodes = {which: stack.enter_context(lab.enrolled(
            which, boot='direct', as_shipped=True, cpus=2, memory_mib=512, disks=[Disk('virtio', 256)],
            node={'clean': False, 'fast_track': True, 'kernel': folder / 'vmlinuz',
                  'ramdisk': folder / 'initrd.img'})) for which, folder in folders.items()}
        for number in range(rounds):
            for which, node in nodes.items():
                start = timed_start(lab, node)
                node.server.power_off()
                starts[which].append(start)
                print(f'compare: start {number + 1}, {which}: heartbeat after {start.seconds:.1f} s, '
                      f'processor {start.processor:.1f} s, others used {start.others:.0%}', flush=True)
    print(_markdown(starts))
    return _ratio(starts, lambda start: start.seconds, min) > BOUND


def _markdown(starts):
    """Of each figure the fastest, since whatever disturbs a start makes it slower, and the median."""
    figures = {'power on → first heartbeat, s': lambda start: start.seconds,
               'emulator\'s processor time, s': lambda start: start.processor}
    figures |= {f'{phase}, s': lambda start, phase=phase: start.phases[phase]
                for phase in PHASES if all(phase in start.phases for some in starts.values() for start in some)}
    others = [start.others for some in starts.values() for start in some]
    lines = [f'{datetime.date.today():%Y-%m-%d}, {os.cpu_count()} × {processor()}; others used '
             f'{min(others):.0%} to {max(others):.0%} of it; {len(starts["now"])} starts of each, in turn.', '',
             '| | before | now | ratio | medians | ratio |', '|---|---|---|---|---|---|']
    for name, figure in figures.items():
        cells = []
        for average in (min, median):
            before, now = (average(map(figure, starts[which])) for which in ('before', 'now'))
            cells.append((before, now, now / before))
        (before, now, ratio), (median_before, median_now, median_ratio) = cells
        lines.append(f'| {name} | {before:.1f} | {now:.1f} | {ratio:.2f} | {median_before:.1f} → {median_now:.1f} | '
                     f'{median_ratio:.2f} |')
    return '\n'.join(lines)


def _ratio(starts, figure, average):
    return average(map(figure, starts['now'])) / average(map(figure, starts['before']))
