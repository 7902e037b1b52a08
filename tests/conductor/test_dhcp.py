"""DHCP servers: a server boots with the help of each, and the ramdisk hears the same from all.

isc-dhcpd serves all other tests.
"""

import json
import re
import socket

import pytest

from conductor.expectations import config_drive, expect_deployed_system, wait_for_heartbeats
from lab import Disk, Hand, dnsmasq, isc_dhcp, kea, paths
from lab.dhcp_settings import Route, Settings

SETTINGS = {
    'name_servers': ('192.0.2.20', '192.0.2.21'),
    'domain': 'lab.test',
    'search': ('rack7.lab.test', 'lab.test'),
    'ntp_servers': ('192.0.2.30', '192.0.2.31'),
    'mtu': 1400,
    'routes': (Route('0.0.0.0/0', '192.0.2.253'), Route('198.51.100.128/25', '192.0.2.254'),
               Route('203.0.113.7/32', '192.0.2.254')),
}

# Headers of IPv4 and TCP, and TCP's timestamps.
TCP_OVERHEAD = 20 + 20 + 12

# As docs/dhcp.md has them.
DOCUMENTED = Settings(name_servers=('192.0.2.53',), domain='lab.test',
                      search=('rack7.lab.test', 'lab.test'), ntp_servers=('192.0.2.123',))

LOOK = '''\
for lease in /run/farrier/leases/*.dhcp.json; do
    echo "hand: lease $(/hand/busybox cat $lease)"
done
/hand/busybox sed 's/^/hand: resolv.conf /' /run/farrier/resolv.conf
/hand/busybox ip -4 route | /hand/busybox sed 's/^/hand: route /'
echo "hand: end of the look"
'''


@pytest.fixture(scope='module')
def hand():
    return Hand(look=LOOK)


@pytest.fixture(scope='module')
def node(lab, hand):
    """A server with BIOS, booted over the network with dnsmasq's help: its card's iPXE gets the boot
    script at once. Inspected, and kept up with fast track."""
    ramdisk = hand.into(lab.ramdisk, lab.run.boot / 'dhcp.img')
    with lab.dhcp.served_by('dnsmasq'), \
            lab.enrolled('dnsmasq', boot='network', cpus=2, disks=[Disk('virtio', 64), Hand.disk()],
                         node={'clean': False, 'fast_track': True, 'ramdisk': ramdisk}) as node:
        node.inspect()
        yield node


def test_bios_server_is_booted_by_dnsmasq(lab, node):
    """iPXE's lease, then the ramdisk's own: the same address."""
    log = lab.dhcp.log()
    addresses = re.findall(rf'DHCPACK\S* (\S+) {node.server.mac}', log)
    assert len(addresses) >= 2 and len(set(addresses)) == 1, log
    assert f'network enp0s2 dhcp {addresses[0]}/24' in node.server.console.text()
    assert wait_for_heartbeats(lab, node, 1, 30)


@pytest.mark.parametrize('dhcp', ['isc-dhcp', 'kea', 'dnsmasq'])
def test_ramdisk_hears_the_same_from_every_dhcp_server(lab, node, hand, dhcp):
    """Names, times, packet size and routes, each in the server's own words."""
    server = node.server
    with lab.dhcp.served_by(dhcp), lab.dhcp.telling(**SETTINGS):
        mark = server.console.mark()
        acknowledged = lab.dhcp.acknowledged(server.mac)
        server.set_link(False)
        server.console.wait_for(r'network \S+ lost its addresses', 20, mark)
        server.set_link(True)
        server.console.wait_for(r'network \S+ dhcp .*, DNS 192\.0\.2\.20 192\.0\.2\.21', 30, mark)
        hand.move(server, 'look')
        server.console.wait_for('hand: end of the look', 20, mark)
        assert lab.dhcp.acknowledged(server.mac) > acknowledged
    told = server.console.text(mark)
    lease = json.loads(re.search('hand: lease (.*)', told)[1])
    card, address = lease.pop('interface'), lease.pop('addresses')
    assert re.fullmatch(r'192\.0\.2\.(1\d\d|2[0-4]\d|250)/24', *address)
    assert lease == {
        'protocol': 'dhcp', 'routers': ['192.0.2.1'], 'servers': ['192.0.2.20', '192.0.2.21'],
        'search': ['rack7.lab.test', 'lab.test'], 'ntp_servers': ['192.0.2.30', '192.0.2.31'],
        'boot': True}
    assert re.findall('hand: resolv.conf (.*)', told) == [
        'search rack7.lab.test lab.test', 'nameserver 192.0.2.20', 'nameserver 192.0.2.21']
    routes = re.findall(rf'hand: route (\S+)(?: via (\S+))? dev {card} ', told)
    assert sorted(routes) == [
        ('192.0.2.0/24', ''), ('198.51.100.128/25', '192.0.2.254'), ('203.0.113.7', '192.0.2.254'),
        ('default', '192.0.2.253')]
    assert largest_segment(lab, address[0].split('/')[0]) == SETTINGS['mtu'] - TCP_OVERHEAD


def test_documented_configurations_are_those_of_the_lab():
    """Apart from where leases and logs are kept."""
    text = (paths.ROOT / 'docs' / 'dhcp.md').read_text()
    isc, kea_json, masq = re.findall(r'^```\w*\n(.*?)^```$', text, re.M | re.S)
    assert json.loads(kea_json) == kea.configuration(DOCUMENTED)
    for documented, server in ((isc, isc_dhcp), (masq, dnsmasq)):
        lines = server.configuration(DOCUMENTED).splitlines()
        assert documented.splitlines() == [line for line in lines if line]


def largest_segment(lab, address):
    """What the ramdisk's side of a connection wants, bytes: dhcpcd gives the packet size to the routes,
    not to the card."""
    with lab.network.inside(), socket.create_connection((address, 9999), timeout=10) as connection:
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)


@pytest.mark.parametrize('dhcp', [
    'kea', pytest.param('isc-dhcp', marks=pytest.mark.full),
    pytest.param('dnsmasq', marks=pytest.mark.full)])
def test_uefi_server_booted_over_the_network(lab, compressed_image, dhcp):
    """The firmware's own PXE fetches iPXE over TFTP, iPXE the rest over HTTP."""
    with lab.dhcp.served_by(dhcp), \
            lab.enrolled(f'uefi-{dhcp}', firmware='uefi', boot='network', firmware_pxe=True,
                         cpus=2, disks=[Disk('sata', 256)], node={'clean': False}) as node:
        node.provide()
        node.deploy(compressed_image, config_drive('by PXE'))
        expect_deployed_system(node.server, 'by PXE', node.server.console.mark_of_last_start())
        # The firmware's, iPXE's, the ramdisk's.
        assert lab.dhcp.acknowledged(node.server.mac) >= 3
