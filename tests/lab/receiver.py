"""An HTTP server that keeps what it is sent: where a site collects the records of its agents."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lab import network


class Receiver:
    """Takes JSON by POST and PUT; `received` is what came, each a path and its JSON. While it
    `points_to` a path it takes nothing and answers 302 to there, as a portal does that wants a login,
    and its page, which anybody can `read`, is there."""

    def __init__(self, network_, port):
        self.url = f'http://{network.ADDRESS}:{port}/records'
        self.received = []
        self.points_to = None
        self.read = []
        self._network = network_
        self._port = port
        self._server = None
        self._thread = None

    def __enter__(self):
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers['Content-Length']))
                if receiver.points_to:
                    self.answer(302, Location=receiver.points_to)
                    return
                receiver.received.append((self.path, json.loads(body)))
                self.answer(201)

            def do_GET(self):
                receiver.read.append(self.path)
                self.answer(200)

            def answer(self, status, **headers):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header('Content-Length', '0')
                self.end_headers()

            do_PUT = do_POST

            def log_message(self, *_):
                pass

        with self._network.inside():
            self._server = ThreadingHTTPServer((network.ADDRESS, self._port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
