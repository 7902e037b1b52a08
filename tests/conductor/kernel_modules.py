"""What the modules of a kernel say of themselves: which devices they drive, what they register."""

import lzma
import os
import re
import struct
from concurrent.futures import ThreadPoolExecutor

# Functions that a driver calls with what it brings; the kernel's names for them differ by version.
REGISTERS = {
    'network': {
        'register_netdev', 'register_netdevice', 'devm_register_netdev', 'alloc_netdev_mqs',
        'alloc_etherdev_mqs', 'devm_alloc_etherdev_mqs', 'ib_register_device',
        'phy_drivers_register', 'mdio_driver_register', '__mdiobus_register',
        '__devm_mdiobus_register',
    },
    'storage': {
        'scsi_host_alloc', 'scsi_add_host_with_dma', 'ata_host_alloc', 'ata_host_alloc_pinfo',
        'ata_pci_init_one', '__blk_mq_alloc_disk', '__blk_alloc_disk', 'device_add_disk',
        'nvme_init_ctrl', 'mmc_alloc_host', 'mmc_add_host', '__sdhci_add_host', 'ufshcd_init',
        'nvdimm_bus_register', '__nvdimm_create', '__cxl_driver_register', 'memstick_add_host',
        'register_mtd_blktrans',
    },
}
# Base classes of PCI: storage and network controllers, CXL memory, Fibre Channel, InfiniBand.
CLASSES = {'network': re.compile(r'pci:v.*bc(02|0Csc06)'),
           'storage': re.compile(r'pci:v.*bc(01|0Csc04|05sc02)')}
# What stands before a colon in an alias that is no device: a device file, a function of a gadget.
NO_BUS = {'devname', 'usbfunc'}


class Module:
    """One module: `name` as modprobe knows it, `folder` below kernel/."""

    def __init__(self, path, tree):
        self.name = plain(path.name.split('.')[0])
        self.folder = str(path.parent.relative_to(tree / 'kernel'))
        content = path.read_bytes()
        info, self.imports = elf(lzma.decompress(content) if path.suffix == '.xz' else content)
        self.aliases = [value for key, value in info if key == 'alias']
        self.needs = [plain(name) for key, value in info if key == 'depends'
                      for name in value.split(',') if name]

    def has_device(self):
        """Whether udev can load it for a device."""
        return any(':' in alias and alias.split(':')[0] not in NO_BUS for alias in self.aliases)

    def registers(self, modules):
        """The kinds of what it, or a module that it needs, registers."""
        kinds = {kind for kind, functions in REGISTERS.items() if functions & self.imports}
        for name in self.needs:
            # A module that is needed may be built in.
            if name in modules:
                kinds |= modules[name].registers(modules)
        return kinds

    def drives(self, modules):
        """`network` and `storage`, if it drives such devices."""
        kinds = {kind for kind, pattern in CLASSES.items()
                 if any(pattern.match(alias) for alias in self.aliases)}
        return kinds | self.registers(modules) if self.has_device() else kinds


def plain(name):
    """modprobe takes - and _ for the same."""
    return name.replace('-', '_')


def read(tree):
    """All modules of a kernel's folder, by name."""
    files = list((tree / 'kernel').rglob('*.ko*'))
    assert files, tree
    # Expanding, most of the work, goes on beside other threads.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        modules = list(pool.map(lambda path: Module(path, tree), files))
    return {module.name: module for module in modules}


def elf(content):
    """The pairs of .modinfo, and the names of undefined symbols."""
    table, = struct.unpack_from('<Q', content, 40)
    size, count, names = struct.unpack_from('<HHH', content, 58)
    sections = [struct.unpack_from('<IIQQQQI', content, table + size * number)
                for number in range(count)]

    def string(section, offset):
        start = sections[section][4] + offset
        return content[start:content.index(b'\0', start)].decode()

    info, imports = [], set()
    for name, kind, _, _, offset, length, link in sections:
        if string(names, name) == '.modinfo':
            info = [tuple(item.decode(errors='replace').split('=', 1))
                    for item in content[offset:offset + length].split(b'\0') if b'=' in item]
        if kind == 2:  # SHT_SYMTAB
            imports = {string(link, symbol) for symbol, _, _, section, _, _
                       in struct.iter_unpack('<IBBHQQ', content[offset:offset + length])
                       if symbol and not section}
    return info, imports
