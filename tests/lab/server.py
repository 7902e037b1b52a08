"""A bare-metal server: disks, firmware and network cards, in a QEMU that the BMC switches."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import tempfile
import time
import uuid
from pathlib import Path

from lab import network
from lab.architecture import ARCHITECTURES
from lab.console import Console
from lab.disk import Disk, DiskFile
from lab.patience import patience
from lab.qmp import Qmp

FIRMWARES = ('bios', 'uefi')
BOOTS = ('network', 'direct', 'vmedia')


class Server:
    """One server of the lab; `Lab.server` makes it.

    `boot` says how the ramdisk gets in: `network` (the card's iPXE, DHCP, HTTP), `direct` (QEMU
    loads what Ironic's iPXE script names) or `vmedia` (an ISO image that Ironic builds).
    A direct boot under BIOS gets both without their compression (see `lab.unpacked`), unless they
    are to be as they are shipped. `card_model` is QEMU's name of a network card, or one for each card.
    With `secure_boot` the firmware has Microsoft's keys and starts nothing without their signature.
    `architecture` is one of ARCHITECTURES. `bridge` is where its cards are plugged in; with `trunk` it is a `Trunk` that takes and brings their frames.
    """

    def __init__(self, lab, name, *, disks=None, firmware='bios', boot='direct', cards=1,
                 card_model='virtio-net-pci', memory_mib=768, cpus=1, firmware_pxe=False,
                 parameters='', arguments=(), cpu=None, as_shipped=False, secure_boot=False,
                 bridge=network.BRIDGE, trunk=False, architecture='x86_64'):
        self.architecture = ARCHITECTURES[architecture]
        if firmware not in FIRMWARES or boot not in BOOTS:
            raise ValueError(f'firmware is one of {FIRMWARES}, boot one of {BOOTS}')
        if secure_boot and (firmware, boot) != ('uefi', 'vmedia'):
            raise ValueError('Secure Boot is for UEFI, and there no kernel starts that QEMU loads by itself')
        if not self.architecture.bios and (firmware != 'uefi' or secure_boot):
            raise ValueError(f'the lab has {architecture} with UEFI alone, and no firmware with keys for it')
        self.name = name
        self.firmware = firmware
        self.boot = boot
        self.uuid = str(uuid.uuid5(uuid.NAMESPACE_DNS, f'{name}.farrier.lab'))
        self.serial = f'SN-{name}'
        self.folder: Path = lab.run.servers / name
        self.console = Console(self.folder / 'console.log')
        self._lab = lab
        self._bridge = None if trunk else bridge
        self._parameters = parameters
        self._direct = None
        self._hardware = dict(memory_mib=memory_mib, cpus=cpus, arguments=list(arguments),
                              cpu=cpu, as_shipped=as_shipped, secure_boot=secure_boot)
        firmware_pxe = firmware_pxe or not self.architecture.card_rom
        models = [card_model] * cards if isinstance(card_model, str) else card_model
        self.cards = [self._card(number, model, firmware_pxe)
                      for number, model in enumerate(models)]
        self.disks = []
        for number, disk in enumerate(disks if disks is not None else [Disk()]):
            if disk.bus not in self.architecture.buses:
                raise ValueError(f'a server with {architecture} has no {disk.bus} disks')
            disk.serial = disk.serial or f'{name.upper()[:12]}-D{number}'
            self.disks.append(DiskFile(disk, self.folder / f'disk{number}.img'))

    @property
    def mac(self):
        """Address of the first network card."""
        return self.cards[0]['mac']

    def make(self):
        """Builds the hardware: disk files, tap devices, and its description for the BMC."""
        self.folder.mkdir(parents=True)
        for disk in self.disks:
            disk.make()
        for card in self.cards:
            if self._bridge:
                self._lab.network.add_tap(card['tap'], self._bridge)
        self._describe()

    def remove(self):
        """Switches it off and takes it apart; console and QEMU log stay with the logs."""
        self.power_off()
        (self.folder / 'server.json').unlink()
        for card in self.cards:
            if self._bridge:
                self._lab.network.remove_tap(card['tap'])
        self.keep_logs()
        shutil.rmtree(self.folder)

    def keep_logs(self):
        """Copies console and QEMU log into the folder of logs."""
        for name in ('console.log', 'console.times', 'console.starts', 'qemu.log'):
            if (self.folder / name).exists():
                shutil.copy(self.folder / name, self._lab.run.logs / f'{self.name}.{name}')

    def is_on(self):
        return self._lab.bmc.power_state(self.uuid) == 'On'

    def wait_for_off(self, timeout):
        """Waits until the machine has switched itself off."""
        timeout = patience(timeout)
        deadline = time.monotonic() + timeout
        while self.is_on():
            if time.monotonic() > deadline:
                raise TimeoutError(f'{self.name} is still on after {timeout} s')
            time.sleep(0.2)

    def power_on(self, device=None):
        """As a person would: `device` is Pxe, Hdd, Cd or None (unchanged)."""
        if device:
            self._lab.bmc.set_boot_device(self.uuid, device)
        self._lab.bmc.reset(self.uuid, 'On')

    def power_off(self):
        """Pulls the plug."""
        self._lab.bmc.reset(self.uuid, 'ForceOff')

    def reset(self):
        """The reset button: the machine starts again from its boot device."""
        self._lab.bmc.reset(self.uuid, 'ForceRestart')

    def boot_kernel(self, kernel, ramdisk, parameters):
        """From now on every start loads this kernel, whatever the conductor says."""
        self._direct = {'kernel': str(kernel), 'ramdisk': str(ramdisk), 'parameters': parameters}
        self._describe()

    def add_arguments(self, arguments):
        """More for QEMU, from the next start on."""
        self._hardware['arguments'] += arguments
        self._describe()

    def add_parameters(self, parameters):
        """Kernel parameters after those of the conductor (direct boot only): the last counts."""
        self._parameters = parameters
        self._describe()

    def change_disk(self, number, **changes):
        """From the next start on the disk has these properties (see `Disk`)."""
        for name, value in changes.items():
            setattr(self.disks[number].disk, name, value)
        self._describe()

    def kill(self):
        """Ends QEMU without a word to anybody: a power cut at this very moment."""
        pid = self.pid()
        if pid:
            os.kill(pid, signal.SIGKILL)
        # The BMC has to notice before anybody switches the machine on again.
        deadline = time.monotonic() + patience(10)
        while self.is_on() and time.monotonic() < deadline:
            time.sleep(0.05)

    def pid(self):
        """The QEMU's process id, or None."""
        wanted = f'{self.folder}/qmp.sock'.encode()
        for pid in self._lab.network.processes():
            try:
                if wanted in Path(f'/proc/{pid}/cmdline').read_bytes() \
                        and b'qemu-system' in Path(f'/proc/{pid}/cmdline').read_bytes():
                    return pid
            except FileNotFoundError:
                continue
        return None

    def qmp(self):
        """A connection to the running QEMU's machine protocol."""
        return Qmp(self.folder / 'qmp.sock')

    def throttle(self, number, bytes_per_second):
        """Slows writes to a disk of the running server down, so that a test can act in the
        middle; 0 ends it."""
        with self.qmp() as qmp:
            qmp.execute('block_set_io_throttle', device=f'disk{number}', bps=0, bps_rd=0,
                        bps_wr=bytes_per_second, iops=0, iops_rd=0, iops_wr=0)

    @contextlib.contextmanager
    def throttled_from_next_start(self, number, bytes_per_second, timeout=60):
        """What is done inside makes the conductor start the server: its disk is slow from before
        the ramdisk runs, so that no write can be over before a test acts."""
        before = len(self.console.starts())
        yield
        timeout = patience(timeout)
        deadline = time.monotonic() + timeout
        while True:
            try:
                if len(self.console.starts()) > before:
                    return self.throttle(number, bytes_per_second)
            except OSError:  # QEMU is there, its socket not yet.
                pass
            if time.monotonic() > deadline:
                raise TimeoutError(f'{self.name} was not started within {timeout} s')
            time.sleep(0.2)

    @contextlib.contextmanager
    def frozen(self):
        """The guest stands still, and what its disks hold is what a power cut would leave."""
        with self.qmp() as qmp:
            qmp.execute('stop')
            try:
                yield
            finally:
                qmp.execute('cont')

    def set_link(self, up, card=0):
        """Plugs or pulls a network cable of the running server."""
        with self.qmp() as qmp:
            qmp.execute('set_link', name=f'net{card}', up=up)

    def disk_digest(self, number=0, offset=0, length=None):
        """SHA-256 of (a part of) a disk."""
        disk = self.disks[number]
        return hashlib.sha256(disk.read(offset, -1 if length is None else length)).hexdigest()

    def dump_memory(self):
        """All of the guest's memory, as bytes (to look for secrets)."""
        with tempfile.NamedTemporaryFile(dir=self._lab.run.tmp) as file:
            with self.qmp() as qmp:
                qmp.execute('dump-guest-memory', paging=False, protocol=f'file:{file.name}')
            return Path(file.name).read_bytes()

    def _card(self, number, model, firmware_pxe):
        digest = hashlib.sha256(f'{self.name}/{number}'.encode()).hexdigest()
        mac = '52:54:00:' + ':'.join(digest[i:i + 2] for i in (0, 2, 4))
        # Where the card and the switch at the wire's other end take datagrams in.
        wire = {end: str(self.folder / f'{end}{number}.sock') for end in ('card', 'switch')}
        return {'mac': mac, 'model': model, 'tap': f'tap{digest[:8]}', 'wire': None if self._bridge else wire,
                'firmware_pxe': firmware_pxe}

    def _describe(self):
        description = {
            'name': self.name, 'uuid': self.uuid, 'serial': self.serial,
            'architecture': self.architecture.name, 'firmware': self.firmware, 'boot': self.boot, 'cards': self.cards,
            'disks': [vars(disk.disk) for disk in self.disks],
            'parameters': self._parameters, 'direct': self._direct, **self._hardware}
        partial = self.folder / 'server.json.partial'
        partial.write_text(json.dumps(description, indent=1))
        partial.rename(self.folder / 'server.json')
