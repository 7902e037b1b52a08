"""Cases of root device hints: what they are asked of, and where farrier answers differently.

A case without an answer of its own wants the reference's. Another answer needs a reason.
"""

GIB = 1 << 30


def device(name, size, rotational, **fields):
    """A disk as the reference describes it; serial and wwn are everything that its sources say."""
    return {'name': f'/dev/{name}', 'size': size, 'rotational': rotational,
            'model': fields.pop('model', None), 'vendor': fields.pop('vendor', None),
            'serial': fields.pop('serial', [None, None, None]),
            'wwn': fields.pop('wwn', [None, None]), **fields}


DEVICES = {each['name'].removeprefix('/dev/'): each for each in (
    device('sda', 500107862016, True, model='ACME D8 500', vendor='ATA', tran='sata',
           serial=['AC0001', 'AC0001', 'ACME_D8_500_AC0001'], hctl='0:0:0:0',
           wwn=['0x5000c500aabbcc01', '0x5000c500aabbcc01'],
           wwn_with_extension='0x5000c500aabbcc01',
           by_path='/dev/disk/by-path/pci-0000:00:17.0-ata-1'),
    device('sdb', 240 * GIB, False, model='Samsung SSD 970', vendor='ATA', tran='sata',
           serial=['S5 12x', 'S5 12x', 'Samsung_SSD_970_S5_12x'], hctl='1:0:0:0',
           wwn=['0x5002538e00000001', '0x5002538e00000001'],
           wwn_with_extension='0x5002538e00000001',
           by_path='/dev/disk/by-path/pci-0000:00:17.0-ata-2.0',
           by_paths=['/dev/disk/by-path/pci-0000:00:17.0-ata-2']),
    device('sdc', 10 * GIB, True, model='LUN C-Mode', vendor='NETAPP', tran='fc',
           serial=['80aabbccdd', '3600a0980aabbccdd0000000000000001', None], hctl='7:0:0:1',
           wwn=['0x600a0980aabbccdd0000000000000001', '0x600a0980aabbccdd'],
           wwn_with_extension='0x600a0980aabbccdd0000000000000001',
           wwn_vendor_extension='0x0000000000000001',
           by_path='/dev/disk/by-path/pci-0000:3b:00.0-fc-0x5006016012345678-lun-1'),
    device('vda', 10 * GIB + GIB // 2, True, vendor='0x1af4',
           by_path='/dev/disk/by-path/pci-0000:00:06.0'),
    device('nvme0n1', 100 * GIB, False, model='Größe 100% (X+)', tran='nvme',
           serial=['N-1', None, None], wwn=['eui.0011223344556677', None],
           by_path='/dev/disk/by-path/pci-0000:65:00.0-nvme-1'),
    device('sde', 3 * GIB, True, model='Flash', vendor='USB', tran='usb',
           serial=['00123', '00123', 'USB_Flash_00123-0:0'], hctl='8:0:0:0'),
    device('md0', 239 * GIB, False),
    # These are only in the cases that name them.
    device('odd0', 10 * GIB, False, model='<none>'),
    device('odd1', 10 * GIB, False, model='s== Flash'),
    device('odd2', 10 * GIB, False, model='', serial=['', None, None]),
    device('odd3', 10 * GIB, False, model='<in>'),
    device('odd4', 10 * GIB, False, model='none'),
    device('min', 4 * GIB, False),
    device('low', 4 * GIB - 1, False),
    device('x10', 8 * GIB, True),
    device('x9', 8 * GIB, True),
)}
FLEET = ['sda', 'sdb', 'sdc', 'vda', 'nvme0n1', 'sde', 'md0']


def disk_of_mirrors(letter, number):
    return device(f'sd{letter}', 937703088 * 512, False, model='ACME D8 480', vendor='ATA',
                  tran='sata', serial=[f'S{number}', f'S{number}', f'ACME_D8_480_S{number}'],
                  wwn=[f'0x5000c500aabbcc{number - 1}0'] * 2, hctl=f'{number - 1}:0:0:0')


MIRROR = ['/dev/sda', '/dev/sdb']
MACHINES = {'software-raid': {
    'devices': [*(disk_of_mirrors(letter, number + 1) for number, letter in enumerate('abc')),
                device('md0', 209586048 * 512, False), device('md1', 419166208 * 512, False),
                device('md2', 104790016 * 512, False)],
    'arrays': {'/dev/md0': {'holders': MIRROR, 'volume_name': 'root'},
               '/dev/md1': {'holders': MIRROR, 'volume_name': 'data'},
               '/dev/md2': {'holders': MIRROR, 'volume_name': None},
               '/dev/md127': {'holders': [], 'volume_name': None}}}}

REASONS = {
    'crash': 'The reference fails with an error that names neither the hint nor what to do.',
    'promised': 'Ironic\'s documentation promises it; the reference accepts it and never matches, '
                'or refuses it.',
    'type': 'Ironic\'s documentation has this operator for another type; the reference compares a '
            'number with text, which tells nothing about the disk.',
    'missing': 'A property that a disk does not have is no text: it is unequal to everything and '
               'meets no other condition. The reference takes it for the text "none", or passes '
               'the disk over.',
    'every name': 'A disk has a serial number if it has it under any of its names, so "not this '
                  'one" speaks of all of them. The reference is content with one other name.',
    'links': 'A disk can have several links; the reference knows the one it read last.',
    'one comparison': 'Only <or> can be repeated. The reference compares with the first value and '
                      'forgets the others.',
    'alternatives': 'The reference loses alternatives behind an empty one, and takes an operator '
                    'inside an alternative for text.',
    'digits': 'A size is written in digits; the reference reads it by the rules of Python\'s int().',
    'plain text': 'What a disk says about itself is text. The reference looks for operators in it.',
    'json': 'The value is shown as it stands in the node, not as Python prints it.',
    'no object': 'The reference takes the letters of a text, the elements of a list and the names '
                 'in an object for hints.',
    'uncaught': 'In a skip list the reference does not catch the error: the conductor gets one '
                'without a class.',
    'protect': 'A mistake in a list of what is to be left alone must not end in an erased disk; '
               'the reference passes over it.',
    'whole stack': 'What lies on a device that is left alone, and what that lies on, is left '
                   'alone with it. The reference would deploy onto a member disk of a kept array.',
}


def refuses(text):
    return {'refuses': text}


def no_value(hint, operator):
    return refuses(f'Root device hint "{hint}" has the operator {operator} but no value after it; '
                   'a value cannot start with an operator')


def repeated(hint, operator):
    return refuses(f'Root device hint "{hint}" has the operator {operator} twice; only <or> can '
                   'be repeated')


def wrong(hint, operator):
    usable = ('=, ==, !=, <, <=, >, >=, <or>, <range-in>' if hint == 'size'
              else 's==, s!=, s<, s<=, s>, s>=, <in>, <all-in>, <or>')
    return refuses(f'Root device hint "{hint}" cannot be compared with {operator}; use one of '
                   f'{usable}')


def no_range(value):
    return refuses('Root device hint "size" needs a range like "<range-in> [ 10 20 ]", or with '
                   f'( or ) to leave a boundary out. Current value: {value}')


def not_text(hint, value):
    return refuses(f'Root device hint "{hint}" is not a string value. Hint expression: {value}')


def not_integer(value):
    return refuses(f'Root device hint "size" is not an integer value. Current value: {value}')


def found(*names):
    return {'matches': [f'/dev/{name}' for name in names]}


def chosen(name):
    return {'chooses': name and f'/dev/{name}'}


def left(*names):
    return {'leaves': [f'/dev/{name}' for name in names]}


NO_OBJECT = refuses('Root device hints must be an object of names and expressions')
NO_LIST = refuses('A list of hints must be a list of objects of names and expressions')

# (hints, answer of ours, reason, devices); what is left out is the reference's and the fleet.
HINTS = {
    'Text': [
        ({'model': 'ACME D8 500'},),
        ({'model': 'acme d8 500'},),
        ({'model': '  ACME d8 500\t'},),
        ({'model': 'ACME'},),
        ({'model': 'ACME  D8 500'},),
        ({'model': 'ACME%20D8%20500'},),
        ({'model': 'GRÖßE 100% (x+)'},),
        ({'model': 's== samsung ssd 970'},),
        ({'model': 'S== Samsung SSD 970'},),
        ({'model': 's==flash'},),
        ({'model': 's!= flash'}, found('sda', 'sdb', 'sdc', 'vda', 'nvme0n1', 'md0'),),
        ({'vendor': 's< b'}, found('sda', 'sdb', 'vda'),),
        ({'vendor': 's<= ata'},),
        ({'vendor': 's> netapp'}, found('sde'), 'missing'),
        ({'vendor': 's>= netapp'}, found('sdc', 'sde'), 'missing'),
        ({'model': 's< samsung-'}, found('sda', 'sdb', 'sdc', 'nvme0n1', 'sde'), 'missing'),
    ],
    'Parts of text': [
        ({'model': '<in> SSD'},),
        ({'model': '<in>ssd 9'},),
        ({'model': '<in> d8 500'},),
        ({'by_path': '<in> -nvme-'},),
        ({'model': '<in> %'},),
        ({'model': '<all-in> 970 samsung'}, found('sdb'), 'promised'),
        ({'model': '<all-in> 980 samsung'}, found(), 'promised'),
        ({'serial': '<all-in> s5 samsung'}, found('sdb'), 'promised'),
    ],
    'Alternatives': [
        ({'vendor': '<or> netapp <or> usb'},),
        ({'vendor': '<or> NETAPP'},),
        ({'model': '<or> flash <or> Samsung SSD 970 <or> other'},),
        ({'model': '<or>flash<or>lun c-mode'},),
        ({'model': '<OR> Flash <OR> x'},),
        ({'name': '<or> /dev/sdb <or> /dev/md0'},),
        ({'vendor': '<or> ata <or>'},),
        ({'vendor': '<or> usb <or> <or> netapp'}, found('sdc', 'sde'), 'alternatives'),
        ({'vendor': '<or> usb <or> <in> net'}, no_value('vendor', '<or>'), 'alternatives'),
    ],
    'Size': [
        ({'size': 240},),
        ({'size': '240'},),
        ({'size': ' 240 '},),
        ({'size': '+240'},),
        ({'size': 465},),
        ({'size': 10},),
        ({'size': '== 10'},),
        ({'size': '!= 10'},),
        ({'size': '= 100'},),
        ({'size': '>= 465'},),
        ({'size': '>=466'},),
        ({'size': '> 10'},),
        ({'size': '> 240'},),
        ({'size': '<= 10'},),
        ({'size': '< 11'},),
        ({'size': '<or> 3 <or> 10'}, found('sdc', 'sde'), 'promised'),
        ({'size': '<OR> 3 <OR> 465'}, found('sde'), 'promised'),
        ({'size': '<range-in> [ 10 100 ]'}, found('sdc', 'vda', 'nvme0n1'), 'promised'),
        ({'size': '<range-in> ( 10 100 )'}, found('vda'), 'promised'),
        ({'size': '<range-in> [ 465.5 466 )'}, found('sda'), 'promised'),
        ({'size': '<range-in> [ 100 10 ]'}, no_range('<range-in> [ 100 10 ]'), 'promised'),
        ({'size': '<range-in> 10 100'}, no_range('<range-in> 10 100'), 'promised'),
        ({'size': '1_0'}, not_integer('1_0'), 'digits'),
        ({'size': 's== 10'}, wrong('size', 's=='), 'type'),
        ({'size': 's!= 10'}, wrong('size', 's!='), 'type'),
        ({'size': 's< 10'}, wrong('size', 's<'), 'crash'),
        ({'size': '<in> 10'}, wrong('size', '<in>'), 'crash'),
        ({'size': '<all-in> 10'}, wrong('size', '<all-in>'), 'crash'),
    ],
    'Rotational': [
        *(({'rotational': value},) for value in
          (True, False, 'true', ' Yes ', 'ON', '1', 1, 't', 'y', 'off', 'No', '0', 'F', 'n')),
        ({'rotational': 'maybe'},),
        ({'rotational': '== true'},),
        ({'rotational': 2},),
        ({'rotational': None}, refuses(
            'Root device hint "rotational" is not a Boolean value. Current value: null'), 'json'),
        ({'rotational': ''},),
    ],
    'Several names of one disk': [
        ({'serial': 'ac0001'},),
        ({'serial': 'ACME_D8_500_AC0001'},),
        ({'serial': 's5 12X'},),
        ({'serial': '00123'},),
        ({'serial': '123'},),
        ({'serial': '<in> 12'},),
        ({'serial': '<or> N-1 <or> 80aabbccdd'},),
        ({'serial': 's!= 80aabbccdd'},
         found('sda', 'sdb', 'vda', 'nvme0n1', 'sde', 'md0'), 'every name'),
        ({'serial': 's!= n-1'}, found('sda', 'sdb', 'sdc', 'vda', 'sde', 'md0'), 'missing'),
        ({'wwn': '0x5002538E00000001'},),
        ({'wwn': '0x600a0980aabbccdd'},),
        ({'wwn': '0x600a0980aabbccdd0000000000000001'},),
        ({'wwn': '<in> eui.'},),
        ({'by_path': '/dev/disk/by-path/pci-0000:00:17.0-ata-2.0'},),
        ({'by_path': '/dev/disk/by-path/pci-0000:00:17.0-ata-2'}, found('sdb'), 'links'),
    ],
    'The other hints': [
        ({'name': '/dev/nvme0n1'},),
        ({'name': 'sda'},),
        ({'name': 's!= /dev/sda'},),
        ({'hctl': '1:0:0:0'},),
        ({'hctl': '<in> :0:0:1'},),
        ({'wwn_with_extension': '0x5000c500aabbcc01'},),
        ({'wwn_vendor_extension': '0x0000000000000001'},),
        ({'tran': 'nvme'},),
        ({'tran': '<or> sata <or> FC'},),
        ({'by_path': '/dev/disk/by-path/pci-0000:65:00.0-nvme-1'},),
    ],
    'What a disk does not have': [
        ({'vendor': 'none'}, found(), 'missing'),
        ({'vendor': '<in> on'}, found(), 'missing'),
        ({'vendor': '<or> none <or> usb'}, found('sde'), 'missing'),
        ({'vendor': 's!= none'}, found(*FLEET), 'missing'),
        ({'tran': 's!= usb'},),
        ({'serial': 'none'},),
        ({'model': 'none'}, found('odd4'), 'missing', ['vda', 'odd4']),
        ({'model': 's!= flash'}, found('odd2', 'odd4'), 'missing', ['odd2', 'odd4']),
        ({'serial': 's!= flash'}, found('odd2'), 'missing', ['odd2']),
        ({'serial': '<in> a'}, None, None, ['odd2']),
    ],
    'Several hints': [
        ({'size': '>= 60', 'rotational': False},),
        ({'size': '>= 60', 'rotational': False, 'vendor': 'ata'},),
        ({'model': 'flash', 'vendor': 'ata'},),
        ({'serial': 'AC0001', 'wwn': '0x5000c500aabbcc01', 'hctl': '0:0:0:0', 'tran': 'sata'},),
        ({'size': '<or> 3 <or> 240', 'tran': 's!= usb'}, found('sdb'), 'promised'),
    ],
    'Refused': [
        ({'colour': 'red'},),
        ({'volume_name': 'root'},),
        ({'Size': 10},),
        ({'model': ''},),
        ({'model': '  '},),
        ({'size': ''},),
        ({'size': 'ten'},),
        ({'size': '10 GiB'},),
        ({'size': '>= ten'},),
        ({'size': '10.5'},),
        ({'size': 10.0},),
        ({'size': 1e3},),
        ({'size': 0},),
        ({'size': -5},),
        ({'size': '>= -1'},),
        ({'size': '>= 60 <= 100'},),
        ({'size': '<or> 5 <or> ten'},),
        ({'size': '<or> 5 <or> 0'},),
        ({'size': True}, not_integer('true'), 'json'),
        ({'size': None}, not_integer('null'), 'json'),
        ({'size': [10]},),
        ({'serial': 123},),
        ({'serial': 1.5},),
        ({'serial': True}, not_text('serial', 'true'), 'json'),
        ({'serial': None}, not_text('serial', 'null'), 'json'),
        ({'serial': ['AC0001']}, not_text('serial', '["AC0001"]'), 'json'),
        ({'serial': {'a': 1}}, not_text('serial', '{"a":1}'), 'json'),
        (['sda'], NO_OBJECT, 'no object'),
        ('sda', NO_OBJECT, 'no object'),
    ],
    'Corners of the grammar': [
        ({'model': '!= flash'}, wrong('model', '!='), 'type'),
        ({'model': '== flash'}, wrong('model', '=='), 'type'),
        ({'serial': '== 123'}, wrong('serial', '=='), 'type'),
        ({'model': '>= 5'}, wrong('model', '>='), 'type'),
        ({'model': '<range-in> [ 1 2 ]'}, wrong('model', '<range-in>'), 'type'),
        ({'model': '<none>'}, wrong('model', '<'), 'type', ['odd0']),
        ({'model': '<in> none'}, None, None, ['odd0']),
        ({'model': '<in> ==flash'}, no_value('model', '<in>'), 'crash'),
        ({'model': '<in> flash'}, None, None, ['odd1']),
        ({'model': '<in> s%3d'}, None, None, ['odd1']),
        ({'model': '<in> in'}, found('odd3'), 'plain text', ['odd3']),
        ({'model': 's=='}, no_value('model', 's=='), 'crash'),
        ({'model': '<in>'}, no_value('model', '<in>'), 'crash'),
        ({'model': '<or>'}, no_value('model', '<or>'), 'crash'),
        ({'model': 's== <in> flash'}, no_value('model', 's=='), 'crash'),
        ({'model': 's== flash s== acme'}, repeated('model', 's=='), 'one comparison'),
        ({'model': '<in> acme <in> 500'}, repeated('model', '<in>'), 'one comparison'),
        ({'size': '>= 10 >= 100'}, repeated('size', '>='), 'one comparison'),
        ({'size': '=> 10'}, no_value('size', '='), 'crash'),
        ({'size': '>='}, no_value('size', '>='), 'crash'),
        ({'size': '<or> 3 <or> <or> 10'}, found('sdc', 'sde'), 'alternatives'),
        ({'model': 'flash s== acme'},),
        ({'model': 'model=5'},),
        ({'model': 'all-in flash'},),
    ],
}


def node(properties=None, instance_info=None):
    return {'properties': properties or {}, 'instance_info': instance_info or {}}


def skipping(*entries, **properties):
    return node({'skip_block_devices': list(entries), **properties})


RAID = {'machine': 'software-raid'}
# (node, answer of ours, reason, devices or what else there is); as above.
NODES = {
    'Without hints': [
        (node(), None, None, ['sda', 'sdb', 'nvme0n1']),
        (node(), None, None, ['sde', 'sdb', 'sda']),
        (node(), None, None, ['min', 'sda']),
        (node(), None, None, ['low', 'sda']),
        (node(), None, None, ['low', 'sde']),
        (node(), None, None, ['x9', 'x10']),
        (node(), None, None, ['x10', 'x9']),
        (node(), None, None, []),
        (node({'root_device': {}}), None, None, ['sdb', 'sdc']),
        (node({'root_device': None}), None, None, ['sdb', 'sdc']),
        (node({'root_device': ''}), None, None, ['sdb', 'sdc']),
        (node(), None, None, RAID),
    ],
    'Whose hints': [
        (node({'root_device': {'model': 'flash'}}),),
        (node({'root_device': {'model': 'flash'}}, {'root_device': {'tran': 'nvme'}}),),
        (node({'root_device': {'model': 'flash'}}, {'root_device': {}}),),
        (node({'root_device': {'rotational': False}}),),
        (node({'root_device': {'rotational': False}}, None), None, None, ['nvme0n1', 'sdb']),
        (node({'root_device': {'model': 'other'}}),),
        (node({'root_device': {'size': 'ten'}}),),
        (node({'root_device': 'sda'}), NO_OBJECT, 'no object'),
    ],
    'Disks that are left alone': [
        (skipping(),),
        (skipping({'name': '/dev/sdc'}),),
        (skipping({'size': '< 100'}),),
        (skipping({'name': '/dev/sdc'}, {'name': '/dev/vda'}),),
        (skipping({'tran': 'fc', 'vendor': 'ata'}),),
        (skipping({'model': 'flash'}, root_device={'model': 'flash'}),),
        (skipping({'vendor': 'ata'}, root_device={'rotational': False}),),
        (skipping({'rotational': True}, root_device={'size': '<= 100'}),),
        (skipping({'size': '>= 1'}), chosen(None), None, ['sda', 'sdb']),
        (skipping({'size': '<or> 10 <or> 3'}), chosen('vda'), 'promised'),
        (skipping({'vendor': 'none'}), chosen('md0'), 'missing', ['md0', 'sdb']),
        (skipping({'colour': 'red'}), refuses(
            'The hints "colour" are invalid. Valid hints are: "size, model, wwn, serial, vendor, '
            'wwn_with_extension, wwn_vendor_extension, name, rotational, hctl, by_path, tran"'),
         'uncaught'),
        (skipping({'size': 'ten'}), not_integer('ten'), 'uncaught'),
        (skipping('/dev/sdc'), NO_OBJECT, 'no object'),
        (node({'skip_block_devices': {'name': '/dev/sdc'}}), NO_LIST, 'no object'),
        (node({'skip_block_devices': '/dev/sdc'}), NO_LIST, 'no object'),
        (skipping({'volume_name': 'none of them'}),),
        (skipping({'volume_name': 5}), not_text('volume_name', '5'), 'protect'),
    ],
    'Arrays that are left alone': [
        (skipping({'volume_name': 'data'}), None, None, RAID),
        (skipping({'volume_name': 'root'}, root_device={'name': '/dev/md0'}), None, None, RAID),
        (skipping({'volume_name': 'Data'}, root_device={'name': '/dev/md1'}), None, None, RAID),
        (skipping({'volume_name': 'data'}, root_device={'serial': 'S1'}), chosen(None),
         'whole stack', RAID),
        (skipping({'volume_name': 'data'}, root_device={'name': '/dev/md1'}), None, None, RAID),
        (skipping({'volume_name': 'data', 'serial': 'S3'}, root_device={'serial': 'S3'}),
         None, None, RAID),
        (skipping({'serial': 'S1'}, root_device={'name': '/dev/md0'}), chosen(None),
         'whole stack', RAID),
        (skipping({'volume_name': 'data'}), left('sdc', 'md0', 'md2'), 'whole stack',
         {**RAID, 'purpose': 'devices'}),
        (skipping({'volume_name': 'data'}), left('sdc'), 'whole stack',
         {**RAID, 'purpose': 'metadata'}),
        (skipping({'volume_name': 'none of them'}), None, None, {**RAID, 'purpose': 'metadata'}),
    ],
}


def all_cases():
    for table, key in ((HINTS, 'hints'), (NODES, 'node')):
        for group, rows in table.items():
            for subject, ours, why, extra in ((*row, *(None,) * (4 - len(row))) for row in rows):
                if not isinstance(extra, dict):
                    extra = {'devices': FLEET if extra is None else extra}
                yield {'group': group, key: subject, **extra,
                       **({'farrier': ours} if ours else {}), **({'why': why} if why else {})}
