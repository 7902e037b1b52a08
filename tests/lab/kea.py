"""Kea, ISC's successor of its dhcpd."""

import json

from lab import network
from lab.dhcp_settings import (
    AGENT, BIOS_LOADER, POOL, UEFI_CLASSES, are_domains, route_bytes, search_bytes)

PROGRAM = '/usr/sbin/kea-dhcp4'
READY = 'DHCP4_STARTED'

# Where Kea keeps its files; from 2.6.3 on it refuses leases and logs anywhere else.
FOLDERS = ('KEA_PIDFILE_DIR', 'KEA_LOCKFILE_DIR', 'KEA_DHCP_DATA_DIR', 'KEA_LOG_FILE_DIR')


def command(program, settings, folder):
    """Writes the configuration into `folder`; the arguments and the environment that the program wants."""
    return in_folder(program, folder, 4, configuration(settings))


def in_folder(program, folder, version, everything, **more):
    """Writes this configuration of Kea for IPv4 or IPv6, with files in the folder; the same as `command`."""
    config = folder / f'kea-dhcp{version}.conf'
    everything[f'Dhcp{version}'] |= {
        # No kea-lfc, which tidies the file of leases up: it would run as a program of its own.
        'lease-database': {'type': 'memfile', 'name': str(folder / f'kea-leases{version}.csv'),
                           'lfc-interval': 0},
        'loggers': [{'name': f'kea-dhcp{version}', 'severity': 'INFO',
                     'output_options': [{'output': 'stdout', 'flush': True}]}],
        **more,
    }
    config.write_text(json.dumps(everything, indent=4))
    return [program, '-c', config], {name: str(folder) for name in FOLDERS}


def acknowledges(line, mac):
    """Whether this line of the log says that the card got an address, or kept it."""
    return 'DHCP4_LEASE_ALLOC' in line and mac in line


def configuration(settings):
    neither = ' and '.join(f"not member('{name}')" for name in ('iPXE', *(kind.name for kind in UEFI_CLASSES)))
    classes = [
        {'name': 'iPXE', 'test': "option[77].hex == 'iPXE'", 'boot-file-name': settings.boot_script},
        *map(_uefi, UEFI_CLASSES),
        {'name': 'BIOS', 'test': neither, 'boot-file-name': BIOS_LOADER},
    ]
    if settings.ntp_servers:
        classes.append({'name': 'agent', 'test': f"option[60].text == '{AGENT}'", 'option-data': [
            {'name': 'ntp-servers', 'data': ', '.join(settings.ntp_servers)}]})
    if settings.ignored:
        tests = (f"hexstring(pkt4.mac, ':') == '{mac}'" for mac in settings.ignored)
        classes.append({'name': 'DROP', 'test': ' or '.join(tests)})
    return {'Dhcp4': {
        # Without retries Kea never serves an interface that has no link when Kea starts.
        'interfaces-config': {
            'interfaces': [network.BRIDGE],
            'service-sockets-max-retries': 1000000,
            'service-sockets-retry-wait-time': 1000,
        },
        'authoritative': True,
        'valid-lifetime': settings.lease,
        'client-classes': classes,
        'subnet4': [{
            'id': 1,
            'subnet': network.SUBNET,
            'pools': [{'pool': ' - '.join(POOL)}],
            'next-server': network.ADDRESS,
            'option-data': _options(settings),
        }],
    }}


def _uefi(firmware):
    known = ' or '.join(f'option[93].hex == 0x{arch:04x}' for arch in firmware.architectures)
    return {'name': firmware.name, 'test': f"not member('iPXE') and ({known})", 'boot-file-name': firmware.loader}


def _options(settings):
    options = {
        'routers': network.ADDRESS,
        'domain-name-servers': ', '.join(settings.name_servers),
        'domain-name': settings.domain,
        'interface-mtu': str(settings.mtu or ''),
    }
    # As bytes: Kea 2.2 and 2.6 know no classless routes, and refuse a domain that is none.
    encoded = {121: route_bytes(settings.routes)}
    if are_domains(settings.search):
        options['domain-search'] = ', '.join(settings.search)
    else:
        encoded[119] = search_bytes(settings.search)
    named = [{'name': name, 'data': value} for name, value in options.items() if value]
    return named + [{'code': code, 'csv-format': False, 'data': value.hex()}
                    for code, value in encoded.items() if value]
