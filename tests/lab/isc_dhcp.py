"""isc-dhcpd, which Debian still has though its last release was in 2022."""

from lab import network
from lab.dhcp_settings import (
    AGENT, BIOS_LOADER, POOL, SUBNET, UEFI_CLASSES, are_domains, route_bytes, search_bytes)

PROGRAM = '/usr/sbin/dhcpd'
READY = 'Server starting service'


def command(program, settings, folder):
    """Writes the configuration into `folder`; the arguments and the environment that the program wants."""
    config, leases = folder / 'dhcpd.conf', folder / 'dhcpd.leases'
    config.write_text(configuration(settings))
    leases.touch()
    return [program, '-4', '-f', '-d', '-cf', config, '-lf', leases,
            '-pf', folder / 'dhcpd.pid', network.BRIDGE], {}


def acknowledges(line, mac):
    """Whether this line of the log says that the card got an address, or kept it."""
    return 'DHCPACK' in line and mac in line


def configuration(settings):
    return f'''\
authoritative;
ddns-update-style none;
default-lease-time {settings.lease};
max-lease-time {settings.lease};
min-lease-time {settings.lease};

option arch code 93 = unsigned integer 16;
{_definitions(settings)}
subnet {SUBNET.network_address} netmask {SUBNET.netmask} {{
    range {POOL[0]} {POOL[1]};
    option routers {network.ADDRESS};
{_options(settings)}
{_for_agents(settings)}    next-server {network.ADDRESS};
    if exists user-class and option user-class = "iPXE" {{
        filename "{settings.boot_script}";
    }}{''.join(map(_uefi, UEFI_CLASSES))} else {{
        filename "{BIOS_LOADER}";
    }}
}}
{_hosts(settings.ignored)}'''


def _uefi(firmware):
    known = ' or '.join(f'option arch = 00:{arch:02x}' for arch in firmware.architectures)
    return f''' elsif {known} {{
        filename "{firmware.loader}";
    }}'''


# As bytes: dhcpd knows no classless routes, and refuses a domain that is none.
def _definitions(settings):
    told = {'search-as-sent code 119 = string': not are_domains(settings.search),
            'classless-routes code 121 = string': settings.routes}
    return ''.join(f'option {definition};\n' for definition, wanted in told.items() if wanted)


def _options(settings):
    if are_domains(settings.search):
        search = {'domain-search': ', '.join(f'"{domain}"' for domain in settings.search)}
    else:
        search = {'search-as-sent': search_bytes(settings.search).hex(':')}
    options = {
        'domain-name-servers': ', '.join(settings.name_servers),
        'domain-name': f'"{settings.domain}"' if settings.domain else '',
        **search,
        'interface-mtu': settings.mtu or '',
        'classless-routes': route_bytes(settings.routes).hex(':'),
    }
    return '\n'.join(f'    option {name} {value};' for name, value in options.items() if value)


def _for_agents(settings):
    if not settings.ntp_servers:
        return ''
    return f'''\
    if exists vendor-class-identifier and option vendor-class-identifier = "{AGENT}" {{
        option ntp-servers {", ".join(settings.ntp_servers)};
    }}
'''


def _hosts(ignored):
    return ''.join(f'host ignored{number} {{ hardware ethernet {mac}; ignore booting; }}\n'
                   for number, mac in enumerate(ignored))
