#!/usr/bin/env python3
"""Asks ironic-python-agent, requests and curl what they make of every case in cases.py: reference.py FILE.

    python3 -m venv /tmp/reference
    /tmp/reference/bin/pip install ironic-python-agent==13.0.0
    /tmp/reference/bin/python tests/http/reference.py tests/fixtures/http/cases.json

Each asks a server on the loopback that sends the case's bytes. An image goes through the reference's
ImageDownload, a config drive through its get_configdrive.
"""

import base64
import datetime
import hashlib
import importlib.metadata
import json
import logging
import os
import pathlib
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import warnings
from unittest import mock

# Its options must be there before the modules that read them.
from ironic_python_agent import config  # noqa: F401 pylint: disable=unused-import
from ironic_python_agent import partition_utils
from ironic_python_agent.extensions import standby
from oslo_config import cfg
import requests

import cases

HERE, THERE = '127.0.0.1', '127.0.0.2'


class Server:
    """Sends the n-th reply to the n-th request, and notes what was asked for."""

    def __init__(self, case, certificate):
        self.case, self.asks, self.tls = case, [], None
        if case.get('tls'):
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificate)
        self.sockets = [socket.create_server((HERE, 0))]
        self.port = self.sockets[0].getsockname()[1]
        self.sockets.append(socket.create_server((THERE, self.port)))
        for listener in self.sockets:
            threading.Thread(target=self.listen, args=(listener,), daemon=True).start()

    def url(self, target, host=HERE):
        return f'{"https" if self.tls else "http"}://{host}:{self.port}{target}'

    def listen(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True,
                                                  suppress_ragged_eofs=True)
            head = b''
            while not head.endswith(b'\r\n\r\n'):
                more = connection.recv(1)
                if not more:
                    return
                head += more
            connection.sendall(self.reply(head.decode('latin-1')))
            while self.reply_holds() and connection.recv(1):
                pass
        except OSError:
            pass
        finally:
            # Without close_notify.
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()

    def reply_holds(self):
        return self.case['replies'][min(len(self.asks), len(self.case['replies'])) - 1].get('hold')

    def reply(self, head):
        lines = head.split('\r\n')
        headers = dict(line.lower().split(': ', 1) for line in lines[1:] if ': ' in line)
        cookie = next((line[8:] for line in lines if line.lower().startswith('cookie: ')), None)
        # Python hands out cookies in an order of its own.
        cookie = cookie and '; '.join(sorted(cookie.split('; ')))
        there = headers['host'].startswith(THERE)
        self.asks.append(('there ' if there else '') + lines[0].split(' ')[1]
                         + (f' with {cookie}' if cookie else ''))
        replies = self.case['replies']
        reply = replies[min(len(self.asks), len(replies)) - 1]
        head = reply['head'].replace('{here}', self.url('')).replace('{there}',
                                                                    self.url('', THERE))
        return head.encode('latin-1') + b''.join(
            cases.BODIES[piece['of']] if isinstance(piece, dict) else piece.encode('latin-1')
            for piece in reply['body'])

    def close(self):
        for listener in self.sockets:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def promised(case):
    return sha256(cases.BODIES[case['digest'] or 'image'])


def reference(case, server, folder):
    if case.get('drive'):
        _, path = partition_utils.get_configdrive(server.url('/drive'), 'node', folder)
        return pathlib.Path(path).read_bytes() == cases.DRIVE
    info = {'id': 'one', 'urls': [server.url(case.get('url', '/one.raw'))]}
    if case['digest']:
        info.update(os_hash_algo='sha256', os_hash_value=promised(case))
    else:
        info['checksum'] = server.url('/sums')
    download = standby.ImageDownload(info)
    path = pathlib.Path(folder, 'image')
    path.write_bytes(b''.join(download))
    download.verify_image(str(path))
    return True


def with_requests(case, server, folder):
    if not case['digest']:
        return None
    reply = requests.get(server.url(case.get('url', '/one.raw')), stream=True, timeout=2,
                         verify=cfg.CONF.cafile)
    reply.raise_for_status()
    return sha256(b''.join(reply.iter_content(65536))) == promised(case)


def curl(case, server, folder):
    if not case['digest']:
        return None
    path = pathlib.Path(folder, 'image')
    subprocess.run(['curl', '--silent', '--fail', '--location', '--globoff', '--cacert',
                    cfg.CONF.cafile, '--max-redirs', '30', '--max-time', '2', '--cookie', '', '--noproxy', '*',
                    '--output', path, server.url(case.get('url', '/one.raw'))],
                   check=True)
    return sha256(path.read_bytes()) == promised(case)


def answer(ask, case, certificate):
    server = Server(case, certificate)
    with tempfile.TemporaryDirectory() as folder:
        try:
            takes = ask(case, server, folder)
        # Whatever it is that it does not take it with.
        except Exception:  # pylint: disable=broad-except
            takes = False
    server.close()
    if takes is None:
        return None
    # How often a reply that is not taken is asked for again is no part of the question.
    asks = server.asks[:len(case['replies'])]
    return {'takes': takes, 'asks': asks}


def evaluate(case, differing, why, certificate):
    theirs = {name: answer(ask, case, certificate) for name, ask in
              (('reference', reference), ('requests', with_requests), ('curl', curl))}
    theirs = {name: each for name, each in theirs.items() if each}
    ours = {**theirs['reference'], **(differing or {})}
    missed = any(each['takes'] for each in theirs.values()) and not ours['takes']
    if bool(why) != (ours != theirs['reference'] or missed):
        print('REASON', json.dumps({**case, **theirs, 'farrier': ours, 'why': why}), file=sys.stderr)
    return {**case, **theirs, 'farrier': ours, **({'why': why} if why else {})}


def main(path):
    logging.disable()
    warnings.simplefilter('ignore')
    os.environ['no_proxy'] = '*'
    cfg.CONF([], project='ironic-python-agent')
    for name, value in (('image_download_connection_retries', 0),
                        ('image_download_connection_timeout', 2)):
        cfg.CONF.set_override(name, value)
    programs = ', '.join(f'{name} {importlib.metadata.version(name)}'
                         for name in ('ironic-python-agent', 'requests', 'urllib3'))
    version = subprocess.run(['curl', '--version'], check=True, capture_output=True, text=True)
    with tempfile.NamedTemporaryFile('w+') as certificate:
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=x',
                        '-addext', f'subjectAltName=IP:{HERE}', '-keyout', certificate.name, '-out', certificate.name + '.pem'],
                       check=True, capture_output=True)
        both = pathlib.Path(certificate.name + '.pem')
        both.write_text(both.read_text() + pathlib.Path(certificate.name).read_text())
        cfg.CONF.set_override('cafile', str(both))
        with mock.patch('time.sleep'):
            evaluated = [evaluate(*each, both) for each in cases.all_cases()]
        both.unlink()
    content = {'reference': f'{programs}, {" ".join(version.stdout.split()[:2])}',
               'date': datetime.date.today().isoformat(), 'reasons': cases.REASONS,
               'bodies': {name: base64.b64encode(body).decode()
                          for name, body in cases.BODIES.items()}}
    # A case is a line, so that a change of one is a change of a line.
    lines = ',\n'.join('  ' + json.dumps(case, ensure_ascii=False) for case in evaluated)
    head = json.dumps(content, indent=1, ensure_ascii=False).removesuffix('\n}')
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'{head},\n "cases": [\n{lines}\n ]\n}}\n')
    print(f'{len(evaluated)} cases with {content["reference"]}; farrier differs in '
          f'{sum("why" in case for case in evaluated)}')


if __name__ == '__main__':
    main(pathlib.Path(sys.argv[1]))
