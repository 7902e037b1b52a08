"""What the lab's DHCP server tells its clients, in the words of no server."""

import re
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network

from lab import network
from lab.web import HTTP_PORT

POOL = ('192.0.2.100', '192.0.2.250')
SUBNET = IPv4Network(network.SUBNET)

# iPXE gets Ironic's boot script over HTTP; firmware gets an iPXE over TFTP first.
BOOT_SCRIPT = f'http://{network.ADDRESS}:{HTTP_PORT}/boot.ipxe'
UEFI_LOADER = 'snponly.efi'
ARM64_LOADER = 'ipxe-arm64.efi'
BIOS_LOADER = 'undionly.kpxe'
# The vendor class of the ramdisk (option 60).
AGENT = 'farrier'


@dataclass(frozen=True)
class UefiClass:
    """UEFI firmware of one kind of processor: the `name` of its class, its iPXE's file, and what it says that it is
    (client system architecture, RFC 4578, option 93)."""

    name: str
    loader: str
    architectures: tuple[int, ...]


UEFI_CLASSES = (UefiClass('UEFI', UEFI_LOADER, (7, 9)), UefiClass('UEFI-arm64', ARM64_LOADER, (11,)))


@dataclass(frozen=True)
class Route:
    """A classless static route (RFC 3442)."""

    network: str
    gateway: str


@dataclass(frozen=True)
class Settings:
    """Of one subnet. `lease` is in seconds, `ignored` are hardware addresses that get no answer,
    `mtu` is in bytes, 0 for none told. Time servers are for the agent alone. Domains are sent as they stand, also those that are none."""

    lease: int = 600
    ignored: tuple[str, ...] = ()
    name_servers: tuple[str, ...] = ()
    domain: str = ''
    search: tuple[str, ...] = ()
    ntp_servers: tuple[str, ...] = ()
    mtu: int = 0
    routes: tuple[Route, ...] = ()
    boot_script: str = BOOT_SCRIPT

    def but(self, **changes):
        """The same with these changes."""
        return replace(self, **changes)


def are_domains(names):
    """Whether a server that checks what it sends would send these."""
    return all(re.fullmatch(r'[\w-]+(\.[\w-]+)*', name) for name in names)


def search_bytes(domains):
    """Option 119 (RFC 3397), without its compression."""
    encoded = b''
    for domain in domains:
        for label in domain.encode().split(b'.'):
            encoded += bytes([len(label)]) + label
        encoded += b'\0'
    return encoded


def route_bytes(routes):
    """Option 121 (RFC 3442)."""
    encoded = b''
    for route in routes:
        target = IPv4Network(route.network)
        significant = target.network_address.packed[:(target.prefixlen + 7) // 8]
        encoded += bytes([target.prefixlen]) + significant + IPv4Address(route.gateway).packed
    return encoded
