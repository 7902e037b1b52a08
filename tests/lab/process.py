"""A daemon of the lab: started inside the namespace, logged to a file, ended by its pid."""

import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path

from lab.patience import patience

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Process:
    """One running program."""

    def __init__(self, name: str, log: Path, popen: subprocess.Popen):
        self.name = name
        self.log = log
        self._popen = popen

    @classmethod
    def start(cls, name, command, namespace, log, *, env=None, outlive=False):
        """Runs `command` inside the namespace.

        Unless `outlive`, the kernel ends it when the process that started it ends for whatever
        reason, so that even a killed test run leaves nothing.
        """
        arguments = ['ip', 'netns', 'exec', namespace, *map(str, command)]
        with open(log, 'ab') as output:
            popen = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env={**os.environ, **(env or {})}, start_new_session=True,
                preexec_fn=None if outlive else _end_with_parent)
        return cls(name, log, popen)

    @property
    def pid(self):
        return self._popen.pid

    def running(self):
        return self._popen.poll() is None

    def wait_until(self, ready, timeout, what):
        """Waits until `ready()` is true; fails at once if the program ends before."""
        timeout = patience(timeout)
        deadline = time.monotonic() + timeout
        while not ready():
            if not self.running():
                raise RuntimeError(f'{self.name} ended (status {self._popen.returncode}) '
                                   f'before {what}:\n{self.last_words()}')
            if time.monotonic() > deadline:
                raise TimeoutError(f'{self.name}: no {what} within {timeout} s:\n'
                                   f'{self.last_words()}')
            time.sleep(0.1)

    def last_words(self, lines=15):
        text = self.log.read_text(errors='replace') if self.log.exists() else ''
        return '\n'.join(text.splitlines()[-lines:])

    def stop(self, grace=5):
        """SIGTERM, and SIGKILL after `grace` seconds."""
        if not self.running():
            return
        self._popen.send_signal(signal.SIGTERM)
        try:
            self._popen.wait(grace)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


def _end_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
