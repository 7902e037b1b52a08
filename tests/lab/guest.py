"""A server as its BMC sees it: power, boot device, media. Power is on while QEMU runs."""

import json
import subprocess
import threading
import time
from pathlib import Path

from lab import qemu
from lab.architecture import ARCHITECTURES
from lab.boot_script import BootScript
from lab.console import ConsoleWriter
from lab.qmp import Qmp
from lab.unpacked import Unpacked

# Reasons of QEMU's SHUTDOWN event that mean: the machine wants to start again.
RESETS = ('guest-reset', 'host-qmp-system-reset', 'subsystem-reset', 'guest-panic')


class Guest:
    """The state that a BMC keeps, and the QEMU it switches."""

    def __init__(self, folder: Path, run, logger):
        self.folder = folder
        self.hardware = json.loads((folder / 'server.json').read_text())
        self.boot_device = 'Hdd'
        self.uefi = self.hardware['firmware'] == 'uefi'
        self.media = {}
        self._http_root = run.http
        self._unpacked = Unpacked(run.unpacked)
        self._logger = logger
        self._lock = threading.RLock()
        self._qemu = None
        self._starts = 0

    def is_on(self):
        with self._lock:
            return self._qemu is not None

    def power_on(self):
        with self._lock:
            if self._qemu is None:
                self._start()

    def power_off(self):
        with self._lock:
            process, self._qemu = self._qemu, None
            if process:
                _end(process)

    def restart(self):
        with self._lock:
            self.power_off()
            self._start()

    def press_power_button(self):
        self._command('system_powerdown')

    def interrupt(self):
        self._command('inject-nmi')

    def _command(self, command):
        if self.is_on():
            with Qmp(self.folder / 'qmp.sock') as qmp:
                qmp.execute(command)

    def _start(self):
        self.hardware = json.loads((self.folder / 'server.json').read_text())
        arguments = qemu.command(self.hardware, self.folder, uefi=self.uefi,
                                 boot_device=self.boot_device, media=self.media,
                                 script=self._files_to_load())
        writer = ConsoleWriter(self.folder / 'console.log')
        writer.note_start()
        with open(self.folder / 'qemu.log', 'a') as log:
            log.write(f'{time.time():.3f} start from {self.boot_device}: {arguments}\n')
            log.flush()
            for name in ('qmp.sock', 'bmc.sock'):
                (self.folder / name).unlink(missing_ok=True)
            process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=log)
        threading.Thread(target=writer.copy, args=[process.stdout], daemon=True).start()
        threading.Thread(target=self._watch, args=[process], daemon=True).start()
        self._qemu = process
        self._logger.info('%s: QEMU started, pid %d, boot device %s',
                          self.hardware['name'], process.pid, self.boot_device)

    def _files_to_load(self):
        """The script of a direct boot; unless that is to be as it is shipped, made fast for an emulator."""
        script = self._script()
        if script is None or self.hardware['as_shipped']:
            return script
        # Those of the test come last, and the last counts.
        faster = ARCHITECTURES[self.hardware['architecture']].for_an_emulator
        script.parameters = f'{faster} {script.parameters}'
        # UEFI starts a kernel by the EFI stub, which only the compressed file has.
        if not self.uefi:
            script.kernel = self._unpacked.kernel(Path(script.kernel))
            script.ramdisk = self._unpacked.ramdisk(Path(script.ramdisk))
        return script

    def _script(self):
        if self.hardware.get('direct'):
            direct = self.hardware['direct']
            return BootScript(direct['kernel'], direct['ramdisk'], direct['parameters'])
        if self.hardware['boot'] != 'direct' or self.boot_device != 'Pxe':
            return None
        script = BootScript.of_server(self._http_root, self.hardware['cards'][0]['mac'])
        if script and self.hardware.get('parameters'):
            script.parameters += ' ' + self.hardware['parameters']
        return script

    def _watch(self, process):
        """Notices that the guest switched itself off, or wants to start again."""
        reason = _last_shutdown_reason(self.folder / 'bmc.sock', process)
        process.wait()
        with self._lock:
            if self._qemu is not process:
                return
            self._qemu = None
            self._logger.info('%s: QEMU ended: %s', self.hardware['name'], reason)
            if reason in RESETS:
                self._start()


def _last_shutdown_reason(socket_path, process):
    for _ in range(100):
        try:
            qmp = Qmp(socket_path)
            break
        except (OSError, EOFError):
            if process.poll() is not None:
                return 'QEMU failed at once, see qemu.log'
            time.sleep(0.05)
    else:
        return 'no QMP'
    reason = 'QEMU was killed'
    with qmp:
        for event in qmp.events():
            if event['event'] == 'SHUTDOWN':
                reason = event['data']['reason']
    return reason


def _end(process):
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
