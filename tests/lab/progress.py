"""How far a long command of the agent is: done, rate and remaining time."""

import re
from collections import deque
from dataclasses import dataclass

import requests

from lab.agent import Agent
from lab.disk import MIB

# Seconds over which the rate is measured.
WINDOW = 6.0

# How the agent's console tells the same as its API. The unit is a byte unless it is named.
_BYTES = re.compile(r'\bdone=(\d+)(?: total=(?:Some\()?(\d+))?')
_MEBIBYTES = re.compile(r'(\d+(?:\.\d+)?)(?: MiB)? (?:of|/) (\d+(?:\.\d+)?) MiB')
_PERCENT = re.compile(r'(\d{1,3}(?:\.\d+)?) ?%')


@dataclass(frozen=True)
class Progress:
    """What is done: bytes, or percent where `total` is 100."""

    what: str
    done: float
    total: float | None

    @property
    def fraction(self):
        return min(self.done / self.total, 1.0) if self.total else None


class Rate:
    """Bytes a second over the last seconds."""

    def __init__(self):
        self._samples = deque()

    def add(self, when, done):
        if self._samples and done < self._samples[-1][1]:
            self._samples.clear()
        self._samples.append((when, done))
        while when - self._samples[0][0] > WINDOW:
            self._samples.popleft()

    def per_second(self):
        if len(self._samples) < 2:
            return None
        (first, before), (last, done) = self._samples[0], self._samples[-1]
        return (done - before) / (last - first) if last > first and done > before else None


def running_command(lab, node, token):
    """The command that the agent runs: (name, Progress or None), or None where none runs or the
    agent does not answer. Its API wants the token, which only the lab can look up."""
    try:
        answer = Agent(lab, node).get('/v1/commands/', agent_token=token)
        answer.raise_for_status()
        commands = answer.json()['commands']
    except (requests.RequestException, KeyError, ValueError):
        return None
    for command in commands:
        if command['command_status'] == 'RUNNING':
            told = command.get('progress')
            return command['command_name'], told and Progress(
                told.get('what', ''), told['done'], told.get('total'))
    return None


def on_console(text):
    """The progress in the last line of a console's text that tells one, or None."""
    for line in reversed(text.splitlines()):
        if 'writing' not in line:
            continue
        what = line[line.index('writing'):].split('"')[0]
        if found := _BYTES.search(line):
            return Progress(what, int(found[1]), int(found[2]) if found[2] else None)
        if found := _MEBIBYTES.search(line):
            return Progress(what, float(found[1]) * MIB, float(found[2]) * MIB)
        if found := _PERCENT.search(line):
            return Progress(what, float(found[1]), 100.0)
    return None


def words(progress, rate):
    """`142 of 263 MiB, 21 MiB/s, 6 s left`, as far as it is known."""
    if progress.total == 100:
        return f'{progress.done:.0f} %'
    parts = [f'{progress.done / MIB:.0f} MiB']
    if progress.total:
        parts = [f'{progress.done / MIB:.0f} of {progress.total / MIB:.0f} MiB']
    if rate:
        parts.append(f'{rate / MIB:.0f} MiB/s')
        if progress.total:
            parts.append(f'{max(0, progress.total - progress.done) / rate:.0f} s left')
    return ', '.join(parts)
