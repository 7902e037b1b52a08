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
        percent = '' if fraction is None else f'{fraction * 100:3.0f} %'
        if self._in_place:
            self._replace(text, fraction, f'{percent}  {words}' if percent else words)
        elif fraction is not None and int(fraction * 10) != self._tenth:
            self._tenth = int(fraction * 10)
            self.line(f'{text}  {percent}, {words}')

    def clear(self):
        """Takes the changing line away."""
        with self._lock:
            self._erase()

    def _replace(self, text, fraction, words):
        columns = shutil.get_terminal_size().columns - 1
        if fraction is not None:
            # What the terminal has left, so that the words are seen whole.
            width = max(0, min(BAR_WIDTH, columns - len(text) - len(words) - 3))
            full = int(fraction * width)
            text = f'{text}  {self.full * full}{self.empty * (width - full)} '
        with self._lock:
            self._erase()
            self._write(f'{text}{words}'[:columns])

    def _erase(self):
        if self._in_place:
            self._write('\r\x1b[K')

    def _write(self, text):
        # A reader that has gone (`| head`, a closed terminal) must not keep the lab from being
        # stopped.
        with contextlib.suppress(OSError):
            self._stream.write(text)
            self._stream.flush()
