"""A real conductor rescues a server whose network a plan describes; its port is moved, on a switch that does not take the
link away; and the user logs in.

`test_rescue` has what a rescue is, `test_rescue_network` what the network is asked.
"""

import pytest

from conductor.rescued import addresses, logged_in, rescue
from lab import Disk, Tenant, Trunk, network, tenant

VLAN = 57


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
        before = rescue(node, image)
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
