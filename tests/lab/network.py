"""The lab's network: one namespace with a bridge, and a tap device for each network card.

Nothing appears on the machine's own network. The namespace's name belongs to one run folder, so
whatever is found in it at a start was left behind by an earlier run and is removed.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path

from lab.patience import patience

BRIDGE = 'br0'
ADDRESS = '192.0.2.1'
PREFIX = 24
SUBNET = '192.0.2.0/24'
ADDRESS6 = 'fd00:fa:1::1'
PREFIX6 = 64
SUBNET6 = f'fd00:fa:1::/{PREFIX6}'

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Network:
    """A namespace with its bridge."""

    def __init__(self, namespace: str):
        self.namespace = namespace

    def up(self):
        """Makes namespace and bridge, after removing what an earlier run left."""
        self.down()
        _run('ip', 'netns', 'add', self.namespace)
        self.ip('link', 'set', 'lo', 'up')
        self.add_bridge(BRIDGE)
        self.ip('addr', 'add', f'{ADDRESS}/{PREFIX}', 'dev', BRIDGE)
        # nodad: usable at once, without the second of duplicate address detection.
        self.ip('addr', 'add', f'{ADDRESS6}/{PREFIX6}', 'dev', BRIDGE, 'nodad')
        # radvd refuses to speak for a machine that does not forward. Nothing leaves: there is no
        # other interface in the namespace.
        # By itself the kernel answers ARP for each of its addresses on each bridge: a port that is moved would still find the
        # gateway of the network that it came from.
        _run('ip', 'netns', 'exec', self.namespace, 'sysctl', '-qw',
             'net.ipv6.conf.all.forwarding=1', 'net.ipv4.conf.all.arp_ignore=1')

    def down(self):
        """Ends every process in the namespace and removes it with all its interfaces."""
        if not self.exists():
            return
        for sig, seconds in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            deadline = time.monotonic() + seconds
            for pid in self.processes():
                _send(pid, sig)
            while self.processes() and time.monotonic() < deadline:
                time.sleep(0.1)
        for name in self.taps():
            self.remove_tap(name)
        _run('ip', 'netns', 'delete', self.namespace)

    def exists(self):
        return Path('/run/netns', self.namespace).exists()

    def processes(self):
        """Pids of all processes inside, apart from the caller."""
        output = _run('ip', 'netns', 'pids', self.namespace)
        return [int(pid) for pid in output.split() if int(pid) != os.getpid()]

    def add_bridge(self, name):
        """A network of its own. Without a hardware address of its own a bridge has that of a port, and the same one where
        that port came from."""
        number = int(name.removeprefix('br'))
        self.ip('link', 'add', name, 'address', f'02:fa:00:00:00:{number:02x}', 'type', 'bridge',
                'forward_delay', '0', 'stp_state', '0')
        self.ip('link', 'set', name, 'up')

    def add_tap(self, name, bridge=BRIDGE):
        self.ip('tuntap', 'add', 'dev', name, 'mode', 'tap')
        self.ip('link', 'set', name, 'master', bridge, 'up')

    def remove_tap(self, name):
        self.ip('link', 'delete', name)

    def listen(self, name):
        """What comes by this tap device goes nowhere, though its card has a link: so is a port of a switch that
        looks for loops (spanning tree) for half a minute. Once a server is on."""
        deadline = time.monotonic() + patience(10)
        while 'LOWER_UP' not in self.ip('-o', 'link', 'show', name):
            if time.monotonic() > deadline:
                raise TimeoutError(f'{name} has no link')
            time.sleep(0.05)
        self._set_state(name, 'listening')

    def forward(self, name):
        """The end of `listen`."""
        self._set_state(name, 'forwarding')

    def _set_state(self, name, state):
        # Outside, bridge is not found by every user's PATH.
        _run('ip', 'netns', 'exec', self.namespace, 'bridge', 'link', 'set', 'dev', name, 'state', state)

    def taps(self):
        lines = self.ip('-o', 'link', 'show', 'type', 'tun').splitlines()
        return [line.split(': ')[1].split('@')[0] for line in lines]

    def add_address(self, address):
        """One more address of the lab's own side."""
        self.ip('addr', 'add', address, 'dev', BRIDGE)

    def remove_address(self, address):
        self.ip('addr', 'del', address, 'dev', BRIDGE)

    def ip(self, *arguments):
        return _run('ip', '-n', self.namespace, *arguments)

    @contextlib.contextmanager
    def inside(self):
        """Moves the calling thread into the namespace: sockets opened meanwhile belong to it."""
        with open('/proc/thread-self/ns/net') as home, \
                open(f'/run/netns/{self.namespace}') as namespace:
            _enter(namespace)
            try:
                yield
            finally:
                _enter(home)


def _enter(namespace):
    if _libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f'entering network namespace {namespace.name}: {os.strerror(error)}')


def _send(pid, sig):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, sig)


def _run(*command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f'{" ".join(command)}: {result.stderr.strip()}')
    return result.stdout
