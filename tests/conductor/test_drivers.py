"""The ramdisk has the kernel's drivers of networks and disks, or dracut/95farrier/modules says why not."""

import re
import subprocess
from collections import defaultdict

import pytest

from conductor import kernel_modules
from conductor.kernel_modules import plain
from lab import paths

DRACUT = paths.ROOT / 'dracut' / '95farrier'
RAMDISK = paths.RAMDISK_FOLDER

# One of each way to a device. A kernel whose registering functions have other names than
# kernel_modules knows would leave drivers unseen, and the test green.
KNOWN = {
    'network': {'e1000e', 'ice', 'idpf', 'mlx5_core', 'mlx5_ib', 'hv_netvsc', 'virtio_net', 'r8152',
                'realtek', 'xen_netfront', 'ath10k_pci'},
    'storage': {'nvme', 'ahci', 'ata_piix', 'mpt3sas', 'mpi3mr', 'lpfc', 'usb_storage', 'ums_realtek',
                'sdhci_pci', 'ufshcd_pci', 'virtio_blk', 'hv_storvsc', 'nfit', 'cxl_pci', 'cxl_pmem'},
}
# They give a machine's disks away or make disks of other machines' memory.
SERVES = ('drivers/target', 'drivers/nvme/target', 'drivers/block/drbd', 'drivers/block/aoe',
          'drivers/block/xen-blkback')


@pytest.fixture(scope='module')
def tree():
    """The folder of the ramdisk's kernel in the packages that it was built of."""
    chroot = RAMDISK / 'chroot'
    # Packages of another architecture lie beside the tools (image/build).
    system = chroot / 'system' if (chroot / 'system').exists() else chroot
    return next((system / 'usr/lib/modules').iterdir())


@pytest.fixture(scope='module')
def modules(tree):
    return kernel_modules.read(tree)


@pytest.fixture(scope='module')
def builtin(tree):
    return {plain(line.split('/')[-1].removesuffix('.ko'))
            for line in (tree / 'modules.builtin').read_text().splitlines()}


@pytest.fixture(scope='module')
def inside():
    """The names of the ramdisk's modules."""
    base = (RAMDISK / 'base.cpio').read_bytes()
    names = re.findall(rb'/kernel/[^\0]*/([^/\0]+)\.ko(?:\.\w+)?\0', base)
    return {plain(name.decode()) for name in names}


def words(version):
    """The list's words as the ramdisk's build reads them for a kernel: (whether they are of that
    kernel, word, reason)."""
    printed = subprocess.run(
        ['bash', '-c', '. "$moddir/module-setup.sh"; farrier_words'], check=True, text=True,
        stdout=subprocess.PIPE, env={'PATH': '/usr/bin', 'moddir': str(DRACUT), 'kernel': version}).stdout
    for line in printed.splitlines():
        where, word, reason = line.split(' ', 2)
        yield where == 'here', word, reason.strip()


def named(word, modules):
    """The modules of a word of the list, without its sign."""
    if '/' in word:
        return {module.name for module in modules.values()
                if f'{module.folder}/'.startswith(f'{word}/')}
    return {plain(word)} & modules.keys()


def test_a_driver_is_in_or_has_a_reason(tree, modules, inside, capsys):
    """Prints what stays out, by reason."""
    drivers = {name: kinds for name, module in modules.items() if (kinds := module.drives(modules))}
    for kind, names in KNOWN.items():
        assert all(kind in drivers.get(name, ()) for name in names & modules.keys()), kind
    reasons = defaultdict(set)
    for here, word, reason in words(tree.name):
        if here and word[0] == '-':
            reasons[reason] |= named(word[1:], modules) & drivers.keys() - inside
    with capsys.disabled():
        print(f'\nLinux {tree.name}: {len(drivers)} drivers of networks and disks, '
              f'{len(drivers.keys() & inside)} in the ramdisk; not in it')
        for reason, names in reasons.items():
            if names:
                print(f'  {reason}: {", ".join(sorted(names))}')
    assert sorted(drivers.keys() - inside - set().union(*reasons.values())) == []


def test_the_list_names_what_the_kernel_has(tree, modules, builtin):
    """A bound on the kernel's version is true, and what is left out has a reason. A word of one architecture may be in the
    kernel of another, whose servers do not need it."""
    wrong = {True: [], False: []}
    of_one_architecture = set(re.findall(r'(?<!\S)([^\s<>@]+)(?:[<>=]+[\d.]+)?@\w', (DRACUT / 'modules').read_text()))
    for here, word, reason in words(tree.name):
        name = word.lstrip('-=')
        is_there = bool(named(name, modules)) or plain(name) in builtin
        if here != is_there and (here or word not in of_one_architecture):
            wrong[here].append(word)
        assert reason or word[0] != '-', f'{word} is left out for no reason'
    assert not wrong[True], f'not in Linux {tree.name}'
    assert not wrong[False], f'in Linux {tree.name}, whatever their bound says'


def test_every_word_is_of_some_kernel():
    """A bound on the version or an architecture that no kernel of the locks keeps would hide a word for good; one
    that all of them keep says nothing."""
    kernels = {version for lock in (paths.ROOT / 'image/locks').iterdir()
               for version in re.findall(r'^linux-(?:image|modules)-(\d\S*)', lock.read_text(), re.MULTILINE)}
    seen = defaultdict(set)
    for kernel in kernels:
        for here, word, _ in words(kernel):
            seen[word].add(here)
    bounded = set(re.findall(r'(?<!\S)([^\s<>@]+)(?:[<@]|>=)\w', (DRACUT / 'modules').read_text()))
    # The list's head shows the form with `name`.
    assert {word: seen.get(word) for word in bounded if seen.get(word) != {True, False}} == {'name': None}


def test_nothing_serves_disks_by_itself(modules, inside):
    """Such a module is there only where a driver links to it, and no device or alias loads it."""
    for module in modules.values():
        if module.name in inside and module.folder.startswith(SERVES):
            assert not module.aliases, module.name
            assert any(module.name in other.needs for other in modules.values()
                       if other.name in inside), module.name


def test_infiniband_ports_become_network_interfaces(tree, inside):
    """No device asks for the module that makes one of a port: a rule of udev's loads it."""
    asked = [line for line in (tree / 'modules.alias').read_text().splitlines() if line.endswith(' ib_ipoib')]
    assert asked == ['alias rtnl-link-ipoib ib_ipoib'], 'a device asks for it now: the rule can go'
    assert {'ib_ipoib', 'mlx5_ib', 'mlx4_ib'} <= inside
    rule = (DRACUT / 'root/etc/udev/rules.d/61-ipoib.rules').read_bytes()
    assert b'SUBSYSTEM=="infiniband", RUN{builtin}+="kmod load ib_ipoib"' in rule
    base = (RAMDISK / 'base.cpio').read_bytes()
    assert b'etc/udev/rules.d/61-ipoib.rules\0' in base and rule in base
