"""A small client of the Ironic API."""

import time

import requests

VERSION = 'latest'


class ApiError(Exception):
    """Ironic refused a request."""

    def __init__(self, status, text):
        super().__init__(f'HTTP {status}: {text}')
        self.status = status


class Api:
    """JSON in, JSON out. A locked node (409) is tried again for up to a minute."""

    def __init__(self, network, url):
        self._network = network
        self._url = url

    def get(self, path):
        return self.request('GET', path)

    def post(self, path, body):
        return self.request('POST', path, body)

    def put(self, path, body):
        return self.request('PUT', path, body)

    def patch(self, path, changes):
        """`changes` maps JSON pointers to new values."""
        return self.request('PATCH', path, [
            {'op': 'add', 'path': pointer, 'value': value} for pointer, value in changes.items()])

    def delete(self, path):
        return self.request('DELETE', path)

    def request(self, method, path, body=None, version=VERSION):
        deadline = time.monotonic() + 60
        while True:
            with self._network.inside():
                answer = requests.request(
                    method, self._url + path, json=body, timeout=60,
                    headers={'X-OpenStack-Ironic-API-Version': version})
            if answer.status_code != 409 or time.monotonic() > deadline:
                break
            time.sleep(1)
        if answer.status_code >= 400:
            raise ApiError(answer.status_code, answer.text)
        return answer.json() if answer.content else None
