"""Somebody on the network who calls himself the conductor: announced by multicast DNS, with answers in his own words."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import zeroconf

from lab import network

SERVICE = '_openstack._tcp.local.'
NAME = f'baremetal.{SERVICE}'


class FalseConductor:
    """Announces itself with this path, as long as the `with` lasts, and knows nobody: each answer is 404 with these words.

    The lab's own conductor must not announce itself meanwhile.
    """

    def __init__(self, network_, port, words, path):
        self._network = network_
        self._port = port
        self._body = json.dumps({'error_message': json.dumps(
            {'faultcode': 'Client', 'faultstring': words, 'debuginfo': None})}).encode()
        self._service = zeroconf.ServiceInfo(
            SERVICE, NAME, port, parsed_addresses=[network.ADDRESS], server=NAME,
            properties={'protocol': 'http', 'path': path})
        self._server = None
        self._thread = None
        self._announcer = None

    def __enter__(self):
        body = self._body

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(404)
                self.send_header('Content-Type', 'application/json')
                self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        with self._network.inside():
            self._server = ThreadingHTTPServer((network.ADDRESS, self._port), Handler)
            self._announcer = zeroconf.Zeroconf(interfaces=[network.ADDRESS], ip_version=zeroconf.IPVersion.V4Only)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self._announcer.register_service(self._service)
        return self

    def __exit__(self, *_):
        self._announcer.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
