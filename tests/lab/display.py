"""What a person sees while it goes on: lines, and below them one that changes in place.

Where standard output is no terminal nothing changes in place; a long command then prints a line
at each tenth of its way.
"""

import contextlib
import shutil
import sys
import threading

BAR_WIDTH = 24


class Display:
    """Standard output. Threads may share it."""

    def __init__(self, stream=sys.stdout):
        self._stream = stream
        self._in_place = stream.isatty()
        self._lock = threading.Lock()
        self._tenth = None
        unicode = (stream.encoding or '').lower().replace('-', '') == 'utf8'
        self.full, self.empty = ('█', '░') if unicode else ('#', '.')

    def line(self, text=''):
        """A line that stays."""
        with self._lock:
            self._erase()
            self._write(f'{text}\n')

    def live(self, text, fraction=None, words=''):
        """The line that changes: what goes on, and how far it is."""
        if fraction is None:
            self._tenth = None
        if self._in_place:
            self._replace(f'{text}  {self._bar(fraction)}{words}'.rstrip())
        elif fraction is not None and int(fraction * 10) != self._tenth:
            self._tenth = int(fraction * 10)
            self.line(f'{text}  {fraction * 100:3.0f} %, {words}')

    def clear(self):
        """Takes the changing line away."""
        with self._lock:
            self._erase()

    def _bar(self, fraction):
        if fraction is None:
            return ''
        full = int(fraction * BAR_WIDTH)
        return f'{self.full * full}{self.empty * (BAR_WIDTH - full)} {fraction * 100:3.0f} %  '

    def _replace(self, text):
        with self._lock:
            width = shutil.get_terminal_size().columns - 1
            self._erase()
            self._write(text[:width])

    def _erase(self):
        if self._in_place:
            self._write('\r\x1b[K')

    def _write(self, text):
        # A reader that has gone (`| head`, a closed terminal) must not keep the lab from being
        # stopped.
        with contextlib.suppress(OSError):
            self._stream.write(text)
            self._stream.flush()
