"""Runs tests of ironic-python-agent as they are, with farrier in the place of its agent: start.py FARRIER TEST...

What came of them is the last line of its output, as JSON.

The one thing that is replaced is the class that they start in a process of their own. It becomes `farrier run` with
what it was given and what the test had set in the configuration. A stand-alone agent asks nobody which node it is; so
does farrier without a URL of Ironic, and so it gets none.
"""

import json
import os
import sys
import unittest

from oslo_config import cfg

# Its options must be there before the modules that read them.
from ironic_python_agent import config  # noqa: F401 pylint: disable=unused-import
from ironic_python_agent import agent

FARRIER = os.path.abspath(sys.argv[1])

# Options that a test sets itself, by name.
CONFIGURED = ('tls_cert_file', 'tls_key_file', 'tls_min_version')


class Farrier:
    """What stands for `ironic_python_agent.agent.IronicPythonAgent`."""

    def __init__(self, *, api_url, advertise_address, listen_address, network_interface, standalone, **options):
        assert standalone and network_interface is None, 'such an agent asks Ironic which node it is'
        self.options = {'listen_host': listen_address.hostname, 'listen_port': listen_address.port,
                        'advertise_host': advertise_address.hostname, 'advertise_port': advertise_address.port,
                        **options}
        if cfg.CONF.listen_tls:
            self.options.update({name: getattr(cfg.CONF, name) for name in CONFIGURED})

    def run(self):
        """Become the program: what ends the process ends it."""
        words = [FARRIER, 'run', '--config-file', '/dev/null']
        if cfg.CONF.listen_tls:
            words.append('--listen_tls')
        for name, value in self.options.items():
            words += [f'--{name}', str(value)]
        os.execv(FARRIER, words)


if __name__ == '__main__':
    agent.IronicPythonAgent = Farrier
    result = unittest.main(module=None, argv=['start.py', '--verbose', *sys.argv[2:]], exit=False).result
    print(json.dumps({'ran': result.testsRun, 'failed': [test.id() for test, _ in result.failures + result.errors],
                      'skipped': [f'{test.id()}: {why}' for test, why in result.skipped]}))
