"""A timeline for a person: what was reached when, as a table with a bar for each phase."""

import threading
from bisect import insort
from dataclasses import dataclass, field

# Columns of the picture's bars.
BAR_WIDTH = 36


@dataclass(order=True)
class Phase:
    """Something that came to its end at `when` (seconds since the epoch)."""

    when: float
    name: str = field(compare=False)
    detail: str = field(compare=False, default='')


class Timeline:
    """Phases in the order of time; the first is the origin, and each began where the one before
    it ended. Threads may share it."""

    def __init__(self):
        self._phases = []
        self._lock = threading.Lock()

    def reach(self, name, when, detail=''):
        """Notes the end of a phase; returns it."""
        phase = Phase(when, name, detail)
        with self._lock:
            insort(self._phases, phase)
        return phase

    def has(self, name):
        with self._lock:
            return any(phase.name == name for phase in self._phases)

    def rows(self):
        """(phase, seconds since the origin, seconds that it took), oldest first."""
        with self._lock:
            phases = list(self._phases)
        previous = phases[:1] + phases
        return [(phase, phase.when - phases[0].when, phase.when - before.when)
                for phase, before in zip(phases, previous)]

    def row(self, phase):
        """The line that says when a phase ended and how long it took."""
        return next(line(at, took, other.name, other.detail) for other, at, took in self.rows() if other is phase)

    def seconds(self, now):
        """(since the origin, since the latest phase) at a moment; zeros before the origin."""
        with self._lock:
            if not self._phases:
                return 0.0, 0.0
            return now - self._phases[0].when, max(0.0, now - self._phases[-1].when)

    def picture(self, block='#'):
        """A table with a bar from the beginning to the end of each phase."""
        rows = self.rows()
        if not rows:
            return []
        total = max(rows[-1][1], 0.001)
        width = max(len(phase.name) for phase, _, _ in rows)
        lines = [f'{"at":>8}  {"took":>8}  phase']
        for phase, at, took in rows:
            first = min(int((at - took) / total * BAR_WIDTH), BAR_WIDTH - 1)
            last = max(round(at / total * BAR_WIDTH), first + 1)
            bar = ' ' * first + block * (last - first) if at else ''
            lines.append(line(at, took, phase.name.ljust(width), bar))
        return lines


def line(at, took, name, detail=''):
    """Seconds since the origin, the phase's own seconds (none for the origin), name, detail."""
    own = f'{took:6.1f} s' if at else ' ' * 8
    return f'{at:6.1f} s  {own}  {name}  {detail}'.rstrip()
