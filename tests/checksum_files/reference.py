#!/usr/bin/env python3
"""Asks ironic-python-agent and coreutils what they make of every file in cases.py: reference.py FILE.

    python3 -m venv /tmp/reference
    /tmp/reference/bin/pip install ironic-python-agent==13.0.0
    /tmp/reference/bin/python tests/checksum_files/reference.py tests/fixtures/checksum_files/cases.json

Nothing of the reference is rebuilt here: its ImageDownload fetches the file and the image from a
server in this process, and verifies the image. coreutils check the file beside the image.
"""

import codecs
import datetime
import http.server
import importlib.metadata
import json
import logging
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import urllib.parse

# Its options must be there before the modules that read them.
from ironic_python_agent import config  # noqa: F401 pylint: disable=unused-import
from ironic_python_agent import errors
from ironic_python_agent.extensions import standby
from oslo_config import cfg

import cases

MARKS = {'utf-16-le-sig': (codecs.BOM_UTF16_LE, 'utf-16-le'),
         'utf-16-be-sig': (codecs.BOM_UTF16_BE, 'utf-16-be')}
TOOLS = {'md5': 'md5sum', 'sha1': 'sha1sum', 'sha224': 'sha224sum', 'sha256': 'sha256sum',
         'sha384': 'sha384sum', 'sha512': 'sha512sum'}


def content(case):
    mark, encoding = MARKS.get(case.get('encoding'), (b'', case.get('encoding', 'utf-8')))
    text = case.get('filler', '') * case.get('times', 0) + case['content']
    return mark + text.encode(encoding)


class Server(http.server.BaseHTTPRequestHandler):
    case = None

    def do_GET(self):  # pylint: disable=invalid-name
        is_sums = self.path == '/SUMS'
        body = content(self.case) if is_sums else cases.IMAGE
        self.send_response(200)
        if not is_sums or self.case.get('type'):
            self.send_header('Content-Type', self.case['type'] if is_sums else 'application/octet-stream')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def reference(case, base):
    Server.case = case
    cfg.CONF.set_override('md5_enabled', case.get('md5', False))
    info = {'id': 'image', 'urls': [base + case.get('url', '/disk.raw')]}
    if 'algorithm' in case:
        info |= {'os_hash_algo': case['algorithm'], 'os_hash_value': f'{base}/SUMS'}
    else:
        info['checksum'] = f'{base}/SUMS'
    try:
        download = standby.ImageDownload(info)
        for _ in download:
            pass
        download.verify_image('image')
        return {'verifies': download._hash_algo.name}  # pylint: disable=protected-access
    except errors.ImageChecksumError:
        return {'differs': True}
    except errors.ImageDownloadError as error:
        return {'refuses': error.details.split('failed: ', 1)[-1].split(' [')[0]}
    # What escapes is the answer.
    except Exception as error:  # pylint: disable=broad-except
        return {'crashes': f'{type(error).__name__}: {error}'.splitlines()[0]}


def coreutils(case):
    """The algorithms that coreutils verify the image by; the image has its name, in its folder."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / 'SUMS').write_bytes(content(case))
        path = urllib.parse.unquote(urllib.parse.urlparse(case.get('url', '/disk.raw')).path)
        for name in {path.lstrip('/'), os.path.basename(path)}:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(cases.IMAGE)
        environment = {'LC_ALL': 'C.UTF-8', 'PATH': os.environ['PATH']}
        return [name for name, tool in TOOLS.items() if subprocess.run(
            [tool, '--check', '--ignore-missing', 'SUMS'], cwd=folder, env=environment,
            capture_output=True, check=False).returncode == 0]


def evaluate(case, base):
    theirs = reference(case, base)
    ours = case.pop('farrier', theirs)
    why = case.pop('why', None)
    # A crash is nothing to be like.
    if (ours != theirs) != bool(why) or 'crashes' in ours:
        raise SystemExit(f'{case["title"]}: {theirs}, farrier {ours}, because of {why}')
    verified = {} if 'filler' in case else {'coreutils': coreutils(case)}
    return {**case, 'reference': theirs, **verified, 'farrier': ours, **({'why': why} if why else {})}


def main(path):
    logging.disable()
    # pylint: disable-next=no-member
    cfg.CONF.set_override('image_download_connection_retries', 0)
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f'http://127.0.0.1:{server.server_port}'
    evaluated = [evaluate(case, base) for case in cases.all_cases()]
    used = {case['why'] for case in evaluated if 'why' in case}
    if used != set(cases.REASONS):
        raise SystemExit(f'reasons without a case: {set(cases.REASONS) - used}')
    versions = ', '.join(f'{name} {importlib.metadata.version(name)}'
                         for name in ('ironic-python-agent', 'requests', 'charset-normalizer'))
    tools = subprocess.run(['sha256sum', '--version'], capture_output=True, check=True, text=True)
    head = json.dumps({'reference': versions, 'coreutils': tools.stdout.splitlines()[0],
                       'date': datetime.date.today().isoformat(), 'image': cases.IMAGE.decode(),
                       'reasons': cases.REASONS}, indent=1, ensure_ascii=False).removesuffix('\n}')
    # A case is a line, so that a change of one is a change of a line.
    lines = ',\n'.join('  ' + json.dumps(case, ensure_ascii=False) for case in evaluated)
    path.write_text(f'{head},\n "cases": [\n{lines}\n ]\n}}\n')
    differing = sum('why' in case for case in evaluated)
    print(f'{len(evaluated)} cases with {versions}; farrier differs in {differing}')


if __name__ == '__main__':
    main(pathlib.Path(sys.argv[1]))
