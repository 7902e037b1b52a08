"""Cases of software RAID: RAID configurations that are validated, and those whose disks are divided.

A case without an answer of its own wants the reference's. Another answer needs a reason.
"""

GIB = 1 << 30
MIB = 1 << 20
NODE = '1be26c0b-03f2-4d2e-ae87-c02d7f33c123'
PREFIX = f'Could not validate Software RAID config for {NODE}: '

REASONS = {
    'crash': 'The reference fails with an error that names neither the field nor what to do.',
    'type': 'A value of another type is named. The reference compares it, or takes it for what Python does.',
    'name': 'A name that mdadm of Debian 13 refuses, or that is taken, is told before a disk is touched; the '
            'reference fails in mdadm --create, or hides one array behind another.',
    'members': 'A volume is made of as many disks as its level needs. The reference counts the disks of the machine '
               'for levels 5 and 6 of the second volume, and has mdadm make a mirror of one disk.',
    'hints': 'Hints that cannot be read are told with the other rules; the reference fails in the middle of the '
             'creation.',
    'empty': 'Nothing to do is no success where somebody asked for a configuration to be applied; the reference '
             'deletes all arrays and then fails.',
    'size': 'What has no room is told before a disk is touched; the reference fails in parted, with the tables of all '
            'disks replaced.',
}

ROOT = {'size_gb': 100, 'raid_level': '1', 'controller': 'software'}
DATA = {'size_gb': 'MAX', 'raid_level': '0', 'controller': 'software'}
HINTS = [{'size': '>= 4'}, {'rotational': False}]

FIRST = 'Software RAID Configuration requires RAID-1 for the first logical disk'
ONE_OR_TWO = 'Software RAID configuration requires one or two logical disks'
SOFTWARE = "Software RAID configuration requires all logical disks to have 'controller'='software'"
NAMED = ('All logical disks are required to have a volume name specified as a volume name is mentioned in the property '
         'skip block devices.')
LIST = ('The physical_disks parameter for software RAID must be a list with at least 2 items, each specifying a disk '
        'in the device hints format')
DICTIONARIES = 'The physical_disks parameter for software RAID must be a list of device hints (dictionaries)'
# The agent's words for hints (docs/root-device-hints.md).
NO_SUCH_HINT = ('The hints "sise" are invalid. Valid hints are: "size, model, wwn, serial, vendor, wwn_with_extension, '
                'wwn_vendor_extension, name, rotational, hctl, by_path, tran"')
PORTABLE = ("mdadm takes letters of ASCII, digits, '.', '_' and '-' alone for an array's name, and no '.' or '-' at "
            'its start')


def disks(*values, **configuration):
    return {'logical_disks': list(values), **configuration}


def root(**fields):
    return {**ROOT, **fields}


def data(**fields):
    return {**DATA, **fields}


def without(name, values):
    return {key: value for key, value in values.items() if key != name}


def case(configuration, found=4, names=False, ours=None, why=None):
    """What is validated on a machine of so many disks, with or without arrays that are protected by name."""
    written = {'configuration': configuration, 'disks': found, 'protects_names': names}
    if why:
        written |= {'farrier': ours, 'why': why}
    return written


def refuses(*texts):
    return {'refuses': PREFIX + '; '.join(texts)}


def too_few(level, found):
    return (f'Software RAID configuration is not possible for RAID level {level} with only {found} block devices '
            'found.')


def wrong(field, number, wanted, shown):
    return f'{field} of logical disk {number} has to be {wanted}, and is {shown}'


def all_validations():
    size = 'MAX or a whole number of GiB above 0'
    no_disks = {'refuses': 'RAID config contains no logical disks'}
    yield case(disks(root()))
    yield case(disks(root(size_gb='MAX')))
    yield case(disks(root(), data()))
    for level in ('0', '1', '1+0', '5', '6'):
        yield case(disks(root(), data(raid_level=level)))
    yield case(disks(root(is_root_volume=True), data(is_root_volume=False)))
    yield case(disks(root(volume_name='root'), data(volume_name='data')), names=True)
    yield case(disks(root(physical_disks=HINTS), data(physical_disks=HINTS)))
    yield case(disks(root(size_gb='100')))
    yield case(disks(root(disk_type='ssd', share_physical_disks=True, number_of_physical_disks=2)))
    # Each rule alone.
    yield case({}, ours=no_disks, why='empty')
    yield case({'logical_disks': []})
    yield case({'logical_disks': None})
    yield case(disks(root(), data(), data(size_gb=5)))
    yield case(disks(without('controller', ROOT)))
    yield case(disks(root(controller='hardware'), data(controller=None)))
    yield case(disks(root(), data()), names=True)
    yield case(disks(root(volume_name='root'), data()), names=True)
    yield case(disks(root(volume_name='root'), data(volume_name='root')))
    yield case(disks(root(is_root_volume=True), data(is_root_volume=True)))
    yield case(disks(root(physical_disks=[{'size': '>= 4'}])))
    yield case(disks(root(physical_disks=[])))
    yield case(disks(root(physical_disks=['/dev/sda', '/dev/sdb'])))
    yield case(disks(root(physical_disks=['/dev/sda'])))
    yield case(disks(root(raid_level='0')))
    yield case(disks(root(raid_level='5')))
    yield case(disks(root(raid_level='linear')))
    yield case(disks(root(size_gb='MAX'), data(size_gb='MAX')))
    yield case(disks(root(), data(raid_level='2')))
    yield case(disks(root(), data(raid_level='10')))
    yield case(disks(root(), data(raid_level='5+0')))
    yield case(disks(root(), data(raid_level='5')), found=2)
    yield case(disks(root(), data(raid_level='6')), found=3)
    yield case(disks(root(), data(raid_level='5')), found=3)
    # Several at once.
    yield case(disks(root(raid_level='0', volume_name='a', is_root_volume=True, controller='x'),
                     data(raid_level='7', volume_name='a', is_root_volume=True, physical_disks=[1])))
    yield case(disks(data(), data(raid_level='6')), found=2, names=True)
    # What the reference fails by, takes for something else or lets pass.
    yield case(disks(without('raid_level', ROOT)), ours=refuses('Logical disk 1 has no raid_level'), why='crash')
    yield case(disks(root(), without('size_gb', DATA)), ours=refuses('Logical disk 2 has no size_gb'), why='crash')
    yield case(disks(without('size_gb', ROOT)), ours=refuses('Logical disk 1 has no size_gb'), why='type')
    yield case(disks('root'), ours=refuses('Logical disk 1 has to be an object, and is "root"', SOFTWARE),
               why='crash')
    yield case({'logical_disks': {'0': ROOT}}, why='crash', ours={
        'refuses': 'logical_disks of the RAID config has to be a list, and is '
                   '{"0":{"controller":"software","raid_level":"1","size_gb":100}}'})
    yield case(['logical_disks'], why='crash', ours={
        'refuses': 'The RAID config has to be an object with logical_disks, and is ["logical_disks"]'})
    yield case(disks(root(raid_level=1)), ours=refuses(wrong('raid_level', 1, 'text, such as "1"', '1')), why='type')
    for value, shown in (('max', '"max"'), (0, '0'), (-5, '-5'), (1.5, '1.5'), ([100], '[100]'), (True, 'true')):
        yield case(disks(root(size_gb=value)), ours=refuses(wrong('size_gb', 1, size, shown)), why='type')
    yield case(disks(root(is_root_volume='false')),
               ours=refuses(wrong('is_root_volume', 1, 'true or false', '"false"')), why='type')
    yield case(disks(root(volume_name=5)), ours=refuses(wrong('volume_name', 1, 'text', '5')), why='type')
    yield case(disks(root(physical_disks={'size': '>= 4'})), ours=refuses(LIST), why='type')
    yield case(disks(root(physical_disks=5)), ours=refuses(LIST), why='crash')
    yield case(disks(root(physical_disks=[{'sise': 4}, {'size': '>= 4'}])), why='hints', ours=refuses(
        'physical_disks of logical disk 1: ' + NO_SUCH_HINT))
    for name, reason in (('a b', PORTABLE), ('root:data', PORTABLE), ('-root', PORTABLE), ('Größe', PORTABLE),
                         ('', "an array's name has 1 to 32 letters"),
                         ('a-name-of-more-than-32-characters', "an array's name has 1 to 32 letters"),
                         ('esp', 'that is the name of the array that mirrors the EFI system partition')):
        yield case(disks(root(volume_name=name)), why='name',
                   ours=refuses(f'volume_name of logical disk 1 is "{name}", and {reason}'))
    yield case(disks(root(volume_name='md1'), data()), why='name',
               ours=refuses('Duplicate software RAID device name md1 detected'))
    yield case(disks(root(volume_name='md0'), data()))
    yield case(disks(root()), found=1, ours=refuses(too_few('1', 1)), why='members')
    yield case(disks(root()), found=0, ours=refuses(too_few('1', 0)), why='members')
    yield case(disks(root(), data(raid_level='5', physical_disks=HINTS)), ours=refuses(too_few('5', 2)),
               why='members')
    yield case(disks(root(), data(raid_level='6', physical_disks=HINTS)), found=3,
               ours=refuses(too_few('6', 2)), why='members')


def layout(configuration, sizes, mode='uefi', label=None, ours=None, why=None):
    """Disks of these bytes, divided for this firmware."""
    written = {'configuration': configuration, 'sizes': sizes, 'boot_mode': mode, 'disk_label': label}
    if why:
        written |= {'farrier': ours, 'why': why}
    return written


def named(*names):
    return [{'name': f'/dev/{name}'} for name in names]


def all_layouts():
    """Disks are sda, sdb and so on."""
    two, four = disks(root(size_gb=10)), disks(root(size_gb=4), data(raid_level='5'))
    for mode, label in (('uefi', None), ('bios', None), ('bios', 'gpt'), ('uefi', 'msdos')):
        yield layout(two, [16 * GIB] * 2, mode, label)
        yield layout(four, [16 * GIB] * 4, mode, label)
        # The one that takes what is left is made last, wherever it stands.
        yield layout(disks(root(size_gb='MAX'), data(size_gb=3)), [12 * GIB] * 2, mode, label)
    # Disks as they are sold: the last MiB is never whole.
    for size in (500107862016, 480103981056, 1000204886016, 1920383410176, 240057409536, 3840755982336, 8001563222016):
        yield layout(disks(root(size_gb='MAX')), [size] * 2)
        yield layout(disks(root(size_gb=100), data(raid_level='1+0')), [size] * 4)
    for size in (500107862016, 1000204886016):
        yield layout(disks(root(size_gb='MAX')), [size] * 2, 'bios')
    # Around the points where a rounded end changes.
    for step in range(0, 9):
        yield layout(disks(root(size_gb='MAX')), [8 * GIB + step * (MIB // 8)] * 2)
        yield layout(disks(root(size_gb='MAX')), [8 * GIB + step * (MIB // 8)] * 2, 'bios')
    # Different sizes, and volumes of different disks.
    yield layout(disks(root(size_gb=4), data()), [8 * GIB, 12 * GIB, 20 * GIB])
    yield layout(disks(root(size_gb=4, physical_disks=named('sda', 'sdb')),
                       data(physical_disks=named('sdc', 'sdd'))), [8 * GIB] * 4)
    yield layout(disks(root(size_gb=4, physical_disks=named('sda', 'sdb')),
                       data(physical_disks=named('sdb', 'sdc'))), [8 * GIB] * 3)
    yield layout(disks(root(size_gb=4, physical_disks=named('sdb', 'sda')),
                       data(raid_level='1', size_gb=2, physical_disks=named('sda', 'sdb'))), [8 * GIB] * 2)
    yield layout(disks(root(size_gb=4, physical_disks=[{'size': '>= 10'}, {'size': '>= 6'}]),
                       data(physical_disks=[{'size': '>= 6'}, {'size': '>= 10'}])), [8 * GIB, 12 * GIB, 16 * GIB])
    yield layout(disks(root(size_gb=4, volume_name='root'), data(volume_name='data')), [8 * GIB] * 2)
    # What finds no disk.
    yield layout(disks(root(size_gb=4, physical_disks=[{'size': '>= 10'}, {'size': '>= 100'}])), [16 * GIB] * 2)
    yield layout(disks(root(size_gb=4, physical_disks=named('sda', 'sda'))), [16 * GIB] * 2)
    # What has no room.
    for configuration, sizes in ((disks(root(size_gb=16)), [16 * GIB] * 2),
                                 (disks(root(size_gb=17)), [16 * GIB] * 2),
                                 (disks(root(size_gb=8), data(size_gb=8)), [16 * GIB] * 2),
                                 (disks(root(size_gb=10)), [16 * GIB, 8 * GIB])):
        yield layout(configuration, sizes, why='size',
                     ours={'refuses': 'Failed to create partitions on', 'is_touched': False})
