"""A proxy that cuts connections: what a bad link does to a download."""

import contextlib
import re
import select
import socket
import struct
import threading

from lab import network

# With no time to linger the kernel sends a reset instead of an orderly end.
RESET = struct.pack('ii', 1, 0)


class Cutter:
    """Passes HTTP on to a server, and cuts the n-th reply to a GET after `cuts[n]` bytes.

    `on_cut(n)` is called before each cut. `ranges` is what the GETs asked for: the first byte of
    a `Range`, else None.
    """

    def __init__(self, network_, port, target, cuts, on_cut=None):
        self.port = port
        self.ranges = []
        self._network = network_
        self._target = target
        self._cuts = list(cuts)
        self._on_cut = on_cut
        self._listener = None
        self._threads = []

    def __enter__(self):
        with self._network.inside():
            self._listener = socket.create_server((network.ADDRESS, self.port))
        self._start(self._accept)
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _start(self, work, *arguments):
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._start(self._pass_on, client)

    def _pass_on(self, client):
        with client, contextlib.suppress(OSError):
            with self._network.inside():
                server = socket.create_connection((network.ADDRESS, self._target), timeout=30)
            with server:
                self._exchange(client, server)

    def _exchange(self, client, server):
        left = None
        while True:
            ready, _, _ = select.select([client, server], [], [], 60)
            if not ready:
                return
            if client in ready:
                data = client.recv(65536)
                if not data:
                    return
                if data.startswith(b'GET '):
                    left = self._take_cut(data)
                server.sendall(data)
            if server in ready:
                data = server.recv(65536)
                client.sendall(data if left is None else data[:left])
                if left is not None:
                    left -= len(data)
                    if left <= 0:
                        return self._cut(client)
                if not data:
                    return

    def _take_cut(self, request):
        found = re.search(rb'(?im)^range: bytes=(\d+)-', request)
        self.ranges.append(int(found[1]) if found else None)
        number = len(self.ranges) - 1
        return self._cuts[number] if number < len(self._cuts) else None

    def _cut(self, client):
        if self._on_cut:
            self._on_cut(len(self.ranges) - 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
