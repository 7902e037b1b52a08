"""The lab's BMC: one Redfish service for all servers."""

import sys

import requests

from lab import network
from lab.paths import ROOT
from lab.process import Process

PORT = 8000
URL = f'http://{network.ADDRESS}:{PORT}'


class Bmc:
    """sushy-tools' emulator with the QEMU driver."""

    def __init__(self, network_, run, *, outlive=False):
        self._network = network_
        self._run = run
        self._outlive = outlive
        self._emulator = None

    def start(self):
        self._emulator = Process.start(
            'bmc', [sys.executable, '-m', 'lab.qemu_driver', self._run.folder],
            self._run.namespace, self._run.logs / 'bmc.log', outlive=self._outlive,
            env={'PYTHONPATH': str(ROOT / 'tests'), 'TMPDIR': str(self._run.tmp),
                 'PYTHONUNBUFFERED': '1'})
        self._emulator.wait_until(self._answers, 30, 'answer of the Redfish service')

    def stop(self):
        if self._emulator:
            self._emulator.stop(grace=15)

    def log(self):
        """What it did, and how each QEMU ended."""
        return (self._run.logs / 'bmc.log').read_text(errors='replace')

    def power_state(self, uuid):
        """`On` or `Off`."""
        return self._request('GET', f'/Systems/{uuid}')['PowerState']

    def reset(self, uuid, kind):
        """Redfish ResetType: On, ForceOff, ForceRestart, GracefulShutdown …"""
        self._request('POST', f'/Systems/{uuid}/Actions/ComputerSystem.Reset',
                      {'ResetType': kind})

    def set_boot_device(self, uuid, device):
        """Pxe, Hdd or Cd."""
        self._request('PATCH', f'/Systems/{uuid}', {'Boot': {'BootSourceOverrideTarget': device}})

    def _answers(self):
        try:
            return bool(self._request('GET', '/'))
        except requests.ConnectionError:
            return False

    def _request(self, method, path, body=None):
        with self._network.inside():
            answer = requests.request(method, f'{URL}/redfish/v1{path}', json=body, timeout=60)
        answer.raise_for_status()
        return answer.json() if answer.content else None
