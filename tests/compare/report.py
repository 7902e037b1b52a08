"""The figures of both agents side by side, as Markdown, and the bounds that they are held to."""

import datetime
import os
from dataclasses import dataclass
from pathlib import Path

from lab import paths

MIB = 1024 * 1024


@dataclass(frozen=True)
class Row:
    """One figure of both; `bound` is the greatest share of the reference's, if there is one."""

    name: str
    farrier: float
    reference: float
    bound: float | None = None
    digits: int = 1

    @property
    def ratio(self):
        return self.farrier / self.reference

    @property
    def is_missed(self):
        return self.bound is not None and self.ratio > self.bound


def rows(farrier, reference, boots):
    """`boots` are (machine, farrier's Boot, the reference's)."""
    kernel = paths.KERNEL.stat().st_size / MIB
    table = [
        Row('kernel, MiB', kernel, kernel),
        Row('ramdisk, MiB', farrier.image.stat().st_size / MIB,
            reference.image.stat().st_size / MIB, 1 / 3),
        Row('ramdisk unpacked, MiB', farrier.unpacked / MIB, reference.unpacked / MIB),
        Row('kernel modules', farrier.modules, reference.modules, digits=0),
    ]
    for machine, ours, theirs in boots:
        table += [
            Row(f'{machine.name}: power on → first heartbeat, s', ours.heartbeat,
                theirs.heartbeat, 1 / 3),
            Row(f'{machine.name}: guest memory in use then, MiB', ours.memory, theirs.memory,
                1 / 3),
            Row(f'{machine.name}: the same with what the kernel holds back, MiB',
                ours.unavailable, theirs.unavailable),
            Row(f'{machine.name}: one inventory, s', ours.inventory, theirs.inventory, 1 / 10, 3),
        ]
    return table


def markdown(table, boots, verdict):
    """The whole report."""
    others = max(max(ours.others, theirs.others) for _, ours, theirs in boots)
    lines = [
        f'{datetime.date.today():%Y-%m-%d}, {os.cpu_count()} × {processor()}; others used up to '
        f'{others:.0%} of it.', '']
    lines += [f'* {machine.name}: {machine.what}' for machine, _, _ in boots]
    lines += ['', '| | farrier | IPA 13.0.0 | ratio | bound |', '|---|---|---|---|---|']
    for row in table:
        bound = '' if row.bound is None else f'≤ 1/{1 / row.bound:.0f}'
        if row.is_missed:
            bound += ', **missed**'
        lines.append(f'| {row.name} | {row.farrier:.{row.digits}f} | {row.reference:.{row.digits}f}'
                     f' | {row.ratio:.2f} | {bound} |')
    lines += ['', f'Of {verdict.fields} fields of the inventories and of the collectors\' data '
              f'{verdict.fields - differing(verdict)} are equal, {len(verdict.volatile)} volatile '
              f'as their rules allow, {len(verdict.listed)} differ as listed, '
              f'{len(verdict.unlisted)} differ.']
    return '\n'.join(lines)


def differing(verdict):
    return len(verdict.volatile) + len(verdict.listed) + len(verdict.unlisted)


def findings(verdict):
    """Everything that differs, for whoever has to explain it."""
    lines = []
    for title, found in (('volatile', verdict.volatile), ('listed', verdict.listed),
                         ('NOT LISTED', verdict.unlisted)):
        for finding in found:
            lines.append(f'{title}: {finding.path}\n    farrier {finding.farrier!r}\n    IPA     '
                         f'{finding.reference!r}')
    return '\n'.join(lines)


def processor():
    """What this machine's processors call themselves."""
    for line in Path('/proc/cpuinfo').read_text().splitlines():
        if line.startswith('model name'):
            return line.split(':', 1)[1].strip()
    return 'processor'
