"""What a person at the machine sees: the page on the screen, and plain lines on the serial console.

A screen is read from QEMU's screendump. With FARRIER_PICTURES naming a folder, each state that is seen is kept there as a
picture, with the serial log of its boot; the pictures of the guide are made so (docs/console.md).
"""

import os
import re
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from conductor.expectations import wait_for_heartbeats
from lab import Disk, FalseConductor, Image, Port, Switch, conductor, network, paths
from lab.patience import patience
from lab.screen import ARGUMENTS, PARAMETERS, Screen, glyphs
from lab.ssh import is_closed

# How each fixed line begins, below the title; a value may go on in the line below.
LABELS = ['server', 'node', 'cards', None, 'switch', 'BMC', 'conductor', 'now', None, 'trouble', None, 'to do', None]
# A card and a controller whose drivers the kernel is told not to load: to it they are devices that it has none for.
CARD, CARD_IDS = 'e1000', '8086:100e'
CONTROLLER, CONTROLLER_IDS = 'megasas', '1000:0060'
NO_DRIVERS = 'module_blacklist=e1000,megaraid_sas'
# A place where something can be plugged in later.
SLOT = ['-device', 'pcie-root-port,id=late-slot,chassis=9']
# What would clear the screen, move the cursor, forge a line, read backwards; and a thousand letters.
HOSTILE = '\x1b[2J\x1b[H\r\nfarrier | now        serving\r\n\x9b1A\u202e' + 'x' * 1000
KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM3Cy9cpYSC6Renlj6sp7cL6+5jZDFR0RHa4uhdf77By desk'
FALSE_PORT = 6390


def wait_for_screen(server, pattern, timeout=60):
    """Waits until the screen shows it; returns the text. Blanks do not count: a long line is wrapped anywhere. Only the
    page says `to do`."""
    pattern = pattern.replace(' ', '')
    deadline = time.monotonic() + patience(timeout)
    while True:
        try:
            text = Screen.of(server).text()
        except OSError:  # It is between two starts.
            text = ''
        if re.search(pattern, re.sub(r'\s', '', text)):
            return text
        if time.monotonic() > deadline:
            raise TimeoutError(f'{pattern!r} did not appear on the screen, which shows:\n{text}')
        time.sleep(0.5)


def expect_page(server):
    """The fixed lines stand where they belong, and no wider than the screen; returns the lines of the screen."""
    screen = Screen.of(server)
    lines = screen.lines()
    for line, label in zip(lines[1:], LABELS, strict=False):
        begins = line.startswith(f'{label} ') if label else not line or line.startswith(' ')
        assert begins, '\n'.join(lines)
    assert lines[1 + len(LABELS)] == '-' * screen.columns, '\n'.join(lines)
    return lines


def plug(server, device):
    """Puts a device into the running server's slot."""
    with server.qmp() as qmp:
        qmp.execute('device_add', driver=device, id='late', bus='late-slot')


def unplug(server):
    with server.qmp() as qmp:
        qmp.execute('device_del', id='late')


def keep(server, name):
    """Keeps a picture where somebody wants one."""
    folder = os.environ.get('FARRIER_PICTURES')
    if folder:
        Path(folder, f'{name}.png').write_bytes(Screen.of(server).png())
        Path(folder, f'{name}.txt').write_text(server.console.text(server.console.mark_of_last_start()))


def expect_plain(server):
    """The serial console has no escapes of ours, and no trouble twice within a minute."""
    since = server.console.mark_of_last_start()
    said = server.console.path.read_bytes()[since:]
    ours = said[said.find(b'farrier '):]
    assert b'\x1b' not in ours
    troubles = re.findall(r'^farrier \| trouble +(.*)$', ours.decode(errors='replace'), re.MULTILINE)
    assert troubles
    lines = [line for line in troubles if not re.search(r'\(\d+ times\)', line)]
    assert all(lines[at] != lines[at + 1] for at in range(len(lines) - 1)), troubles


def boot(lab, name, parameters='', arguments=(), **hardware):
    """A server that no conductor leads, with a screen."""
    # As it is shipped: started without its compression, a kernel is told nothing of a screen.
    server = lab.server(name, boot='direct', as_shipped=True, arguments=[*ARGUMENTS, *arguments], **hardware)
    server.boot_kernel(lab.kernel, lab.ramdisk, f'{PARAMETERS} {parameters}')
    server.power_on('Pxe')
    return server


@pytest.mark.parametrize('width', [720, 640])
def test_a_screen_is_read_by_its_glyphs(width):
    """Text mode and framebuffer; light on dark, and the other way round."""
    shown = ['farrier | now  serving', '[####----] 42 %  \u2591|']
    picture = painted(shown, width, ink=b'\xaa\xaa\xaa', paper=b'\0\0\xaa')
    screen = Screen.read(picture)
    assert screen.lines()[:2] == shown
    assert Screen.read(painted(shown, width, ink=b'\0\0\0', paper=b'\xff\xff\xff')).lines()[:2] == shown
    assert screen.png().startswith(b'\x89PNG') and len(screen.png()) < 2000
    assert set(screen.colours()) == {(0xaa, 0xaa, 0xaa), (0, 0, 0xaa)}


def test_a_screen_of_forty_columns_is_read():
    """Each of its points is as wide as two."""
    shown = ['trouble    no link', '----']
    width = 40 * 8
    picture = painted(shown, width, ink=b'\xaa\xaa\xaa', paper=b'\0\0\0')
    header, points = picture[:picture.index(b'255\n') + 4], picture[picture.index(b'255\n') + 4:]
    doubled = b''.join(2 * points[at:at + 3] for at in range(0, len(points), 3))
    screen = Screen.read(header.replace(b'320 ', b'640 ') + doubled)
    assert (screen.columns, screen.lines()) == (40, shown)


def painted(lines, width, ink, paper):
    """A screendump with these lines."""
    bits = {letter: glyph for glyph, letter in glyphs().items()}
    cell = 9 if width == 720 else 8
    points = bytearray(paper * (width * 16 * len(lines)))
    for row, line in enumerate(lines):
        for column, letter in enumerate(line):
            for y, byte in enumerate(bits.get(letter, bytes(16))):
                for x in range(8):
                    if byte << x & 0x80:
                        at = 3 * ((row * 16 + y) * width + column * cell + x)
                        points[at:at + 3] = ink
    return b'P6\n%d %d\n255\n' % (width, 16 * len(lines)) + bytes(points)


def test_unknown_server_whose_cable_is_pulled(lab):
    """Two states of one boot: a server that the conductor does not know, and one without a link. Another serial line is a
    console that somebody is connected to and does not read."""
    path = lab.run.tmp / 'blocked.sock'
    blocked = ['-chardev', f'socket,id=blocked,path={path},server=on,wait=off', '-device', 'isa-serial,chardev=blocked']
    server = boot(lab, 'unknown', f'console=ttyS1,115200 ipa-api-url={conductor.URL}', blocked)
    reader = socket.socket(socket.AF_UNIX)
    try:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deadline = time.monotonic() + patience(30)
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        reader.connect(str(path))
        console = server.console
        console.wait_for('trouble .*knows no node of this machine .*404', 90)
        console.wait_for(f'advice .*enroll it in Ironic with a port of .*{server.mac}', 10)
        wait_for_screen(server, 'knows no node of this machine')
        wait_for_screen(server, f'to do enroll it in Ironic.*{server.mac}')
        wait_for_screen(server, server.serial)
        keep(server, 'unknown-node')
        mark = console.mark()
        server.set_link(False)
        console.wait_for(r'trouble .*no link on the only network port, \S+', 60, mark)
        wait_for_screen(server, r'no link on the only network port, \S*?to do plug in the cable')
        keep(server, 'no-link')
        server.set_link(True)
        console.wait_for(r'over +no link on the only network port', 60, mark)
        expect_plain(server)
    finally:
        reader.close()
        lab.remove(server)


@pytest.mark.full
def test_nobody_gives_an_ipv4_address(lab):
    """There is one of IPv6, from which no way leads to the conductor: no gateway would help."""
    with lab.dhcp.silent():
        server = boot(lab, 'homeless', f'ipa-api-url={conductor.URL}')
        try:
            server.console.wait_for(rf'trouble .*no IPv4 address, as the conductor {network.ADDRESS} needs', 120)
            wait_for_screen(server, r'no IPv4 address, as the conductor \S*?to do check that a DHCP server answers')
            keep(server, 'no-ipv4')
            expect_plain(server)
        finally:
            lab.remove(server)


@pytest.mark.full
def test_conductor_that_refuses(lab):
    """Its port is closed."""
    url = conductor.URL.replace(str(conductor.PORT), '6399')
    server = boot(lab, 'refused', f'ipa-api-url={url}')
    try:
        server.console.wait_for(rf'trouble .*could not reach the conductor at {url}/\S*: it refuses the connection', 90)
        wait_for_screen(server, 'it refuses the connection to do check that Ironic.s API runs there')
        keep(server, 'refused')
        expect_plain(server)
    finally:
        lab.remove(server)


@pytest.mark.full
def test_screen_of_forty_columns(lab):
    """The narrowest that has a page: the mode that a BIOS calls 0."""
    server = boot(lab, 'narrow', f'vga=0x100 ipa-api-url={conductor.URL}')
    try:
        server.console.wait_for(rf'advice .*enroll it in Ironic with a port of .*{server.mac}', 90)
        wait_for_screen(server, r'to do enroll it in Ironic')
        lines = expect_page(server)
        assert Screen.of(server).columns == 40
        assert server.uuid in lines[0] and server.serial in lines[1] and '192.0.2.' in lines[3] + lines[4]
        # Below it is what the page has no room for.
        wait_for_screen(server, server.mac)
        keep(server, 'forty-columns')
        expect_plain(server)
    finally:
        lab.remove(server)


@pytest.mark.full
def test_card_without_a_driver(lab):
    """It is the only one, so there is no network port."""
    server = boot(lab, 'driverless', f'{NO_DRIVERS} ipa-api-url={conductor.URL}', card_model=CARD)
    try:
        told = rf'this machine has no network port; network card 0000:\S+ \({CARD_IDS}\) has no driver'
        server.console.wait_for(f'trouble .*{told}', 120)
        server.console.wait_for('advice .*build the ramdisk with its driver .KERNEL=backports.', 10)
        wait_for_screen(server, f'{told} to do build the ramdisk with its driver')
        expect_page(server)
        keep(server, 'no-driver')
        expect_plain(server)
    finally:
        lab.remove(server)


@pytest.mark.full
def test_server_without_a_disk(lab):
    """Two states of one boot: there is no disk; and no driver for a controller that came later."""
    with lab.enrolled('diskless', boot='direct', as_shipped=True, disks=[], arguments=[*ARGUMENTS, *SLOT],
                      parameters=f'{PARAMETERS} {NO_DRIVERS}', node={'clean': False, 'fast_track': True}) as node:
        inventory = node.inspect()['inventory']
        assert inventory['disks'] == []
        wait_for_heartbeats(lab, node, 1, 60)
        server = node.server
        # Ready all the same: a step that needs no disk can run.
        wait_for_screen(server, "ready for the conductor's commands")
        wait_for_screen(server, r'no disk of 4 GiB or more. The machine shows no usable block device.*to do plug in a disk')
        expect_page(server)
        keep(server, 'no-disk')
        mark = server.console.mark()
        plug(server, CONTROLLER)
        told = rf'storage controller 0000:\S+ \({CONTROLLER_IDS}\) has no driver'
        server.console.wait_for(f'trouble .*{told}; no disk of 4 GiB or more', 60, mark)
        wait_for_screen(server, f'trouble {told}; no disk of 4 GiB or more.*to do build the ramdisk with its driver')
        expect_page(server)
        keep(server, 'no-disk-no-driver')
        expect_plain(server)


@pytest.mark.full
def test_hostile_text_is_text_on_the_page(lab):
    """Of whoever answers: a conductor that announces itself, DHCP, the switch; and a key of support with options, which
    lets nobody in."""
    server = lab.server('hostile', boot='direct', as_shipped=True, arguments=list(ARGUMENTS))
    try:
        server.boot_kernel(lab.kernel, lab.ramdisk,
                           f'{PARAMETERS} ipa-api-url=mdns ipa-collect-lldp=1 sshkey="no-pty {KEY}"')
        port = Port(server.cards[0]['tap'], 'Eth\x1b[H\r\n1/1')
        with lab.conductor.configured('[conductor]\nenable_mdns = false\n'), \
                lab.dhcp.served_by('isc-dhcp'), \
                lab.dhcp.telling(domain=r'lab\033[2J\033[H\015\012', search=('x\x1b[2J.lab',)), \
                FalseConductor(lab.network, FALSE_PORT, HOSTILE, '/\x1b[2J\r\nfarrier'), \
                Switch(lab.network, 'leaf' + HOSTILE[:400], '00:1b:21:aa:bb:cc', [port]):
            server.power_on('Pxe')
            console = server.console
            address = console.wait_for(r'network \S+ dhcp (192\.0\.2\.\d+)/24', 90)[1]
            console.wait_for('sshkey admits nobody: sshkey begins with options', 30)
            console.wait_for(r'trouble .*\\u\{1b\}\[2J', 90)
            wait_for_screen(server, r'switch \S* leaf')
            wait_for_screen(server, r'trouble .*\\u\{1b\}\[2J')
            lines = expect_page(server)
            assert not any(line.startswith('farrier | now') for line in lines)
            keep(server, 'hostile')
            assert not re.search(r'^farrier \| now +serving', console.text(), re.MULTILINE)
            assert is_closed(lab.network, address), 'somebody serves SSH though nobody may log in'
            expect_plain(server)
    finally:
        lab.remove(server)


@pytest.mark.full
def test_server_that_waits_for_its_conductor(lab):
    """Three states of one boot: it was inspected, and stays up; a controller comes that has no driver, and goes; then an
    image is written, which comes slowly."""
    image = Image.publish(lab, paths.TEST_IMAGE)
    image = replace(image, url=lab.web.slow_url(image.name))
    with lab.enrolled('screened', boot='direct', as_shipped=True, disks=[Disk('virtio', 256)],
                      arguments=[*ARGUMENTS, *SLOT], parameters=f'{PARAMETERS} {NO_DRIVERS}',
                      node={'clean': False, 'fast_track': True}) as node:
        node.inspect()
        wait_for_heartbeats(lab, node, 1, 60)
        server = node.server
        wait_for_screen(server, "ready for the conductor's commands")
        wait_for_screen(server, node.uuid)
        keep(server, 'ready')
        mark = server.console.mark()
        plug(server, CONTROLLER)
        told = rf'no driver for storage controller 0000:\S+ \({CONTROLLER_IDS}\)'
        server.console.wait_for(f'trouble .*{told}', 60, mark)
        wait_for_screen(server, f'{told} to do if this server needs it')
        keep(server, 'unused-controller')
        unplug(server)
        server.console.wait_for(f'over .*{told}', 60, mark)
        node.provide()
        mark = server.console.mark()
        node.start_deploying(image)
        # Neither before the first byte nor after the last.
        bar = rf'writing image {image.name} to /dev/vda'
        text = wait_for_screen(server, rf'\[#+-+\] [2-6]\d% {bar}, \d+ s left, [\d.]+ MB/s', 60)
        keep(server, 'bar')
        assert re.search(rf'^node +{server.name}, {node.uuid}', text, re.MULTILINE), 'the step has brought the name'
        line = rf'^farrier \| execute_deploy_step: {bar} \[#+-+\] +[2-6]\d %, \d+ s left, [\d.]+ MB/s\r?$'
        server.console.wait_for(line, 30, mark)
        node.wait_for('active', 120)
        said = server.console.path.read_bytes()[mark:server.console.mark_of_last_start()]
        assert b'\x1b' not in said and said.count(b'writing image') < 20, said
