"""The agent in a booted server, asked directly, as the conductor would."""

import tempfile
import time

import requests

from lab.patience import patience


class Agent:
    """The command API of one agent; TLS is verified against the certificate it announced."""

    def __init__(self, lab, node):
        self._lab = lab
        self._node = node
        info = node.show()['driver_internal_info']
        self.url = info['agent_url']
        self._certificate = info.get('agent_verify_ca')

    def get(self, path, **query):
        return self.request('GET', path, query)

    def post(self, path, body, **query):
        """`body` as bytes is sent as it is, anything else as JSON."""
        if isinstance(body, bytes):
            return self.request('POST', path, query, data=body)
        return self.request('POST', path, query, json=body)

    def commands(self):
        """All commands that it was given, as the conductor lists them."""
        token = self._lab.conductor.agent_token(self._node)
        return self.get('/v1/commands', agent_token=token).json()['commands']

    def clean(self, step, **arguments):
        """Runs a clean step without the conductor; returns the command at its end."""
        return self.run('clean.execute_clean_step', node={'uuid': self._node.uuid}, ports=[],
                        step={'step': step, 'interface': 'deploy', 'args': arguments})

    def run(self, name, *, seconds=120, **params):
        """Runs a command without the conductor; returns it at its end."""
        begun = self.begin(name, **params)
        deadline = time.monotonic() + patience(seconds)
        while True:
            command, = (each for each in self.commands() if each['id'] == begun['id'])
            if command['command_status'] != 'RUNNING':
                return command
            assert time.monotonic() < deadline, command
            time.sleep(0.2)

    def begin(self, name, **params):
        """Issues a command and does not wait for its end; returns it as it is then."""
        token = self._lab.conductor.agent_token(self._node)
        return self.post('/v1/commands', {'name': name, 'params': params}, agent_token=token).json()

    def request(self, method, path, query, **body):
        with tempfile.NamedTemporaryFile('w', suffix='.crt') as file:
            verify = self._certificate
            if verify and verify.startswith('-----BEGIN'):
                file.write(verify)
                file.flush()
                verify = file.name
            with self._lab.network.inside():
                return requests.request(method, self.url + path, params=query, verify=verify,
                                        timeout=60, **body)
