"""The laboratory: network, services, BMC, conductor, and the servers that a test asks for."""

import contextlib
import fcntl
import hashlib
import shutil
import sys
from pathlib import Path

from lab import bmc, conductor, paths
from lab.api import Api
from lab.dhcp import Dhcp
from lab.dhcp6 import Dhcp6
from lab.network import Network
from lab.node import Node
from lab.server import Server
from lab.web import Web


class Lab:
    """Everything of one run folder.

    Used with `with Lab() as lab:`, everything is stopped and removed at the end, also after a
    failure; whatever a killed run left is removed at the next start. With `outlive`, `start()`
    leaves the services running when the program ends, until `stop()` of another one. `release` is another
    Ironic than the lab's own (`Release.of`).
    """

    def __init__(self, folder: Path | None = None, *, outlive=False,
                 kernel=paths.KERNEL, ramdisk=paths.RAMDISK, release=None):
        self.run = paths.Run(folder or paths.LAB / 'run')
        self.kernel = Path(kernel)
        self.ramdisk = Path(ramdisk)
        self.network = Network(self.run.namespace)
        self.dhcp = Dhcp(self.run, outlive=outlive)
        self.dhcp6 = Dhcp6(self.run, outlive=outlive)
        self.web = Web(self.network, self.run, outlive=outlive)
        self.bmc = bmc.Bmc(self.network, self.run, outlive=outlive)
        self.conductor = conductor.Conductor(self.network, self.run, outlive=outlive, release=release)
        self.api = Api(self.network, conductor.URL)
        self.servers = []
        self._lock = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        """From nothing to an answering conductor, in seconds."""
        self._take_lock()
        try:
            self.network.down()
            shutil.rmtree(self.run.folder, ignore_errors=True)
            self.run.make()
            self.network.up()
            self.web.start()
            self.dhcp.start()
            self.dhcp6.start()
            self.bmc.start()
            self.conductor.start()
        except BaseException:
            self.stop()
            raise

    def stop(self):
        """Ends every process and removes namespace and interfaces; the folder stays."""
        for server in self.servers:
            with contextlib.suppress(OSError):
                server.keep_logs()
        for service in (self.bmc, self.conductor, self.dhcp6, self.dhcp, self.web):
            service.stop()
        self.network.down()
        # 120 MiB for each ramdisk, which nobody reads any more.
        shutil.rmtree(self.run.unpacked, ignore_errors=True)
        if self._lock:
            self._lock.close()
            self._lock = None

    def server(self, name, **hardware):
        """Builds a server; see `Server` for what can be asked for."""
        server = Server(self, name, **hardware)
        server.make()
        self.servers.append(server)
        return server

    def enrol(self, server, *, kernel=None, ramdisk=None, bootloader=None, iso=None, **options):
        """Makes a server known to the conductor; see `Node.enrol`. Returns it manageable."""
        kernel = self._boot_file(kernel or self.kernel)
        ramdisk = self._boot_file(ramdisk or self.ramdisk)
        if bootloader:
            bootloader = self._boot_file(bootloader)
        if iso:
            iso = self._boot_file(iso)
        node = Node.enrol(self.api, server, bmc.URL, kernel, ramdisk, bootloader=bootloader, iso=iso,
                          bmc_user=self.conductor.release.wants_bmc_user, **options)
        node.manage()
        return node

    @contextlib.contextmanager
    def enrolled(self, name, *, node=None, **hardware):
        """A server and its node for the length of a `with`; both are gone after it."""
        server = self.server(name, **hardware)
        enrolled = None
        try:
            enrolled = self.enrol(server, **(node or {}))
            yield enrolled
        finally:
            if enrolled:
                enrolled.remove()
            self.remove(server)

    def remove(self, server):
        """Takes a server apart."""
        server.remove()
        self.servers.remove(server)

    def _boot_file(self, path):
        """A copy that a build in the middle of a test run does not change."""
        path = Path(path)
        if path.parent == self.run.boot:
            return path
        # Folders of other trees have the same name.
        folder = hashlib.sha256(bytes(path.parent.resolve())).hexdigest()[:8]
        copy = self.run.boot / f'{path.parent.name}-{folder}-{path.name}'
        if not copy.exists():
            shutil.copy(path, copy)
            copy.chmod(0o644)
        return copy

    def _take_lock(self):
        self.run.lock.parent.mkdir(parents=True, exist_ok=True)
        self._lock = open(self.run.lock, 'w')
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            self._lock = None
            sys.exit(f'another program is using the lab in {self.run.folder}')
