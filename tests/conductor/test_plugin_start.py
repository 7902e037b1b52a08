"""How much later the conductor hears of a server that has hardware managers."""

import re
import tarfile

import pytest

from conductor.test_plugins import LIBRARY, SCRIPT, pack, with_archives
from lab import Disk, paths
from lab.load import Load

# Seconds that three plugins may take together on a quiet machine.
BOUND = 1.0
STARTS = 3


@pytest.mark.alone
def test_three_plugins_start_within_a_second(lab, record_property):
    """Started, introduced and asked about the machine, side by side: an executable, a script with
    its interpreter, and a shared library."""
    archives = [pack(paths.BUILD / 'farrier-onmetal-manager', 'onmetal'),
                pack(SCRIPT, 'example_script', 'python3-minimal'),
                pack(LIBRARY, 'example')]
    ramdisk = with_archives(lab, archives, 'plugin-start.img')
    with lab.enrolled('plugin-start', boot='direct', cpus=2, memory_mib=512,
                      as_shipped=True, disks=[Disk('virtio', 256)],
                      node={'clean': False, 'ramdisk': ramdisk}) as node:
        for _ in range(STARTS):
            load = Load(lab.network)
            node.inspect()
            plugins, milliseconds = started(lab, node)
            others = load.share_of_others()
            print(f'{plugins} plugins in {milliseconds} ms; others used {others:.0%}')
            assert plugins == 3
            if milliseconds <= 1000 * BOUND / (1 - others):
                record_property('three plugins, ms', milliseconds)
                record_property('share of others', round(others, 2))
                return
    pytest.fail(f'three plugins never started within {BOUND} s')


def started(lab, node):
    """How many plugins the agent has started, and in how many milliseconds, by its log."""
    with tarfile.open(lab.conductor.stored_logs(node)[-1]) as archive:
        journal = archive.extractfile('journal').read().decode()
    found = re.search(r'plugins were started .*plugins=(\d+) milliseconds=(\d+)', journal)
    return int(found[1]), int(found[2])
