"""The systems driver of the lab's BMC: sushy-tools' Redfish emulator switching QEMUs.

Run inside the namespace: `python -m lab.qemu_driver FOLDER`. The emulator is the stock one; this
driver takes the place of its built-in fake driver. Servers are described by
`FOLDER/servers/<name>/server.json`, which `lab.server` writes; new ones are seen at once.
"""

import json
import logging
import signal
import sys
from pathlib import Path

from sushy_tools import error
from sushy_tools.emulator import main as emulator
from sushy_tools.emulator.resources.systems import fakedriver
from sushy_tools.emulator.resources.systems.base import AbstractSystemsDriver

from lab import network
from lab.bmc import PORT
from lab.guest import Guest
from lab.paths import Run


class QemuDriver(AbstractSystemsDriver):
    """Redfish systems backed by QEMU processes."""

    run = None
    guests = {}

    @classmethod
    def initialize(cls, config, logger):
        super().initialize(config, logger)
        return cls

    @classmethod
    def stop_all(cls):
        for guest in cls.guests.values():
            guest.power_off()

    @property
    def driver(self):
        return '<qemu>'

    @property
    def systems(self):
        for path in self.run.servers.glob('*/server.json'):
            hardware = json.loads(path.read_text())
            if hardware['uuid'] not in self.guests:
                self.guests[hardware['uuid']] = Guest(path.parent, self.run, self._logger)
        return [uuid for uuid, guest in self.guests.items()
                if (guest.folder / 'server.json').exists()]

    def uuid(self, identity):
        return self._guest(identity).hardware['uuid']

    def name(self, identity):
        return self._guest(identity).hardware['name']

    def get_power_state(self, identity):
        return 'On' if self._guest(identity).is_on() else 'Off'

    def set_power_state(self, identity, state):
        guest = self._guest(identity)
        actions = {
            'On': guest.power_on,
            'ForceOn': guest.power_on,
            'ForceOff': guest.power_off,
            'GracefulShutdown': guest.press_power_button,
            'GracefulRestart': guest.restart,
            'ForceRestart': guest.restart,
            'Nmi': guest.interrupt,
        }
        if state not in actions:
            raise error.BadRequest(f'Unknown reset type {state}')
        actions[state]()

    def get_boot_device(self, identity):
        return self._guest(identity).boot_device

    def set_boot_device(self, identity, boot_source):
        self._guest(identity).boot_device = boot_source

    def get_boot_mode(self, identity):
        return 'UEFI' if self._guest(identity).uefi else 'Legacy'

    def set_boot_mode(self, identity, boot_mode):
        self._guest(identity).uefi = boot_mode == 'UEFI'

    def get_secure_boot(self, identity):
        # "Not supported" would be a 501, which Ironic's Redfish client retries for half a minute.
        return self._guest(identity).hardware['secure_boot']

    def set_secure_boot(self, identity, secure):
        if secure != self.get_secure_boot(identity):
            raise error.NotSupportedError('A server of the lab has Secure Boot, or not, for ever')

    def get_total_memory(self, identity):
        return self._guest(identity).hardware['memory_mib'] / 1024

    def get_total_cpus(self, identity):
        return self._guest(identity).hardware['cpus']

    def get_nics(self, identity):
        return [{'id': card['mac'], 'mac': card['mac']}
                for card in self._guest(identity).hardware['cards']]

    def get_boot_image(self, identity, device):
        image = self._guest(identity).media.get(device)
        return image, True, bool(image)

    def set_boot_image(self, identity, device, boot_image=None, write_protected=True):
        self._guest(identity).media[device] = boot_image

    def get_http_boot_uri(self, identity):
        return None

    def _guest(self, identity):
        for uuid in self.systems:
            guest = self.guests[uuid]
            if identity == uuid:
                return guest
            if identity == guest.hardware['name']:
                raise error.AliasAccessError(uuid)
        raise error.NotFound(f'System {identity} was not found')


def main(folder):
    QemuDriver.run = Run(Path(folder))
    fakedriver.FakeDriver = QemuDriver
    config = QemuDriver.run.etc / 'sushy-emulator.conf'
    config.write_text(f'SUSHY_EMULATOR_LISTEN_IP = {network.ADDRESS!r}\n'
                      f'SUSHY_EMULATOR_LISTEN_PORT = {PORT}\n'
                      f'SUSHY_EMULATOR_STATE_DIR = {str(QemuDriver.run.etc)!r}\n')
    logging.basicConfig(level=logging.INFO, format='%(asctime)s %(message)s')

    def stop(*_):
        # A QEMU that survived its BMC would keep the tap devices.
        QemuDriver.stop_all()
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    sys.argv = ['sushy-emulator', '--config', str(config), '--fake']
    emulator.main()


if __name__ == '__main__':
    main(sys.argv[1])
