"""The architectures of servers: what of a machine, its firmware and its kernel depends on them."""

from dataclasses import dataclass
from pathlib import Path

from lab.disk import BUSES


@dataclass(frozen=True)
class Architecture:
    """`name` is Ironic's `cpu_arch`, which is what `uname -m` says.

    `program`, `machine` and `cpu` are QEMU's (`cpu` None: the program's default). `code` and `variables` are the UEFI
    firmware; `bios` says whether there is another, `card_rom` whether QEMU's network cards have an iPXE for it.
    `buses` are those of its disks. `console` is the kernel's first serial port, `for_an_emulator` what makes the kernel
    faster in one.
    """

    name: str
    program: str
    machine: str
    cpu: str | None
    code: Path
    variables: Path
    bios: bool
    card_rom: bool
    buses: tuple[str, ...]
    console: str
    for_an_emulator: str


X86_64 = Architecture(
    name='x86_64', program='qemu-system-x86_64', machine='q35,graphics=off', cpu=None,
    code=Path('/usr/share/OVMF/OVMF_CODE_4M.fd'), variables=Path('/usr/share/OVMF/OVMF_VARS_4M.fd'),
    bios=True, card_rom=True, buses=BUSES, console='ttyS0',
    # On a busy machine the kernel's test of the timer sees too few ticks of an emulated clock and stops; and
    # protecting an emulated processor from its programs costs a tenth of its time.
    for_an_emulator='no_timer_check mitigations=off')

# The board that QEMU made for virtual machines: no BIOS, no IDE, no VGA. A processor that servers have; emulated, QEMU's
# others take the same time.
AARCH64 = Architecture(
    name='aarch64', program='qemu-system-aarch64', machine='virt', cpu='neoverse-n1',
    code=Path('/usr/share/AAVMF/AAVMF_CODE.fd'), variables=Path('/usr/share/AAVMF/AAVMF_VARS.fd'),
    bios=False, card_rom=False, buses=('virtio', 'nvme', 'scsi', 'card'), console='ttyAMA0',
    for_an_emulator='mitigations=off')

ARCHITECTURES = {architecture.name: architecture for architecture in (X86_64, AARCH64)}
