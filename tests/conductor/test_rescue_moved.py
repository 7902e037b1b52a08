"""A real conductor rescues servers without IPv4, and servers whose network a plan describes; their port is moved, on a
switch that does not take the link away; and the user logs in.

`test_rescue` has what a rescue is, `test_rescue_network` what the network is asked.
"""

import time

import pytest

from conductor.expectations import wait_until
from conductor.rescued import addresses, agent_address, logged_in, rescue
from conductor.test_ipv6 import CONDUCTOR as BY_IPV6
from lab import Disk, Isolated, Tenant, Trunk, isolated, network, network_data, tenant

VLAN = 57
ADDRESS = '198.51.100.10'
ADDRESS6 = 'fd00:fa:2::10'
# The kernel looks at the links of a bond ten times a second.
LINK_LOSS = 3


@pytest.mark.full
@pytest.mark.parametrize('managed', [True, False])
def test_rescue_by_ipv6_alone(lab, image, managed):
    """From a network where addresses come by DHCPv6 into one where every machine makes its own, and the reverse."""
    with lab.dhcp.silent(), lab.conductor.configured(BY_IPV6), \
            lab.dhcp6.telling(managed=managed, autonomous=not managed), \
            lab.enrolled(f'rescue-six-{managed}'.lower(), boot='direct', disks=[Disk('virtio', 64)],
                         node={'clean': False}) as node, \
            Tenant(lab, ipv4=False, managed=not managed) as there:
        console = node.server.console
        rescue(node, image)
        before = agent_address(node)
        assert before.startswith('fd00:fa:1:'), before
        ssh = logged_in(lab, before)
        keys = ssh.fingerprints()
        (card, own), = addresses(ssh).items()
        assert [address.split('/')[0] for address in own] == [before]

        mark = console.mark()
        there.take(node.server.cards[0]['tap'])
        protocol = 'ra' if managed else 'dhcp6'
        after = console.wait_for(rf'network {card} {protocol} (fd00:fa:3:[\da-f:]+)', 120, mark)[1]
        ssh = logged_in(lab, after)
        assert ssh.fingerprints() == keys
        # An address that is new may not be all that comes.
        wait_until(lambda: [address.split('/')[0] for address in addresses(ssh)[card]] == [after], 30,
                   'end of all other addresses')
        routes = ssh.output('ip -6 route').splitlines()
        assert len([route for route in routes if route.startswith('default')]) == 1, routes
        assert not any('fd00:fa:1:' in route for route in routes), routes


@pytest.mark.full
def test_rescue_by_a_bond_with_a_tagged_vlan(lab, image):
    """As parameters of the kernel say, with DHCP on it: bond and VLAN stay when the VLAN is moved, and the address is the
    other network's."""
    with lab.enrolled('rescue-bond', boot='direct', cards=2, trunk=True, disks=[Disk('virtio', 64)],
                      node={'clean': False}) as node, \
            Trunk(lab.network, node.server, VLAN, network.BRIDGE) as trunk, Tenant(lab) as there:
        server = node.server
        renamed = ' '.join(f'ifname=port{number}:{card["mac"]}' for number, card in enumerate(server.cards))
        server.add_parameters(f'{renamed} bond=bond0:port0,port1:mode=active-backup,miimon=100 vlan=bond0.{VLAN}:bond0 '
                              f'ip=bond0.{VLAN}:dhcp')
        rescue(node, image)
        before = agent_address(node)
        ssh = logged_in(lab, before)
        keys = ssh.fingerprints()
        assert f'{before}/24' in addresses(ssh)[f'bond0.{VLAN}']

        mark = server.console.mark()
        there.take(trunk.uplink)
        after = server.console.wait_for(rf'network bond0\.{VLAN} dhcp (203\.0\.113\.\d+)/24', 120, mark)[1]
        ssh = logged_in(lab, after)
        assert ssh.fingerprints() == keys
        # DHCP is of IPv4 alone here, as dracut has it.
        assert addresses(ssh) == {f'bond0.{VLAN}': [f'{after}/24']}
        assert f'default via {tenant.GATEWAY} ' in ssh.output('ip route')
        bond = ssh.output('cat /proc/net/bonding/bond0')
        assert 'active-backup' in bond and bond.count('Slave Interface: port') == 2


@pytest.mark.full
def test_rescue_by_network_data_of_the_medium(lab, image):
    """Fixed addresses on a VLAN of a bond: they stay when it is moved to where they count as well, and when both links go
    and come again. Without fast track Ironic switches a server off that it has rescued by virtual media."""
    with Isolated(lab.network) as alone, \
            lab.enrolled('rescue-static', firmware='uefi', boot='vmedia', cards=2, trunk=True, disks=[Disk('virtio', 64)],
                         node={'clean': False, 'fast_track': True}) as node, \
            Trunk(lab.network, node.server, VLAN, isolated.BRIDGE) as trunk:
        server = node.server
        node.update(network_data=network_data.document(
            [*network_data.links(server), network_data.bond(server, 'bond0'), network_data.vlan(server, VLAN, 'bond0')],
            [network_data.network(f'vlan{VLAN}', ADDRESS), network_data.network6(f'vlan{VLAN}', ADDRESS6)]))
        rescue(node, image, 400)
        own = {f'bond0.{VLAN}': [f'{ADDRESS}/24', f'{ADDRESS6}/64']}
        ssh = logged_in(lab, ADDRESS)
        keys = ssh.fingerprints()
        assert addresses(ssh) == own

        mark = server.console.mark()
        with alone.elsewhere(trunk.uplink):
            for address in (ADDRESS, ADDRESS6):
                ssh = logged_in(lab, address)
                assert ssh.fingerprints() == keys and addresses(ssh) == own
            for up in (False, True):
                for card in range(2):
                    server.set_link(up, card)
                time.sleep(0 if up else LINK_LOSS)
            ssh = logged_in(lab, ADDRESS)
            assert ssh.output('sudo dmesg').count('link status definitely down') == 2
            assert addresses(ssh) == own
            routes = ssh.output('ip route; ip -6 route')
            assert f'default via {isolated.GATEWAY} ' in routes and f'default via {isolated.GATEWAY6} ' in routes
        assert 'network is another one' not in server.console.text(mark)
