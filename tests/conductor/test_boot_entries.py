"""What firmware starts of the disks that were deployed: with our boot entries, and without them."""

import re
import time
import uuid

import pytest

from lab import Disk
from lab.agent import Agent
from lab.stand_in import BootFiles, Started, build, started

# Also three that are no distribution's, each for another way to the loader.
MORE = ['shim that starts a unified kernel image', 'table whose first loader is not there',
        'unified kernel images alone']


def rounds(cases):
    """Cases in groups of different labels: of one label, the firmware keeps one entry."""
    groups = []
    for case in cases:
        free = next((group for group in groups if case.label not in {other.label for other in group}), None)
        if free is None:
            groups.append(free := [])
        free.append(case)
    return groups


@pytest.mark.full
def test_firmware_starts_the_loader_of_each_distribution(lab):
    """Where the boot loader of a distribution lies there is a stand-in that says so and fails, and the firmware
    goes on to its next entry: so one start shows all disks, first from our entries, then from those that the
    firmware makes for the disks by itself, which lead to the removable path."""
    cases = [case for number, case in enumerate(BootFiles.all()) if number < 12 or case.name in MORE]
    assert len(cases) == 15
    disks = [Disk('scsi', 40, serial=f'ESP{number}') for number in range(len(cases))]
    partitions = [str(uuid.uuid5(uuid.NAMESPACE_DNS, case.name)) for case in cases]
    with lab.enrolled('loaders', firmware='uefi', boot='direct', disks=disks,
                      node={'clean': False, 'fast_track': True}) as node:
        program = build()
        for case, disk, partition in zip(cases, node.server.disks, partitions, strict=True):
            case.lay(disk, program, partition)
        groups = rounds(cases)
        made = 0
        for group in groups:
            expected = [Started(case.loader, partitions[cases.index(case)], case.arguments) for case in group]
            # The entries of the last round lead to disks, and go. Ours only: the firmware's have no partition.
            node.clean({'interface': 'deploy', 'step': 'clean_uefi_nvram', 'args': {'match_patterns': ['^hd\\(']}})
            text = node.server.console.text(node.server.console.mark_of_last_start())
            assert len(re.findall(r'boot entry Boot[0-9A-F]{4} removed', text)) == made
            made = len(group)
            agent = Agent(lab, node)
            for case in group:
                chosen = {'uuid': node.uuid, 'properties': {'root_device': {'serial': f'ESP{cases.index(case)}'}}}
                agent.run('clean.get_clean_steps', node=chosen, ports=[])
                command = agent.run('image.install_bootloader', root_uuid=None, target_boot_mode='uefi')
                assert command['command_status'] == 'SUCCEEDED', command
            node.server.power_off()
            node.server.power_on('Hdd')
            seen = wait_for(node.server, expected)
            # QEMU has an order of its own for the disks; on each, our entry comes before the firmware's.
            first = {each.partition: each for each in reversed(seen)}
            assert [first[each.partition] for each in expected] == expected
            if group is groups[-1]:
                removable = [Started(case.removable, partition, '')
                             for case, partition in zip(cases, partitions, strict=True) if case.removable]
                wait_for(node.server, removable)
            # Or the conductor would take the agent for being there still.
            node.server.power_off()


def wait_for(server, expected):
    """What was started since the last power-on, once all of this was."""
    wanted = {(each.path.lower(), each.partition) for each in expected}
    deadline = time.monotonic() + 240
    while True:
        seen = started(server.console.text(server.console.mark_of_last_start()))
        if wanted <= {(each.path.lower(), each.partition) for each in seen}:
            return seen
        assert time.monotonic() < deadline, seen
        time.sleep(0.2)
