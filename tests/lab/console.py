"""A server's serial console: everything it ever printed, kept in a file with times."""

import re
import time
from pathlib import Path

from lab.patience import patience

_ESCAPES = re.compile(r'\x1b(\[[0-9;?=]*[A-Za-z]|[()][A-Z0-9]|[A-Za-z=>])|\r')


class Console:
    """Reads what `ConsoleWriter` keeps.

    A `mark` is a position in the text: what a test waits for must come after it, so that the
    messages of an earlier boot do not count.
    """

    def __init__(self, path: Path):
        self.path = path
        self._stamps = path.with_suffix('.times')
        self._starts = path.with_suffix('.starts')

    def text(self, since=0):
        """The text from the mark on, without terminal escape sequences."""
        return _ESCAPES.sub('', self._bytes()[since:].decode(errors='replace'))

    def mark(self):
        """The position after everything printed so far."""
        return len(self._bytes())

    def starts(self):
        """For each time the machine was started: the mark, and when (seconds since the epoch)."""
        if not self._starts.exists():
            return []
        lines = self._starts.read_text().splitlines()
        return [(int(line.split()[0]), float(line.split()[1])) for line in lines]

    def mark_of_last_start(self):
        return self.starts()[-1][0]

    def wait_for(self, pattern, timeout, since=0, *, at_most=False):
        """Waits until the regular expression appears; returns its match."""
        regex = re.compile(pattern, re.MULTILINE)
        timeout = timeout if at_most else patience(timeout)
        deadline = time.monotonic() + timeout
        while True:
            match = regex.search(self.text(since))
            if match:
                return match
            if time.monotonic() > deadline:
                tail = '\n'.join(self.text(since).splitlines()[-25:])
                raise TimeoutError(f'{pattern!r} did not appear on {self.path} within '
                                   f'{timeout} s; it ends with:\n{tail}')
            time.sleep(0.2)

    def time_of(self, pattern, since=0):
        """When (seconds since the epoch) the first match had been printed, or None."""
        match = re.compile(pattern.encode(), re.MULTILINE).search(self._bytes(), since)
        if not match:
            return None
        for line in self._stamps.read_text().splitlines():
            end, when = line.split()
            if int(end) >= match.end():
                return float(when)
        return None

    def _bytes(self):
        return self.path.read_bytes() if self.path.exists() else b''


class ConsoleWriter:
    """Copies a QEMU's serial output into the file (runs in the BMC, as a thread per QEMU)."""

    def __init__(self, path: Path):
        self._path = path

    def note_start(self):
        """Called right before a QEMU starts."""
        size = self._path.stat().st_size if self._path.exists() else 0
        with open(self._path.with_suffix('.starts'), 'a') as starts:
            starts.write(f'{size} {time.time():.3f}\n')

    def copy(self, source):
        """Until the source ends. Each chunk's end offset and time go to the `.times` file."""
        with open(self._path, 'ab', buffering=0) as text, \
                open(self._path.with_suffix('.times'), 'a', buffering=1) as stamps:
            while chunk := source.read1(65536):
                text.write(chunk)
                stamps.write(f'{text.tell()} {time.time():.3f}\n')
