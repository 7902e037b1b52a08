"""How a server finds its boot script: DHCP, TFTP and router advertisements.

The configuration is what an operator of a real site writes: iPXE (recognised by its user class)
gets Ironic's boot script over HTTP; UEFI firmware gets an iPXE over TFTP first.
"""

import shutil
from pathlib import Path

from lab import network
from lab.process import Process
from lab.web import HTTP_PORT

SNPONLY = Path('/usr/lib/ipxe/snponly.efi')
UNDIONLY = Path('/usr/lib/ipxe/undionly.kpxe')


class Dhcp:
    """isc-dhcpd, tftpd-hpa and radvd on the lab's bridge."""

    def __init__(self, run, *, outlive=False):
        self._run = run
        self._outlive = outlive
        self._dhcpd = None
        self._others = []
        self._lease_seconds = 600
        self._ignored = []
        self._options = ''

    def start(self):
        for loader in (SNPONLY, UNDIONLY):
            shutil.copy(loader, self._run.tftp)
        self._others = [self._start_tftp(), self._start_radvd()]
        self._start_dhcpd()

    def stop(self):
        for process in (self._dhcpd, *self._others):
            if process:
                process.stop()

    def set_lease(self, seconds):
        """Another lease time from now on (the leases given out stay known)."""
        self._lease_seconds = seconds
        self._start_dhcpd()

    def ignore(self, mac):
        """No IPv4 address for this card."""
        self._ignored.append(mac)
        self._start_dhcpd()

    def tell(self, options):
        """Further options from now on, as dhcpd.conf(5) writes them."""
        self._options = options
        self._start_dhcpd()

    def acknowledged(self, mac):
        """How many times an address was given to this card, or its lease renewed."""
        return sum('DHCPACK' in line and mac in line for line in self.log().splitlines())

    def log(self):
        """What dhcpd has said so far: one DHCPDISCOVER, DHCPOFFER, DHCPREQUEST, DHCPACK a line."""
        return (self._run.logs / 'dhcpd.log').read_text(errors='replace')

    def _start_dhcpd(self):
        if self._dhcpd:
            self._dhcpd.stop()
        config = self._run.etc / 'dhcpd.conf'
        config.write_text(_dhcpd_conf(self._lease_seconds, self._ignored, self._options))
        leases = self._run.etc / 'dhcpd.leases'
        leases.touch()
        log = self._run.logs / 'dhcpd.log'
        offset = log.stat().st_size if log.exists() else 0
        self._dhcpd = self._start(
            'dhcpd', 'dhcpd', '-4', '-f', '-d', '-cf', config, '-lf', leases,
            '-pf', self._run.etc / 'dhcpd.pid', network.BRIDGE)
        self._dhcpd.wait_until(lambda: 'Server starting service' in log.read_text()[offset:],
                               10, 'start of service')

    def _start_tftp(self):
        return self._start('tftpd', 'in.tftpd', '-L', '-v', '-s', '--address',
                           f'{network.ADDRESS}:69', self._run.tftp)

    def _start_radvd(self):
        config = self._run.etc / 'radvd.conf'
        config.write_text(_radvd_conf())
        return self._start('radvd', 'radvd', '-n', '-m', 'stderr', '-C', config,
                           '-p', self._run.etc / 'radvd.pid')

    def _start(self, name, *command):
        return Process.start(name, command, self._run.namespace,
                             self._run.logs / f'{name}.log', outlive=self._outlive)


def _dhcpd_conf(lease, ignored, options):
    hosts = ''.join(f'host ignored{number} {{ hardware ethernet {mac}; ignore booting; }}\n'
                    for number, mac in enumerate(ignored))
    http = f'http://{network.ADDRESS}:{HTTP_PORT}'
    return f'''\
authoritative;
ddns-update-style none;
default-lease-time {lease};
max-lease-time {lease};
min-lease-time {lease};

option arch code 93 = unsigned integer 16;
option search-as-sent code 119 = string;

subnet 192.0.2.0 netmask 255.255.255.0 {{
    range 192.0.2.100 192.0.2.250;
    option routers {network.ADDRESS};
    {options}
    next-server {network.ADDRESS};

    if exists user-class and option user-class = "iPXE" {{
        filename "{http}/boot.ipxe";
    }} elsif option arch = 00:07 or option arch = 00:09 {{
        filename "{SNPONLY.name}";
    }} else {{
        filename "{UNDIONLY.name}";
    }}
}}
{hosts}'''


def _radvd_conf():
    # Without advertisements the iPXE in Debian 12 waits about 13 s for a router.
    return f'''\
interface {network.BRIDGE} {{
    AdvSendAdvert on;
    MinRtrAdvInterval 3;
    MaxRtrAdvInterval 10;
    AdvDefaultLifetime 600;
    prefix fd00:fa:1::/{network.PREFIX6} {{
        AdvOnLink on;
        AdvAutonomous on;
    }};
}};
'''
