"""Name servers in the lab, and what DHCP says of them."""

import contextlib
import json
import sys

from lab import name_server
from lab.process import Process

# The first of their addresses; each server has one of its own, as on a real site.
FIRST = 20


class Names:
    """A name server for each zone, and a domain to search, for as long as it is entered."""

    def __init__(self, lab, zones, domain):
        self._lab = lab
        self._zones = {f'192.0.2.{FIRST + number}': zone for number, zone in enumerate(zones)}
        self._domain = domain
        self._processes = []
        self._dhcp = contextlib.ExitStack()

    def __enter__(self):
        for address, zone in self._zones.items():
            self._lab.network.add_address(f'{address}/24')
            name = f'name_server-{address}'
            self._processes.append(Process.start(
                name, (sys.executable, name_server.__file__, address, 53, json.dumps(zone)),
                self._lab.run.namespace, self._lab.run.logs / f'{name}.log'))
        self._dhcp.enter_context(self._lab.dhcp.telling(
            name_servers=tuple(self._zones), domain=self._domain, search=(self._domain,)))
        return self

    def __exit__(self, *_):
        self._dhcp.close()
        for process in self._processes:
            process.stop()
        for address in self._zones:
            self._lab.network.remove_address(f'{address}/24')
