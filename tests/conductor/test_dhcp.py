"""DHCP servers: a server boots with the help of each, and the ramdisk hears the same from all.

isc-dhcpd serves all other tests.
"""

import json
import re
import socket
from ipaddress import IPv6Address, IPv6Interface

import pytest

from conductor.expectations import config_drive, expect_deployed_system, wait_for_heartbeats
from conductor.test_ipv6 import CONDUCTOR
from lab import Disk, Hand, TimeServer, dnsmasq, dnsmasq6, isc_dhcp, kea, kea6, paths
from lab.dhcp6 import radvd_conf
from lab.dhcp6_settings import POOL, Settings6
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

DOCUMENTED6 = Settings6(managed=True, autonomous=False, name_servers=('fd00:fa:1::53',),
                        search=('rack7.lab.test', 'lab.test'), ntp_servers=('fd00:fa:1::123',))

LOOK = '''\
for lease in /run/farrier/leases/*.json; do
    echo "hand: lease ${lease#/run/farrier/leases/} $(/hand/busybox cat $lease)"
done
/hand/busybox sed 's/^/hand: resolv.conf /' /run/farrier/resolv.conf
/hand/busybox ip -4 route | /hand/busybox sed 's/^/hand: route /'
/hand/busybox ip -6 route | /hand/busybox sed 's/^/hand: route6 /'
/hand/busybox ip -6 address show scope global | /hand/busybox sed 's/^ */hand: address6 /'
echo "hand: packets of $(/hand/busybox cat /sys/class/net/enp0s2/mtu) bytes"
echo "hand: end of the look"
'''


@pytest.fixture(scope='module')
def hand():
    return Hand(look=LOOK)


@pytest.fixture(scope='module')
def node(lab, hand):
    """A server with BIOS, booted over the network with dnsmasq's help: its card's iPXE gets the boot
    script at once. Inspected, and kept up with fast track. Its battery is dead."""
    ramdisk = hand.into(lab.ramdisk, lab.run.boot / 'dhcp.img')
    with lab.dhcp.served_by('dnsmasq'), \
            lab.enrolled('dnsmasq', boot='network', cpus=2, disks=[Disk('virtio', 64), Hand.disk()],
                         arguments=['-rtc', 'base=2001-01-01T00:00:00'], node={'clean': False, 'fast_track': True, 'ramdisk': ramdisk}) as node:
        node.inspect()
        yield node


def test_bios_server_is_booted_by_dnsmasq(lab, node):
    """iPXE's lease, then the ramdisk's own: the same address."""
    log = lab.dhcp.log()
    addresses = re.findall(rf'DHCPACK\S* (\S+) {node.server.mac}', log)
    assert len(addresses) >= 2 and len(set(addresses)) == 1, log
    assert f'network enp0s2 dhcp {addresses[0]}/24' in node.server.console.text()
    assert wait_for_heartbeats(lab, node, 1, 30)


def test_card_and_clock_are_set_by_what_dhcp_announces(lab, node, hand):
    """Where the card takes smaller packets others would send what it drops, and a clock that nobody has ever set is
    wrong for certain."""
    server = node.server
    clock = '192.0.2.29'
    lab.network.add_address(f'{clock}/24')
    with TimeServer(lab.network, clock) as time_server, \
            lab.dhcp.served_by('dnsmasq'), lab.dhcp.telling(mtu=9000, ntp_servers=(clock,)):
        mark = server.console.mark()
        server.set_link(False)
        server.console.wait_for(r'network \S+ lost its addresses', 20, mark)
        server.set_link(True)
        server.console.wait_for('network enp0s2 takes packets of 9000 bytes now', 30, mark)
        server.console.wait_for(r'the clock was wrong by \d+ days.*, behind', 30, mark)
        hand.move(server, 'look')
        server.console.wait_for('hand: packets of 9000 bytes', 20, mark)
    assert time_server.asked == 1
    lab.network.remove_address(f'{clock}/24')


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
    lease = json.loads(re.search(r'hand: lease \S+\.dhcp\.json (.*)', told)[1])
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


@pytest.mark.parametrize('dhcp, settings', [
    ('dnsmasq', {'managed': True, 'autonomous': False}),
    ('kea', {'managed': True, 'other': True}),
    pytest.param('dnsmasq', {'other': True}, marks=pytest.mark.full),
    pytest.param('kea', {'managed': True, 'autonomous': False}, marks=pytest.mark.full),
    pytest.param('kea', {'other': True}, marks=pytest.mark.full)])
def test_addresses_and_names_by_dhcpv6(lab, node, hand, dhcp, settings):
    """With and without an address that the machine makes itself, and without one of DHCPv6; what is told to the
    vendor class of the ramdisk comes too."""
    server = node.server
    told = {'name_servers': ('fd00:fa:1::20', 'fd00:fa:1::21'), 'search': ('six.lab.test', 'lab.test'),
            'ntp_servers': ('fd00:fa:1::30',)}
    with lab.dhcp6.telling(dhcp, **settings, **told):
        mark = server.console.mark()
        server.set_link(False)
        server.console.wait_for(r'network \S+ lost its addresses', 20, mark)
        server.set_link(True)
        for protocol in ['dhcp', 'ra', 'dhcp6']:
            server.console.wait_for(rf'network \S+ {protocol}\b', 30, mark)
        hand.move(server, 'look')
        server.console.wait_for('hand: end of the look', 20, mark)
    text = server.console.text(mark)
    lease = json.loads(re.search(r'hand: lease \S+\.dhcp6\.json (.*)', text)[1])
    card, addresses = lease.pop('interface'), lease.pop('addresses')
    assert len(addresses) == (1 if settings.get('managed') else 0)
    for address in addresses:
        first, last = map(IPv6Address, POOL)
        assert first <= IPv6Interface(address).ip <= last and address.endswith('/128')
    assert lease == {
        'protocol': 'dhcp6', 'routers': [], 'servers': list(told['name_servers']),
        'search': list(told['search']), 'ntp_servers': list(told['ntp_servers']), 'boot': True}
    own = ''.join(server.mac.split(':'))
    made = f'fd00:fa:1:0:{int(own[:2], 16) ^ 2:x}{own[2:4]}:{own[4:6]}ff:fe{own[6:8]}:{own[8:]}/64'
    if settings.get('autonomous', True):
        addresses.append(str(IPv6Interface(made)))
    assert sorted(re.findall(r'hand: address6 inet6 (\S+)', text)) == sorted(addresses)
    routes = re.findall(rf'hand: route6 (\S+)(?: via (\S+))? dev {card} ', text)
    # The network by the router's word, since an address of DHCPv6 says nothing of one.
    assert ('fd00:fa:1::/64', '') in routes
    assert [via[:5] for target, via in routes if target == 'default'] == ['fe80:']


def test_documented_configurations_are_those_of_the_lab():
    """Apart from where leases and logs are kept."""
    text = (paths.ROOT / 'docs' / 'dhcp.md').read_text()
    isc, kea_json, masq, ironic, router, kea6_json, masq6 = re.findall(r'^```\w*\n(.*?)^```$', text, re.M | re.S)
    assert json.loads(kea_json) == kea.configuration(DOCUMENTED)
    assert json.loads(kea6_json) == kea6.configuration(DOCUMENTED6)
    for documented, written in ((isc, isc_dhcp.configuration(DOCUMENTED)),
                                (masq, dnsmasq.configuration(DOCUMENTED)),
                                (ironic, CONDUCTOR), (router, radvd_conf(DOCUMENTED6)),
                                (masq6, dnsmasq6.configuration(DOCUMENTED6))):
        assert documented.splitlines() == [line for line in written.splitlines() if line]


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
