"""OpenStack Swift: a real object store with temporary URLs, one server of each kind.

One replica, no memcached, and no authentication for the lab's own requests; a request with a
signature goes through the middleware `tempurl`, as on a real site. The objects lie in the run
folder, whose file system must store user attributes (ext4, xfs, and tmpfs since Linux 6.6 do).
"""

import hashlib
import hmac
import http.client
import json
import socket
import subprocess
import time

from lab import network, paths
from lab.process import Process

PORT = 8081
BACKENDS = {'account': 6202, 'container': 6201, 'object': 6200}
ACCOUNT = '/v1/AUTH_lab'
KEY = 'the key of the temporary URLs'

# Builds one ring for each backend: one device, one partition, one replica. In a process of its own,
# because Swift's modules bring eventlet.
RINGS = '''\
import sys
from swift.common.ring import RingBuilder
folder, *backends = sys.argv[1:]
for backend in backends:
    name, port = backend.split(':')
    builder = RingBuilder(0, 1, 0)
    builder.add_dev({'id': 0, 'region': 1, 'zone': 1, 'weight': 1, 'ip': '127.0.0.1',
                     'port': int(port), 'device': 'disk', 'meta': '',
                     'replication_ip': '127.0.0.1', 'replication_port': int(port)})
    builder.rebalance()
    builder.get_ring().save(f'{folder}/{name}.ring.gz')
'''


class Swift:
    """The servers, inside the lab's namespace."""

    port = PORT

    def __init__(self, network_, run):
        self._network = network_
        self._run = run
        self._folder = run.folder / 'swift'
        self._servers = []

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        (self._folder / 'devices' / 'disk').mkdir(parents=True, exist_ok=True)
        self._configure()
        for name, port in BACKENDS.items():
            self._launch(name, '127.0.0.1', port)
        self._launch('proxy', network.ADDRESS, PORT)
        for server, address, port in self._servers:
            server.wait_until(lambda: self._answers(address, port), 30, f'answer on port {port}')
        self.request('POST', '', {'X-Account-Meta-Temp-URL-Key': KEY})
        self.request('PUT', '/images')

    def stop(self):
        for server, *_ in self._servers:
            server.stop(grace=2)
        self._servers = []

    def request(self, method, path, headers=None, body=None):
        """One request of the lab's own, below the account; returns the reply's headers."""
        with self._network.inside():
            connection = http.client.HTTPConnection(network.ADDRESS, PORT, timeout=60)
            connection.request(method, ACCOUNT + path, body, headers or {})
        reply = connection.getresponse()
        text = reply.read()
        if reply.status >= 300:
            raise RuntimeError(f'Swift answered {method} {path} with {reply.status}: {text!r}')
        return reply.headers

    def put(self, name, content):
        """A plain object."""
        self.request('PUT', f'/images/{name}', body=content)

    def put_static(self, name, content, parts):
        """A static large object: a manifest that names its segments."""
        segments = self._put_segments(name, content, parts)
        self.request('PUT', f'/images/{name}?multipart-manifest=put', body=json.dumps(segments))

    def put_dynamic(self, name, content, parts):
        """A dynamic large object: whatever is found under a prefix."""
        self._put_segments(name, content, parts)
        self.request('PUT', f'/images/{name}', {'X-Object-Manifest': f'images/{name}.parts/'})

    def temporary_url(self, name, *, seconds=600, address=network.ADDRESS, port=PORT):
        """A signed URL that is good for so many seconds.

        The signature is over method, expiry and path, so the URL may lead through a proxy.
        """
        path = f'{ACCOUNT}/images/{name}'
        expires = int(time.time()) + seconds
        message = f'GET\n{expires}\n{path}'.encode()
        signature = hmac.new(KEY.encode(), message, 'sha256').hexdigest()
        return (f'http://{address}:{port}{path}'
                f'?temp_url_sig={signature}&temp_url_expires={expires}')

    def _put_segments(self, name, content, parts):
        size = -(-len(content) // parts)
        segments = []
        for number, start in enumerate(range(0, len(content), size)):
            segment = content[start:start + size]
            path = f'/images/{name}.parts/{number:04}'
            self.request('PUT', path, body=segment)
            segments.append({'path': path, 'size_bytes': len(segment),
                             'etag': hashlib.md5(segment).hexdigest()})
        return segments

    def _configure(self):
        (self._folder / 'swift.conf').write_text('[swift-hash]\nswift_hash_path_suffix = lab\n')
        for name, port in BACKENDS.items():
            (self._folder / f'{name}.conf').write_text(
                self._common('127.0.0.1', port) +
                f'[pipeline:main]\npipeline = {name}-server\n'
                f'[app:{name}-server]\nuse = egg:swift#{name}\n')
        (self._folder / 'proxy.conf').write_text(
            self._common(network.ADDRESS, PORT) + PROXY)
        backends = [f'{name}:{port}' for name, port in BACKENDS.items()]
        subprocess.run([paths.VENV / 'bin' / 'python', '-c', RINGS, self._folder, *backends],
                       check=True, capture_output=True)

    def _common(self, address, port):
        return f'''\
[DEFAULT]
swift_dir = {self._folder}
devices = {self._folder}/devices
mount_check = false
bind_ip = {address}
bind_port = {port}
workers = 0
user = root
log_udp_host = 127.0.0.1
'''

    def _launch(self, name, address, port):
        server = Process.start(
            f'swift-{name}',
            [paths.VENV / 'bin' / f'swift-{name}-server', self._folder / f'{name}.conf', '-v'],
            self._run.namespace, self._run.logs / f'swift-{name}.log')
        self._servers.append((server, address, port))

    def _answers(self, address, port):
        with self._network.inside(), socket.socket() as probe:
            return probe.connect_ex((address, port)) == 0


PROXY = '''\
[pipeline:main]
pipeline = catch_errors gatekeeper proxy-logging listing_formats tempurl dlo slo proxy-logging proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:proxy-logging]
use = egg:swift#proxy_logging
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:tempurl]
use = egg:swift#tempurl
[filter:dlo]
use = egg:swift#dlo
[filter:slo]
use = egg:swift#slo
min_segment_size = 1
'''
