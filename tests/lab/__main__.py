"""`python -m lab up|down|status`: the lab without a test."""

import argparse
import sys
from pathlib import Path

from lab import bmc, conductor, paths
from lab.lab import Lab


def main():
    parser = argparse.ArgumentParser(prog='python -m lab', description=__doc__)
    parser.add_argument('command', choices=['up', 'down', 'status'])
    parser.add_argument('--folder', type=Path, default=paths.LAB / 'run',
                        help='where the lab keeps its files (default: %(default)s)')
    options = parser.parse_args()
    lab = Lab(options.folder, outlive=True)
    return {'up': _up, 'down': _down, 'status': _status}[options.command](lab)


def _up(lab):
    lab.start()
    return _status(lab)


def _down(lab):
    lab.stop()
    print(f'stopped; logs: {lab.run.logs}')
    return 0


def _status(lab):
    if not lab.network.exists() or not lab.conductor.answers():
        print('the lab is down')
        return 1
    print(f'namespace  {lab.run.namespace}   (sudo ip netns exec {lab.run.namespace} bash)')
    print(f'Ironic     {conductor.URL}  {conductor.URL6}')
    print(f'Redfish    {bmc.URL}/redfish/v1')
    print(f'folder     {lab.run.folder}')
    print(f'logs       {lab.run.logs}')
    for node in lab.api.get('/v1/nodes?fields=name,provision_state,power_state')['nodes']:
        print(f'node       {node["name"]}: {node["provision_state"]}, {node["power_state"]}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
