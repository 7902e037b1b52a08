"""What a switch announces at its ports by LLDP (IEEE 802.1AB)."""

import contextlib
import socket
import struct
import threading
from dataclasses import dataclass, field

ETHERTYPE = 0x88cc
NEAREST_BRIDGE = bytes.fromhex('0180c200000e')


@dataclass
class Port:
    """One port; what it sends is taken in by the server behind the tap device."""

    tap: str
    name: str
    untagged: int = 1
    tagged: dict[int, str] = field(default_factory=dict)


class Switch:
    """Announces itself at these ports, every second, as long as the `with` lasts.

    A frame sent out of a tap device is what the guest's card receives. The bridge that the lab's
    network is could not pass it on: no bridge forwards what is for the nearest one.
    """

    INTERVAL = 1

    def __init__(self, network, name, mac, ports):
        self.name = name
        self.mac = mac
        self._announcements = [(port.tap, self._announcement(port)) for port in ports]
        self._network = network
        self._ended = threading.Event()
        self._sockets = []
        self._thread = threading.Thread(target=self._announce, daemon=True)

    def __enter__(self):
        with self._network.inside():
            for tap, frame in self._announcements:
                port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
                port.bind((tap, ETHERTYPE))
                self._sockets.append((port, frame))
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join(10)
        for port, _ in self._sockets:
            port.close()

    def _announce(self):
        while not self._ended.wait(self.INTERVAL):
            for port, frame in self._sockets:
                # The tap is down while nobody has plugged its server in.
                with contextlib.suppress(OSError):
                    port.send(frame)

    def _announcement(self, port):
        mac = bytes.fromhex(self.mac.replace(':', ''))
        tlvs = [(1, b'\4' + mac), (2, b'\5' + port.name.encode()), (3, struct.pack('!H', 120)),
                (5, self.name.encode()),
                (127, b'\0\x80\xc2\1' + struct.pack('!H', port.untagged))]
        for vlan, name in port.tagged.items():
            tlvs.append((127, b'\0\x80\xc2\3' + struct.pack('!HB', vlan, len(name))
                         + name.encode()))
        frame = NEAREST_BRIDGE + mac + struct.pack('!H', ETHERTYPE)
        for kind, value in [*tlvs, (0, b'')]:
            frame += struct.pack('!H', kind << 9 | len(value)) + value
        return frame.ljust(60, b'\0')
