"""Lines of dracut's grammar, and where farrier makes another thing of one than dracut does.

A case is a `line`; where farrier differs, also `farrier` and `why`, one of REASONS. Cards are eth0 to eth3, with the
hardware addresses 52:54:00:12:34:00 to :03."""

REASONS = {
    'at once': 'dracut asks a DHCPv6 server only after routers were silent for 40 s. Here both are asked, and what comes '
               'first is used.',
    'nothing': 'ip=none without an address is an error to dracut, though the kernel knows it. Here it means what it says: '
               'a card, or all that nothing else names, is brought up and no more.',
    'documented': 'dracut.cmdline(7) has this form for one interface; its scripts know only some of its words there, and '
                  'take the others for a part of an address.',
    'hardware address': 'dracut.cmdline(7) has a hardware address here; its scripts set it with a fixed address alone.',
    'several lines': 'Two lines of one interface are an error to dracut, which has no other way to give it addresses of '
                     'both families. NetworkManager adds them up, and so does this.',
    'the rest': 'A line for every card beside one for a certain one is an error to dracut. Here it is for the others.',
    'a word less': 'An address without a word behind it is fixed, as in the kernel. dracut takes the missing word for '
                   'dhcp, and then refuses the address.',
    'said': 'dracut says that an empty word is dhcp, and then asks for nothing.',
    'peer': 'What is on the network of the address needs no more (the kernel has an NFS server at this place); what is '
            'not gets a route, which is all that a peer is.',
    'empty': 'dracut drops a value that is empty; its manual has bond= without parameters for bond0 of eth0 and eth1.',
    'members': "dracut asks for addresses of a bond's members before they are in it. Here only the bond does, and cards "
               'that no parameter names.',
    'top': 'dracut gives an address of no interface to the first card that comes up, which is then in the bond. Here the '
           'bond has it, or the VLAN.',
    'automatic': 'What is made or renamed and of which nobody says how it gets addresses asks for all kinds, as cards do '
                 'in this ramdisk; dracut asks by DHCPv4.',
    'octal': 'iproute takes the padded number of the name for an octal one, so that vlan0010 is VLAN 8 and vlan0009 '
             'none. Here they are decimal, as the names mean.',
    'others': 'dracut brings up what the parameters name, and nothing else. In this ramdisk cards that nobody names ask '
              'for addresses in any case.',
    'direct': "Whether a DHCP server's network will have the gateway is not known here, so it gets a route of its own.",
    'boot interface': 'BOOTIF says whose default route counts, here too, but whoever knows the cards looks at it; without '
                      'ip= there is no plan.',
    'bridge': 'This ramdisk makes no bridges.',
}


def all_cases():
    lines = LINES.strip().split('\n')
    unknown = set(DIFFERENT) - set(lines)
    assert not unknown, unknown
    for line in lines:
        yield {'line': line, **DIFFERENT.get(line, {})}


def interfaces(**said):
    return {'interfaces': {name.replace('_', '.'): doing for name, doing in said.items()}}


def asking(*asks, **more):
    return {'addresses': [], 'asks': list(asks), **more}


def fixed(*addresses):
    return {'addresses': list(addresses), 'asks': []}


def bond(*members, options=()):
    return {'members': list(members), 'options': list(options)}


def differs(why, *parts):
    answer = {}
    for part in parts:
        answer |= part
    return {'farrier': answer, 'why': why}


DHCP = asking('dhcp4')
BOTH = asking('advertised', 'dhcp6')
BY_GATEWAY = {'routes': ['default via 192.0.2.1']}
CARDS = ['eth0', 'eth1', 'eth2', 'eth3']
ETH0_FIXED = interfaces(eth0=fixed('192.0.2.5/24'))
BOND0 = {'bonds': {'bond0': bond('eth0', 'eth1')}}
VLAN5 = {'vlans': {'eth0.5': ['eth0', 5]}}

DIFFERENT = {
    'ip=either6': differs('at once', {'interfaces': {card: BOTH for card in CARDS}}),
    'ip=eth0:either6': differs('at once', interfaces(eth0=BOTH)),
    'ip=none': differs('nothing'),
    'ip=off': differs('nothing'),
    'ip=eth0:none': differs('nothing'),
    'ip=eth0:link6': differs('documented'),
    'ip=eth0:dhcp,dhcp6': differs('documented', interfaces(eth0=asking('dhcp4', 'dhcp6'))),
    'ip=eth0:dhcp:9000:52:54:00:aa:bb:cc': differs(
        'hardware address', interfaces(eth0=asking('dhcp4', mtu=9000, mac='52:54:00:aa:bb:cc'))),
    'ip=eth0:dhcp::52:54:00:aa:bb:cc': differs(
        'hardware address', interfaces(eth0=asking('dhcp4', mac='52:54:00:aa:bb:cc'))),
    'ip=eth0:dhcp ip=eth0:auto6': differs('several lines', interfaces(eth0=asking('advertised', 'dhcp4'))),
    'ip=dhcp ip=eth1:auto6': differs(
        'the rest', interfaces(eth0=DHCP, eth1=asking('advertised'), eth2=DHCP, eth3=DHCP)),
    'ip=:::::eth0': differs('said', interfaces(eth0=DHCP)),
    'ip=192.0.2.5::192.0.2.1:255.255.255.0::eth0:': differs('a word less', ETH0_FIXED, BY_GATEWAY),
    'ip=192.0.2.5::192.0.2.1:255.255.255.0::eth0': differs('a word less', ETH0_FIXED, BY_GATEWAY),
    'ip=192.0.2.5:192.0.2.1:192.0.2.1:255.255.255.0::eth0:none': differs('peer', ETH0_FIXED, BY_GATEWAY),
    'ip=192.0.2.5:198.51.100.1::255.255.255.255::eth0:none': differs(
        'peer', interfaces(eth0=fixed('192.0.2.5/32')), {'routes': ['198.51.100.1/32 dev eth0']}),
    'bond= ip=bond0:dhcp': differs('empty', interfaces(bond0=DHCP), BOND0),
    'bond=bond0:eth0,eth1 ip=dhcp': differs('members', interfaces(bond0=DHCP, eth2=DHCP, eth3=DHCP), BOND0),
    'bond=bond0:eth0,eth1': differs('automatic', interfaces(bond0=asking('automatic')), BOND0),
    'bond=bond0:eth0,eth1:mode=1 ip=192.0.2.5::192.0.2.1:24:::none': differs(
        'top', interfaces(bond0=fixed('192.0.2.5/24')), BY_GATEWAY,
        {'bonds': {'bond0': bond('eth0', 'eth1', options=['mode=1'])}}),
    'vlan=vlan0010:eth0 ip=vlan0010:dhcp': differs(
        'octal', interfaces(vlan0010=DHCP), {'vlans': {'vlan0010': ['eth0', 10]}}),
    'vlan=eth0.5:eth0': differs('automatic', interfaces(eth0_5=asking('automatic')), VLAN5),
    'vlan=eth0.5:eth0 ip=dhcp': differs(
        'others', interfaces(eth0_5=DHCP, eth0=DHCP, eth1=DHCP, eth2=DHCP, eth3=DHCP), VLAN5),
    'ifname=net0:52:54:00:12:34:01': differs(
        'automatic', interfaces(net0=asking('automatic')), {'names': {'52:54:00:12:34:01': 'net0'}}),
    'rd.route=10.0.0.0/8:192.0.2.2:eth0 ip=eth0:dhcp': differs(
        'direct', interfaces(eth0=DHCP), {'routes': ['10.0.0.0/8 via 192.0.2.2', '192.0.2.2/32 dev eth0']}),
    'ip=eth0:dhcp BOOTIF=01-52-54-00-12-34-02': differs('boot interface', interfaces(eth0=DHCP)),
    'BOOTIF=01-52-54-00-12-34-02': differs('boot interface'),
    'bridge=br0:eth0 ip=br0:dhcp': differs('bridge', {'refuses': True}),
}

LINES = '''
ip=dhcp
ip=on
ip=any
ip=single-dhcp
ip=dhcp6
ip=auto6
ip=either6
ip=link6
ip=dhcp,dhcp6
ip=none
ip=off
ip=both
ip=bootp
ip=nonsense
ip=eth0:dhcp
ip=eth0:on
ip=eth0:any
ip=eth0:dhcp6
ip=eth0:auto6
ip=eth0:either6
ip=eth0:link6
ip=eth0:none
ip=eth0:dhcp,dhcp6
ip=eth0:dhcp:9000
ip=eth0:dhcp:9000:52:54:00:aa:bb:cc
ip=eth0:dhcp::52:54:00:aa:bb:cc
ip=eth0:dhcp ip=eth1:dhcp6
ip=eth0:dhcp ip=eth1:auto6 bootdev=eth1
ip=eth0:dhcp ip=eth0:auto6
ip=dhcp ip=eth1:auto6
ip=52-54-00-12-34-02:dhcp
ip=[52:54:00:12:34:02]:dhcp
ip=192.0.2.5::192.0.2.1:255.255.255.0::eth0:none
ip=192.0.2.5::192.0.2.1:24::eth0:off
ip=192.0.2.5::192.0.2.1:255.255.255.0:host:eth0:none
ip=192.0.2.5:::255.255.255.0::eth0:none
ip=192.0.2.5::192.0.2.1:255.255.255.0::eth0:
ip=192.0.2.5::192.0.2.1:255.255.255.0::eth0
ip=192.0.2.5::192.0.2.1:::eth0:none
ip=192.0.2.5::192.0.2.1:255.255.255.0::eth0:dhcp
ip=192.0.2.5::192.0.2.1:255.255.255.0::eth0:none:9000
ip=192.0.2.5::192.0.2.1:255.255.255.0::eth0:none:9000:52:54:00:aa:bb:cc
ip=192.0.2.5::192.0.2.1:255.255.255.0::eth0:none::52:54:00:aa:bb:cc
ip=192.0.2.5::192.0.2.1:255.255.255.0::eth0:none:192.0.2.53
ip=192.0.2.5::192.0.2.1:255.255.255.0::eth0:none:192.0.2.53:192.0.2.54
ip=192.0.2.5:192.0.2.1:192.0.2.1:255.255.255.0::eth0:none
ip=192.0.2.5:198.51.100.1::255.255.255.255::eth0:none
ip=192.0.2.5::192.0.2.1:255.255.255.0:::none
ip=192.0.2.5::192.0.2.1:255.255.255.0::eth0:none ip=198.51.100.5:::24::eth1:none
ip=::::host:eth0:dhcp
ip=::::host:eth0:auto6
ip=:::::eth0:dhcp:9000
ip=:::::eth0
ip=:dhcp
ip=[2001:db8::5]::[2001:db8::1]:64::eth0:none
ip=[2001:db8::5]::[fe80::1]:64::eth0:none
ip=[2001:db8::5]:::64::eth0:none:[2001:db8::53]
ip=[2001:db8::5]::[2001:db8::1]:64::eth0:off:9000:52:54:00:aa:bb:cc
ip=192.0.2.5 netmask=255.255.255.0 gateway=192.0.2.1 ksdevice=eth1
bond=bond0:eth0,eth1 ip=bond0:dhcp
bond=bond0 ip=bond0:dhcp
bond ip=bond0:dhcp
bond= ip=bond0:dhcp
bond=bond0:eth1,eth2:mode=802.3ad,miimon=100,lacp_rate=fast,xmit_hash_policy=layer3+4 ip=bond0:dhcp
bond=bond0:eth0,eth1:mode=active-backup,primary=eth1:9000 ip=bond0:dhcp
bond=bond0:eth0,eth1:mode=1,arp_interval=200,arp_ip_target=192.0.2.1;192.0.2.2 ip=bond0:dhcp
bond=bond0:eth0,eth1 ip=dhcp
bond=bond0:eth0,eth1
bond=bond0:eth0,eth1:mode=1 ip=192.0.2.5::192.0.2.1:24:::none
bond=bond0:eth0,eth1 bond=bond1:eth2,eth3 ip=bond0:dhcp ip=bond1:auto6
bond=bond0:eth0,eth1:mode=1:9000:x ip=bond0:dhcp
bond=bond0:eth0,eth1:mode=1 bond=bond0:eth2,eth3:mode=4 ip=bond0:dhcp
vlan=vlan5:eth0 ip=vlan5:dhcp
vlan=vlan0005:eth0 ip=vlan0005:dhcp
vlan=eth0.5:eth0 ip=eth0.5:dhcp
vlan=eth0.0005:eth0 ip=eth0.0005:192.0.2.5
vlan=vlan0010:eth0 ip=vlan0010:dhcp
vlan=eth0.5:eth0 ip=192.0.2.5::192.0.2.1:24::eth0.5:none
vlan=eth0.5:eth0 vlan=eth0.6:eth0 ip=eth0.5:dhcp ip=eth0.6:dhcp
vlan=vlan5:bond0 bond=bond0:eth0,eth1:mode=4 ip=vlan5:dhcp
vlan=bond0.5:bond0 bond=bond0:eth0,eth1:mode=4 ip=bond0.5:dhcp ip=bond0:auto6
vlan=eth0.5:eth0
vlan=eth0.5:eth0 ip=dhcp
vlan=vlan5
vlan=vlan5:eth0:x
ifname=net0:52:54:00:12:34:01 ip=net0:dhcp
ifname=net0:52:54:00:12:34:01
ifname=net0:52:54:00:AB:CD:EF ip=eth0:dhcp
ifname=net0:52:54:00:12:34:01 ip=dhcp
ifname=net0:52:54:00:12:34
ifname=net0:52:54:00:12:34:01 bond=bond0:net0,eth2 ip=bond0:dhcp
nameserver=192.0.2.53 ip=eth0:dhcp
nameserver=192.0.2.53 nameserver=2001:db8::53 ip=192.0.2.5::192.0.2.1:24::eth0:none
nameserver=192.0.2.53 ip=192.0.2.5::192.0.2.1:24::eth0:none:192.0.2.54
rd.route=10.0.0.0/8:192.0.2.2:eth0 ip=192.0.2.5::192.0.2.1:24::eth0:none
rd.route=10.0.0.0/8:192.0.2.2 ip=192.0.2.5::192.0.2.1:24::eth0:none
rd.route=10.0.0.0/8::eth0 ip=192.0.2.5::192.0.2.1:24::eth0:none
rd.route=[2001:db8:3::/48]:[2001:db8::2]:eth0 ip=[2001:db8::5]::[2001:db8::1]:64::eth0:none
rd.route=10.0.0.0/8:192.0.2.2:eth0 ip=eth0:dhcp
rd.route=10.0.0.0/8:192.0.2.2 ip=eth0:dhcp
ip=eth0:dhcp BOOTIF=01-52-54-00-12-34-02
BOOTIF=01-52-54-00-12-34-02
bridge=br0:eth0 ip=br0:dhcp
ip=eth0:dhcp rd.neednet=1 rd.net.timeout.carrier=30 rd.net.dhcp.retry=3
ip="eth0:dhcp"
ip=eth0:dhcp ip=192.0.2.5::192.0.2.1:24::eth1:none nameserver=192.0.2.53 rd.route=10.0.0.0/8:192.0.2.9:eth1
'''
