"""A management controller that knows its own addresses: QEMU's simulated one refuses to tell any.

Speaks QEMU's protocol for an external controller (OpenIPMI's "VM protocol"): a message is its
number, network function, command, data and checksum, ended by 0xA0; bytes that mean something else
are escaped.
"""

import contextlib
import ipaddress
import socket
import threading

_END_OF_MESSAGE, _END_OF_COMMAND, _ESCAPE = 0xA0, 0xA1, 0xAA
_SPECIAL = (_END_OF_MESSAGE, _END_OF_COMMAND, _ESCAPE)

# Network functions (IPMI 2.0 table 5-1) and completion codes (table 5-2).
_APP, _TRANSPORT = 0x06, 0x0C
_INVALID_COMMAND, _INVALID_FIELD, _OUT_OF_RANGE = b'\xc1', b'\xcc', b'\xc9'
_NO_SUCH_PARAMETER = b'\x80'

LAN_CHANNEL = 1


class Bmc:
    """One controller, used with `with`; `arguments` connect a QEMU to it."""

    def __init__(self, path, *, address, mac, address6):
        self.arguments = ['-chardev', f'socket,id=bmc,path={path},reconnect=1',
                          '-device', 'ipmi-bmc-extern,id=bmc,chardev=bmc',
                          '-device', 'isa-ipmi-kcs,bmc=bmc']
        six = ipaddress.IPv6Address(address6).packed
        # LAN configuration parameters (IPMI 2.0 table 23-4).
        self._parameters = {
            0: b'\x00',                                        # no set in progress
            3: ipaddress.IPv4Address(address).packed,
            4: b'\x01',                                        # a static address
            5: bytes.fromhex(mac.replace(':', '')),
            6: b'\xff\xff\xff\x00',
            50: b'\x06',                                       # both families at once
            51: b'\x02',
            55: b'\x01\x01\x03',                               # one address of either kind
            56: b'\x00\x00' + bytes(16) + b'\x00\x01',         # static: disabled
            59: b'\x00\x02' + six + b'\x40\x00',               # dynamic: by DHCPv6, /64, active
        }
        self._path = path
        self._server = None
        self._thread = None

    def __enter__(self):
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(self._path))
        self._server.listen()
        self._thread = threading.Thread(target=self._serve, name='bmc', daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        # Closing alone would not wake the thread.
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)
        self._path.unlink(missing_ok=True)

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                with connection, contextlib.suppress(ConnectionError):
                    self._talk(connection)

    def _talk(self, connection):
        message, escaped = bytearray(), False
        while received := connection.recv(4096):
            for byte in received:
                if byte == _END_OF_MESSAGE:
                    connection.sendall(self._reply(bytes(message)))
                if byte in (_END_OF_MESSAGE, _END_OF_COMMAND):
                    message.clear()
                elif byte == _ESCAPE:
                    escaped = True
                    continue
                else:
                    message.append(byte & ~0x10 if escaped else byte)
                escaped = False

    def _reply(self, message):
        number, function, command = message[0], message[1] >> 2, message[2]
        answer = self._answer(function, command, message[3:-1])
        # The answer's network function is the next one.
        plain = bytes([number, message[1] + 4, command]) + answer
        plain += bytes([-sum(plain) & 0xFF])
        framed = bytearray()
        for byte in plain:
            framed += bytes([_ESCAPE, byte | 0x10]) if byte in _SPECIAL else bytes([byte])
        return bytes(framed) + bytes([_END_OF_MESSAGE])

    def _answer(self, function, command, data):
        """Completion code and what follows it."""
        if (function, command) == (_TRANSPORT, 0x02) and len(data) >= 4:
            return self._lan_parameter(data[0] & 0x0F, data[1], data[2])
        if (function, command) == (_APP, 0x42):
            # An 802.3 LAN with sessions.
            known = b'\x00\x01\x04\x01\x80\xf2\x1b\x00\x00\x00'
            return known if data[:1] and data[0] & 0x0F == LAN_CHANNEL else _INVALID_FIELD
        answers = {
            0x01: b'\x00\x20\x01\x01\x23\x02\x8f\x00\x00\x00\x00\x00\x00\x00\x00\x00',  # device
            0x2E: b'\x00', 0x2F: b'\x00\x00',                  # global enables: set, get
            0x30: b'\x00', 0x31: b'\x00\x00',                  # message flags: clear, get
        }
        return answers.get(command, _INVALID_COMMAND) if function == _APP else _INVALID_COMMAND

    def _lan_parameter(self, channel, parameter, selector):
        if channel != LAN_CHANNEL:
            return _INVALID_FIELD
        if selector:
            # One address of either kind. ipmitool asks for the next one until there is none.
            return _OUT_OF_RANGE
        if parameter not in self._parameters:
            return _NO_SUCH_PARAMETER
        return b'\x00\x11' + self._parameters[parameter]
