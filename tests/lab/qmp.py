"""QEMU's machine protocol: one JSON object a line over a Unix socket."""

import json
import socket


class Qmp:
    """A connection to one running QEMU."""

    def __init__(self, path, timeout=60):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile('r')
        self._next()
        self.execute('qmp_capabilities')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._lines.close()
        self._socket.close()

    def execute(self, command, **arguments):
        """Runs one command; returns what it returned."""
        message = {'execute': command, 'arguments': arguments}
        self._socket.sendall(json.dumps(message).encode() + b'\n')
        while True:
            answer = self._next()
            if 'error' in answer:
                raise RuntimeError(f'{command}: {answer["error"]["desc"]}')
            if 'return' in answer:
                return answer['return']

    def events(self):
        """Events until QEMU ends."""
        self._socket.settimeout(None)
        while True:
            try:
                message = self._next()
            except (EOFError, OSError):
                return
            if 'event' in message:
                yield message

    def _next(self):
        line = self._lines.readline()
        if not line:
            raise EOFError('QEMU closed its QMP socket')
        return json.loads(line)
