"""What libnvme makes of the tables: writes tests/fixtures/boot_tables/nbft.json.

    python3 tests/boot_tables/reference.py [NVME]

NVME is nvme of nvme-cli 2.13 (Debian 13), or a command that runs it. Run anew when cases.py changes.
"""

import datetime
import ipaddress
import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import cases

FIXTURE = Path(__file__).parent.parent / 'fixtures' / 'boot_tables' / 'nbft.json'


def shown(nvme, data):
    """The ways to subsystems: [name, address, port, card's address, VLAN]; None for a table that is none."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, 'NBFT').write_bytes(data)
        run = subprocess.run([*nvme, 'nbft', 'show', '--output-format=json', f'--nbft-path={folder}', '-s', '-H', '-d'],
                             capture_output=True, text=True, check=False)
    tables = json.loads(run.stdout or '[]')
    if not tables:
        return None
    [table] = tables
    cards = {card['index']: card for card in table.get('hfi', [])}
    ways = []
    for way in table.get('subsystem', []):
        for index in way['hfis']:
            card = cards.get(index)
            if card:
                ways.append([way['subsys_nqn'], str(ipaddress.ip_address(way['traddr'])), way['trsvcid'],
                             card['mac_addr'], card['vlan']])
    for way in table.get('discovery', []):
        card = cards.get(way.get('hfi'))
        place = urlsplit(way['uri'])
        ways.append([way['nqn'], place.hostname, str(place.port or 8009), card and card['mac_addr'],
                     card and card['vlan']])
    return [way for number, way in enumerate(ways) if way not in ways[:number]]


def main(nvme):
    lines = []
    for name, data, why in cases.all_cases():
        case = {'name': name, 'table': data.hex(), 'libnvme': shown(nvme, data), **({'why': why} if why else {})}
        lines.append('  ' + json.dumps(case))
    version = subprocess.run([*nvme, 'version'], capture_output=True, text=True, check=True).stdout.splitlines()
    content = {'reference': ', '.join(version), 'date': datetime.date.today().isoformat(), 'reasons': cases.REASONS}
    head = json.dumps(content, indent=1).removesuffix('\n}')
    FIXTURE.parent.mkdir(exist_ok=True)
    FIXTURE.write_text(head + ',\n "cases": [\n' + ',\n'.join(lines) + '\n ]\n}\n')
    print(f'{len(lines)} cases')


if __name__ == '__main__':
    main(shlex.split(sys.argv[1]) if sys.argv[1:] else ['nvme'])
