"""Where farrier's inventory may differ from the reference's, and whether two of them do elsewhere.

`docs/differences.md` is made from the two tables here (`python -m compare document`).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from compare.fields import ABSENT, fields


@dataclass(frozen=True)
class Volatile:
    """A field that two starts of one machine need not agree on, and what must hold instead.

    `pattern` is a path in which `*` stands for one name and a final `**` for all that follow, or nothing.
    """

    pattern: str
    why: str
    rule: str
    holds: Callable[[Any, Any], bool]


@dataclass(frozen=True)
class Listed:
    """A field in which the agents differ for good, and how."""

    pattern: str
    why: str
    holds: Callable[[Any, Any], bool] = lambda ours, theirs: True


@dataclass(frozen=True)
class Finding:
    """One field with two values."""

    path: str
    farrier: Any
    reference: Any


@dataclass
class Verdict:
    """What a comparison has come to; `fields` are all that either agent reported."""

    fields: int = 0
    volatile: list = field(default_factory=list)
    listed: list = field(default_factory=list)
    unlisted: list = field(default_factory=list)
    used: set = field(default_factory=set)

    def add(self, other):
        self.fields += other.fields
        self.volatile += other.volatile
        self.listed += other.listed
        self.unlisted += other.unlisted
        self.used |= other.used


def within(share):
    """Two numbers, perhaps as texts, that differ by no more than this share of the greater."""
    def holds(ours, theirs):
        try:
            ours, theirs = float(ours), float(theirs)
        except (TypeError, ValueError):
            return False
        return abs(ours - theirs) <= share * max(abs(ours), abs(theirs))
    return holds


def _equal_after(pattern, replacement=''):
    """Texts that are equal once what the pattern finds is replaced in both."""
    def holds(ours, theirs):
        if not isinstance(ours, str) or not isinstance(theirs, str):
            return False
        return re.sub(pattern, replacement, ours) == re.sub(pattern, replacement, theirs)
    return holds


def _same_network(ours, theirs):
    return all(isinstance(address, str) and address.startswith('192.0.2.')
               for address in (ours, theirs))


_LETTERS = ('the kernel gives the letters in the order in which it finds the disks, another one at '
            'each start', 'equal but for the letters after `sd`',
            _equal_after(r'(?<=/sd)[a-z]+$'))
_HOST = ('host adapters are numbered in the order in which the kernel finds them',
         'equal after the first number', _equal_after(r'^\d+:'))
_LINK = ('udev makes two links to some disks, the second for the sake of older configurations; the '
         'reference takes the one that the directory lists last',
         'equal without `virtio-` and the `.0` of an ATA port',
         _equal_after(r'(?<=/)virtio-(?=pci-)|(?<=-ata-\d)\.0$'))
_LEASE = ('the two DHCP clients name themselves differently to the server, which gives each an '
          'address of its own', 'both in the lab\'s network', _same_network)
_LEFT_IN_NODE = ('the kernel puts itself at a random place at each start, and takes some 45 MiB of one node or '
                 'of the other', 'within 10 %', within(0.1))
_LEFT = ('what the kernel has left after its own start', 'within 1 %', within(0.01))

# The conductor's hooks make `root_disk`, `all_interfaces` and `valid_interfaces` of the inventory.
VOLATILE = (
    *(Volatile(f'{disk}/{name}', *rule) for disk in ('disks/*', 'root_disk')
      for name, rule in (('name', _LETTERS), ('hctl', _HOST), ('by_path', _LINK))),
    *(Volatile(f'{interfaces}/*/ipv4_address', *_LEASE)
      for interfaces in ('interfaces', 'all_interfaces', 'valid_interfaces')),
    Volatile('memory/total', *_LEFT),
    Volatile('numa_topology/ram/*/size_kb', *_LEFT_IN_NODE),
)

LISTED = ()

# Where both ramdisks are of Debian 12.
LISTED_OF_BOOKWORM = tuple(Listed(
    f'{disk}/tran', 'a virtio disk has the transport `virtio`, as lsblk of util-linux 2.41 names it; the reference '
    'runs that of Debian 12, 2.38, which has no word for it', lambda ours, theirs: (ours, theirs) == ('virtio', None))
    for disk in ('disks/*', 'root_disk'))


def listed_of(suite):
    """The differences that there are with ramdisks of this Debian release."""
    return LISTED + (LISTED_OF_BOOKWORM if suite == 'bookworm' else ())


def compare(farrier, reference, *, volatile=VOLATILE, listed=LISTED):
    """Both values field by field."""
    ours, theirs = fields(farrier), fields(reference)
    verdict = Verdict(fields=len(ours.keys() | theirs.keys()))
    for path in sorted(ours.keys() | theirs.keys()):
        finding = Finding(path, ours.get(path, ABSENT), theirs.get(path, ABSENT))
        if _equal(finding.farrier, finding.reference):
            continue
        rule = _first(volatile, path)
        entry = _first(listed, path)
        if rule and rule.holds(finding.farrier, finding.reference):
            verdict.volatile.append(finding)
        elif entry and entry.holds(finding.farrier, finding.reference):
            verdict.listed.append(finding)
            verdict.used.add(entry.pattern)
        else:
            verdict.unlisted.append(finding)
    return verdict


def stale(verdict, listed=LISTED):
    """Entries of the list that no comparison has met."""
    return [entry for entry in listed if entry.pattern not in verdict.used]


def _equal(ours, theirs):
    # In Python 1 == True and 1 == 1.0, in JSON they differ.
    return type(ours) is type(theirs) and ours == theirs


def _first(table, path):
    return next((entry for entry in table if _matches(entry.pattern, path)), None)


def _matches(pattern, path):
    names, wanted = path.split('/'), pattern.split('/')
    if wanted[-1] == '**':
        names, wanted = names[:len(wanted) - 1], wanted[:-1]
    return len(names) == len(wanted) and all(
        want in ('*', name) for want, name in zip(wanted, names, strict=True))
