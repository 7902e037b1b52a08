"""The write of an image, watched from outside: beginning, progress, and end."""

import time

from lab import progress
from lab.progress import Progress

PREPARED = 'Ironic: deployment prepared'
WRITTEN = 'image written'
CONFIG_DRIVE = 'checksum verified, config drive written'
HEAD = 'first MiB written last, disk flushed'

# The deploy step, and the agent's command that runs it: first the image, then the config drive.
STEP = 'write_image'
COMMAND = 'execute_deploy_step'

CONFIG_DRIVE_PATTERN = 'config drive written'


class ImageWrite:
    """Asks the agent; where it does not answer, reads its console."""

    def __init__(self, lab, node):
        self._lab = lab
        self._node = node
        self._token = None
        self._mark = 0
        self._began = None
        self._is_written = False
        self._over = False
        self._rate = progress.Rate()
        self.progress = None

    @property
    def rate(self):
        """Bytes a second, or None."""
        return self._rate.per_second()

    @property
    def going_on(self):
        """Whether the agent is at it."""
        return self._began is not None and not self._over

    def look(self, step):
        """`step` is the step that Ironic is at. Returns the phases that have ended since the last
        look: (name, when, detail)."""
        if self._over or not (step == STEP or self._began):
            return []
        self._token = self._token or self._lab.conductor.agent_token(self._node)
        running = progress.running_command(self._lab, self._node, self._token)
        now = time.time()
        if running and running[0] == COMMAND:
            return self._goes_on(running[1], now)
        return self._ended(now) if self._began else []

    def _goes_on(self, told, now):
        console = self._node.server.console
        if self._began is None:
            self._began = now
            self._mark = console.mark()
            return [(PREPARED, now, '')]
        if self._is_written:
            return []
        self.progress = told or progress.on_console(console.text(self._mark))
        if not self.progress:
            return []
        self._rate.add(now, self.progress.done)
        return self._written(now) if self.progress.fraction == 1.0 else []

    def _ended(self, now):
        self._over = True
        drive = self._node.server.console.time_of(CONFIG_DRIVE_PATTERN, self._mark)
        ended = self._written(min(drive or now, now))
        if drive:
            ended.append((CONFIG_DRIVE, drive, ''))
        ended.append((HEAD, now, ''))
        return ended

    def _written(self, now):
        if self._is_written:
            return []
        self._is_written = True
        amount, self.progress = self._amount(now), None
        return [(WRITTEN, now, amount)]

    def _amount(self, now):
        """What has been written, and how fast from beginning to end."""
        if not self.progress:
            return ''
        size = self.progress.total or self.progress.done
        return progress.words(Progress('', size, None), size / max(now - self._began, 0.1))
