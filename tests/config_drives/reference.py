#!/usr/bin/env python3
"""Asks ironic-python-agent what it makes of every config drive in cases.py: reference.py FILE.

    tests/check/install-packages genisoimage dosfstools mtools e2fsprogs
    python3 -m venv /tmp/reference
    /tmp/reference/bin/pip install ironic-python-agent==13.0.0
    /tmp/reference/bin/python tests/config_drives/reference.py tests/fixtures/config_drives/cases.json

Nothing of the reference is rebuilt here: its get_configdrive decodes the string, or fetches it from a
server in this process, and what it would write to the disk is compared with the images.
"""

import base64
import datetime
import gzip
import http.server
import importlib.metadata
import json
import logging
import pathlib
import subprocess
import sys
import tempfile
import threading

# Its options must be there before the modules that read them.
from ironic_python_agent import config  # noqa: F401 pylint: disable=unused-import
from ironic_python_agent import errors
from ironic_python_agent import partition_utils

import cases


class Server(http.server.BaseHTTPRequestHandler):
    body = b''

    def do_GET(self):  # pylint: disable=invalid-name
        self.send_response(200)
        self.send_header('Content-Length', str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_):
        pass


def reference(case, base, folder):
    sent = case.get('inline', f'{base}/drive')
    Server.body = case.get('url', b'')
    try:
        _, path = partition_utils.get_configdrive(sent, 'n1', folder)
    except errors.DeploymentError as error:
        text, = (text for text in (cases.MALFORMED, cases.UNPACKING) if text in error.details)
        return {'refuses': text}
    # What escapes is the answer.
    except Exception as error:  # pylint: disable=broad-except
        return {'crashes': f'{type(error).__name__}: {error}'.splitlines()[0]}
    written = pathlib.Path(path).read_bytes()
    names = [name for name, image in cases.IMAGES.items() if image == written]
    if names and names[0] != 'root':
        return {'writes': names[0]}
    if not written:
        return {'writes nothing': True}
    return {'writes what is no config drive': True}


def evaluate(case, base, folder):
    theirs = reference(case, base, folder)
    ours = case.pop('farrier', theirs)
    why = case.pop('why', None)
    if (ours != theirs) != bool(why) or not {'writes', 'refuses'} & set(ours):
        raise SystemExit(f'{case["title"]}: {theirs}, farrier {ours}, because of {why}')
    if 'url' in case:
        case['url'] = stored(case['url'])
    else:
        case['inline'] = stored(case['inline'].encode())
    return {**case, 'reference': theirs, 'farrier': ours, **({'why': why} if why else {})}


def stored(content):
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()


def main(path):
    logging.disable()
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f'http://127.0.0.1:{server.server_port}'
    with tempfile.TemporaryDirectory() as folder:
        evaluated = [evaluate(case, base, folder) for case in cases.all_cases()]
    used = {case['why'] for case in evaluated if 'why' in case}
    if used != set(cases.REASONS):
        raise SystemExit(f'reasons without a case, or the other way: {used ^ set(cases.REASONS)}')
    versions = ', '.join(f'{name} {importlib.metadata.version(name)}'
                         for name in ('ironic-python-agent', 'requests'))
    tools = subprocess.run(['genisoimage', '--version'], capture_output=True, check=True, text=True)
    head = json.dumps({'reference': f'{versions}, Python {sys.version.split()[0]}',
                       'images': {'tool': tools.stdout.strip(),
                                  **{name: stored(image) for name, image in cases.IMAGES.items()}},
                       'date': datetime.date.today().isoformat(), 'reasons': cases.REASONS},
                      indent=1, ensure_ascii=False).removesuffix('\n}')
    # A case is a line, so that a change of one is a change of a line.
    lines = ',\n'.join('  ' + json.dumps(case, ensure_ascii=False) for case in evaluated)
    path.write_text(f'{head},\n "cases": [\n{lines}\n ]\n}}\n')
    differing = sum('why' in case for case in evaluated)
    print(f'{len(evaluated)} cases with {versions}; farrier differs in {differing}')


if __name__ == '__main__':
    main(pathlib.Path(sys.argv[1]))
