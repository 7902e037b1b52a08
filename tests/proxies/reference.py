#!/usr/bin/env python3
"""Runs curl and requests in every environment of cases.py: reference.py FILE.

    python3 -m venv /tmp/requests && /tmp/requests/bin/pip install requests
    sudo /tmp/requests/bin/python tests/proxies/reference.py tests/fixtures/proxies/cases.json

It puts itself into a network namespace that has nothing but its loopback: what reaches a listener
there was sent to a proxy, and what does not was sent to the host itself.
"""

import datetime
import importlib.metadata
import json
import pathlib
import socket
import subprocess
import sys
import threading

import cases

# The ports that the cases write, and those that a proxy has by itself.
PORTS = (80, 443, 1080, 3128)
ASK = ('import sys, requests\n'
       'try: requests.get(sys.argv[1], timeout=5)\n'
       'except requests.RequestException: pass')
SCHEMES = {5: 'socks5', 22: 'https'}


class Proxy:
    """Takes the first request on each port, and closes the connection."""

    def __init__(self):
        self.seen = []
        for port in PORTS:
            listening = socket.create_server(('127.0.0.1', port))
            threading.Thread(target=self._listen, args=(port, listening), daemon=True).start()

    def _listen(self, port, listening):
        while True:
            connection, _ = listening.accept()
            with connection:
                connection.settimeout(5)
                data = connection.recv(65536)
                found = {'scheme': SCHEMES.get(data[0], 'http') if data else 'none', 'port': port}
                for line in data.decode('latin-1').splitlines():
                    name, _, value = line.partition(': ')
                    if name.lower() == 'proxy-authorization':
                        found['authorization'] = value
                self.seen.append(found)


def answer(proxy, command, environment):
    proxy.seen.clear()
    subprocess.run(command, env={'PATH': '/usr/bin:/bin', **environment}, check=False,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
    # A library may try again; it tries the same.
    assert all(found == proxy.seen[0] for found in proxy.seen), proxy.seen
    return proxy.seen[0] if proxy.seen else 'direct'


def evaluate(case, proxy):
    curl = answer(proxy, ['/usr/bin/curl', '-sk', '--max-time', '5', case['url']],
                  case['environment'])
    requests = answer(proxy, [sys.executable, '-c', ASK, case['url']], case['environment'])
    why = case.pop('why', None)
    ours = case.pop('farrier', None) if why else curl
    like_both = ours == curl == requests
    assert like_both != bool(why), (case, curl, requests, ours, why)
    return {**case, 'curl': curl, 'requests': requests, 'farrier': ours,
            **({'why': why} if why else {})}


def main(path):
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    proxy = Proxy()
    evaluated = [evaluate(case, proxy) for case in cases.all_cases()]
    curl = subprocess.run(['/usr/bin/curl', '--version'], check=True, stdout=subprocess.PIPE,
                          text=True).stdout.split()[1]
    # A case is a line, so that a change of one is a change of a line.
    lines = ',\n'.join('  ' + json.dumps(case, ensure_ascii=False) for case in evaluated)
    content = {'reference': f'curl {curl}, requests {importlib.metadata.version("requests")}',
               'date': datetime.date.today().isoformat(), 'reasons': cases.REASONS}
    head = json.dumps(content, indent=1, ensure_ascii=False).removesuffix('\n}')
    path.write_text(f'{head},\n "cases": [\n{lines}\n ]\n}}\n')
    print(f'{len(evaluated)} cases, {sum("why" in case for case in evaluated)} with a reason')


if __name__ == '__main__':
    if sys.argv[1:2] == ['--inside']:
        main(pathlib.Path(sys.argv[2]))
    else:
        subprocess.run(['unshare', '--net', sys.executable, __file__, '--inside', *sys.argv[1:]],
                       check=True)
