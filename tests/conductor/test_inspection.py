"""A server tells the conductor what it is: known to it, and never seen before."""

import pytest

from conductor.expectations import wait_for_inventory, wait_for_node_with
from lab import Disk, Port, Switch, VirtualMedia, conductor

MEMORY_MIB = 768
COLLECTORS = 'default,pci-devices,lldp,logs'
CHASSIS = '00:1b:21:aa:bb:cc'


@pytest.fixture(scope='module')
def stranger(lab):
    """A server with UEFI that no node stands for; started first, so that both boot side by side.

    Virtual media tell it where inspection data go and which card it booted from, and no conductor:
    it looks nothing up. An inspection rule gives it its name by its serial number.
    """
    server = lab.server('discovered', firmware='uefi', boot='direct', cpus=1,
                        disks=[Disk('virtio', 64)])
    rule = lab.api.post('/v1/inspection_rules', {
        'conditions': [{'op': 'eq', 'args': {'values': [
            '{inventory[system_vendor][serial_number]}', server.serial]}}],
        'actions': [{'op': 'set-attribute', 'args': {'path': '/name', 'value': server.name}}]})
    try:
        folder = lab.run.tmp / 'stranger'
        folder.mkdir()
        media = VirtualMedia(
            folder, 'discovered',
            f'BOOTIF={server.mac}\n'
            f'ipa-inspection-callback-url={conductor.URL}/v1/continue_inspection\n')
        server.add_arguments(media.arguments)
        server.boot_kernel(lab.kernel, lab.ramdisk, 'console=ttyS0,115200 boot_method=vmedia')
        server.power_on('Pxe')
        yield server
    finally:
        lab.api.delete(f'/v1/inspection_rules/{rule["uuid"]}')
        lab.remove(server)


@pytest.fixture(scope='module')
def inspected(lab, stranger):
    """Node and what the conductor stored, of a server with two cards at a switch; booted from the
    first."""
    with lab.enrolled('inspected', boot='direct', cards=2, cpus=2, memory_mib=MEMORY_MIB,
                      disks=[Disk('virtio', 3 * 1024), Disk('sata', 64)],
                      parameters=f'ipa-inspection-collectors={COLLECTORS} ipa-collect-lldp=1 '
                                 'ipa-lldp-timeout=20 ipa-enable-vlan-interfaces=all',
                      node={'clean': False}) as node:
        first, second = (card['tap'] for card in node.server.cards)
        ports = [Port(first, 'Ethernet1/7', untagged=100, tagged={200: 'storage'}),
                 Port(second, 'Ethernet1/8')]
        with Switch(lab.network, 'leaf-12', CHASSIS, ports):
            yield node, node.inspect()


def test_properties_are_set(inspected):
    """By the hooks that the conductor has beside its default ones."""
    properties = inspected[0].show()['properties']
    assert properties['cpu_arch'] == 'x86_64'
    assert properties['cpus'] == 2
    assert properties['memory_mb'] == MEMORY_MIB
    # The disk of the root device hints, less the 1 GiB that Ironic keeps for partitioning.
    assert properties['local_gb'] == 2
    capabilities = dict(pair.split(':') for pair in properties['capabilities'].split(','))
    assert capabilities['boot_mode'] == 'bios'
    assert capabilities['cpu_hugepages'] == 'true'
    assert capabilities['virtio_net'] == '2', 'cards, counted by the alias of the lab'


def test_ports_know_their_switch_port(lab, inspected):
    """So Neutron can move the server to another network; and only the first is for PXE."""
    node, _ = inspected
    first, second = (card['mac'] for card in node.server.cards)
    ports = {port['address']: port for port in ports_of(lab, node.uuid)}
    assert set(ports) == {first, second}
    assert ports[first]['pxe_enabled'] is True
    assert ports[second]['pxe_enabled'] is False
    for mac, name in ((first, 'Ethernet1/7'), (second, 'Ethernet1/8')):
        assert ports[mac]['local_link_connection'] == {
            'switch_id': CHASSIS, 'port_id': name, 'switch_info': 'leaf-12'}
        assert ports[mac]['physical_network'] == 'lab'


def test_announcements_are_stored_as_they_came(inspected):
    """In the inventory and beside it, from one time of listening."""
    node, stored = inspected
    raw = stored['plugin_data']['lldp_raw']
    interfaces = {card['name']: card for card in stored['inventory']['interfaces']}
    booted = by_mac(interfaces, node.server.mac)
    assert raw[booted['name']] == booted['lldp']
    assert booted['lldp'][:3] == [[1, '04001b21aabbcc'], [2, '0545746865726e6574312f37'],
                                  [3, '0078']]
    assert booted['lldp'][-1] == [0, '']
    parsed = stored['plugin_data']['parsed_lldp'][booted['name']]
    assert parsed['switch_chassis_id'] == CHASSIS
    assert parsed['switch_port_id'] == 'Ethernet1/7'
    assert parsed['switch_system_name'] == 'leaf-12'
    assert parsed['switch_port_untagged_vlan_id'] == 100
    assert parsed['switch_port_vlans'] == [{'id': 200, 'name': 'storage'}]
    assert node.server.console.text().count('listened for LLDP') <= 1


def test_announced_vlan_has_an_interface(inspected):
    node, stored = inspected
    interfaces = {card['name']: card for card in stored['inventory']['interfaces']}
    booted = by_mac(interfaces, node.server.mac)
    assert set(interfaces) == {booted['name'], f'{booted["name"]}.200',
                               by_mac(interfaces, node.server.cards[1]['mac'])['name']}
    vlan = interfaces[f'{booted["name"]}.200']
    assert vlan['mac_address'] == node.server.mac
    assert vlan['has_carrier'] is True


def test_unknown_server_is_enrolled(lab, stranger):
    """Where the conductor is configured for discovery; the node has the port that it came from."""
    node = wait_for_node_with(lab, stranger.mac, 90)
    try:
        assert node['driver'] == conductor.DISCOVERY_DRIVER
        port, = ports_of(lab, node['uuid'])
        assert port['address'] == stranger.mac
        assert port['pxe_enabled'] is True
        stored = wait_for_inventory(lab, node['uuid'], 30)
        assert stored['plugin_data']['auto_discovered'] is True
        node = lab.api.get(f'/v1/nodes/{node["uuid"]}')
        assert node['provision_state'] == 'enroll'
        assert node['name'] == stranger.name, 'the rule with its serial number applied'
        assert stored['inventory']['boot'] == {'current_boot_mode': 'uefi',
                                               'pxe_interface': stranger.mac}
        assert 'boot_mode:uefi' in node['properties']['capabilities']
        # Beside it there is the stick with the parameters.
        assert [disk['serial'] for disk in stored['inventory']['disks']
                if disk['name'].startswith('/dev/vd')] == [stranger.disks[0].disk.serial]
    finally:
        lab.api.delete(f'/v1/nodes/{node["uuid"]}')


def ports_of(lab, node):
    return lab.api.get(f'/v1/ports?detail=True&node={node}')['ports']


def by_mac(interfaces, mac):
    """The interface with this address that is no VLAN."""
    found, = (card for card in interfaces.values()
              if card['mac_address'] == mac and '.' not in card['name'])
    return found
