"""How a server finds its boot script over IPv4: DHCP and TFTP (IPv6: `dhcp6.py`).

The configuration is what an operator of a real site writes: iPXE (recognised by its user class)
gets Ironic's boot script over HTTP; UEFI firmware gets an iPXE over TFTP first.
"""

import contextlib
import os
import shutil
from pathlib import Path

from lab import dhcp_process, dnsmasq, isc_dhcp, kea
from lab.dhcp_settings import ARM64_LOADER, BIOS_LOADER, UEFI_LOADER, Settings
from lab.paths import LAB
from lab.process import Process

LOADERS = [Path('/usr/lib/ipxe', name) for name in (UEFI_LOADER, BIOS_LOADER)]
# There where `install-arm64` ran.
LOADER_OF_ARM64 = LAB / 'arm64' / ARM64_LOADER
SERVERS = {'isc-dhcp': isc_dhcp, 'kea': kea, 'dnsmasq': dnsmasq}
# Which of them serves unless a test wants another one.
DEFAULT = os.environ.get('FARRIER_DHCP') or 'isc-dhcp'


class Dhcp:
    """A DHCP server and tftpd-hpa on the lab's bridge. `server` is the name of the one that serves."""

    def __init__(self, run, *, outlive=False, server=DEFAULT):
        if server not in SERVERS:
            raise ValueError(f'{server!r} is none of the DHCP servers {", ".join(SERVERS)}')
        self._run = run
        self._outlive = outlive
        self.server = server
        self._process = None
        self._tftp = None
        self._settings = Settings()

    def start(self):
        for loader in LOADERS + [LOADER_OF_ARM64] * LOADER_OF_ARM64.exists():
            shutil.copy(loader, self._run.tftp)
        self._tftp = self._start_tftp()
        self._serve()

    def stop(self):
        for process in (self._process, self._tftp):
            if process:
                process.stop()

    def set_lease(self, seconds):
        """Another lease time from now on (the leases given out stay known)."""
        self._change(lease=seconds)

    def ignore(self, mac):
        """No IPv4 address for this card."""
        self._change(ignored=(*self._settings.ignored, mac))

    @contextlib.contextmanager
    def telling(self, **settings):
        """Clients are told these `Settings` meanwhile."""
        before = self._settings
        self._change(**settings)
        try:
            yield
        finally:
            self._settings = before
            self._serve()

    @contextlib.contextmanager
    def served_by(self, server):
        """Another server meanwhile, with the same settings. Neither knows the other's leases."""
        before = self.server
        self.server = server
        self._serve()
        try:
            yield
        finally:
            self.server = before
            self._serve()

    @contextlib.contextmanager
    def silent(self):
        """Nobody serves IPv4 addresses meanwhile."""
        self._process.stop()
        try:
            yield
        finally:
            self._serve()

    def acknowledged(self, mac):
        """How many times an address was given to this card, or its lease renewed."""
        acknowledges = SERVERS[self.server].acknowledges
        return sum(acknowledges(line, mac) for line in self.log().splitlines())

    def log(self):
        """What the server has said so far."""
        return dhcp_process.said(self._run.logs / f'{self.server}.log')

    def _change(self, **settings):
        self._settings = self._settings.but(**settings)
        self._serve()

    def _serve(self):
        """The server is (again) the one that is wanted, with the settings that are."""
        if self._process:
            self._process.stop()
        self._process = dhcp_process.start(
            self._run, SERVERS[self.server], self.server, self._settings, outlive=self._outlive)

    def _start_tftp(self):
        # Without an address it listens for IPv4 and IPv6.
        return Process.start('tftpd', ['in.tftpd', '-L', '-v', '-s', self._run.tftp], self._run.namespace,
                             self._run.logs / 'tftpd.log', outlive=self._outlive)
