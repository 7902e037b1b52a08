"""Servers and a conductor that have IPv6 alone: from the firmware's network boot to the deployed system.

The BMC keeps its address, as one on a network of its own does.
"""

import re

import pytest

from conductor.expectations import config_drive, expect_deployed_system, wait_for_heartbeats
from lab import Disk, conductor
from lab.dhcp6 import firmware_name_of, name_of
from lab.dhcp6_settings import HTTP

# What an operator sets for this.
CONDUCTOR = f'''\
[deploy]
http_url = {HTTP}
[pxe]
ip_version = 6
[service_catalog]
endpoint_override = {conductor.URL6}
'''

# Of OVMF; a real server's setup has such a switch too.
NO_PXE4 = ['-fw_cfg', 'name=opt/org.tianocore/IPv4PXESupport,string=n']
NO_PXE6 = ['-fw_cfg', 'name=opt/org.tianocore/IPv6PXESupport,string=n']


@pytest.fixture(scope='module')
def six(lab):
    """No IPv4 addresses are served, and the conductor names its own of IPv6."""
    with lab.dhcp.silent(), lab.conductor.configured(CONDUCTOR):
        yield lab


@pytest.mark.parametrize('boot, dhcp', [
    ('pxe', 'dnsmasq'), pytest.param('pxe', 'kea', marks=pytest.mark.full),
    pytest.param('http', 'kea', marks=pytest.mark.full)])
def test_uefi_server_is_booted_and_deployed(six, image, boot, dhcp):
    """The firmware fetches iPXE, by PXE's TFTP or by HTTP, iPXE fetches the ramdisk; both have their addresses by
    DHCPv6, and so has the agent. Nobody makes one by itself."""
    lab = six
    with lab.dhcp6.telling(dhcp, managed=True, autonomous=False), \
            lab.enrolled(f'six-{boot}-{dhcp}', firmware='uefi', boot='network', firmware_pxe=True, cpus=2,
                         arguments=NO_PXE4 + (NO_PXE6 if boot == 'http' else []),
                         disks=[Disk('sata', 256)], node={'clean': False, 'fast_track': True}) as node:
        server = node.server
        inventory = node.inspect()['inventory']
        assert lab.dhcp6.addresses(firmware_name_of(server.uuid)), lab.dhcp6.log()
        given = lab.dhcp6.addresses(name_of(server.uuid))
        card, = inventory['interfaces']
        assert card['mac_address'] == server.mac
        assert card['ipv4_address'] is None
        # iPXE's and the ramdisk's.
        assert len(given) >= 2, lab.dhcp6.log()
        assert f'dhcp6 {given[-1]}' in server.console.text()
        # Without one the conductor would start the server anew.
        wait_for_heartbeats(lab, node, 1, 60)
        node.provide()
        node.deploy(image.over_ipv6(), config_drive('by six'))
        assert f'https://[{given[-1]}]:9999' in server.console.text()
        expect_deployed_system(server, 'by six', server.console.mark_of_last_start())
        assert not re.search(r'\binet |192\.0\.2\.', server.console.text())
