"""An iSCSI target with one disk, as storage systems have them: tgt, which needs nothing of the kernel."""

import os
import subprocess

from lab import network
from lab.process import Process

PORT = 3260


class IscsiTarget:
    """tgtd on the lab's bridge, for the length of a `with`.

    `chap` is a user and a password (of 12 to 16 letters, as RFC 7143 wants it), with which alone one gets in.
    """

    def __init__(self, lab, name, disk, *, address=network.ADDRESS, chap=None):
        self.name = name
        self.address = address
        self._lab = lab
        self._disk = disk
        self._chap = chap
        # Where tgtadm finds this tgtd: one machine may run several.
        self._control = str(os.getpid() % 30000)
        self._tgtd = None

    @property
    def root_path(self):
        """What iPXE and DHCP servers call it: RFC 4173."""
        return f'iscsi:{self.address}:::1:{self.name}'

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self._tgtd = Process.start(
            'tgtd', ['tgtd', '-f', '-C', self._control, '--iscsi', f'portal={self.address}:{PORT}'],
            self._lab.run.namespace, self._lab.run.logs / 'tgtd.log')
        self._tgtd.wait_until(lambda: self._admin('sys', 'show').returncode == 0, 10, 'answer')
        self._configure('target', 'new', '--tid', '1', '-T', self.name)
        self._configure('logicalunit', 'new', '--tid', '1', '--lun', '1', '-b', str(self._disk))
        self._configure('target', 'bind', '--tid', '1', '-I', 'ALL')
        if self._chap:
            self.require(*self._chap)

    def require(self, user, password):
        """From now on one gets in with these alone; who is in stays."""
        self._configure('account', 'new', '--user', user, '--password', password)
        self._configure('account', 'bind', '--tid', '1', '--user', user)

    def stop(self):
        """As a storage system that is switched off: nobody is told. tgtd itself ends by SIGKILL alone while there
        are sessions."""
        if self._tgtd:
            self._tgtd.stop(grace=0.5)

    def sessions(self):
        """What is logged in: the initiators' names."""
        text = self._admin('target', 'show').stdout
        return [line.split()[1] for line in text.splitlines() if line.strip().startswith('Initiator:')]

    def _configure(self, mode, operation, *arguments):
        result = self._admin(mode, operation, *arguments)
        if result.returncode:
            raise RuntimeError(f'tgtadm {mode} {operation}: {result.stderr.strip()}')

    def _admin(self, mode, operation, *arguments):
        command = ['tgtadm', '-C', self._control, '--lld', 'iscsi', '--mode', mode, '--op', operation, *arguments]
        return subprocess.run(command, capture_output=True, text=True)
