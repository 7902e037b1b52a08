"""A network without DHCP: a second bridge, on which the conductor has addresses and nothing else speaks.

No DHCP server, no router advertisements, no names. What a server there does not know by itself it never hears.
The conductor's own address is behind the bridge's, which is the servers' gateway.
"""

BRIDGE = 'br1'
GATEWAY = '198.51.100.1'
PREFIX = 24
GATEWAY6 = 'fd00:fa:2::1'
PREFIX6 = 64


class Isolated:
    """The bridge, as long as the `with` lasts: `lab.server(…, bridge=isolated.BRIDGE)` plugs a server in."""

    def __init__(self, network):
        self._network = network

    def __enter__(self):
        ip = self._network.ip
        ip('link', 'add', BRIDGE, 'type', 'bridge', 'forward_delay', '0', 'stp_state', '0')
        ip('addr', 'add', f'{GATEWAY}/{PREFIX}', 'dev', BRIDGE)
        ip('addr', 'add', f'{GATEWAY6}/{PREFIX6}', 'dev', BRIDGE, 'nodad')
        ip('link', 'set', BRIDGE, 'up')
        return self

    def __exit__(self, *_):
        self._network.ip('link', 'delete', BRIDGE)
