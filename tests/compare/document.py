"""docs/differences.md, made from the tables that the comparison itself uses."""

import collections
import json

from compare.differences import LISTED, LISTED_OF_BOOKWORM, VOLATILE
from lab import paths

PATH = paths.ROOT / 'docs' / 'differences.md'

# Both answers to each odd request, and why they differ where they do; tests/odd_requests/reference.py writes it.
_REQUESTS = paths.ROOT / 'tests' / 'fixtures' / 'odd_requests' / 'cases.json'

_HEAD = '''\
# What farrier reports and answers otherwise than ironic-python-agent

`make compare` starts both agents in the same virtual servers, lets the same conductor inspect them,
and compares field by field what it has stored: the inventory and the data of the collectors. Every
field that ironic-python-agent 13.0.0 reports must be equal in value and type, and farrier reports
none beside them, but for what is listed here. The comparison fails on any other difference, and on
an entry that is no longer true. This page is made from its tables
(`tests/compare/differences.py`; `python -m compare document` in `tests` writes it).

In a path `*` stands for any one name and `**` for all that follow. Disks are told apart by serial
number, interfaces by name, PCI devices by address; neither agent promises an order of its lists.

The servers are x86-64. What is reported otherwise of ARM servers is in [inspection.md](inspection.md#arm-servers).
'''


def text():
    """The whole page."""
    lines = [_HEAD, '## Volatile fields', '',
             'Two starts of one agent need not agree on them either; what must hold instead:', '',
             '| Field | Why | Rule |', '|---|---|---|']
    lines += [f'| `{entry.pattern}` | {entry.why} | {entry.rule} |' for entry in VOLATILE]
    lines += ['', '## Differences', '']
    lines += _table(LISTED) if LISTED else ['None.']
    lines += ['', 'With ramdisks of Debian 12 (`SUITE=bookworm`) also:', '', *_table(LISTED_OF_BOOKWORM)]
    lines += ['', *_requests()]
    return '\n'.join(lines) + '\n'


def _requests():
    recorded = json.loads(_REQUESTS.read_text())
    counts = collections.Counter(case['why'] for case in recorded['cases'] if 'why' in case)
    yield '## Odd requests to the command API'
    yield ''
    yield f'{len(recorded["cases"])} requests as no conductor should send them (values of other types, missing and more'
    yield 'parameters, odd JSON, queries and paths) have the answer of the Python agent, recorded, and that of farrier in'
    yield f'`tests/fixtures/odd_requests/cases.json`. {counts.total()} of the answers differ:'
    yield ''
    yield from ('| Requests | Why |', '|---|---|')
    for why, text in recorded['reasons'].items():
        yield f'| {counts[why]} | {text} |'
    yield ''
    yield 'The functional tests of the Python agent itself run against farrier (`tests/reference_tests`): all hold, and none is'
    yield 'left out.'


def _table(entries):
    return ['| Field | Why |', '|---|---|', *(f'| `{entry.pattern}` | {entry.why} |' for entry in entries)]
