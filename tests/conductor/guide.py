"""A page of docs, followed as its reader follows it: its commands run, and print what it says they print."""

import os
import re
import subprocess

from lab import paths


class Guide:
    """One page."""

    def __init__(self, *path):
        self.text = paths.ROOT.joinpath('docs', *path).read_text()

    @property
    def headings(self):
        return re.findall(r'^## (.*)', self.text, re.M)

    @property
    def beginning(self):
        """The text above the first heading."""
        return self.text.split('\n## ')[0]

    def section(self, heading):
        """The text below one heading."""
        part, = re.findall(rf'^## {re.escape(heading)}\n(.*?)(?=^## |\Z)', self.text, re.M | re.S)
        return part

    def blocks(self, language):
        return blocks(self.text, language)


def blocks(text, language):
    """The code of this language in a text."""
    return re.findall(rf'^```{language}\n(.*?)^```', text, re.M | re.S)


def follow(folder, text, names=None, before=''):
    """Runs the commands of a text in one shell; what it says they print, they print. `names` has what stands in it and
    what that is here, `before` commands of the test's own.
    """
    for name, here in (names or {}).items():
        assert name in text, f'{name} is not in:\n{text}'
        text = text.replace(name, here)
    output = run(folder, [before, *blocks(text, 'sh')])
    for shown in blocks(text, 'text'):
        for line in shown.splitlines():
            assert line.strip() in output, f'{line!r} is not in:\n{output}'


def run(folder, commands):
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith('CARGO_TARGET')}
    environment['PATH'] = f'{paths.VENV}/bin:{environment["PATH"]}'
    ended = subprocess.run(['bash', '-euo', 'pipefail', '-c', ''.join(commands)], cwd=folder,
                           env=environment, text=True, timeout=600,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert ended.returncode == 0, ended.stdout
    return ended.stdout
