"""The image server: nginx in a process of its own, which sends files without copying them."""

import pathlib
import re
import signal
import socket
import subprocess
import time

CONFIGURATION = """\
daemon off;
master_process off;
user root;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 64; }}
http {{
    log_format ranges '$status $http_range';
    access_log {folder}/access.log ranges;
    sendfile on;
    sendfile_max_chunk 2m;
    tcp_nopush on;
    keepalive_requests 100000;
    client_body_temp_path {folder}/nginx;
    proxy_temp_path {folder}/nginx;
    fastcgi_temp_path {folder}/nginx;
    uwsgi_temp_path {folder}/nginx;
    scgi_temp_path {folder}/nginx;
    server {{
        listen 127.0.0.1:{port};
        root {root};
    }}
}}
"""


class Server:
    """Serves a folder's files on a free port of the loopback interface."""

    def __init__(self, folder, root):
        self.folder, self.root = pathlib.Path(folder), root

    def __enter__(self):
        with socket.create_server(('127.0.0.1', 0)) as probe:
            self.port = probe.getsockname()[1]
        configuration = self.folder / 'nginx.conf'
        configuration.write_text(CONFIGURATION.format(
            folder=self.folder, root=self.root, port=self.port))
        self.process = subprocess.Popen(['/usr/sbin/nginx', '-c', configuration])
        for _ in range(100):
            try:
                socket.create_connection(('127.0.0.1', self.port)).close()
                return self
            except ConnectionRefusedError:
                time.sleep(0.05)
        raise SystemExit('nginx does not listen')

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def url(self, name):
        return f'http://127.0.0.1:{self.port}/{name}'

    def forget_requests(self):
        (self.folder / 'access.log').write_text('')

    def range_requests(self):
        """Requests for a part of the file since they were last forgotten."""
        return len(re.findall(r'^206 ', (self.folder / 'access.log').read_text(), re.MULTILINE))
