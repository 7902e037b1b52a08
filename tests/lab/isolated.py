"""A network without DHCP: a second bridge, on which the conductor has addresses and nothing else speaks.

No DHCP server, no router advertisements, no names. What a server there does not know by itself it never hears.
The conductor's own address is behind the bridge's, which is the servers' gateway.
"""

import contextlib

BRIDGE = 'br1'
# Where it can be taken.
ELSEWHERE = 'br3'
GATEWAY = '198.51.100.1'
PREFIX = 24
GATEWAY6 = 'fd00:fa:2::1'
PREFIX6 = 64


class Isolated:
    """The bridge, as long as the `with` lasts: `lab.server(…, bridge=isolated.BRIDGE)` plugs a server in."""

    def __init__(self, network):
        self._network = network

    def __enter__(self):
        self._network.add_bridge(BRIDGE)
        self._add_addresses(BRIDGE)
        return self

    @contextlib.contextmanager
    def elsewhere(self, device):
        """Meanwhile the port of this device is in another network, of the same addresses: its gateway is another machine."""
        self._network.add_bridge(ELSEWHERE)
        self._take_addresses(BRIDGE, ELSEWHERE)
        self._network.ip('link', 'set', device, 'master', ELSEWHERE)
        try:
            yield
        finally:
            self._network.ip('link', 'set', device, 'master', BRIDGE)
            self._take_addresses(ELSEWHERE, BRIDGE)
            self._network.ip('link', 'delete', ELSEWHERE)

    def __exit__(self, *_):
        self._network.ip('link', 'delete', BRIDGE)

    def _add_addresses(self, bridge):
        self._network.ip('addr', 'add', f'{GATEWAY}/{PREFIX}', 'dev', bridge)
        self._network.ip('addr', 'add', f'{GATEWAY6}/{PREFIX6}', 'dev', bridge, 'nodad')

    def _take_addresses(self, source, target):
        self._network.ip('addr', 'del', f'{GATEWAY}/{PREFIX}', 'dev', source)
        self._network.ip('addr', 'del', f'{GATEWAY6}/{PREFIX6}', 'dev', source)
        self._add_addresses(target)
