"""A tenant's network: a second bridge with addresses, router and DHCP server of its own. The conductor is not in it.

A server's port comes into it as a switch does it, by another VLAN for the port: its card keeps its link.
"""

from lab.network import BRIDGE as PROVISIONING
from lab.process import Process

BRIDGE = 'br2'
GATEWAY = '203.0.113.1'
SUBNET = '203.0.113.0/24'
GATEWAY6 = 'fd00:fa:3::1'
SUBNET6 = 'fd00:fa:3::/64'
# Of dnsmasq, at its start.
READY = 'IPv6 router advertisement enabled'


class Tenant:
    """The bridge, as long as the `with` lasts. `authoritative` says whether its DHCP server refuses the leases of other
    networks, or keeps silent; `ipv4` whether there is one of IPv4. With `managed` addresses of IPv6 are to be had by DHCPv6
    alone, without it every machine makes itself one."""

    def __init__(self, lab, *, authoritative=True, ipv4=True, managed=False):
        self._lab = lab
        self._authoritative = authoritative
        self._ipv4 = ipv4
        self._managed = managed
        self._server = None
        self._taps = []

    def __enter__(self):
        ip = self._lab.network.ip
        self._lab.network.add_bridge(BRIDGE)
        ip('addr', 'add', f'{GATEWAY}/24', 'dev', BRIDGE)
        ip('addr', 'add', f'{GATEWAY6}/64', 'dev', BRIDGE, 'nodad')
        run = self._lab.run
        config = run.etc / 'tenant.conf'
        config.write_text(self._configuration())
        log = run.logs / 'tenant.log'
        log.unlink(missing_ok=True)
        self._server = Process.start(
            'tenant', ['dnsmasq', '--keep-in-foreground', '--user=root', '--log-facility=-', f'--conf-file={config}',
                       f'--dhcp-leasefile={run.etc / "tenant.leases"}', f'--pid-file={run.etc / "tenant.pid"}'],
            run.namespace, log)
        self._server.wait_until(lambda: READY in log.read_text(errors='replace'),
                                10, 'start of service')
        return self

    def __exit__(self, *_):
        for tap in self._taps:
            self._lab.network.ip('link', 'set', tap, 'master', PROVISIONING)
        self._server.stop()
        self._lab.network.ip('link', 'delete', BRIDGE)

    def take(self, tap):
        """The port of this tap device is in this network from now on."""
        self._taps.append(tap)
        self._lab.network.ip('link', 'set', tap, 'master', BRIDGE)

    def _configuration(self):
        return '\n'.join(['port=0', f'interface={BRIDGE}', 'bind-interfaces', *self._ipv4_configuration(), 'enable-ra',
                          self._ipv6_range(), ''])

    def _ipv4_configuration(self):
        if self._authoritative:
            yield 'dhcp-authoritative'
        if self._ipv4:
            yield 'dhcp-range=203.0.113.100,203.0.113.200,255.255.255.0,3600'
            yield f'dhcp-option=option:router,{GATEWAY}'
            yield 'dhcp-option=option:dns-server,203.0.113.53'

    def _ipv6_range(self):
        prefix = SUBNET6.removesuffix('/64')
        return f'dhcp-range={prefix}1000,{prefix}1fff,64,3600' if self._managed else f'dhcp-range={prefix},ra-only,64,3600'
