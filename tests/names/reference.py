#!/usr/bin/env python3
"""Asks the C library what it makes of every case in cases.py: reference.py FILE.

    sudo tests/names/reference.py tests/fixtures/names/cases.json

It puts itself into a network, mount and host name namespace of its own, in which it starts the
name servers of a case, puts the case's files in the place of /etc/resolv.conf and /etc/hosts, and
runs getent(1).
"""

import datetime
import json
import pathlib
import platform
import socket
import subprocess
import sys
import tempfile

import cases
from name_server import NameServer

# Not even the loopback is there in a new namespace; without addresses of both families on another
# link the C library asks for none of them.
NETWORK = '''\
ip link set lo up
ip link add shown type bridge
ip link set shown up
ip address add 192.0.2.9/24 dev shown
ip address add 2001:db8::9/64 dev shown nodad
'''


def answer(case, places):
    places['resolv.conf'].write_bytes(case['resolv_conf'].encode())
    places['hosts'].write_text(case['hosts'])
    socket.sethostname(case['host_name'])
    servers = [NameServer(address, 53, content) for address, content in case['servers'].items()]
    try:
        run = subprocess.run(['getent', 'ahosts', '--', case['name']], stdout=subprocess.PIPE,
                             text=True, check=False)
    finally:
        for server in servers:
            server.close()
    # 2: not found.
    assert run.returncode in (0, 2), (case, run)
    return sorted({line.split()[0] for line in run.stdout.splitlines()})


def evaluate(case, places):
    reference = answer(case, places)
    ours = sorted(case.pop('farrier', reference))
    why = case.pop('why', None)
    assert (ours != reference) == bool(why), (case, reference, ours, why)
    return {**case, 'reference': reference, 'farrier': ours, **({'why': why} if why else {})}


def main(path):
    subprocess.run(['sh', '-ec', NETWORK], check=True)
    places = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ('resolv.conf', 'hosts', 'nsswitch.conf'):
            places[name] = pathlib.Path(folder, name)
            places[name].touch()
            target = pathlib.Path('/etc', name).resolve()
            subprocess.run(['mount', '--bind', places[name], target], check=True)
        places['nsswitch.conf'].write_text('hosts: files dns\n')
        evaluated = [evaluate(case, places) for case in cases.all_cases()]
        for name in places:
            subprocess.run(['umount', pathlib.Path('/etc', name).resolve()], check=True)
    # A case is a line, so that a change of one is a change of a line.
    lines = ',\n'.join('  ' + json.dumps(case, ensure_ascii=False) for case in evaluated)
    content = {'reference': f'getent(1) of {" ".join(platform.libc_ver())}',
               'date': datetime.date.today().isoformat(), 'reasons': cases.REASONS}
    head = json.dumps(content, indent=1, ensure_ascii=False).removesuffix('\n}')
    path.write_text(f'{head},\n "cases": [\n{lines}\n ]\n}}\n')
    differing = sum('why' in case for case in evaluated)
    print(f'{len(evaluated)} cases; farrier differs in {differing}')


if __name__ == '__main__':
    if sys.argv[1:2] == ['--inside']:
        main(pathlib.Path(sys.argv[2]))
    else:
        subprocess.run(['unshare', '--net', '--mount', '--uts', sys.executable, __file__,
                        '--inside', *sys.argv[1:]], check=True)
