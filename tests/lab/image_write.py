"""The write of an image, watched from outside: beginning, progress, and end."""

import time

from lab import progress
from lab.progress import Progress

PREPARED = 'Ironic: deployment prepared'
WRITTEN = 'image written'
FINISHED = 'image verified, config drive written'
BOTH = 'image and config drive written'

# The deploy step, and the agent's command that runs it: first the image, then the config drive.
STEP = 'write_image'
COMMAND = 'execute_deploy_step'


class ImageWrite:
    """Asks the agent; where it does not answer, reads its console."""

    def __init__(self, lab, node):
        self._lab = lab
        self._node = node
        self._token = None
        self._mark = 0
        self._began = None
        self._written = None
        self._over = False
        self._rate = progress.Rate()
        self.progress = None

    @property
    def rate(self):
        """Bytes a second, or None."""
        return self._rate.per_second()

    def look(self, node):
        """`node` is what Ironic tells about it. Returns the phases that have ended since the last
        look: (name, when, detail)."""
        in_step = (node['deploy_step'] or {}).get('step') == STEP
        if self._over or not (in_step or self._began):
            return []
        self._token = self._token or self._lab.conductor.agent_token(self._node)
        running = progress.running_command(self._lab, self._node, self._token)
        now = time.time()
        if running and running[0] == COMMAND:
            return self._goes_on(running[1], now)
        if self._began and (running is None or running[0] != COMMAND):
            return self._ended(now)
        return []

    def _goes_on(self, told, now):
        ended = []
        if self._began is None:
            self._began = now
            self._mark = self._node.server.console.mark()
            ended.append((PREPARED, now, ''))
        self.progress = told or progress.on_console(self._node.server.console.text(self._mark))
        if self.progress and not self._written:
            self._rate.add(now, self.progress.done)
            if self.progress.fraction == 1.0:
                self._written = now
                ended.append((WRITTEN, now, self._amount(now)))
        return ended

    def _ended(self, now):
        self._over = True
        if self._written:
            ended = (FINISHED, now, '')
        else:
            ended = (BOTH, now, self._amount(now))
        self.progress = None
        return [ended]

    def _amount(self, now):
        """What has been written, and how fast from beginning to end."""
        if not self.progress:
            return ''
        whole = Progress(self.progress.what, self.progress.done, None)
        return progress.words(whole, whole.done / max(now - self._began, 0.1))
