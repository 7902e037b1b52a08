"""Tables of firmware, and where farrier reads one otherwise than libnvme.

A case without a reason wants what `nvme show-nbft` shows: each way to each subsystem.
"""

import struct

from nbft import CONTROL, HEADER, HOST, INTERFACE, Nbft, with_checksum

# The first namespace of a table with one card.
NAMESPACE_AT = HEADER + CONTROL + HOST + INTERFACE

REASONS = {
    'unusable name': 'What a table calls a host, a subsystem or a port becomes a part of the options of a connection, '
                     'which are separated by commas.',
    'one card': 'A namespace without a list of further cards is reached over one. libnvme leaves it out.',
    'port': 'Where no port stands, or none that is a number, the one that the specification has for it is tried.',
    'heap': 'A heap that begins in the header, which libnvme takes: its texts could be any part of the table.',
    'cards': 'A namespace that names more cards than the table has is left out and told, so that no table takes long.',
    'discovery': 'A discovery controller whose address is no address, or whose card is not in the table, cannot be '
                 'asked; one without a name has the one that all have, and libnvme leaves it out.',
    'later': 'By the specification a larger minor revision is compatible; libnvme refuses it.',
}

MAC = '52:54:00:12:34:56'
ARRAY = 'nqn.2024-01.test.farrier:array'


def table(**host):
    made = Nbft(**host)
    made.interface(MAC, '192.0.2.10', 24, gateway='192.0.2.254')
    return made


def one(**namespace):
    made = table()
    made.namespace(**{'name': ARRAY, 'address': '192.0.2.1', 'interface': 1, **namespace})
    return made.bytes


def changed(data, at, value, *, checksum=True):
    made = data[:at] + value + data[at + len(value):]
    return with_checksum(made) if checksum else made


def two_cards(**namespace):
    made = table()
    made.interface('52:54:00:12:34:57', '2001:db8::10', 64, vlan=100, dhcp=True)
    made.namespace(**{'name': ARRAY, 'address': '2001:db8::1', 'interface': 2, 'others': [1], **namespace})
    made.namespace('nqn.2024-01.test.farrier:other', '192.0.2.2', 1, port='4421', number=7)
    return made.bytes


def discovery(**values):
    made = table()
    made.namespace(ARRAY, '192.0.2.1', 1)
    made.discovery(**{'uri': 'nvme+tcp://192.0.2.3:8009/', 'interface': 1, 'name': 'nqn.2014-08.org.nvmexpress.discovery', **values})
    return made.bytes


def longer():
    """Structures of a later minor revision: four bytes more behind each card."""
    data = one()
    host_end = HEADER + CONTROL + HOST
    made = bytearray(data[:host_end + 32] + bytes(4) + data[host_end + 32:])
    moved = [4, 36, HEADER + 24, host_end + 16, HEADER + CONTROL + 18]
    moved += [host_end + 36 + at for at in (10, 16, 54)]
    for at in moved:
        made[at:at + 4] = struct.pack('<I', struct.unpack('<I', made[at:at + 4])[0] + 4)
    made[HEADER + 20:HEADER + 22] = struct.pack('<H', 36)
    return with_checksum(bytes(made))


def all_cases():
    plain = one()
    host_name = HEADER + CONTROL + 18
    yield 'one namespace', plain, None
    yield 'two cards, IPv6, a VLAN, a second way', two_cards(), None
    yield 'no list of further cards', one(others=()), 'one card'
    yield 'digests', one(transport_flags=7), None
    yield 'a secret is needed', one(flags=5), None
    yield 'two namespaces of one subsystem', (lambda made: (
        made.namespace(ARRAY, '192.0.2.1', 1), made.namespace(ARRAY, '192.0.2.1', 1, number=2))
        and made.bytes)(table()), None
    yield 'a namespace that is not valid', one(flags=0), None
    yield 'another transport', one(transport=2), None
    yield 'a card that is not valid', (lambda made: made.interface(MAC, '192.0.2.10', 24, flags=0) and (
        made.namespace(ARRAY, '192.0.2.1', 1)) or made.bytes)(Nbft()), None
    yield 'a card of another kind', (lambda made: made.interface(MAC, '192.0.2.10', 24, kind=4) and (
        made.namespace(ARRAY, '192.0.2.1', 1)) or made.bytes)(Nbft()), None
    yield 'no card at all', one(interface=9), None
    yield 'a second way over no card', one(others=[9]), None
    yield 'no namespace', table().bytes, None
    yield 'a discovery controller', discovery(), None
    yield 'a discovery controller without a name', discovery(name=''), 'discovery'
    yield 'a discovery controller by IPv6', discovery(uri='nvme+tcp://[2001:db8::3]:8009/'), None
    yield 'a discovery controller without a port', discovery(uri='nvme+tcp://192.0.2.3'), None
    yield 'a discovery controller by name', discovery(uri='nvme+tcp://storage.example/'), 'discovery'
    yield 'a discovery controller over no card', discovery(interface=9), 'discovery'
    yield 'a comma in a name', one(name=ARRAY + ',keep_alive_tmo=0'), 'unusable name'
    yield 'a comma in the host', (lambda made: made.namespace(ARRAY, '192.0.2.1', 1) or made.bytes)(
        table(host_name='nqn.a,b')), 'unusable name'
    yield 'a word for a port', one(port='https'), 'port'
    yield 'no port', one(port=''), 'port'
    yield 'no name', one(name=''), None
    yield 'longer structures', longer(), None
    yield 'too short', plain[:100], None
    yield 'shorter than it says', changed(plain[:-4], 8, plain[8:9]), None
    yield 'no signature', changed(plain, 0, b'XBFT'), None
    yield 'wrong checksum', changed(plain, 100, b'\x77', checksum=False), None
    yield 'later major revision', changed(plain, 8, b'\x02'), None
    yield 'later minor revision', changed(plain, 50, b'\x01'), 'later'
    yield 'control not valid', changed(plain, HEADER + 6, b'\x00'), None
    yield 'control of another kind', changed(plain, HEADER, b'\x07'), None
    yield 'host elsewhere', changed(plain, HEADER + 8, struct.pack('<I', 1 << 30)), None
    yield 'host not valid', changed(plain, HEADER + CONTROL + 1, b'\x00'), None
    yield 'host name outside the heap', changed(plain, host_name, struct.pack('<I', 64)), None
    yield 'host name beyond the table', changed(plain, host_name, struct.pack('<I', len(plain))), None
    yield 'cards beyond the table', changed(plain, HEADER + 16, struct.pack('<I', len(plain) - 8)), None
    yield 'namespaces beyond the table', changed(plain, HEADER + 24, struct.pack('<I', len(plain) - 8)), None
    yield 'more namespaces than fit', changed(plain, HEADER + 31, b'\xff'), None
    yield 'discovery controllers beyond the table', changed(discovery(), HEADER + 40, struct.pack('<I', 1 << 30)), None
    yield 'heap beyond the table', changed(plain, 40, struct.pack('<I', 1 << 20)), None
    yield 'a heap of all memory', changed(plain, 36, struct.pack('<II', 0, (1 << 32) - 1)), None
    yield 'a heap from the header on', changed(plain, 36, struct.pack('<II', 0, len(plain))), 'heap'
    yield 'a name of the namespace beyond the heap', changed(
        plain, NAMESPACE_AT + 54, struct.pack('<I', len(plain))), None
    yield 'an address of the namespace in the header', changed(plain, NAMESPACE_AT + 10, struct.pack('<I', 20)), None
    yield 'a list of further cards beyond the heap', changed(
        plain, NAMESPACE_AT + 48, struct.pack('<I', len(plain))), None
    yield 'more further cards than cards', one(others=[1, 1]), 'cards'
    yield 'what firmware did not reach', one(flags=0x101), None
    yield 'what firmware reached', one(flags=0x81), None
    yield 'digests that are not valid', one(transport_flags=6), None
