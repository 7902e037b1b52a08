"""The virtual servers in which both agents are started: many kinds of disks and network cards."""

from dataclasses import dataclass, field

from lab import Disk

# The reference unpacks 400 MiB into memory, of which the kernel lets a ramdisk have half.
MEMORY_MIB = 1536

# A disk of nothing, 64 MiB, for controllers that the lab's own disks are never behind.
_NOTHING = 'driver=null-co,read-zeroes=on,size=67108864'


@dataclass(frozen=True)
class Machine:
    """What is inside; `arguments` are more for QEMU."""

    name: str
    what: str
    firmware: str
    disks: list
    cards: list
    arguments: list = field(default_factory=list)
    # Kernel parameters, for both agents.
    parameters: str = ''
    # Its addresses (`Bmc`), if it has one.
    bmc: dict | None = None

    def hardware(self):
        """For `Lab.enrolled`."""
        return dict(firmware=self.firmware, boot='direct', as_shipped=True, memory_mib=MEMORY_MIB, cpus=2,
                    disks=self.disks, card_model=self.cards, arguments=self.arguments,
                    parameters=self.parameters)


_BIOS = Machine(
    'bios', 'BIOS; virtio and SATA disks, one rotational; virtio and e1000e cards', 'bios',
    [Disk('virtio', 256), Disk('sata', 512, rotational=True), Disk('sata', 128)],
    ['virtio-net-pci', 'e1000e'],
    ['-smbios', 'type=0,vendor=Farriers,version=1.2.3,date=04/01/2024'])

_UEFI = Machine(
    'uefi', 'UEFI; NVMe, SCSI disks with 512 and 4096-byte sectors; e1000e and RTL8139 cards; '
            'BMC with addresses of both families; USB stick', 'uefi',
    [Disk('nvme', 256), Disk('scsi', 512, sector=4096), Disk('scsi', 128, rotational=True)],
    ['e1000e', 'rtl8139'],
    ['-device', 'qemu-xhci,id=usb',
     '-drive', f'if=none,id=stick,{_NOTHING}',
     '-device', 'usb-storage,bus=usb.0,drive=stick,serial=STICK'],
    bmc={'address': '192.0.2.251', 'mac': '52:54:00:bb:bb:bb', 'address6': 'fd00:fa:1::251'})

_NUMA = Machine(
    'numa', 'BIOS; two sockets, two NUMA nodes; NVMe disk, SAS disks with WWN behind a MegaRAID '
            'and a Fusion-MPT controller, optical drive; vmxnet3 and e1000 cards; all collectors '
            'but lldp', 'bios',
    [Disk('nvme', 256)],
    ['vmxnet3', 'e1000'],
    ['-smp', 'sockets=2',
     *[argument for node in (0, 1) for argument in (
         '-object', f'memory-backend-ram,id=memory{node},size={MEMORY_MIB // 2}M',
         '-numa', f'node,nodeid={node},cpus={node},memdev=memory{node}')],
     '-smbios', 'type=2,manufacturer=Farriers,product=Anvil,version=A1,serial=BOARD1,asset=A-17',
     '-smbios', 'type=3,manufacturer=Farriers,version=C2,serial=CHASSIS1,asset=A-18,sku=S1',
     '-smbios', 'type=17,loc_pfx=DIMM,bank=B0,manufacturer=Farriers,serial=D1,part=P-2,speed=2933',
     '-device', 'megasas,id=raid', '-drive', f'if=none,id=sas1,{_NOTHING}',
     '-device', 'scsi-hd,bus=raid.0,drive=sas1,serial=SAS1,wwn=0x5000c500a1b2c3d4,'
                'vendor=ACME,product=D8,rotation_rate=10000',
     '-device', 'mptsas1068,id=sas', '-drive', f'if=none,id=sas2,{_NOTHING}',
     '-device', 'scsi-hd,bus=sas.0,drive=sas2,serial=SAS2,wwn=0x5000c500a1b2c3d5',
     '-device', 'ide-cd,bus=ide.3', '-device', 'qemu-xhci', '-device', 'usb-kbd',
     '-device', 'usb-tablet'],
    'ipa-inspection-collectors=default,logs,pci-devices,dmi-decode,numa-topology,usb-devices')

MACHINES = (_BIOS, _UEFI, _NUMA)
