"""The comparison with the reference agent: what it takes for equal, and what its page says."""

from compare import document
from compare.differences import (LISTED, LISTED_OF_BOOKWORM, VOLATILE, Listed, Volatile, compare, listed_of, stale,
                                 within)
from compare.fields import fields

DISK = {'name': '/dev/sda', 'serial': 'SN1', 'size': 1024, 'rotational': False}


def paths(findings):
    return [finding.path for finding in findings]


def test_inventory_becomes_fields():
    assert fields({'disks': [DISK], 'cpu': {'flags': ['fpu', 'vme']}, 'x': [{'a': None}],
                   'empty': {}, 'none': []}) == {
        'disks/SN1/name': '/dev/sda', 'disks/SN1/serial': 'SN1', 'disks/SN1/size': 1024,
        'disks/SN1/rotational': False, 'cpu/flags': ['fpu', 'vme'], 'x/0/a': None, 'empty': {},
        'none': []}


def test_disks_are_told_apart_by_their_serial_numbers():
    nameless = {**DISK, 'serial': None, 'name': '/dev/vda'}
    assert compare([DISK, nameless], [DISK, nameless]).fields == 8
    verdict = compare({'disks': [DISK, nameless]}, {'disks': [nameless, DISK]})
    assert verdict.fields == 8 and not verdict.unlisted
    # Two of one serial number do not hide each other.
    assert compare({'disks': [DISK, DISK]}, {'disks': [DISK]}).unlisted


def test_a_difference_is_found_in_value_type_and_presence():
    for other in ({**DISK, 'size': 1025}, {**DISK, 'size': '1024'}, {**DISK, 'size': 1024.0},
                  {**DISK, 'size': None}):
        assert paths(compare({'disks': [DISK]}, {'disks': [other]}).unlisted) == ['disks/SN1/size']
    assert paths(compare({'a': None}, {}).unlisted) == ['a']
    assert paths(compare({}, {'a': None}).unlisted) == ['a']
    assert paths(compare({'a': True}, {'a': 1}).unlisted) == ['a']


def test_a_volatile_field_must_keep_its_rule():
    table = [Volatile('memory/total', 'why', 'within 1 %', within(0.01))]
    for value, is_allowed in ((1009, True), (1011, False), (None, False)):
        verdict = compare({'memory': {'total': 1000}}, {'memory': {'total': value}},
                          volatile=table, listed=[])
        assert paths(verdict.volatile) == ['memory/total'] * is_allowed
        assert paths(verdict.unlisted) == ['memory/total'] * (not is_allowed)


def test_the_rules_of_the_tables_allow_what_was_seen_and_no_more():
    rules = {entry.pattern: entry.holds for entry in VOLATILE}
    assert rules['disks/*/name']('/dev/sda', '/dev/sdc')
    assert not rules['disks/*/name']('/dev/sda', '/dev/vda')
    assert rules['disks/*/hctl']('0:0:1:0', '7:0:1:0')
    assert not rules['disks/*/hctl']('0:0:1:0', '0:0:2:0')
    assert not rules['disks/*/hctl']('0:0:1:0', None)
    by_path = rules['disks/*/by_path']
    start = '/dev/disk/by-path/'
    assert by_path(f'{start}pci-0000:00:04.0', f'{start}virtio-pci-0000:00:04.0')
    assert by_path(f'{start}pci-0000:00:1f.2-ata-2', f'{start}pci-0000:00:1f.2-ata-2.0')
    assert not by_path(f'{start}pci-0000:00:04.0', f'{start}pci-0000:00:04.1')
    assert not by_path(f'{start}pci-0000:00:1f.2-ata-2', f'{start}pci-0000:00:1f.2-ata-3')
    assert not rules['interfaces/*/ipv4_address']('192.0.2.100', None)


def test_a_listed_difference_is_allowed_and_missed_when_it_is_gone():
    table = [Listed('a/*/b', 'why'), Listed('gone/**', 'why')]
    verdict = compare({'a': {'x': {'b': 1, 'c': 1}}}, {'a': {'x': {'b': 2, 'c': 2}}},
                      volatile=[], listed=table)
    assert paths(verdict.listed) == ['a/x/b'] and paths(verdict.unlisted) == ['a/x/c']
    assert stale(verdict, table) == [table[1]]
    verdict.add(compare({'gone': {'y': {'z': 1}}}, {}, volatile=[], listed=table))
    assert not stale(verdict, table)


def test_lsblk_of_debian_12_may_not_know_virtio_disks():
    ours, theirs = ({'root_disk': {'tran': transport}} for transport in ('virtio', None))
    for suite, is_listed in (('bookworm', True), ('trixie', False)):
        verdict = compare(ours, theirs, listed=listed_of(suite))
        assert paths(verdict.listed) == ['root_disk/tran'] * is_listed
        assert paths(verdict.unlisted) == ['root_disk/tran'] * (not is_listed)


def test_the_page_in_docs_is_made_from_the_tables():
    assert document.PATH.read_text() == document.text()
    patterns = [entry.pattern for entry in (*VOLATILE, *LISTED, *LISTED_OF_BOOKWORM)]
    assert len(patterns) == len(set(patterns))
