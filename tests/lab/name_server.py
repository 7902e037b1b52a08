"""A name server that does as it is told: name_server.py ADDRESS PORT ZONE.

A zone is JSON: `names` has for each name its addresses in a list, the name that it is an alias of
in a list in a list, the response code that is answered, or `silent`; `else` is the code for other
names. `AAAA`, where it is there, is the code for all questions for IPv6. `delay` is in seconds;
`drop` questions go unanswered first; `truncated` answers come over TCP only; a `lame` server knows
nothing and asks no other.
"""

import contextlib
import ipaddress
import json
import socket
import struct
import sys
import threading
import time

CODES = {'NOERROR': 0, 'FORMERR': 1, 'SERVFAIL': 2, 'NXDOMAIN': 3, 'NOTIMP': 4, 'REFUSED': 5}
A, CNAME, AAAA = 1, 5, 28


def zone(names=None, other='NXDOMAIN', **more):
    return {'names': names or {}, 'else': other, **more}


class NameServer:
    """Answers in threads of its own until it is closed; `asked` has the names, in their order."""

    def __init__(self, address, port, content):
        self._zone = content
        self._drop = content.get('drop', 0)
        self.asked = []
        family = socket.AF_INET6 if ':' in address else socket.AF_INET
        self._udp = socket.socket(family, socket.SOCK_DGRAM)
        self._udp.bind((address, port))
        self._tcp = socket.create_server((address, port), family=family)
        self._threads = [threading.Thread(target=serve, daemon=True)
                         for serve in (self._serve_udp, self._serve_tcp)]
        for thread in self._threads:
            thread.start()

    def close(self):
        for listening in (self._udp, self._tcp):
            # It wakes who waits for a packet, although it fails: there is no connection.
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            listening.close()
        for thread in self._threads:
            thread.join()

    def _serve_udp(self):
        while True:
            try:
                packet, client = self._udp.recvfrom(4096)
            except OSError:
                return
            if not packet:
                return
            threading.Thread(target=self._answer_udp, args=(packet, client), daemon=True).start()

    def _answer_udp(self, packet, client):
        answer = self._answer(packet, self._zone.get('truncated', False))
        if answer:
            with contextlib.suppress(OSError):
                self._udp.sendto(answer, client)

    def _serve_tcp(self):
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._answer_tcp, args=(connection,), daemon=True).start()

    def _answer_tcp(self, connection):
        with connection:
            while len(head := connection.recv(2, socket.MSG_WAITALL)) == 2:
                packet = connection.recv(*struct.unpack('!H', head), socket.MSG_WAITALL)
                answer = self._answer(packet, False)
                if answer:
                    connection.sendall(struct.pack('!H', len(answer)) + answer)

    def _answer(self, packet, truncated):
        name, kind, end = _question(packet)
        self.asked.append(name)
        if self._drop:
            self._drop -= 1
            return None
        time.sleep(self._zone.get('delay', 0))
        code, records = self._look_up(name, kind)
        if code == 'silent':
            return None
        lame = self._zone.get('lame', False)
        flags = 0x8100 | (0 if lame else 0x0480) | (0x0200 if truncated else 0) | CODES[code]
        if truncated:
            records = []
        head = packet[:2] + struct.pack('!HHHHH', flags, 1, len(records), 0, 0)
        return head + packet[12:end] + b''.join(records)

    def _look_up(self, name, kind):
        if kind == AAAA and 'AAAA' in self._zone:
            return self._zone['AAAA'], []
        names = {known.lower(): what for known, what in self._zone['names'].items()}
        found = names.get(name.lower())
        if found is None:
            return self._zone['else'], []
        if isinstance(found, str):
            return found, []
        if found and isinstance(found[0], list):
            target = found[0][0]
            alias = _record(name, CNAME, _wire(target))
            code, records = self._look_up(target, kind)
            return ('NOERROR' if code == 'NXDOMAIN' else code), [alias, *records]
        addresses = [ipaddress.ip_address(each) for each in found]
        wanted = 4 if kind == A else 6
        return 'NOERROR', [_record(name, kind, address.packed) for address in addresses
                           if address.version == wanted and kind in (A, AAAA)]


def _question(packet):
    labels, place = [], 12
    while length := packet[place]:
        labels.append(packet[place + 1:place + 1 + length].decode('latin-1'))
        place += 1 + length
    kind, = struct.unpack('!H', packet[place + 1:place + 3])
    return '.'.join(labels), kind, place + 5


def _wire(name):
    return b''.join(bytes([len(label)]) + label.encode('latin-1')
                    for label in name.split('.')) + b'\0'


def _record(name, kind, data):
    return _wire(name) + struct.pack('!HHIH', kind, 1, 60, len(data)) + data


if __name__ == '__main__':
    NameServer(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]))
    threading.Event().wait()
