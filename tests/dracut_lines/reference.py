#!/usr/bin/env python3
"""Asks dracut what it makes of every line in cases.py: reference.py FILE.

    sudo tests/dracut_lines/reference.py tests/fixtures/dracut_lines/cases.json

The scripts are those of Debian's packages dracut-core and dracut-network, which are downloaded and unpacked, not
installed. They run in a mount namespace of their own with a kernel line, cards and /proc/sys that are files (sandbox.sh);
what would change the network is recorded (recorders/). So a kernel without bonds and VLANs does, and the answer is what
dracut would have the kernel do."""

import datetime
import ipaddress
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import cases

HERE = pathlib.Path(__file__).resolve().parent
PACKAGES = ['dracut-core', 'dracut-network']
SCRIPTS = ['99base/dracut*lib.sh', '40network/*.sh', '35network-legacy/*.sh']


def unpack(folder):
    """The scripts, with what names another place than the sandbox's replaced; the packages' version."""
    subprocess.run(['apt-get', 'download', '-qq', *PACKAGES], cwd=folder, check=True, stderr=subprocess.DEVNULL)
    for package in sorted(folder.glob('*.deb')):
        subprocess.run(['dpkg-deb', '-x', package, folder / 'tree'], check=True)
        version = subprocess.check_output(['dpkg-deb', '-f', package, 'Version'], text=True)
    scripts, library = folder / 'scripts', folder / 'tree/usr/lib/dracut'
    scripts.mkdir()
    modules = library / 'modules.d'
    for path in (path for wanted in SCRIPTS for path in modules.glob(wanted)):
        text = path.read_text()
        text = re.sub(r'^PATH=.*$', '', text, flags=re.MULTILINE)
        text = re.sub(r'/(?:usr/)?lib/((?:dracut|net)[a-z-]*lib\.sh)', rf'{scripts}/\1', text)
        text = text.replace('/sbin/netroot', 'true').replace('/sbin/dhcp-multi.sh', 'dhcp-multi')
        (scripts / path.name).write_text(text)
    for name in ('dracut-getarg', 'dracut-getargs'):
        (folder / name).symlink_to(library / 'dracut-util')
    return version.strip()


def run(line, folder):
    """What the scripts left behind: everything below /tmp, by name."""
    with tempfile.TemporaryDirectory(dir=folder) as left:
        # Without it dracut brings up nothing that has no file system to mount.
        (folder / 'cmdline').write_text(f'{line} rd.neednet=1\n')
        subprocess.run(['unshare', '--mount', '--net', 'sh', HERE / 'sandbox.sh', folder, HERE / 'recorders', left],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       env={'PATH': os.environ['PATH']})
        left = pathlib.Path(left)
        return {str(path.relative_to(left)): path.read_text() for path in left.rglob('*') if path.is_file()}


def prefix(text):
    """An address with the length of its prefix, whatever the mask looks like."""
    return str(ipaddress.ip_interface(text))


def answer(files):
    """What dracut would do, sorted; or that it gives up."""
    if 'died' in files:
        return {'refuses': True}
    interfaces = {}
    result = {'interfaces': interfaces, 'bonds': {}, 'vlans': {}, 'routes': set(), 'names': {}, 'name_servers': []}

    def of(name):
        return interfaces.setdefault(name, {'addresses': [], 'asks': []})

    for words in map(str.split, files.get('ip.log', '').splitlines()):
        match words:
            case ['addr', 'add', address, *rest, 'dev', name]:
                of(name)['addresses'].append(prefix(address))
                if 'peer' in rest:
                    of(name)['peer'] = rest[rest.index('peer') + 1]
            case ['link', 'set', 'mtu', mtu, 'dev', name]:
                of(name)['mtu'] = int(mtu)
            case ['link', 'set', 'address', address, 'dev', name]:
                of(name)['mac'] = address.lower()
            case ['link', 'add', 'dev', name, 'link', below, 'type', 'vlan', 'id', number]:
                # iproute's reading: a number that begins with 0 is octal.
                octal = number.startswith('0') and number != '0'
                result['vlans'][name] = [below, int(number, 8 if octal else 10) if number.isdigit() else number]
            case ['route', 'replace', 'default', 'via', gateway, 'dev', _]:
                result['routes'].add(f'default via {gateway}')
            case ['route', 'add', network, 'via', gateway, *_]:
                result['routes'].add(f'{network} via {gateway}')
            case ['route', 'add', network, 'dev', name]:
                result['routes'].add(f'{network} dev {name}')
    for family, name in map(str.split, files.get('dhclient.log', '').splitlines()):
        of(name)['asks'].append(f'dhcp{family.strip("-")}')
    for path, text in sorted(files.items()):
        if found := re.fullmatch(r'conf/(.+)/accept_ra', path):
            if text.strip() == '1':
                of(found[1])['asks'].append('advertised')
        elif found := re.fullmatch(r'tmp/net\.(.+)\.override', path):
            # dracut's script for dhclient sets it when a lease comes, which is not run.
            said = dict(line.split('=', 1) for line in text.splitlines())
            if 'mtu' in said:
                of(found[1])['mtu'] = int(said['mtu'].strip('"'))
        elif found := re.fullmatch(r'tmp/bond\.(.+)\.up', path):
            info = dict(line.split('=', 1) for line in files[f'tmp/bond.{found[1]}.info'].splitlines())
            result['bonds'][found[1]] = {'members': info['bondslaves'].strip('"').split(),
                                         'options': info['bondoptions'].strip('"').split()}
        elif found := re.fullmatch(r'tmp/ifname-([0-9a-f:]{17})', path):
            result['names'][found[1]] = text.strip()
        elif re.fullmatch(r'tmp/net\..+\.resolv\.conf', path):
            servers = [line.split()[1].strip('[]') for line in text.splitlines()]
            result['name_servers'] += [server for server in servers if server not in result['name_servers']]
    for interface in interfaces.values():
        interface['asks'] = sorted(set(interface['asks']))
    result['routes'] = sorted(result['routes'])
    if 'tmp/net.bootdev' in files:
        result['first'] = files['tmp/net.bootdev'].strip()
    return {key: value for key, value in result.items() if value}


def evaluate(case, folder):
    theirs = answer(run(case['line'], folder))
    ours = case.get('farrier', theirs)
    if (ours != theirs) != ('why' in case):
        raise SystemExit(f'{case["line"]}: {theirs}, farrier {ours}, because of {case.get("why")}')
    return {'line': case['line'], 'dracut': theirs, **case}


def main(path):
    with tempfile.TemporaryDirectory(dir='/var/tmp') as folder:
        folder = pathlib.Path(folder)
        version = unpack(folder)
        evaluated = [evaluate(case, folder) for case in cases.all_cases()]
    used = {case['why'] for case in evaluated if 'why' in case}
    if used != set(cases.REASONS):
        raise SystemExit(f'reasons without a case: {set(cases.REASONS) - used}; cases without: {used - set(cases.REASONS)}')
    head = json.dumps({'reference': f'dracut {version}', 'date': datetime.date.today().isoformat(),
                       'reasons': cases.REASONS}, indent=1).removesuffix('\n}')
    # A case is a line, so that a change of one is a change of a line.
    lines = ',\n'.join('  ' + json.dumps(case, ensure_ascii=False) for case in evaluated)
    path.write_text(f'{head},\n "cases": [\n{lines}\n ]\n}}\n')
    print(f'{len(evaluated)} lines with dracut {version}; farrier differs in {sum("why" in case for case in evaluated)}')


if __name__ == '__main__':
    main(pathlib.Path(sys.argv[1]))
