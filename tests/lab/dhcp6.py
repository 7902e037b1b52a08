"""How a server comes by IPv6 addresses, and finds its boot script there: router advertisements and DHCPv6.

Unless a test wants more, a router is advertised and every machine makes itself an address.
"""

import contextlib
import os
import shutil
from pathlib import Path
from uuid import UUID

from lab import dhcp_process, dnsmasq6, kea6, network
from lab.dhcp6_settings import Settings6
from lab.dhcp_settings import UEFI_LOADER
from lab.process import Process

SERVERS = {'kea': kea6, 'dnsmasq': dnsmasq6}
# Which of them serves unless a test wants another one.
DEFAULT = os.environ.get('FARRIER_DHCP') if os.environ.get('FARRIER_DHCP') in SERVERS else 'dnsmasq'


# Before the UUID in a DUID of one.
UUID_NAME = b'\0\4'


class Dhcp6:
    """radvd on the lab's bridge, and a DHCPv6 server where one is wanted."""

    def __init__(self, run, *, outlive=False):
        self._run = run
        self._outlive = outlive
        self._server = DEFAULT
        self._process = None
        self._radvd = None

    def start(self):
        # UEFI HTTP Boot gets its iPXE by HTTP.
        shutil.copy(Path('/usr/lib/ipxe', UEFI_LOADER), self._run.http)
        self._serve(Settings6())

    def stop(self):
        for process in (self._process, self._radvd):
            if process:
                process.stop()
        self._process = self._radvd = None

    @contextlib.contextmanager
    def telling(self, server=DEFAULT, **settings):
        """Meanwhile machines are told these `Settings6`, by this server."""
        self._server = server
        self._serve(Settings6().but(**settings))
        try:
            yield
        finally:
            self._serve(Settings6())

    def addresses(self, name):
        """The addresses that were given to the machine of this name (DUID), one for each time, first one first."""
        words = ':'.join(f'{byte:02x}' for byte in name)
        found = (SERVERS[self._server].given(line, words) for line in self.log().splitlines())
        return [address for address in found if address]

    def log(self):
        """What the server has said so far."""
        return dhcp_process.said(self._run.logs / f'{self._server}6.log')

    def _serve(self, settings):
        self.stop()
        if settings.managed or settings.other:
            self._process = dhcp_process.start(
                self._run, SERVERS[self._server], f'{self._server}6', settings, outlive=self._outlive)
        config = self._run.etc / 'radvd.conf'
        config.write_text(radvd_conf(settings))
        self._radvd = Process.start(
            'radvd', ['radvd', '-n', '-m', 'stderr', '-C', config, '-p', self._run.etc / 'radvd.pid'],
            self._run.namespace, self._run.logs / 'radvd.log', outlive=self._outlive)


def name_of(uuid):
    """The name (DUID) that iPXE and the ramdisk make of the firmware's UUID (RFC 6355)."""
    return UUID_NAME + UUID(uuid).bytes


def firmware_name_of(uuid):
    """The same as UEFI firmware made with EDK II calls itself: the UUID's first three numbers lie in memory the
    other way round."""
    return UUID_NAME + UUID(uuid).bytes_le


def radvd_conf(settings):
    """The configuration of the router."""
    def word(is_on):
        return 'on' if is_on else 'off'
    # Without advertisements the iPXE in Debian 12 waits about 13 s for a router.
    return f'''\
interface {network.BRIDGE} {{
    AdvSendAdvert on;
    MinRtrAdvInterval 3;
    MaxRtrAdvInterval 10;
    AdvDefaultLifetime 600;
    AdvManagedFlag {word(settings.managed)};
    AdvOtherConfigFlag {word(settings.other)};
    prefix {network.SUBNET6} {{
        AdvOnLink on;
        AdvAutonomous {word(settings.autonomous)};
    }};
}};
'''
