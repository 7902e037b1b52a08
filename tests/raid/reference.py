#!/usr/bin/env python3
"""Asks ironic-python-agent what it makes of every case in cases.py: reference.py FOLDER.

    tests/check/install-packages parted gdisk
    python3 -m venv /tmp/reference
    /tmp/reference/bin/pip install ironic-python-agent==13.0.0
    /tmp/reference/bin/python tests/raid/reference.py tests/fixtures/raid

Nothing of the reference is rebuilt here: its GenericHardwareManager validates, chooses and divides. parted and sgdisk
are this machine's, on sparse files. Only what would look at this machine is replaced: the listing of disks, the names
of those files, and mdadm, whose arguments are the answer.
"""

import contextlib
import importlib.metadata
import json
import logging
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from unittest import mock

# Its options must be there before the modules that read them.
from ironic_python_agent import config  # noqa: F401 pylint: disable=unused-import
from ironic_python_agent import errors, hardware, raid_utils, utils

import cases


def node(case):
    properties = {}
    if case.get('protects_names'):
        properties['skip_block_devices'] = [{'volume_name': 'kept'}]
    capabilities = [f'boot_mode:{case["boot_mode"]}'] if 'boot_mode' in case else []
    if case.get('disk_label'):
        capabilities.append(f'disk_label:{case["disk_label"]}')
    properties['capabilities'] = ','.join(capabilities)
    return {'uuid': cases.NODE, 'instance_info': {}, 'driver_internal_info': {}, 'properties': properties}


def answer(ask):
    try:
        return ask()
    except errors.SoftwareRAIDError as error:
        return {'refuses': error.details}
    # What escapes is the answer.
    except Exception as error:  # pylint: disable=broad-except
        return {'crashes': f'{type(error).__name__}: {error}'.splitlines()[0]}


def validated(case):
    manager = hardware.GenericHardwareManager()
    disks = [hardware.BlockDevice(f'/dev/sd{number}', None, 1 << 40, False) for number in range(case['disks'])]
    with mock.patch.object(manager, 'list_block_devices', lambda **_: disks):
        manager.validate_configuration(case['configuration'], node(case))
    return {'accepts': True}


def table(path):
    """Label and partitions of a file, each with its number, first byte and bytes, type and name."""
    found = json.loads(subprocess.run(['sfdisk', '--json', path], check=True, capture_output=True).stdout)
    found = found['partitiontable']
    number = re.compile(r'\D(\d+)$')
    return {'label': {'dos': 'msdos'}.get(found['label'], found['label']),
            'partitions': [[int(number.search(each['node'])[1]), each['start'] * 512, each['size'] * 512,
                            each['type'].lower(), each.get('name')] for each in found.get('partitions', [])]}


def divided(case):
    with tempfile.TemporaryDirectory() as folder:
        names = [f'/dev/sd{chr(ord("a") + index)}' for index in range(len(case['sizes']))]
        files = {name: os.path.join(folder, os.path.basename(name)) for name in names}
        for name, size in zip(names, case['sizes']):
            with open(files[name], 'wb') as file:
                file.truncate(size)
        created = []
        own = utils.execute

        def execute(*arguments, **options):
            if arguments[0] == 'mdadm':
                if arguments[1] == '--create':
                    created.append([str(argument) for argument in arguments[1:]])
                return '', ''
            if arguments[0] in ('partx', 'udevadm'):
                return '', ''
            return own(*(files.get(argument, argument) for argument in arguments), **options)

        manager = hardware.GenericHardwareManager()
        listed = [hardware.BlockDevice(name, None, size, False) for name, size in zip(names, case['sizes'])]
        with contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch.object(manager, 'list_block_devices', lambda **_: listed))
            stack.enter_context(mock.patch.object(utils, 'execute', execute))
            stack.enter_context(mock.patch.object(raid_utils, '_get_actual_component_devices',
                                                  lambda _: [argument for arguments in created
                                                             for argument in arguments]))
            try:
                manager.create_configuration({**node(case), 'target_raid_config': case['configuration']}, [])
            except errors.SoftwareRAIDError as error:
                # What follows is Python's form of a list, or names of files.
                words = re.match(r'[^{/]*', error.details)[0].strip()
                return {'refuses': words, 'is_touched': any(has_table(path) for path in files.values())}
        return {'tables': {name: table(path) for name, path in files.items() if has_table(path)},
                'mdadm': created}


def has_table(path):
    return subprocess.run(['sfdisk', '--json', path], check=False, capture_output=True).returncode == 0


def evaluate(case, ask):
    reference = answer(lambda: ask(case))
    ours = case.pop('farrier', reference)
    why = case.pop('why', None)
    # A crash is nothing to be like.
    assert (ours != reference) == bool(why), (case, reference, ours, why)
    return {**case, 'reference': reference, 'farrier': ours, **({'why': why} if why else {})}


def main(folder):
    logging.disable()
    os.environ['PATH'] += ':/usr/sbin:/sbin'
    version = f'ironic-python-agent {importlib.metadata.version("ironic-python-agent")}'
    tables = {'validations': (cases.all_validations(), validated), 'layouts': (cases.all_layouts(), divided)}
    written = {name: [evaluate(case, ask) for case in every] for name, (every, ask) in tables.items()}
    for name, evaluated in written.items():
        used = {case['why'] for case in evaluated if 'why' in case}
        head = {'reference': version, 'reasons': {why: text for why, text in cases.REASONS.items() if why in used}}
        # A case is a line, so that a change of one is a change of a line.
        lines = ',\n'.join('  ' + json.dumps(case, ensure_ascii=False) for case in evaluated)
        text = json.dumps(head, indent=1, ensure_ascii=False).removesuffix('\n}')
        (folder / f'{name}.json').write_text(f'{text},\n "cases": [\n{lines}\n ]\n}}\n')
        print(f'{len(evaluated)} {name} with {version}; farrier differs in '
              f'{sum("why" in case for case in evaluated)}')


if __name__ == '__main__':
    main(pathlib.Path(sys.argv[1]))
