"""The lab's HTTP server: Ironic's boot files, virtual media, and the images that tests deploy."""

import socket

from lab import network
from lab.process import Process

HTTP_PORT = 8080


class Web:
    """nginx on the lab's bridge."""

    def __init__(self, network_, run, *, outlive=False):
        self._network = network_
        self._run = run
        self._outlive = outlive
        self._nginx = None

    def start(self):
        config = self._run.etc / 'nginx.conf'
        config.write_text(_nginx_conf(self._run))
        self._nginx = Process.start(
            'nginx', ['nginx', '-c', config, '-e', self._run.logs / 'nginx.error.log'],
            self._run.namespace, self._run.logs / 'nginx.log', outlive=self._outlive)
        self._nginx.wait_until(self._answers, 10, f'answer on port {HTTP_PORT}')

    def stop(self):
        if self._nginx:
            self._nginx.stop()

    def url(self, path):
        """Where the lab's machines find a file of the run folder's `images`."""
        return f'http://{network.ADDRESS}:{HTTP_PORT}/images/{path}'

    def slow_url(self, path):
        """The same file, at 1 MB a second."""
        return f'http://{network.ADDRESS}:{HTTP_PORT}/slow/{path}'

    def vanishing_url(self, path):
        """The same file for HEAD (which the conductor's validation uses), 404 for GET."""
        return f'http://{network.ADDRESS}:{HTTP_PORT}/vanishing/{path}'

    def requests(self):
        """The access log: one line a request."""
        return (self._run.logs / 'nginx.access.log').read_text(errors='replace').splitlines()

    def _answers(self):
        with self._network.inside(), socket.socket() as probe:
            return probe.connect_ex((network.ADDRESS, HTTP_PORT)) == 0


def _nginx_conf(run):
    return f'''\
daemon off;
user root;
worker_processes 1;
pid {run.etc}/nginx.pid;
error_log {run.logs}/nginx.error.log;
events {{ worker_connections 256; }}
http {{
    access_log {run.logs}/nginx.access.log;
    client_body_temp_path {run.tmp}/nginx-body;
    proxy_temp_path {run.tmp}/nginx-proxy;
    fastcgi_temp_path {run.tmp}/nginx-fastcgi;
    uwsgi_temp_path {run.tmp}/nginx-uwsgi;
    scgi_temp_path {run.tmp}/nginx-scgi;
    default_type application/octet-stream;
    sendfile on;
    server {{
        listen {HTTP_PORT};
        listen [::]:{HTTP_PORT};
        root {run.http};
        location /images/ {{ alias {run.images}/; }}
        location /slow/ {{ alias {run.images}/; limit_rate 1000000; }}
        location /vanishing/ {{
            if ($request_method = GET) {{ return 404; }}
            alias {run.images}/;
        }}
    }}
}}
'''
