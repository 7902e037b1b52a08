"""A rescued server whose port is moved to a tenant's network, on a switch that does not take the link away.

The conductor's part, and the login, are in `test_rescue`: here only its marker is there.
"""

import contextlib
import re
import socket
import time

import pytest

from conductor.expectations import wait_until
from lab import Disk, Hand, Tenant, tenant
from lab.network import BRIDGE
from lab.patience import patience
from lab.ssh import is_closed

ETHERTYPE_ALL = 3
# DHCP's magic cookie, and the first option behind it: the kind of message (RFC 2131).
DISCOVER = bytes.fromhex('63825363350101')
SAME_ROUND = 5

LOOK = '''\
/hand/busybox ip -o address show scope global
/hand/busybox ip -4 route
/hand/busybox ip -6 route
/hand/busybox sed 's/^/resolv.conf /' /run/farrier/resolv.conf
echo "hand: end of the look"
'''

# What answers at an address once the agent has gone, and keeps a connection open; and who looks five times a second
# whether the address is there.
RESCUE = '''\
/hand/busybox httpd -p 7000 -h /hand
address=$(/hand/busybox ip -o -4 address show scope global | /hand/busybox awk '{ print $4; exit }')
/hand/busybox setsid /hand/busybox sh -c "
while PATH= /hand/busybox ip -o -4 address show scope global | /hand/busybox grep -qF ' $address '; do
    /hand/busybox sleep 0.2
done
echo 'hand: $address is missing'
" &
echo > /etc/.rescued
echo "hand: a rescue system that has $address"
'''


@pytest.fixture(scope='module')
def hand():
    return Hand(look=LOOK, rescue=RESCUE)


@pytest.mark.parametrize('authoritative', [True, pytest.param(False, marks=pytest.mark.full)])
def test_server_answers_in_the_network_that_its_port_is_moved_to(lab, hand, authoritative):
    """Until then nothing changes for a connection that is open, though DHCP is asked again and again, and the address
    is never missing; not where nobody answers either. After it nothing of the network before is left, of either family."""
    ramdisk = hand.into(lab.ramdisk, lab.run.boot / 'port.img')
    server = lab.server(f'port-{authoritative}'.lower(), boot='direct', disks=[Disk('virtio', 64), Hand.disk()])
    try:
        server.boot_kernel(lab.kernel, ramdisk, 'console=ttyS0,115200 BOOTIF=01-' + server.mac.replace(':', '-'))
        server.power_on('Pxe')
        console = server.console
        before = console.wait_for(r'network (\S+) dhcp (192\.0\.2\.\d+)/24', 90)[2]
        console.wait_for(r'network \S+ ra fd00:fa:1:', 30)
        assert is_closed(lab.network, before), 'somebody serves SSH though nobody may log in'
        hand.move(server, 'rescue')
        console.wait_for('a rescue system: every 10 s', 30)
        console.wait_for(f'hand: a rescue system that has {before}/24', 30)
        acknowledged = lab.dhcp.acknowledged(server.mac)
        mark = console.mark()
        with session(lab, before) as connection:
            wait_until(lambda: lab.dhcp.acknowledged(server.mac) >= acknowledged + 2, 60, 'two more answers of DHCP')
            assert get(connection)
        if not authoritative:
            stay_alone(lab, server, before)
        assert not re.search('network .*lost|network is another one|is missing', console.text(mark))

        with Tenant(lab, authoritative=authoritative) as network:
            network.take(server.cards[0]['tap'])
            after = console.wait_for(r'network \S+ dhcp (203\.0\.113\.\d+)/24', 60, mark)[1]
            console.wait_for('the network is another one', 60, mark)
            console.wait_for(f'hand: {before}/24 is missing', 60, mark)
            console.wait_for(r'network \S+ ra fd00:fa:3:', 60, mark)
            wait_until(lambda: answers(lab, after), 60, 'answer in the tenant\'s network')
            seen = look(hand, server)
            assert re.findall(r'inet6? (\S+)', seen) == [f'{after}/24', *re.findall(r'inet6 (fd00:fa:3:\S+)', seen)]
            assert re.findall(r'^default via (203\.\S+)', seen, re.M) == [tenant.GATEWAY]
            assert len(re.findall(r'^default via fe80:', seen, re.M)) == 1
            assert '192.0.2.' not in seen and 'fd00:fa:1:' not in seen, seen
            assert 'nameserver 203.0.113.53' in seen
    finally:
        lab.remove(server)


def stay_alone(lab, server, address):
    """The port is for three rounds in a network where nobody answers, and in its own again."""
    ip, tap = lab.network.ip, server.cards[0]['tap']
    lab.network.add_bridge('br3')
    try:
        with questions(lab, server) as asked:
            ip('link', 'set', tap, 'master', 'br3')
            wait_until(lambda: len(asked()) == 3, 90, 'three rounds in which nobody is there to answer')
    finally:
        ip('link', 'set', tap, 'master', BRIDGE)
        ip('link', 'delete', 'br3')
    with session(lab, address) as connection:
        assert get(connection)


@contextlib.contextmanager
def questions(lab, server):
    """The rounds in which the server asked for another lease, seen at its port from now on: when they began."""
    with lab.network.inside():
        port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE_ALL))
    began = []

    def rounds():
        with contextlib.suppress(BlockingIOError):
            while True:
                frame = port.recv(2048)
                # Each question is asked twice.
                if DISCOVER in frame and frame[6:12] == mac and (not began or time.monotonic() - began[-1] > SAME_ROUND):
                    began.append(time.monotonic())
        return began

    mac = bytes.fromhex(server.mac.replace(':', ''))
    with contextlib.closing(port):
        port.bind((server.cards[0]['tap'], ETHERTYPE_ALL))
        port.setblocking(False)
        yield rounds


def look(hand, server):
    """What `LOOK` prints."""
    mark = server.console.mark()
    hand.move(server, 'look')
    server.console.wait_for('hand: end of the look', 20, mark)
    return server.console.text(mark)


def session(lab, address):
    """A connection to the server's address with half a request said."""
    with lab.network.inside():
        connection = socket.create_connection((address, 7000), timeout=patience(20))
    connection.sendall(b'GET /move HTTP/1.0\r\n')
    return connection


def get(connection):
    """The rest of the request, and whether it is answered."""
    connection.sendall(b'\r\n')
    return connection.recv(12) == b'HTTP/1.1 200'


def answers(lab, address):
    """Whether the server is reached at the address."""
    try:
        with session(lab, address) as connection:
            return get(connection)
    except OSError:
        return False
