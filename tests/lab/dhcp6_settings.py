"""What the lab's router advertises and its DHCPv6 server tells, in the words of no program."""

from dataclasses import dataclass, replace

from lab import network
from lab.dhcp_settings import UEFI_LOADER
from lab.web import HTTP_PORT

POOL = ('fd00:fa:1::1000', 'fd00:fa:1::1fff')

HTTP = f'http://[{network.ADDRESS6}]:{HTTP_PORT}'
# iPXE gets Ironic's boot script; firmware gets an iPXE first, by TFTP (PXE) or HTTP (UEFI HTTP Boot).
BOOT_SCRIPT = f'{HTTP}/boot.ipxe'
PXE_LOADER = f'tftp://[{network.ADDRESS6}]/{UEFI_LOADER}'
HTTP_LOADER = f'{HTTP}/{UEFI_LOADER}'

# In front of the vendor class of the ramdisk: the enterprise number of dhcpcd, its client.
AGENT_ENTERPRISE = 40712

# In front of the vendor classes of PXE and of HTTP Boot: Intel's enterprise number, which UEFI uses for both.
UEFI_ENTERPRISE = 343
HTTP_CLIENT = 'HTTPClient'


@dataclass(frozen=True)
class Settings6:
    """Of one network. `managed` and `other` are the advertisements' flags: addresses, or all but these, are to be
    had by DHCPv6; without either nobody serves it. With `autonomous` every machine makes itself an address of the
    prefix. `lease` is in seconds. Time servers are for the agent alone."""

    managed: bool = False
    other: bool = False
    autonomous: bool = True
    lease: int = 600
    name_servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    ntp_servers: tuple[str, ...] = ()
    pxe_loader: str = PXE_LOADER
    http_loader: str = HTTP_LOADER
    boot_script: str = BOOT_SCRIPT

    def but(self, **changes):
        """The same with these changes."""
        return replace(self, **changes)


def vendor_class(name, enterprise=UEFI_ENTERPRISE):
    """DHCPv6's option 16 (RFC 8415)."""
    encoded = name.encode()
    return enterprise.to_bytes(4) + len(encoded).to_bytes(2) + encoded
