"""dnsmasq as a DHCPv6 server. It serves no IPv4 addresses here, names no hosts and announces no routes: radvd does."""

import re

from lab import network
from lab.dhcp6_settings import AGENT_ENTERPRISE, POOL
from lab.dhcp_settings import AGENT
from lab.dnsmasq import PROGRAM, READY, in_foreground

__all__ = ['PROGRAM', 'READY', 'command', 'given']


def command(program, settings, folder):
    """Writes the configuration into `folder`; the arguments and the environment that the program wants."""
    return in_foreground(program, folder, 'dnsmasq6', configuration(settings)), {}


def given(line, name):
    """The address that this line of the log gives to the machine of this name (DUID), or None."""
    found = re.search(rf'DHCPREPLY\(\S+\) ([\da-f:]+) {name}', line)
    return found and found[1]


def configuration(settings):
    """Of the server. UEFI HTTP Boot wants its vendor class back, which dnsmasq cannot write: of the option's bytes it
    makes a text behind a length, without the number in front."""
    return f'''\
# No name server.
port=0
interface={network.BRIDGE}
bind-interfaces
dhcp-authoritative
dhcp-range={POOL[0]},{POOL[1]},{network.PREFIX6},{settings.lease}
{_options(settings)}
dhcp-userclass=set:ipxe,iPXE
dhcp-vendorclass=set:agent,enterprise:{AGENT_ENTERPRISE},{AGENT}
dhcp-option=tag:ipxe,option6:bootfile-url,{settings.boot_script}
dhcp-option=tag:!ipxe,option6:bootfile-url,{settings.pxe_loader}
'''


def _options(settings):
    options = {
        'dns-server': [f'[{address}]' for address in settings.name_servers],
        'domain-search': settings.search,
    }
    for_all = [f'dhcp-option=option6:{name},{",".join(values)}'
               for name, values in options.items() if values]
    times = ','.join(f'[{address}]' for address in settings.ntp_servers)
    return '\n'.join(for_all + ([f'dhcp-option=tag:agent,option6:ntp-server,{times}'] if times else []))
