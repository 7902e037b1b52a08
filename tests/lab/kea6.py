"""Kea as a DHCPv6 server."""

import re
from ipaddress import IPv6Address

from lab import network
from lab.dhcp6_settings import AGENT_ENTERPRISE, HTTP_CLIENT, POOL, vendor_class
from lab.dhcp_settings import AGENT
from lab.kea import in_folder

PROGRAM = '/usr/sbin/kea-dhcp6'
READY = 'DHCP6_STARTED'

# The user class of iPXE.
IPXE = b'iPXE'


def command(program, settings, folder):
    """Writes the configuration into `folder`; the arguments and the environment that the program wants."""
    # Of the number for examples: names of an interface want one that has a link.
    server_id = {'type': 'EN', 'enterprise-id': 32473, 'identifier': '01', 'persist': False}
    return in_folder(program, folder, 6, configuration(settings), **{'server-id': server_id})


def given(line, name):
    """The address that this line of the log gives to the machine of this name (DUID), or None."""
    found = re.search(rf'DHCP6_LEASE_ALLOC duid=\[{name}\].*lease for address ([\da-f:]+) ', line)
    return found and found[1]


def configuration(settings):
    """Of the server."""
    # Each class of user is behind its length.
    name = (len(IPXE).to_bytes(2) + IPXE).hex()
    ipxe = f'option[15].hex == 0x{name}'
    # Behind enterprise and length.
    http = f"substring(option[16].hex, 6, {len(HTTP_CLIENT)}) == '{HTTP_CLIENT}'"
    agent = f'option[16].hex == 0x{vendor_class(AGENT, AGENT_ENTERPRISE).hex()}'
    return {'Dhcp6': {
        # Without retries Kea never serves an interface that has no link when Kea starts.
        'interfaces-config': {
            'interfaces': [network.BRIDGE],
            'service-sockets-max-retries': 1000000,
            'service-sockets-retry-wait-time': 1000,
        },
        'valid-lifetime': settings.lease,
        'preferred-lifetime': settings.lease,
        'client-classes': [
            {'name': 'iPXE', 'test': ipxe,
             'option-data': [{'name': 'bootfile-url', 'data': settings.boot_script}]},
            {'name': 'HTTP', 'test': f"not member('iPXE') and {http}",
             'option-data': [
                 {'name': 'bootfile-url', 'data': settings.http_loader},
                 # Firmware wants its own class back.
                 {'code': 16, 'csv-format': False, 'always-send': True,
                  'data': vendor_class(HTTP_CLIENT).hex()}]},
            {'name': 'PXE', 'test': "not member('iPXE') and not member('HTTP')",
             'option-data': [{'name': 'bootfile-url', 'data': settings.pxe_loader}]},
            {'name': 'agent', 'test': agent, 'option-data': _times(settings)},
        ],
        'subnet6': [{
            'id': 1,
            'subnet': network.SUBNET6,
            'interface': network.BRIDGE,
            'pools': [{'pool': ' - '.join(POOL)}],
            'option-data': _options(settings),
        }],
    }}


def _options(settings):
    options = {
        'dns-servers': ', '.join(settings.name_servers),
        'domain-search': ', '.join(settings.search),
    }
    return [{'name': name, 'data': value} for name, value in options.items() if value]


def _times(settings):
    # As bytes: Kea 2.2 knows no time servers of RFC 5908.
    times = b''.join(b'\0\1\0\x10' + IPv6Address(address).packed for address in settings.ntp_servers)
    return [{'code': 56, 'csv-format': False, 'data': times.hex()}] if times else []
