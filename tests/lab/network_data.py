"""Network data of a node, as the schema of Ironic's API has them: what the boot ISO says of a network without DHCP."""

from lab import isolated


def links(server, **more):
    """The physical links of a server, by the addresses of its cards."""
    return [{'id': f'port{number}', 'type': 'phy', 'ethernet_mac_address': card['mac'], **more}
            for number, card in enumerate(server.cards)]


def bond(server, name, mode='active-backup', **more):
    """All links of a server as one, with the first one's address."""
    return {'id': name, 'type': 'bond', 'ethernet_mac_address': server.mac, 'bond_mode': mode,
            'bond_links': [link['id'] for link in links(server)], **more}


def vlan(server, number, below):
    """A VLAN of another link."""
    return {'id': f'vlan{number}', 'type': 'vlan', 'vlan_mac_address': server.mac, 'vlan_link': below,
            'vlan_id': number}


def network(link, address):
    """An IPv4 address of the isolated network, and the way out of it."""
    return {'id': f'{link}-4', 'type': 'ipv4', 'link': link, 'network_id': 'provisioning', 'ip_address': address,
            'netmask': '255.255.255.0',
            'routes': [{'network': '0.0.0.0', 'netmask': '0.0.0.0', 'gateway': isolated.GATEWAY}]}


def network6(link, address):
    """The same of IPv6."""
    return {'id': f'{link}-6', 'type': 'ipv6', 'link': link, 'network_id': 'provisioning', 'ip_address': address,
            'netmask': 'ffff:ffff:ffff:ffff::',
            'routes': [{'network': '::', 'netmask': '::', 'gateway': isolated.GATEWAY6}]}


def document(links_, networks, name_servers=()):
    return {'links': links_, 'networks': networks,
            'services': [{'type': 'dns', 'address': address} for address in name_servers]}
