"""`make demo`: a real Ironic takes a virtual server from bare metal to a login, and you can watch.

Everything happens in a network namespace and in build/demo; nothing is left running, unless
`--keep` is given.
"""

import argparse
import os
import re
import signal
import sys
import time
import traceback
from importlib.metadata import version
from pathlib import Path

# Run as a script, Python looks for modules beside this file, where `lab` is the file of that name.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from lab import Disk, Image, Lab, ProvisionError, conductor, paths  # noqa: E402
from lab.api import ApiError  # noqa: E402
from lab.display import Display  # noqa: E402
from lab.milestones import HEARTBEAT, LOGIN, Watcher  # noqa: E402
from lab.timeline import Timeline  # noqa: E402

FOLDER = paths.BUILD / 'demo'
TIMELINE = FOLDER / 'timeline.txt'
IMAGE = paths.LAB / 'images' / 'demo.img'
GREETING = 'hello from the config drive'
CONFIG_DRIVE = {'meta_data': {'name': 'forge', 'meta': {'farrier_test': GREETING}}}
# Sparse files. The first is large enough for the agent's rule of the root disk (4 GiB).
DISKS = [('virtio', 8), ('sata', 1)]
MEMORY_MIB = 1024

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# What can go wrong in a known way: the message says enough.
EXPECTED = (ProvisionError, ApiError, TimeoutError, RuntimeError, OSError)


class Demo:
    """One run."""

    def __init__(self, keep):
        self._keep = keep
        self._started = time.monotonic()
        self._display = Display()
        self._timeline = Timeline()
        self._watcher = None
        self._node = None
        self._up = False
        self._lab = Lab(FOLDER / 'run', outlive=keep)

    def run(self):
        """Returns the exit status."""
        say = self._display.line
        say(f'farrier demo: Ironic {version("ironic")}, unmodified, installs a virtual server.')
        self._display.live('starting network, DHCP, TFTP, HTTP, BMC and conductor')
        status = 1
        try:
            # Cleans up after itself, and leaves another program's lab alone.
            self._lab.start()
            self._up = True
            say(f'{self._seconds()}  the lab is up: DHCP ({self._lab.dhcp.server}), TFTP, HTTP, Redfish BMC, Ironic')
            say(f'{" " * 8}  kernel {_mib(self._lab.kernel)}, ramdisk {_mib(self._lab.ramdisk)}, '
                f'image {_mib(IMAGE)}')
            self._lead()
            status = 0
        except KeyboardInterrupt:
            self._end_of_watch()
            say('\nInterrupted.')
            status = 130
        except EXPECTED as error:
            self._end_of_watch()
            self._show_failure(error)
        except Exception as error:
            self._end_of_watch()
            traceback.print_exc()
            self._show_failure(error)
        finally:
            # A second Ctrl-C does not keep it from cleaning up.
            for number in SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            self._display.clear()
            if self._up:
                self._finish(status)
        return status

    def _lead(self):
        """The story."""
        say = self._display.line
        image = Image.publish(self._lab, IMAGE)
        server = self._lab.server('demo', firmware='bios', boot='network', cpus=2, memory_mib=MEMORY_MIB,
                                  disks=[Disk(bus, size * 1024) for bus, size in DISKS])
        # With fast track the agent stays up between inspection, cleaning and deployment.
        self._node = node = self._lab.enrol(server, fast_track=True)
        disks = ', '.join(f'{bus} {size} GiB' for bus, size in DISKS)
        say(f'{self._seconds()}  enrolled: a server with BIOS, 2 emulated CPUs, {MEMORY_MIB} MiB '
            f'of memory, disks: {disks}\n')

        self._watcher = watcher = Watcher(self._lab, node, self._timeline, self._display)
        watcher.start()
        inventory = node.inspect()['inventory']
        watcher.reach('Ironic: inspected')
        watcher.wait_for(HEARTBEAT, 120)
        node.provide()
        watcher.reach('Ironic: cleaned', detail='metadata of all disks erased')
        node.deploy(image, CONFIG_DRIVE)
        watcher.reach('Ironic: node is active')
        watcher.wait_for(LOGIN, 180)
        watcher.stop()
        self._show_result(inventory)

    def _end_of_watch(self):
        if self._watcher:
            self._watcher.stop()
        self._display.clear()

    def _show_result(self, inventory):
        say = self._display.line
        server = self._node.server
        say()
        for line in self._timeline.picture(self._display.full):
            say(line)
        say('\nWhat Ironic knows about the server, from the agent:')
        for line in _inventory_lines(inventory):
            say(f'  {line}')
        say('\nThe end of its serial console, after it was started from its disk:')
        for line in _last_lines(server.console.text(server.console.mark_of_last_start()), 12):
            say(f'  | {line}')
        say(f'\n`{GREETING}` came with the API request, by the config drive that the agent wrote.')

    def _show_failure(self, error):
        say = self._display.line
        say(f'\nFAILED: {error}')
        if self._node:
            server = self._node.server
            say('\nThe end of the server\'s console:')
            # The agent's log of who asked it what would fill the screen.
            text = re.sub(r'.*api::server: request .*\n', '', server.console.text())
            for line in _last_lines(text, 25):
                say(f'  | {line}')

    def _finish(self, status):
        """Stops everything and says where its traces are."""
        say = self._display.line
        logs = self._lab.run.logs
        picture = self._timeline.picture(self._display.full)
        TIMELINE.write_text(''.join(f'{line}\n' for line in picture))
        kept = self._keep and status == 0
        if kept:
            # The agent is gone: from now on each action boots it anew.
            self._node.update(**{'driver_info/fast_track': False})
            self._node.server.keep_logs()
            self._show_how_to_go_on()
        else:
            self._display.live('stopping everything')
            self._lab.stop()
        say('\nWhere to look next:')
        for what, where in (
                ('timeline', TIMELINE),
                ('server\'s console', logs / 'demo.console.log'),
                ('conductor\'s log', logs / 'ironic.log'),
                ('all other logs', logs),
                ('how the lab works', paths.ROOT / 'tests/lab/README.md'),
                ('what farrier is', paths.ROOT / 'README.md')):
            if where.exists():
                say(f'  {what:<18} {_relative(where)}')
        left = '' if kept or self._lab.network.exists() else ' Everything is stopped.'
        say(f'\n{"Done" if status == 0 else "Ended"} after {self._seconds().strip()}.{left}')

    def _show_how_to_go_on(self):
        run = self._lab.run
        python = paths.VENV / 'bin' / 'python'
        self._display.line(f'''
The lab is still up. Some things to do, as root:
  inside='ip netns exec {run.namespace}'
  node={conductor.URL}/v1/nodes/demo
  version='X-OpenStack-Ironic-API-Version: latest'
  # what Ironic knows about the server
  $inside curl -s -H "$version" $node | python3 -m json.tool
  # install it again; or clean it, with "deleted" in place of "rebuild"
  $inside curl -s -H "$version" --json '{{"target": "rebuild"}}' -X PUT $node/states/provision
  $inside curl -s -H "$version" $node?fields=provision_state,deploy_step,last_error
  # watch its console
  tail -f {_relative(self._node.server.console.path)}
  # stop everything
  (cd {_relative(paths.ROOT / 'tests')} && {python} -m lab down --folder {run.folder})''')

    def _seconds(self):
        return f'{time.monotonic() - self._started:6.1f} s'


def _inventory_lines(inventory):
    cpu, memory = inventory['cpu'], inventory['memory']
    vendor = inventory.get('system_vendor') or {}
    yield (f'system   {vendor.get("manufacturer")} {vendor.get("product_name")}, serial number '
           f'{vendor.get("serial_number")}, {inventory["boot"]["current_boot_mode"]}')
    yield f'cpu      {cpu["count"]} x {cpu["model_name"]}, {cpu["architecture"]}'
    yield f'memory   {memory["physical_mb"]} MiB'
    for disk in inventory['disks']:
        yield (f'disk     {disk["name"]}, {disk["size"] // 2**20} MiB, '
               f'serial number {disk.get("serial")}')
    for card in inventory['interfaces']:
        yield f'network  {card["name"]}, {card["mac_address"]}, {card.get("ipv4_address")}'


def _mib(path):
    return f'{path.stat().st_size / 2**20:.1f} MiB'


def _last_lines(text, count):
    return [line.rstrip() for line in text.splitlines() if line.strip()][-count:]


def _relative(path):
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path


def _interrupt(*_):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(description='A real Ironic installs a virtual server.')
    parser.add_argument('--keep', action='store_true',
                        help='leave everything up at the end, and say how to use it')
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit('The demo makes a network namespace: run it as root.')
    for path, maker in ((paths.KERNEL, 'make ramdisk'), (paths.RAMDISK, 'make ramdisk'),
                        (IMAGE, 'tests/lab/images/build-demo-image')):
        if not path.exists():
            sys.exit(f'{path} is missing: `{maker}` builds it')
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    FOLDER.mkdir(parents=True, exist_ok=True)
    return Demo(options.keep).run()


if __name__ == '__main__':
    sys.exit(main())
