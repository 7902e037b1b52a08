"""dnsmasq as a DHCP server. It names no hosts here, and serves no files: tftpd-hpa does."""

from lab import network
from lab.dhcp_settings import (
    AGENT, BIOS_LOADER, POOL, SUBNET, UEFI_CLASSES)

PROGRAM = '/usr/sbin/dnsmasq'
READY = 'DHCP, sockets bound exclusively to interface'


def command(program, settings, folder):
    """Writes the configuration into `folder`; the arguments and the environment that the program wants."""
    return in_foreground(program, folder, 'dnsmasq', configuration(settings)), {}


def in_foreground(program, folder, name, text):
    """The arguments for a dnsmasq of this name, with the configuration that this text is."""
    config = folder / f'{name}.conf'
    config.write_text(text)
    # A change of its user would clear the wish to end with the lab.
    return [program, '--keep-in-foreground', '--user=root', '--log-facility=-', f'--conf-file={config}',
            f'--dhcp-leasefile={folder / name}.leases', f'--pid-file={folder / name}.pid']


def acknowledges(line, mac):
    """Whether this line of the log says that the card got an address, or kept it."""
    return 'DHCPACK' in line and mac in line


def configuration(settings):
    known = '\n'.join(f'dhcp-match=set:{kind.name.lower()},option:client-arch,{arch}'
                      for kind in UEFI_CLASSES for arch in kind.architectures)
    loaders = '\n'.join(f'dhcp-boot=tag:!ipxe,tag:{kind.name.lower()},{kind.loader},,{network.ADDRESS}'
                        for kind in UEFI_CLASSES)
    neither = ','.join(f'tag:!{kind.name.lower()}' for kind in UEFI_CLASSES)
    return f'''\
# No name server.
port=0
interface={network.BRIDGE}
bind-interfaces
dhcp-authoritative
dhcp-range={POOL[0]},{POOL[1]},{SUBNET.netmask},{settings.lease}
dhcp-option=option:router,{network.ADDRESS}
{_options(settings)}
dhcp-vendorclass=set:agent,{AGENT}
dhcp-userclass=set:ipxe,iPXE
{known}
dhcp-boot=tag:ipxe,{settings.boot_script}
{loaders}
dhcp-boot=tag:!ipxe,{neither},{BIOS_LOADER},,{network.ADDRESS}
{_hosts(settings.ignored)}'''


def _options(settings):
    routes = [word for route in settings.routes for word in (route.network, route.gateway)]
    options = {
        'dns-server': settings.name_servers,
        'domain-name': (settings.domain,) if settings.domain else (),
        'domain-search': settings.search,
        'tag:agent,option:ntp-server': settings.ntp_servers,
        'mtu': (str(settings.mtu),) if settings.mtu else (),
        'classless-static-route': routes,
    }
    return '\n'.join(f'dhcp-option={name if ":" in name else f"option:{name}"},{",".join(values)}'
                     for name, values in options.items() if values)


def _hosts(ignored):
    return ''.join(f'dhcp-host={mac},ignore\n' for mac in ignored)
