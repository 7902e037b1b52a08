#!/usr/bin/env python3
"""Asks ironic-python-agent what it makes of every case in cases.py: reference.py FILE.

    python3 -m venv /tmp/reference
    /tmp/reference/bin/pip install ironic-python-agent==13.0.0
    PYTHONHASHSEED=0 /tmp/reference/bin/python tests/hints/reference.py tests/fixtures/hints/cases.json
    UPDATE_DOCS=1 cargo test -p farrier --lib hint_cases

Nothing of the reference is rebuilt here: hints go through its device_hints, nodes through its
GenericHardwareManager. Only what would look at this machine is replaced: the listing of disks and,
for arrays, mdadm.
"""

import importlib.metadata
import json
import logging
import pathlib
import sys
from unittest import mock

# Its options must be there before the modules that read them.
from ironic_python_agent import config  # noqa: F401 pylint: disable=unused-import
from ironic_python_agent import device_hints, errors, hardware

import cases

PREFIX = 'because they failed to validate. Error: '
NODE = {'uuid': '1be26c0b-03f2-4d2e-ae87-c02d7f33c123', 'instance_info': {}, 'properties': {}}


def serialized(device):
    """A device as list_block_devices(all_serial_and_wwn=True) describes it."""
    fields = {name: value for name, value in device.items() if name != 'by_paths'}
    return hardware.BlockDevice(**fields)


def answer(ask):
    try:
        return ask()
    except ValueError as error:
        return {'refuses': str(error)}
    except errors.DeviceNotFound as error:
        _, _, reason = error.details.partition(PREFIX)
        return {'refuses': reason} if reason else {'chooses': None}
    # What escapes is the answer.
    except Exception as error:  # pylint: disable=broad-except
        return {'crashes': f'{type(error).__name__}: {error}'.splitlines()[0]}


def matches(case):
    devices = [serialized(cases.DEVICES[name]).serialize() for name in case['devices']]
    found = device_hints.find_devices_by_hints(devices, case['hints'])
    return {'matches': [device['name'] for device in found]}


def with_node(case):
    """What the manager chooses for a node, or what it leaves to be erased."""
    machine = cases.MACHINES.get(case.get('machine'))
    devices = ([serialized(device) for device in machine['devices']] if machine
               else [serialized(cases.DEVICES[name]) for name in case['devices']])
    arrays = machine['arrays'] if machine else {}
    node = {**NODE, **case['node']}
    manager = hardware.GenericHardwareManager()
    with mock.patch.multiple(
            hardware, get_cached_node=lambda: node,
            list_all_block_devices=lambda **_: [hardware.BlockDevice(name, None, 1, False)
                                                for name in arrays],
            get_holder_disks=lambda name: arrays[name]['holders']), \
         mock.patch.object(hardware.raid_utils, 'get_volume_name_of_raid_device',
                           lambda name: arrays[name]['volume_name']), \
         mock.patch.object(manager, 'list_block_devices', lambda **_: list(devices)):
        try:
            if 'purpose' not in case:
                return {'chooses': manager.get_os_install_device()}
            left = manager.list_block_devices_check_skip_list(
                node, include_wipe=case['purpose'] == 'metadata')
            return {'leaves': [device.name for device in left]}
        except ValueError as error:
            # Unlike a wrong root device hint it is caught nowhere.
            return {'crashes': f'ValueError: {error}'}


def evaluate(case):
    reference = answer(lambda: (with_node if 'node' in case else matches)(case))
    ours = case.pop('farrier', reference)
    why = case.pop('why', None)
    # A crash is nothing to be like.
    assert (ours != reference) == bool(why), (case, reference, ours, why)
    return {**case, 'reference': reference, 'farrier': ours, **({'why': why} if why else {})}


def main(path):
    logging.disable()
    versions = ', '.join(f'{name} {importlib.metadata.version(name)}'
                         for name in ('ironic-python-agent', 'oslo.utils'))
    evaluated = [evaluate(case) for case in cases.all_cases()]
    content = {'reference': versions, 'reasons': cases.REASONS, 'devices': cases.DEVICES,
               'machines': cases.MACHINES}
    # A case is a line, so that a change of one is a change of a line.
    lines = ',\n'.join('  ' + json.dumps(case, ensure_ascii=False) for case in evaluated)
    head = json.dumps(content, indent=1, ensure_ascii=False).removesuffix('\n}')
    path.write_text(f'{head},\n "cases": [\n{lines}\n ]\n}}\n')
    differing = sum('why' in case for case in evaluated)
    print(f'{len(evaluated)} cases with {versions}; farrier differs in {differing}')


if __name__ == '__main__':
    main(pathlib.Path(sys.argv[1]))
