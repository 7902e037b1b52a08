#!/usr/bin/env python3
"""Asks ironic-python-agent and curl which of the servers in cases.py they accept: reference.py FILE.

    python3 -m venv /tmp/reference
    /tmp/reference/bin/pip install ironic-python-agent==13.0.0
    /tmp/reference/bin/python tests/tls_peers/reference.py tests/fixtures/tls_peers/cases.json

Each case's server runs in this process, on OpenSSL; the reference asks it through its own session,
with its option cafile. What a server answers to a hello like farrier's is kept where it ends the
handshake, so that farrier's test can give the same answer.
"""

import base64
import datetime
import importlib.metadata
import json
import logging
import pathlib
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import warnings

# Its options must be there before the modules that read them.
from ironic_python_agent import config  # noqa: F401 pylint: disable=unused-import
from ironic_python_agent import utils
from oslo_config import cfg
import requests

import cases

# What farrier offers in TLS 1.2 where no option says otherwise; the reference's default is the same.
SUITES = ('ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:'
          'ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256')
SIGNATURES = ':'.join(f'{key}+SHA{size}' for key in ('ECDSA', 'RSA-PSS', 'RSA') for size in (256, 384, 512)
                      ) + ':ed25519'
MARKS = {'utf-8-sig': 'utf-8-sig', 'utf-16-le-sig': 'utf-16'}


def armored(label, der):
    text = base64.b64encode(der).decode()
    lines = '\n'.join(text[start:start + 64] for start in range(0, len(text), 64))
    return f'-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n'


def unarmored(text):
    return base64.b64decode(''.join(line for line in text.splitlines() if '-----' not in line))


def part(each):
    """Of a cafile: text, or a label and what is in its block."""
    return each if isinstance(each, str) else [getattr(each, 'label', 'CERTIFICATE'),
                                               base64.b64encode(each.der).decode()]


def cafile(case):
    text = ''.join(each if isinstance(each, str) else armored(each[0], base64.b64decode(each[1]))
                   for each in map(part, case['cafile']))
    text = text.replace('\n', case.get('newline', '\n'))
    return text.encode(MARKS.get(case.get('encoding'), 'utf-8'))


def context(case, folder):
    """A server's. Its level of security is none, so that it serves what clients should refuse."""
    settings = case.get('server', {})
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.set_ciphers('DEFAULT:@SECLEVEL=0')
    if 'suites' in settings:
        made.set_ciphers(f'{settings["suites"].split(":@")[0]}:@SECLEVEL=0')
    made.minimum_version = ssl.TLSVersion.TLSv1
    made.maximum_version = ssl.TLSVersion[settings.get('last', 'TLSv1_3')]
    if 'group' in settings:
        made.set_ecdh_curve(settings['group'])
    if 'unknown_name' in settings:
        made.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    chain = folder / 'chain.pem'
    chain.write_text(case['chain'][0].key_pem()
                     + ''.join(armored('CERTIFICATE', each.der) for each in case['chain']))
    made.load_cert_chain(chain)
    return made


class Server:
    """Answers each connection, in the order of their coming."""

    def __init__(self, case, folder):
        self.context = None if case.get('server', {}).get('plain') else context(case, folder)
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.settimeout(10)
            try:
                if self.context:
                    connection = self.context.wrap_socket(connection, server_side=True)
                connection.recv(65536)
                connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok')
            except OSError:
                pass
            finally:
                connection.close()

    def close(self):
        # A thread in accept() wakes up only so.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def verdict(text, folder):
    """Why, without what differs from run to run."""
    text = text.replace(str(folder), '/tmp')
    text = text.splitlines()[0].split(' (_ssl.c')[0].split(' port ')[0]
    return {'refuses': text.split(': ', 1)[-1].strip(' )\'"')}


def reference(case, port, authorities):
    cfg.CONF.set_override('cafile', str(authorities))
    cfg.CONF.set_override('tls_min_version', case.get('least', '1.2'))
    try:
        with utils.get_requests_session() as session:
            session.trust_env = False
            session.get(f'https://localhost:{port}/', timeout=10).raise_for_status()
        return 'accepts'
    except requests.RequestException as error:
        cause = error
        while not isinstance(cause, ssl.SSLError) and (cause.__context__ or cause.args):
            inner = [each for each in (getattr(cause, 'reason', None), *cause.args)
                     if isinstance(each, Exception)]
            cause = inner[0] if inner else cause.__context__
            if cause is None:
                break
        return verdict(str(cause or error), authorities.parent)
    # A file that cannot be read, or the like.
    except (OSError, ValueError) as error:
        return verdict(f'{type(error).__name__}: {error}', authorities.parent)


def curl(case, port, authorities):
    least = ['--tlsv1.3'] if case.get('least') == '1.3' else []
    done = subprocess.run(['curl', '--silent', '--show-error', '--ipv4', '--noproxy', '*', '--max-time',
                           '10', *least, '--cacert', str(authorities), f'https://localhost:{port}/'],
                          env={'PATH': '/usr/bin'}, capture_output=True, check=False, text=True)
    return 'accepts' if done.stdout == 'ok' else verdict(
        done.stderr.strip().replace('curl: ', ''), authorities.parent)


def answer(case, port):
    """What the server says to a client that offers what farrier offers: s_client, listened to."""
    listener = socket.create_server(('127.0.0.1', 0))
    least = ['-tls1_3'] if case.get('least') else ['-no_ssl3', '-no_tls1', '-no_tls1_1']
    command = ['openssl', 's_client', '-connect', f'127.0.0.1:{listener.getsockname()[1]}', *least,
               '-cipher', SUITES, '-sigalgs', SIGNATURES, '-groups', 'X25519:P-256:P-384', '-servername',
               'localhost']
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL):
        connection, _ = listener.accept()
        with listener, connection, socket.create_connection(('127.0.0.1', port), timeout=10) as server:
            server.sendall(connection.recv(65536))
            return server.recv(65536)


def evaluate(case, folder):
    authorities = folder / 'cafile.pem'
    authorities.write_bytes(cafile(case))
    server = Server(case, folder)
    theirs = reference(case, server.port, authorities)
    fields = {'reference': theirs, 'curl': curl(case, server.port, authorities)}
    if 'server' in case:
        fields['answer'] = answer(case, server.port).hex()
    server.close()
    accepts = 'accepts' if theirs == 'accepts' else 'refuses'
    ours = case.pop('farrier', accepts)
    why = case.pop('why', None)
    if (ours != accepts) != bool(why):
        raise SystemExit(f'{case["title"]}: {fields}, farrier {ours}, because of {why}')
    case |= {'chain': [base64.b64encode(each.der).decode() for each in case['chain']],
             'cafile': [part(each) for each in case['cafile']]}
    return {**case, **fields, 'farrier': ours, **({'why': why} if why else {})}


def main(path):
    logging.disable()
    # Python would rather not serve TLS 1.0.
    warnings.simplefilter('ignore', DeprecationWarning)
    with tempfile.TemporaryDirectory() as folder:
        evaluated = [evaluate(case, pathlib.Path(folder)) for case in cases.all_cases()]
    used = {case['why'] for case in evaluated if 'why' in case}
    if used != set(cases.REASONS):
        raise SystemExit(f'reasons without a case: {set(cases.REASONS) - used}')
    versions = ', '.join([*(f'{name} {importlib.metadata.version(name)}'
                            for name in ('ironic-python-agent', 'requests', 'urllib3')),
                          f'Python {sys.version.split()[0]}', ssl.OPENSSL_VERSION])
    asked = subprocess.run(['curl', '--version'], capture_output=True, check=True, text=True).stdout
    today = datetime.date.today()
    head = json.dumps({'reference': versions, 'curl': ' '.join(asked.split()[:5]),
                       'date': today.isoformat(),
                       'now': int(datetime.datetime(*today.timetuple()[:3], tzinfo=datetime.UTC).timestamp()),
                       'reasons': cases.REASONS}, indent=1, ensure_ascii=False).removesuffix('\n}')
    # A case is a line, so that a change of one is a change of a line.
    lines = ',\n'.join('  ' + json.dumps(case, ensure_ascii=False) for case in evaluated)
    path.write_text(f'{head},\n "cases": [\n{lines}\n ]\n}}\n')
    differing = sum('why' in case for case in evaluated)
    print(f'{len(evaluated)} cases with {versions}; farrier differs in {differing}')


if __name__ == '__main__':
    main(pathlib.Path(sys.argv[1]))
