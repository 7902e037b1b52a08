"""A switch's side of LACP (IEEE 802.1AX): what makes several ports of a server one."""

import struct
import time

ETHERTYPE = 0x8809
SLOW_PROTOCOLS = bytes.fromhex('0180c2000002')
LACP = 1
# States of an end: it speaks by itself, every second, may be one of several, belongs to those that agree, takes frames
# in, sends them out.
ACTIVE, SHORT, AGGREGATION, SYNCHRONISED, COLLECTING, DISTRIBUTING = (1 << bit for bit in range(6))
WORKS = SYNCHRONISED | COLLECTING | DISTRIBUTING
INTERVAL = 1
# Who was not heard for three of its seconds is gone.
TIMEOUT = 3
# Where a message has the information of its sender, and of whom that hears: priority and address of the system, key,
# priority and number of the port, state.
_ACTOR, _PARTNER = 14 + 4, 14 + 24
_END = struct.Struct('!H6sHHHB')


class LacpPartner:
    """Speaks at each port every second, and at once to who spoke: what that says of itself is so.

    `silent` are the numbers of the ports at which it does not.
    """

    def __init__(self, mac='00:1b:21:0a:0b:0c', silent=()):
        self.mac = mac
        self.silent = frozenset(silent)
        self._mac = bytes.fromhex(mac.replace(':', ''))
        self._heard = {}
        self._next = 0.0

    def hear(self, number, frame):
        """A message came in at port `number`."""
        state = _END.unpack_from(frame, _ACTOR)[-1]
        agrees = _END.unpack_from(frame, _PARTNER)[1] == self._mac and state & WORKS == WORKS
        self._heard[number] = time.monotonic(), frame[_ACTOR:_ACTOR + _END.size], agrees

    def says(self, number):
        """The message to send at port `number`."""
        _, theirs, _ = self._heard.get(number, (0, bytes(_END.size), False))
        own = _END.pack(0x8000, self._mac, 1, 0x8000, number + 1, ACTIVE | SHORT | AGGREGATION | WORKS)
        return (SLOW_PROTOCOLS + self._mac + struct.pack('!HBB', ETHERTYPE, LACP, 1)
                + b'\1\x14' + own + bytes(3) + b'\2\x14' + theirs + bytes(3)
                + b'\3\x10' + bytes(14) + bytes(2 + 50))

    def is_due(self):
        """Whether another second has gone by since it was."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + INTERVAL
        return True

    def ports(self):
        """The numbers of those that work as one now: heard a moment ago, and the server agrees."""
        now = time.monotonic()
        return sorted(number for number, (when, _, agrees) in dict(self._heard).items()
                      if agrees and number not in self.silent and now - when < TIMEOUT * INTERVAL)


def is_lacp(frame):
    return len(frame) > 14 + 60 and frame[12:15] == struct.pack('!HB', ETHERTYPE, LACP)
