"""Networks without DHCP: the conductor puts network data onto the ISO that it boots a server from.

Nothing on the isolated bridge would tell a server an address or a router; the conductor is behind its gateway.
"""

import contextlib
import re

import pytest

from conductor.expectations import config_drive, expect_deployed_system, wait_for_heartbeats, wait_until
from lab import Agent, Disk, Hand, Isolated, Trunk, isolated, network, network_data
from lab.conductor import URL6
from lab.disk import MIB
from lab.lacp import LacpPartner

VLAN = 57
ADDRESS = '198.51.100.10'
ADDRESS6 = 'fd00:fa:2::10'
NAME_SERVER = '198.51.100.53'
# A port that does not know its speed takes no part in LACP, and a card of QEMU's does not unless it is told.
CARD = 'virtio-net-pci,speed=10000,duplex=full'
# What all its messages have (RFC 2131, 3).
DHCP = bytes.fromhex('63825363')

LOOK = '''\
/hand/busybox sed 's/^[[:space:]]*/hand: /' /proc/net/bonding/bond0
echo "hand: end of the look"
'''


@pytest.fixture(scope='module')
def bridge(lab):
    with Isolated(lab.network):
        yield isolated.BRIDGE


@contextlib.contextmanager
def enrolled(lab, name, **hardware):
    """A server that the conductor boots from its ISO. It is kept up from inspection to deployment."""
    with lab.enrolled(name, firmware='uefi', boot='vmedia', disks=[Disk('virtio', 256)],
                      node={'fast_track': True}, **hardware) as node:
        yield node


@pytest.mark.parametrize('mode', ['active-backup', pytest.param('802.3ad', marks=pytest.mark.full)])
def test_bond_with_a_tagged_vlan_loses_a_port_in_the_middle_of_a_deploy(lab, image, bridge, mode):
    """Two ports of a switch that passes one VLAN alone, and that tagged. Of a bond that wants LACP one port carries
    everything while the switch knows nothing of that, and both do once it does."""
    with enrolled(lab, f'bond-{mode}'.replace('.', '-'), cards=2, card_model=CARD, trunk=True) as node, \
            Trunk(lab.network, node.server, VLAN, bridge) as trunk:
        server = node.server
        node.update(network_data=network_data.document(
            [*network_data.links(server), network_data.bond(server, 'bond0', mode),
             network_data.vlan(server, VLAN, 'bond0')],
            [network_data.network(f'vlan{VLAN}', ADDRESS)], [NAME_SERVER]))

        interfaces = inspect(lab, node)
        # The kernel gives all members of a bond one address; each card is known by its own all the same.
        assert {card['mac'] for card in server.cards} <= {known['mac_address'] for known in interfaces}
        assert ADDRESS in {known['ipv4_address'] for known in interfaces}
        said = server.console.text()
        assert re.search(rf'network bond0 is a bond \({mode}\) of ', said)
        assert f'network bond0.{VLAN} static {ADDRESS}/24, gateway {isolated.GATEWAY}' in said

        server.disks[0].write(0, b'old partition table'.ljust(512) + b'EFI PART')
        node.provide()
        assert server.disks[0].is_zero(0, 17 * 1024), 'cleaning left metadata at the start of the disk'

        if mode == '802.3ad':
            trunk.partner = LacpPartner()
            wait_until(lambda: trunk.partner.ports() == [0, 1], 60, 'bond of both ports')

        server.throttle(0, 2 * MIB)
        mark = server.console.mark()
        node.start_deploying(image, config_drive('over a bond'))
        server.console.wait_for('writing .*image', 60, mark)
        before = trunk.port_of(server.mac)
        after = 1 - before
        carried = trunk.carried[after]
        server.set_link(False, before)
        wait_until(lambda: trunk.port_of(server.mac) == after and trunk.carried[after] > carried + 100, 60,
                   'traffic at the port that is left')
        assert node.show()['deploy_step'].get('step') == 'write_image', 'the port was lost too late'
        server.throttle(0, 0)
        node.wait_for('active', 240)
        expect_deployed_system(server, 'over a bond', server.console.mark_of_last_start())
        assert len(server.console.starts()) == 2, 'one ramdisk does it all, and then the disk starts'
        expect_no_dhcp(lab, server)


def test_static_ipv6(lab, image, bridge):
    """Addresses of no other kind: the conductor's URL, the agent's and the image's are all IPv6."""
    with enrolled(lab, 'static6', bridge=bridge) as node:
        server = node.server
        node.update(network_data=network_data.document(
            network_data.links(server), [network_data.network6('port0', ADDRESS6)]))
        # As a site has it whose catalog knows the API's IPv6 address.
        node.update(**{'driver_info/kernel_append_params':
                       f'%default% ipa-api-url={URL6} ipa-inspection-callback-url={URL6}/v1/continue_inspection'})
        interfaces = inspect(lab, node)
        assert [(known['ipv4_address'], known['ipv6_address']) for known in interfaces] == [(None, ADDRESS6)]
        node.provide()
        assert node.show()['driver_internal_info']['agent_url'] == f'https://[{ADDRESS6}]:9999'
        node.deploy(image.over_ipv6(), config_drive('over IPv6'))
        expect_deployed_system(server, 'over IPv6', server.console.mark_of_last_start())
        expect_no_dhcp(lab, server)


@pytest.mark.full
def test_static_ipv4(lab, image, bridge):
    """One card, one address, one router."""
    with enrolled(lab, 'static4', bridge=bridge) as node:
        server = node.server
        node.update(network_data=network_data.document(
            network_data.links(server, mtu=1400), [network_data.network('port0', ADDRESS)], [NAME_SERVER]))
        interfaces = inspect(lab, node)
        assert [known['ipv4_address'] for known in interfaces] == [ADDRESS]
        node.provide()
        node.deploy(image, config_drive('without DHCP'))
        expect_deployed_system(server, 'without DHCP', server.console.mark_of_last_start())
        expect_no_dhcp(lab, server)


@pytest.mark.full
def test_parameters_of_the_kernel_line_say_the_same(lab, bridge):
    """As dracut has them, for a boot loader that a site configures by itself: cards renamed, bond, VLAN, address."""
    with lab.enrolled('parameters', boot='direct', cards=2, trunk=True, disks=[Disk('virtio', 64)],
                      node={'clean': False}) as node, \
            Trunk(lab.network, node.server, VLAN, bridge):
        cards = node.server.cards
        renamed = ' '.join(f'ifname=port{number}:{card["mac"]}' for number, card in enumerate(cards))
        node.server.add_parameters(
            f'{renamed} bond=bond0:port0,port1:mode=active-backup,miimon=100 vlan=bond0.{VLAN}:bond0 '
            f'ip={ADDRESS}::{isolated.GATEWAY}:255.255.255.0::bond0.{VLAN}:none nameserver={NAME_SERVER}')
        interfaces = {known['name']: known for known in node.inspect()['inventory']['interfaces']}
        assert interfaces[f'bond0.{VLAN}']['ipv4_address'] == ADDRESS
        assert {f'port{number}': card['mac'] for number, card in enumerate(cards)}.items() <= {
            name: known['mac_address'] for name, known in interfaces.items()}.items()
        expect_no_dhcp(lab, node.server)


@contextlib.contextmanager
def bonded(lab, name):
    """A server whose two ports are to be one by LACP, with DHCP on a tagged VLAN, and its switch and hand."""
    hand = Hand(look=LOOK)
    ramdisk = hand.into(lab.ramdisk, lab.run.boot / f'{name}.img')
    with lab.enrolled(name, boot='direct', cards=2, card_model=CARD, trunk=True,
                      disks=[Disk('virtio', 64), Hand.disk()],
                      node={'clean': False, 'fast_track': True, 'ramdisk': ramdisk}) as node, \
            Trunk(lab.network, node.server, VLAN, network.BRIDGE) as trunk:
        ports = ','.join(f'port{number}' for number in range(2))
        renamed = ' '.join(f'ifname=port{number}:{card["mac"]}' for number, card in enumerate(node.server.cards))
        node.server.add_parameters(
            f'{renamed} bond=bond0:{ports}:mode=802.3ad vlan=bond0.{VLAN}:bond0 ip=bond0.{VLAN}:dhcp')
        yield node, trunk, hand


@pytest.mark.full
def test_lacp_partner_comes_late_and_to_one_port_first(lab):
    """Nobody speaks LACP: one port works by itself. Then somebody does at the other port, and the switch passes nothing
    at the first any more; then at both."""
    with bonded(lab, 'late-partner') as (node, trunk, hand):
        server = node.server
        inspect(lab, node)
        assert 'dhcpcd ended' not in server.console.text(), 'it was started before all was made'
        alone = aggregators(server, hand)
        assert alone['partner'] == '00:00:00:00:00:00' and alone['ports'] == 1
        assert len(set(alone['of'].values())) == 2
        first = trunk.port_of(server.mac)

        trunk.suspends = True
        trunk.partner = LacpPartner(silent=[first])
        wait_until(lambda: trunk.partner.ports() == [1 - first], 60, 'port with a partner')
        expect_reachable(lab, node)
        half = aggregators(server, hand)
        assert half['partner'] == trunk.partner.mac and half['ports'] == 1
        assert half['active'] == half['of'][f'port{1 - first}'] != half['of'][f'port{first}']

        trunk.partner.silent = frozenset()
        wait_until(lambda: trunk.partner.ports() == [0, 1], 60, 'bond of both ports')
        expect_reachable(lab, node)
        both = aggregators(server, hand)
        assert both['partner'] == trunk.partner.mac and both['ports'] == 2
        assert set(both['of'].values()) == {both['active']}
        assert len(server.console.starts()) == 1


@pytest.mark.full
def test_lacp_partner_comes_after_dhcp_has_begun(lab):
    """A switch that passes nothing before it has a partner: the first questions of DHCP are lost."""
    with bonded(lab, 'lost-questions') as (node, trunk, hand):
        server = node.server
        trunk.suspends = True
        node.target('inspect')
        wait_until(lambda: sum(DHCP in frame for frame in trunk.lost) >= 2, 120, 'question of DHCP that was repeated')
        assert not lab.dhcp.acknowledged(server.mac)
        trunk.partner = LacpPartner()
        node.wait_for('manageable', 240)
        both = aggregators(server, hand)
        assert both['ports'] == 2 and set(both['of'].values()) == {both['active']}


def aggregators(server, hand):
    """What the kernel of the server says of bond0: the number of its active aggregator, of the ports in that, the
    address of its partner, and `of` each port the number of the port's own."""
    mark = server.console.mark()
    hand.move(server, 'look')
    server.console.wait_for('hand: end of the look', 20, mark)
    told = server.console.text(mark)

    def said(what):
        return re.search(f'hand: {what}: (\\S+)', told)[1]
    of = re.findall(r'hand: Slave Interface: (\S+).*?hand: Aggregator ID: (\d+)', told, re.DOTALL)
    assert len(of) == 2, told
    return {'active': re.search(r'Active Aggregator Info:\s+hand: Aggregator ID: (\d+)', told)[1],
            'ports': int(said('Number of ports')), 'partner': said('Partner Mac Address'), 'of': dict(of)}


def expect_reachable(lab, node):
    """The conductor's questions get to the agent, and the agent's to the conductor."""
    beats = len(lab.conductor.heartbeats(node))
    # At its end the agent speaks at once.
    command = Agent(lab, node).clean('erase_pstore')
    assert command['command_status'] == 'SUCCEEDED', command
    wait_for_heartbeats(lab, node, beats + 1, 30)


def inspect(lab, node):
    """The interfaces of its inventory, once the conductor can do more with the same ramdisk."""
    interfaces = node.inspect()['inventory']['interfaces']
    wait_for_heartbeats(lab, node, 1, 60)
    return interfaces


def expect_no_dhcp(lab, server):
    """It never got an address from anybody."""
    assert not any(lab.dhcp.acknowledged(card['mac']) for card in server.cards)
