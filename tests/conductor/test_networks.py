"""Networks without DHCP: the conductor puts network data onto the ISO that it boots a server from.

Nothing on the isolated bridge would tell a server an address or a router; the conductor is behind its gateway.
"""

import contextlib
import re

import pytest

from conductor.expectations import config_drive, expect_deployed_system, wait_for_heartbeats, wait_until
from lab import Disk, Isolated, Trunk, isolated, network_data
from lab.conductor import URL6
from lab.disk import MIB
from lab.lacp import LacpPartner

VLAN = 57
ADDRESS = '198.51.100.10'
ADDRESS6 = 'fd00:fa:2::10'
NAME_SERVER = '198.51.100.53'
# A port that does not know its speed takes no part in LACP, and a card of QEMU's does not unless it is told.
CARD = 'virtio-net-pci,speed=10000,duplex=full'


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


def inspect(lab, node):
    """The interfaces of its inventory, once the conductor can do more with the same ramdisk."""
    interfaces = node.inspect()['inventory']['interfaces']
    wait_for_heartbeats(lab, node, 1, 60)
    return interfaces


def expect_no_dhcp(lab, server):
    """It never got an address from anybody."""
    assert not any(lab.dhcp.acknowledged(card['mac']) for card in server.cards)
