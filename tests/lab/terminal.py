"""A second serial line of a server, with a person at it."""

import re
import socket
import time
from pathlib import Path

from lab.patience import patience


class Terminal:
    """A serial port whose other end is a socket: `arguments` make it, `attach` sits down at it."""

    def __init__(self, path: Path):
        self._path = path
        self._socket = None
        self._seen = b''

    @property
    def arguments(self):
        """For the server's QEMU: its second serial port, ttyS1."""
        return ['-chardev', f'socket,id=terminal,path={self._path},server=on,wait=off',
                '-device', 'isa-serial,chardev=terminal']

    def attach(self):
        """To the running server."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(0.2)
        self._socket.connect(str(self._path))

    def close(self):
        if self._socket:
            self._socket.close()

    def type(self, line):
        self._socket.sendall(line.encode() + b'\r')

    def text(self):
        """Everything that came so far."""
        try:
            while chunk := self._socket.recv(4096):
                self._seen += chunk
        except TimeoutError:
            pass
        return self._seen.decode(errors='replace')

    def wait_for(self, pattern, timeout):
        """Waits until the regular expression appears; returns its match."""
        timeout = patience(timeout)
        deadline = time.monotonic() + timeout
        while not (match := re.search(pattern, self.text())):
            if time.monotonic() > deadline:
                raise TimeoutError(f'{pattern!r} did not appear on the terminal within {timeout} s;'
                                   f' it shows: {self.text()[-500:]!r}')
        return match
