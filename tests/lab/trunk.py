"""A switch that tags: a server's ports carry one VLAN, which is untagged on a bridge of the lab.

A program of the lab's own, since kernels of small machines have neither VLANs nor bridges that filter them. The
server's cards have no tap devices: QEMU sends each frame as a datagram, so that no frame can reach the lab but
through here, and none is left to be cut or summed up by a card that is none.
"""

import contextlib
import fcntl
import os
import select
import socket
import struct
import threading

from lab.lacp import LacpPartner, is_lacp

TAG = 0x8100
# What the kernel calls a device whose frames a program reads and writes (linux/if_tun.h).
TUNSETIFF = 0x400454ca
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
# With room for a tag and for what no card would send.
LARGEST_FRAME = 65536
# A server that stands still takes nothing in; it has not to stop its neighbours.
PATIENCE = 1


class Trunk:
    """Switches between the ports of a server and a bridge, as long as the `with` lasts.

    The server is one with `trunk=True`. It learns at which port each address is, and sends what is for all to all. What
    comes untagged from the server, or with another tag, is counted in `refused` and goes nowhere. `carried` counts the
    frames that came in at each port; `uplink` is its device on the bridge. Without a `partner` it knows nothing of LACP.
    `suspends` says that a port passes nothing while it has not agreed on LACP with the server, as ports of many switches do
    that are meant to be one: what came in is `lost`.
    """

    def __init__(self, network, server, vlan, bridge):
        self.vlan = vlan
        self.uplink = f'vlan{vlan}'
        self.carried = [0 for _ in server.cards]
        self.refused = 0
        self.partner: LacpPartner | None = None
        self.suspends = False
        self.lost = []
        self._network = network
        self._bridge = bridge
        self._cards = [card['wire'] for card in server.cards]
        self._ports = []
        self._uplink = None
        self._where = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._switch, daemon=True)

    def __enter__(self):
        self._ports = [_port(wire['switch']) for wire in self._cards]
        with self._network.inside():
            self._uplink = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(self._uplink, TUNSETIFF, struct.pack('16sH22x', self.uplink.encode(), IFF_TAP | IFF_NO_PI))
        self._network.ip('link', 'set', self.uplink, 'master', self._bridge, 'up')
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join(10)
        for port in self._ports:
            port.close()
        # The device is gone with it.
        os.close(self._uplink)

    def port_of(self, mac):
        """The number of the port at which this address was seen last, or None."""
        return self._where.get(bytes.fromhex(mac.replace(':', '')))

    def _switch(self):
        poll = select.poll()
        poll.register(self._uplink, select.POLLIN)
        numbers = {port.fileno(): number for number, port in enumerate(self._ports)}
        for port in self._ports:
            poll.register(port, select.POLLIN)
        while not self._ended.is_set():
            if self.partner and self.partner.is_due():
                for number in range(len(self._ports)):
                    self._speak(number)
            for descriptor, _ in poll.poll(200):
                if descriptor == self._uplink:
                    self._pass_down(os.read(self._uplink, LARGEST_FRAME))
                else:
                    number = numbers[descriptor]
                    self._pass_up(number, self._ports[number].recv(LARGEST_FRAME))

    def _pass_up(self, number, frame):
        """What the server sends at a port."""
        if is_lacp(frame):
            if self.partner:
                self.partner.hear(number, frame)
                self._speak(number)
            return
        if self.suspends and number not in self._as_one():
            self.lost.append(frame)
            return
        kind, tag = struct.unpack_from('!HH', frame, 12)
        if kind != TAG or tag & 0xfff != self.vlan:
            self.refused += 1
            return
        self.carried[number] += 1
        self._where[frame[6:12]] = number
        if is_for_many(frame) and number not in self._as_one():
            for other in range(len(self._ports)):
                if other != number:
                    self._send(other, frame)
        with contextlib.suppress(OSError):  # The bridge is down.
            os.write(self._uplink, frame[:12] + frame[16:])

    def _pass_down(self, frame):
        """What comes from the bridge."""
        tagged = frame[:12] + struct.pack('!HH', TAG, self.vlan) + frame[12:]
        as_one = self._as_one()
        port = None if is_for_many(frame) else self._where.get(frame[:6])
        if as_one and (port is None or port in as_one or self.suspends):
            # One of them, and of the same two ends always the same.
            port = as_one[sum(frame[:12]) % len(as_one)]
        elif self.suspends:
            return
        for number in range(len(self._ports)) if port is None else [port]:
            self._send(number, tagged)

    def _speak(self, number):
        if number not in self.partner.silent:
            self._send(number, self.partner.says(number))

    def _as_one(self):
        return self.partner.ports() if self.partner else []

    def _send(self, number, frame):
        # The server is off, or stands still: the frame is lost, as on a wire.
        with contextlib.suppress(OSError):
            self._ports[number].sendto(frame, self._cards[number]['card'])


def is_for_many(frame):
    return bool(frame[0] & 1)


def _port(path):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    port = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    port.settimeout(PATIENCE)
    port.bind(path)
    return port
