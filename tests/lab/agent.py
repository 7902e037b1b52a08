"""The agent in a booted server, asked directly, as the conductor would."""

import tempfile

import requests


class Agent:
    """The command API of one agent; TLS is verified against the certificate it announced."""

    def __init__(self, lab, node):
        self._lab = lab
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
