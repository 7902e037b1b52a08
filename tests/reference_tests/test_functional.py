"""The functional tests of ironic-python-agent, as its source package has them, with farrier as the agent."""

import json
import os
import subprocess
from pathlib import Path

import pytest

import sandbox

HERE = Path(__file__).parent
BUILD = Path(os.environ.get('FARRIER_BUILD', HERE.parents[1] / 'build'))
WORK = BUILD / 'reference-tests'
FARRIER = Path(os.environ.get('FARRIER', BUILD / 'farrier'))

PACKAGE = 'ironic_python_agent.tests.functional'

# All that the package has, and all hold. One that could not would have its reason here and in docs/differences.md.
TESTS = (f'{PACKAGE}.test_commands.TestCommands.test_positive_get_post_commands',
         f'{PACKAGE}.test_tls.TestTLSEnforcement.test_tls_version_enforcement')

LIST = f"""
import unittest
def tests(suite):
    for each in suite:
        yield from tests(each) if isinstance(each, unittest.TestSuite) else [each.id()]
print(*tests(unittest.defaultTestLoader.discover('{PACKAGE}', top_level_dir='.')), sep='\\n')
"""

def run(*words, timeout=120):
    """A command in the sandbox, where the source package is what `ironic_python_agent` names."""
    source = WORK / 'source'
    environment = {'PATH': os.environ['PATH'], 'PYTHONPATH': str(source), 'PYTHONDONTWRITEBYTECODE': '1',
                   'IPA_WAIT_TRIES': '600'}
    return subprocess.run([sandbox.ENTER, WORK / 'venv/bin/python', *words], env=environment, cwd=source,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False)


def test_each_of_their_tests_is_known():
    listed = run('-c', LIST)
    assert listed.returncode == 0, listed.stderr
    assert sorted(listed.stdout.split()) == sorted(TESTS)


@pytest.mark.parametrize('test', TESTS, ids=lambda test: test.rsplit('.', 1)[1])
def test_of_the_reference(test):
    ended = run(HERE / 'start.py', FARRIER, test)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout.splitlines()[-1]) == {'ran': 1, 'failed': [], 'skipped': []}, ended.stderr
    # It was farrier that answered.
    assert 'farrier starts' in ended.stderr, ended.stderr


def test_nothing_of_this_machine_can_be_harmed():
    sandbox.prove()
