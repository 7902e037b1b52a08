"""An NTP server that knows this machine's time (RFC 4330)."""

import socket
import struct
import threading
import time

PORT = 123

# Seconds from 1900, where NTP counts from, to 1970.
TO_1970 = 2_208_988_800


class TimeServer:
    """Answers at this address of the lab; `asked` counts the questions."""

    def __init__(self, network_, address):
        self.asked = 0
        self._network = network_
        self._address = address
        self._socket = None
        self._thread = None

    def __enter__(self):
        family = socket.AF_INET6 if ':' in self._address else socket.AF_INET
        with self._network.inside():
            self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.settimeout(0.2)
        self._socket.bind((self._address, PORT))
        self._thread = threading.Thread(target=self._answer, args=[self._socket], daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        ended, self._socket = self._socket, None
        self._thread.join(5)
        ended.close()

    def _answer(self, door):
        while self._socket:
            try:
                question, peer = door.recvfrom(512)
            except TimeoutError:
                continue
            self.asked += 1
            now = _timestamp()
            # Version 4, mode server; stratum 1; the question's transmit time as the originate time.
            door.sendto(struct.pack('!BBbb8s4s8s', 0x24, 1, 6, -20, bytes(8), b'LOCL', now)
                        + question[40:48] + now + _timestamp(), peer)


def _timestamp():
    seconds = time.time() + TO_1970
    return struct.pack('!II', int(seconds) % 2**32, int(seconds % 1 * 2**32))
