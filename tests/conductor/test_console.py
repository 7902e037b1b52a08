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
from lab import Disk, Image, conductor, network, paths
from lab.patience import patience
from lab.screen import ARGUMENTS, PARAMETERS, Screen, glyphs



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
def test_server_that_waits_for_its_conductor(lab):
    """Two states of one boot: it was inspected, and stays up; then it writes an image, which comes slowly."""
    image = Image.publish(lab, paths.TEST_IMAGE)
    image = replace(image, url=lab.web.slow_url(image.name))
    with lab.enrolled('screened', boot='direct', as_shipped=True, disks=[Disk('virtio', 256)],
                      arguments=list(ARGUMENTS), parameters=PARAMETERS,
                      node={'clean': False, 'fast_track': True}) as node:
        node.inspect()
        wait_for_heartbeats(lab, node, 1, 60)
        server = node.server
        wait_for_screen(server, "ready for the conductor's commands")
        wait_for_screen(server, node.uuid)
        keep(server, 'ready')
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
