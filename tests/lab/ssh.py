"""Somebody who logs in to a server by SSH, with OpenSSH's client, as from the conductor's side of the lab."""

import os
import socket
import subprocess
from pathlib import Path

from lab.patience import patience


class Ssh:
    """Logins to one address as one user, with a password or a key.

    The first login learns the host keys (into `known_hosts`, a file of this object's folder), each later one insists on
    them.
    """

    def __init__(self, lab, address, user, *, password=None, key=None, folder=None):
        self._namespace = lab.network.namespace
        self._folder = Path(folder or lab.run.tmp / f'ssh-{user}-{address.replace(":", "-")}')
        self._folder.mkdir(parents=True, exist_ok=True)
        self._target = f'{user}@{address}'
        self.known_hosts = self._folder / 'known_hosts'
        self._options = {
            'StrictHostKeyChecking': 'accept-new', 'UserKnownHostsFile': self.known_hosts,
            'GlobalKnownHostsFile': '/dev/null', 'IdentityAgent': 'none', 'IdentitiesOnly': 'yes', 'LogLevel': 'ERROR',
            'NumberOfPasswordPrompts': 1, 'ConnectTimeout': patience(30),
            'PreferredAuthentications': 'publickey' if key else 'password'}
        if key:
            self._options['IdentityFile'] = key
        self._password = password

    def run(self, command, *, script='', terminal=False, seconds=60, **options):
        """Runs a command there, with `script` on its standard input; the ended process, with `stdout` and `stderr` as
        text. Exit status 255 is ssh's own."""
        words = [word for name, value in {**self._options, **options}.items() for word in ('-o', f'{name}={value}')]
        # The end of the input would be the end of a terminal.
        reader, writer = os.pipe()
        os.write(writer, script.encode())
        if not terminal:
            os.close(writer)
        ended = subprocess.run(
            ['ip', 'netns', 'exec', self._namespace, 'ssh', '-F', 'none', *(['-tt'] if terminal else []), *words,
             self._target, command],
            env={**os.environ, **self._askpass()}, stdin=reader, capture_output=True, text=True,
            timeout=patience(seconds), start_new_session=True)
        os.close(reader)
        if terminal:
            os.close(writer)
        return ended

    def output(self, command, **more):
        """What a command wrote that ended well."""
        ended = self.run(command, **more)
        assert ended.returncode == 0, f'{command}: {ended.returncode}\n{ended.stdout}{ended.stderr}'
        return ended.stdout

    def fingerprints(self):
        """Of the host keys that were learnt: `SHA256:…`."""
        listed = subprocess.run(['ssh-keygen', '-l', '-f', self.known_hosts], capture_output=True, text=True, check=True)
        return [line.split()[1] for line in listed.stdout.splitlines()]

    def _askpass(self):
        """The password, given by a program: no argument and no variable has it."""
        if self._password is None:
            return {}
        secret, program = self._folder / 'password', self._folder / 'askpass'
        secret.write_text(self._password)
        secret.chmod(0o600)
        program.write_text(f'#!/bin/sh\nexec cat "{secret}"\n')
        program.chmod(0o700)
        return {'SSH_ASKPASS': str(program), 'SSH_ASKPASS_REQUIRE': 'force'}


def is_closed(network, address):
    """Whether a server refuses connections to its SSH port, and answers otherwise."""
    with network.inside():
        try:
            socket.create_connection((address, 22), timeout=patience(20)).close()
        except ConnectionRefusedError:
            return True
    return False
