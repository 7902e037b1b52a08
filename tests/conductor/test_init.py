"""PID 1 of the ramdisk: what it keeps alive, which card owns the default route, and its end.

The conductor has no part in this: an agent without one serves and waits. The second guest is told
no URL and looks for one.
"""

import json
import re
import time

import pytest

from lab import Disk, Hand, Terminal, VirtualMedia, conductor, network_data, paths
from lab.hand import KILL_AGENT
from lab.patience import patience
from lab.virtual_media import make_disc

KILL_UDEVD = '''\
echo "hand: kills udevd"
for p in /proc/[0-9]*; do
    read -r name < $p/comm 2>/dev/null || continue
    [ "$name" = systemd-udevd ] && kill -9 ${p#/proc/}
done
'''

DAMAGE_JOURNAL = 'echo "this is no line of a journal" >> /run/farrier/state/commands.jsonl'

LOOK = '''\
/hand/busybox ip -4 -o address show scope global
/hand/busybox ip -4 route
/hand/busybox ip -6 route
/hand/busybox ps -o pid,ppid,args
/hand/busybox cat /run/farrier/log/dhcpcd.log
echo "hand: end of the look"
'''

PARAMETERS = 'console=ttyS0,115200'

NETWORK_DATA = 'openstack/latest/network_data.json'
# A card that no server has, a name that a shell would run, and an address that nobody is to get.
UNKNOWN_MAC = '02:00:5e:00:53:99'
HOSTILE = '$(reboot -f);`halt`/../x'
WRONG_ADDRESS = '192.0.2.66'
# What a former tenant left, with a label that the boot ISO has too.
TENANT_ADDRESS = '192.0.2.67'


@pytest.fixture(scope='module')
def hand():
    return Hand(look=LOOK, kill_agent=KILL_AGENT, kill_udevd=KILL_UDEVD,
                damage_journal_and_kill_agent=f'{DAMAGE_JOURNAL}\n{KILL_AGENT}')


@pytest.fixture(scope='module')
def servers(lab, hand):
    """Two servers that start side by side, with cards of which two have a network, booted from the second of
    these. One has its parameters on the kernel's command line, and between these two cards one whose port of the
    switch listens first, and one whose port never does anything else. The other is booted from virtual media and has
    them there, among them the wish for a shell, and for a conductor that announces itself. Each has
    somebody sitting at its second serial line."""
    ramdisk = hand.into(lab.ramdisk, lab.run.boot / 'init.img')
    made = {}
    try:
        for name in ('four-cards', 'media'):
            terminal = Terminal(lab.run.tmp / f'{name}.sock')
            # A third one waits for firmware: no interface that works.
            waiting = ['-device', 'i82551'] if name == 'four-cards' else []
            media = lab.run.tmp / 'media'
            server = lab.server(name, boot='direct', cards=4 if name == 'four-cards' else 2, cpus=1,
                                disks=[Disk('virtio', 64), Hand.disk()],
                                arguments=[*terminal.arguments, *waiting])
            made[name] = server, terminal
            boot_interface = f'BOOTIF=01-{server.cards[-1]["mac"].replace(":", "-")}'
            parameters = f'{PARAMETERS} {boot_interface}'
            if name == 'media':
                media.mkdir()
                stick = VirtualMedia(media, name, f'{boot_interface}\nfarrier.shell=ttyS1\n'
                                                  'ipa-api-url=mdns\n',
                                     {NETWORK_DATA: static_data(UNKNOWN_MAC, WRONG_ADDRESS, HOSTILE)})
                tenant = media / 'tenant.iso'
                make_disc(tenant, {NETWORK_DATA: static_data(server.cards[0]['mac'], TENANT_ADDRESS)})
                server.disks[0].put(tenant)
                server.add_arguments(stick.arguments)
                parameters = f'{PARAMETERS} boot_method=vmedia'
            server.boot_kernel(lab.kernel, ramdisk, parameters)
            server.power_on('Pxe')
            for card in server.cards[1:-1]:
                lab.network.listen(card['tap'])
        for server, terminal in made.values():
            server.console.wait_for(r'now +(serving|asking the conductor)', 90)
            terminal.attach()
        late = made['four-cards'][0].cards[1]
        assert not lab.dhcp.acknowledged(late['mac'])
        lab.network.forward(late['tap'])
        yield made
    finally:
        for server, terminal in made.values():
            terminal.close()
            lab.remove(server)


@pytest.fixture
def server(servers):
    return servers['four-cards'][0]


@pytest.mark.parametrize('name', ['four-cards', 'media'])
def test_boot_interface_owns_the_default_route(lab, hand, servers, name):
    """Both cards have an address each; only the one that booted leads out, whether the command line
    or virtual media say which one it is."""
    server, _ = servers[name]
    server.console.wait_for('network .*(?s:.*)network ', 30)
    seen = look(hand, server)
    addresses = dict(re.findall(r'\d+: (\S+) +inet (192\.0\.2\.\d+)/24', seen))
    # The one that is late may have one by now.
    assert 2 <= len(addresses) <= 3
    with_network = [server.cards[0], server.cards[-1]]
    assert all(lab.dhcp.acknowledged(card['mac']) for card in with_network)
    owner = re.search(r'booted from (\S+)', server.console.text())[1]
    assert owner == max(addresses), 'the last card of the bus has the highest name'
    assert re.findall(r'^default .*dev (\S+)', seen, re.M).count(owner) >= 1
    assert set(re.findall(r'^default .*dev (\S+)', seen, re.M)) == {owner}
    for card in addresses:
        assert re.search(rf'^192\.0\.2\.0/24 dev {card} ', seen, re.M)


def test_network_data_of_no_card_is_named_and_a_tenants_is_not_read(hand, servers):
    """Nobody gets an address from either; both cards have theirs by DHCP, as the test above has seen."""
    server, _ = servers['media']
    server.console.wait_for(f'network.*{UNKNOWN_MAC}', 30)
    addresses = re.findall(r'\d+: \S+ +inet (\S+)/', look(hand, server))
    assert len(addresses) == 2
    assert not {WRONG_ADDRESS, TENANT_ADDRESS} & set(addresses)
    assert len(server.console.starts()) == 1, 'somebody ran what a name says'


def test_card_that_waits_for_firmware_is_named(servers):
    """Its driver asks when the interface is brought up, and leaves it down without."""
    if b'usr/lib/firmware/e100/' in (paths.RAMDISK_FOLDER / 'base.cpio').read_bytes():
        pytest.skip('this ramdisk is made with FIRMWARE=1')
    server, _ = servers['four-cards']
    said = server.console.wait_for(r'network card \S+ \(8086:1209 e100\) asked for firmware .*', 30)
    assert re.search(r'firmware e100/d102e_ucode\.bin, which this ramdisk does not have; '
                     r'FIRMWARE=1 builds one that has it, from Debian.s firmware-\S+', said[0])
    assert server.console.text().count('asked for firmware') == 1


def test_dhcpv6_knows_a_machine_by_the_uuid_of_its_firmware(hand, server):
    """RFC 6355, as UEFI and iPXE call it: a DUID that is made anew would be another client at each boot."""
    digits = server.uuid.replace('-', '')
    name = ':'.join(['00', '04', *(digits[at:at + 2] for at in range(0, 32, 2))])
    assert re.findall(r'DUID (\S+)', look(hand, server)) == [name]


def test_killed_udevd_is_started_again(hand, server):
    """It is udevd that moves the hand: a hand that moves again proves it."""
    mark = server.console.mark()
    hand.move(server, 'kill_udevd')
    server.console.wait_for('udevd ended with .*SIGKILL; starting it again', 10, mark)
    # A change of the disk before udevd is there to listen is heard by nobody.
    look(hand, server, tries=10)


def test_killed_agent_comes_back(hand, server):
    mark = server.console.mark()
    hand.move(server, 'kill_agent')
    server.console.wait_for('agent ended with .*SIGKILL; starting it again', 10, mark)
    server.console.wait_for(r'now +serving', 30, mark)


def test_without_a_usable_journal_nothing_is_served(hand, server):
    """An agent that cannot know what ran before it must not tell the conductor that all is well."""
    mark = server.console.mark()
    hand.move(server, 'damage_journal_and_kill_agent')
    server.console.wait_for('journal .*commands.jsonl is damaged in line', 30, mark)
    server.console.wait_for('agent ended with .*; starting it again', 10, mark)
    assert not re.search(r'now +serving', server.console.text(mark))


def test_shell_is_there_only_on_request(hand, servers):
    server, terminal = servers['media']
    terminal.type('echo user $(id -u) says $((6 * 7))')
    terminal.wait_for('user 0 says 42', 10)
    assert re.search('busybox sh -l', look(hand, server))
    # Whoever looks at the machine by hand sees what virtual media say, as the agent does.
    terminal.type('farrier inventory --without-plugins --json | busybox grep pxe_interface')
    terminal.wait_for(f'"01-{server.cards[-1]["mac"].replace(":", "-")}"', 30)

    server, terminal = servers['four-cards']
    terminal.type('echo user $(id -u) says $((6 * 7))')
    assert 'sh -l' not in look(hand, server)
    assert terminal.text() == ''


def test_conductor_is_found_with_multicast_dns(lab, servers):
    """Ironic announces its URL; it has not heard of this server."""
    server, _ = servers['media']
    server.console.wait_for(f'the conductor announces itself url="?{conductor.URL}/', 5)
    server.console.wait_for('404', 30)
    assert f'/v1/lookup?addresses={server.mac}' in lab.conductor.log().replace('%3A', ':')


def test_a_port_that_forwards_late_gets_its_lease(lab, server):
    """The agent served before it did, and the other cards had theirs; one that never forwards disturbs nobody."""
    _, late, never, _ = server.cards
    deadline = time.monotonic() + patience(90)
    # Its next question was up to 64 s away.
    while not lab.dhcp.acknowledged(late['mac']):
        assert time.monotonic() < deadline, 'no lease'
        time.sleep(0.5)
    assert not lab.dhcp.acknowledged(never['mac'])


def test_power_button_switches_off_in_order(lab, server):
    mark = server.console.mark()
    with server.qmp() as qmp:
        qmp.execute('system_powerdown')
    server.console.wait_for('SIGTERM: switching off', 10, mark)
    server.wait_for_off(20)
    # The machine itself asked QEMU for its end.
    assert f'{server.name}: QEMU ended: guest-shutdown' in lab.bmc.log()


def static_data(mac, address, name='port0'):
    """Network data of one card with a static address."""
    link = {'id': name, 'type': 'phy', 'ethernet_mac_address': mac}
    return json.dumps(network_data.document([link], [network_data.network(name, address)]))


def look(hand, server, tries=1):
    """What the hand saw."""
    mark = server.console.mark()
    for left in reversed(range(tries)):
        hand.move(server, 'look')
        try:
            # A hand that was not ready yet has not seen it.
            server.console.wait_for('hand: end of the look', 2 if left else 20, mark,
                                    at_most=left > 0)
            break
        except TimeoutError:
            if not left:
                raise
    return server.console.text(mark)
