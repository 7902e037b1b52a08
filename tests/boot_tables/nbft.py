"""An NVMe Boot Firmware Table, byte by byte (NVM Express Boot Specification 1.0, section 3)."""

import ipaddress
import struct
import uuid

HEADER = CONTROL = 64
HOST = INTERFACE = DISCOVERY = 32
TRANSPORT_INFO = NAMESPACE = 128
TCP = 3


class Nbft:
    """A table under construction; `bytes` is what firmware would leave in memory."""

    def __init__(self, host_name='nqn.2014-08.org.nvmexpress:uuid:8c7e2a5e-0000-4000-8000-000000000001',
                 host_id='8c7e2a5e-0000-4000-8000-000000000001'):
        self.host_name = host_name
        self.host_id = uuid.UUID(host_id)
        self.interfaces = []
        self.namespaces = []
        self.discoveries = []

    def interface(self, mac, address, prefix, *, gateway='::', vlan=0, dhcp=False, flags=1, kind=3):
        """Adds a card; returns its index."""
        index = len(self.interfaces) + 1
        self.interfaces.append(dict(index=index, mac=bytes.fromhex(mac.replace(':', '')), address=address,
                                    prefix=prefix, gateway=gateway, vlan=vlan, dhcp=dhcp, flags=flags, kind=kind))
        return index

    def namespace(self, name, address, interface, *, port='4420', others=None, flags=1, transport_flags=0, number=1,
                  transport=TCP):
        """Adds a namespace of a subsystem. `others` are all cards that lead there."""
        self.namespaces.append(dict(name=name, address=address, interface=interface, port=port, others=bytes([interface] if others is None else others),
                                    flags=flags, transport_flags=transport_flags, number=number,
                                    transport=transport))

    def discovery(self, uri, interface, name='', security=0):
        """Adds a discovery controller."""
        self.discoveries.append(dict(uri=uri, interface=interface, name=name, security=security))

    @property
    def bytes(self):
        counts = [(INTERFACE, len(self.interfaces)), (NAMESPACE, len(self.namespaces)), (0, 0),
                  (DISCOVERY, len(self.discoveries))]
        host = HEADER + CONTROL
        places = [host + HOST]
        for length, count in counts:
            places.append(places[-1] + length * count)
        heap = Heap(places[-1])
        structures = self._host(heap)
        structures += b''.join(self._interface(heap, **entry) for entry in self.interfaces)
        structures += b''.join(self._namespace(heap, index + 1, **entry)
                               for index, entry in enumerate(self.namespaces))
        structures += b''.join(self._discovery(heap, index + 1, **entry)
                               for index, entry in enumerate(self.discoveries))
        control = struct.pack('<BBBxHBxIHBx', 1, 1, 0, CONTROL, 1, host, HOST, 1)
        for place, (length, count) in zip(places, counts):
            control += struct.pack('<IHBB', place if count else 0, length, 1, count)
        control += bytes(16)
        length = heap.start + len(heap.content)
        header = struct.pack('<4sIBB6s8sIIIIIIHB13x', b'NBFT', length, 1, 0, b'FARLAB', b'FARRIER', 1, 1, 1,
                             heap.start, len(heap.content), 0, 0, 0)
        return with_checksum(header + control + structures + heap.content)

    def _host(self, heap):
        return struct.pack('<BB16s6s8x', 2, 1, self.host_id.bytes, heap.put(self.host_name))

    def _interface(self, heap, index, mac, address, prefix, gateway, vlan, dhcp, flags, kind):
        info = struct.pack('<BBBBHBI6sHB16sB16sxH16s16s16s6x18x', 7, 1, TCP, 1, index, 1 | (4 if dhcp else 0), 0x18,
                           mac, vlan, 3 if dhcp else 1, packed(address), prefix, packed(gateway), 500,
                           packed('::'), packed('::'), packed('::'))
        return struct.pack('<BBBB12x6s10x', kind, index, flags, TCP, heap.put(info))

    def _namespace(self, heap, index, name, address, interface, port, others, flags, transport_flags, number,
                   transport):
        return struct.pack('<BHHBHBx6s6sHIB16sBBx6s6s6x62x', 4, index, flags, transport, transport_flags, 0,
                           heap.put(packed(address)), heap.put(port), 1, number, 0, bytes(16), 0, interface,
                           heap.put(others), heap.put(name))

    def _discovery(self, heap, index, uri, interface, name, security):
        return struct.pack('<BBBBBx6s6s14x', 6, 1, index, interface, security, heap.put(uri), heap.put(name))


class Heap:
    """The end of the table, which its structures refer to."""

    def __init__(self, start):
        self.start = start
        self.content = b''

    def put(self, what):
        """Keeps bytes, or a text with a zero behind it; returns the reference."""
        if not what:
            return bytes(6)
        data = what if isinstance(what, bytes) else what.encode() + b'\0'
        # The length of a text is without its zero.
        reference = struct.pack('<IH', self.start + len(self.content),
                                len(what) if isinstance(what, bytes) else len(data) - 1)
        self.content += data
        return reference


def packed(address):
    """Sixteen bytes; IPv4 mapped into IPv6."""
    parsed = ipaddress.ip_address(address)
    return parsed.packed if parsed.version == 6 else bytes(10) + b'\xff\xff' + parsed.packed


def with_checksum(table):
    """All bytes add up to 0."""
    table = bytearray(table)
    table[9] = 0
    table[9] = -sum(table) & 0xff
    return bytes(table)
