"""What a server's console says at the end of each phase, and a thread that notices it."""

import contextlib
import re
import threading
import time
from dataclasses import dataclass

import requests

from lab import progress
from lab.api import ApiError
from lab.image_write import ImageWrite
from lab.patience import patience
from lab.timeline import line

# Names of the phases that other parts of the demo ask for.
POWER_ON = 'power on'
HEARTBEAT = 'agent: first heartbeat'
RESTART = 'power off and on again'
LOGIN = 'installed system: login'

# How often the console is looked at (and the agent asked, while it writes), and how often Ironic
# is asked, seconds.
LOOK = 0.2
ASK = 1.0


@dataclass(frozen=True)
class Milestone:
    """The phase `name` ends when `pattern` appears; its first group is the detail."""

    name: str
    pattern: str


# The ramdisk's boot, and what the agent says of its first deed.
RAMDISK = (
    Milestone('firmware', r'iPXE initialising devices'),
    Milestone('iPXE: address by DHCP', r'^net0: (\d+\.\d+\.\d+\.\d+)/'),
    Milestone('iPXE: kernel and ramdisk by HTTP', r'Probing EDD|Linux version \S+'),
    Milestone('kernel', r'Run /init as init process'),
    Milestone('ramdisk: devices found by udev', r'udev has handled all devices'),
    Milestone('ramdisk: address by DHCP', r'network \S+ \S+ (\d+\.\d+\.\d+\.\d+)'),
    Milestone('agent: started', r'farrier \| now +(?!$)'),
    Milestone('agent: hardware inspected', r'farrier \| now +handing in the inspection data'),
)

# The boot from the disk.
INSTALLED = (
    Milestone('installed system: firmware, boot loader', r'GRUB: loading (\S+)'),
    Milestone('installed system: kernel, initramfs', r'boot-mode: (\S+)'),
    Milestone('installed system: config drive found', r'configdrive: (.*\S)'),
    Milestone(LOGIN, r'^\S+ login:'),
)


class Watcher(threading.Thread):
    """Fills the timeline and shows it while the main thread leads the node."""

    def __init__(self, lab, node, timeline, display):
        super().__init__(name='watcher', daemon=True)
        self._lab = lab
        self._node = node
        self._console = node.server.console
        self._timeline = timeline
        self._display = display
        self._stopped = threading.Event()
        self._starts = 0
        self._from_disk = False
        self._asked = 0.0
        self._step = None
        self._doing = ''
        self._write = ImageWrite(lab, node)

    def reach(self, name, when=None, detail=''):
        """Notes the end of a phase (now, if no time is given) and shows it."""
        phase = self._timeline.reach(name, when or time.time(), detail)
        self._display.line(self._timeline.row(phase))

    def wait_for(self, name, timeout):
        """Until the timeline has this phase."""
        timeout = patience(timeout)
        deadline = time.monotonic() + timeout
        while not self._timeline.has(name):
            if time.monotonic() > deadline or not self.is_alive():
                raise TimeoutError(f'{name}: not seen within {timeout} s')
            time.sleep(LOOK)

    def stop(self):
        """No more news; what the console has said by now is still noted."""
        self._stopped.set()
        self.join(timeout=5)
        self._look()
        self._display.clear()

    def run(self):
        while not self._stopped.wait(LOOK):
            self._look()
            with contextlib.suppress(ApiError, requests.RequestException):
                if time.time() - self._asked > ASK and not self._write.going_on:
                    self._ask()
                    self._asked = time.time()
                for phase in self._write.look(self._step):
                    self.reach(*phase)
            self._show()

    def _look(self):
        """At the console: which starts were there, and what has each boot said?"""
        starts = self._console.starts()
        for number, (_, when) in enumerate(starts[self._starts:], self._starts):
            self.reach(RESTART if number else POWER_ON, when)
        self._starts = len(starts)
        self._from_disk = bool(starts) and self._boot_device() == 'Hdd'
        if self._from_disk:
            self._notice(INSTALLED, starts[-1][0])
        elif starts:
            self._notice(RAMDISK, starts[0][0])

    def _notice(self, milestones, since):
        text = self._console.text(since)
        for milestone in milestones:
            if self._timeline.has(milestone.name):
                continue
            if match := re.search(milestone.pattern, text, re.MULTILINE):
                detail = match[1] if match.re.groups else ''
                self.reach(milestone.name, self._console.time_of(milestone.pattern, since), detail)

    def _boot_device(self):
        """What the server was last started from: Pxe or Hdd; None right before its log says."""
        log = self._node.server.folder / 'qemu.log'
        text = log.read_text(errors='replace') if log.exists() else ''
        return (re.findall(r'^\S+ start from (\w+)', text, re.MULTILINE) or [None])[-1]

    def _ask(self):
        """The conductor for the node's state."""
        node = self._node.show()
        self._step = (node['clean_step'] or node['deploy_step'] or {}).get('step')
        self._doing = ': '.join(filter(None, [node['provision_state'], self._step]))
        if not self._timeline.has(HEARTBEAT):
            for when in self._lab.conductor.heartbeats(self._node)[:1]:
                self.reach(HEARTBEAT, when)

    def _show(self):
        at, took = self._timeline.seconds(time.time())
        if told := self._write.progress:
            self._display.live(f'{at:6.1f} s  writing the image', told.fraction,
                               progress.words(told, self._write.rate))
        else:
            self._display.live(line(at, took, self._expected()))

    def _expected(self):
        """What is going on: the phase that ends next in a boot, else the node's state."""
        boot = INSTALLED if self._from_disk else RAMDISK
        reached = [number for number, milestone in enumerate(boot)
                   if self._timeline.has(milestone.name)]
        rest = boot[reached[-1] + 1:] if reached else boot
        if rest:
            return f'{rest[0].name} …'
        return f'{self._doing} …' if self._timeline.has(HEARTBEAT) else f'{HEARTBEAT} …'
