"""Odd requests to an agent's command API: what the reference makes of them, and what this does.

A case wants the reference's answer, but for those of answers.py. Another answer needs a reason.
"""

import base64
import json

import answers

TOKEN = '4rJqxKHVBcL853TT1y6KuEUBj1WNRMxOMi-gIHo0c0I'
WITH_TOKEN = f'wait=true&agent_token={TOKEN}'
COMMANDS = '/v1/commands/'

NODE = {'uuid': '1be2'}
STEP = {'step': 'erase_devices', 'interface': 'deploy'}
SHA256 = 'a' * 64
IMAGE = {'id': 'one.raw', 'urls': ['http://192.0.2.1/one.raw'], 'checksum': SHA256}
# crypt(5) of "password"
HASH = ('$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1')

REASONS = {
    'broken list': 'The reference answers 500, and after most such requests its list of commands answers 500 for ever '
                   '(contract/control-plane 13).',
    'words': 'The same answer. The reference lets Python say what is wrong, in the terms of its own code.',
    'type': 'What is wrong is a parameter, and the error is of the class for that.',
    'named': 'The reference tells a missing key as a missing extension (contract/control-plane 13).',
    'bare': 'The reference lists a failed command under another name (contract/control-plane 13).',
    'earlier': 'What cannot be run as a whole is refused before anything of it runs, in the shape for wrong parameters.',
    'image': 'An image has a name: the reference takes an image whose id is null for the one that it has just written, '
             'writes nothing, and reports success.',
    'scheme': "A URL's scheme may be in capitals (RFC 3986 3.1).",
    'reason': 'The error says why the checksum does not do.',
    'password': 'With an empty password, or a hash that no password has, the rescue system would be open to everybody or '
                'to nobody.',
    'bootc': 'There is no bootc here yet, and the error says so.',
    'accident': "A text of two letters is no argument with its value, although Python takes it apart.",
    'json': 'It is no JSON (RFC 8259), or not in UTF-8; no conductor sends it.',
    'deep': 'Values lie in one another 127 deep at most, so that no request takes the stack of the agent.',
    'server': 'A path that begins with two slashes is one that is not there; the server that the reference uses '
              'refuses it as a request of another kind.',
}


def case(name, body, query=WITH_TOKEN, **more):
    """A POST of this body: an object, or text as it is sent."""
    if not isinstance(body, (str, bytes)):
        body = json.dumps(body, ensure_ascii=False)
    sent = {'base64': base64.b64encode(body).decode()} if isinstance(body, bytes) else {'body': body}
    return {'name': name, 'method': 'POST', 'target': f'{COMMANDS}?{query}', **sent, **more}


def command(name, what, /, **params):
    """A command with these parameters."""
    return case(f'{name}: {what}', {'name': name, 'params': params})


def all_cases():
    """Every case, with the answer of our own where that is another one."""
    otherwise = dict(answers.all_answers())
    every = (getting_steps, executing_steps, images, others, flows, bodies, queries)
    for each in (each for part in every for each in part()):
        why, ours = otherwise.pop(each['name'], (None, None))
        yield {**each, 'farrier': ours, 'why': why} if why else each
    assert not otherwise, otherwise.keys()


def getting_steps():
    get = 'clean.get_clean_steps'
    for what, ports in (('an object', {}), ('null', None), ('a string', 'eth0'), ('a number', 7), ('false', False),
                        ('one port, without its list', {'address': '52:54:00:00:00:01'}),
                        ('a list of anything', [1, None, 'x', []])):
        yield command(get, f'ports are {what}', node=NODE, ports=ports)
    yield command('deploy.get_deploy_steps', 'ports are an object', node=NODE, ports={})
    yield command(get, 'no ports', node=NODE)
    yield command(get, 'no node', ports=[])
    yield command(get, 'nothing')
    for what, uuid in (('a number', 1), ('null', None), ('empty', ''), ('an object', {})):
        yield command(get, f'the UUID is {what}', node={'uuid': uuid}, ports=[])
    for what, node in (('has no UUID', {'name': 'n1'}), ('is empty', {}), ('is null', None), ('is a list', []),
                       ('is its UUID', '1be2'), ('is a number', 5)):
        yield command(get, f'the node {what}', node=node, ports=[])
    yield command(get, 'fields of the node are of other types', ports=[],
                  node={'uuid': '1be2', 'properties': 5, 'instance_info': None, 'driver_internal_info': [],
                        'target_raid_config': 'none', 'driver_info': True})
    yield command(get, 'letters from anywhere', node={'uuid': '1be2', 'name': 'Größe-漢字-🦀'}, ports=[])
    yield command(get, 'a parameter too many', node=NODE, ports=[], step={})
    yield command(get, 'the name of an argument of the call itself', node=NODE, ports=[], command_name='x')
    yield case('a UUID that comes twice',
               '{"name": "clean.get_clean_steps", "params": {"node": {"uuid": 1, "uuid": "1be2"}, "ports": []}}')
    yield command('service.get_service_steps', 'a manager fails', node=NODE, ports=[])


def executing_steps():
    run = 'clean.execute_clean_step'

    def step(what, step, **more):
        return command(run, what, step=step, **{'node': NODE, 'ports': [], **more})

    yield step('a step and no more', {'step': 'erase_devices'})
    yield step('more in the step', {**STEP, 'priority': '99', 'x': {'y': [1, 2.5, None]}, 'Größe': '漢'})
    yield step('ports are an object', STEP, ports={})
    yield step('ports are null', STEP, ports=None)
    yield step('the UUID is a number', STEP, node={'uuid': 7})
    yield command(run, 'no ports', step=STEP, node=NODE)
    yield command(run, 'nothing')
    yield step('the node has no UUID', STEP, node={'name': 'n1'})
    yield step('the node is null', STEP, node=None)
    yield command('deploy.execute_deploy_step', 'the step is its name', step='erase_devices', node=NODE, ports=[])
    for what, given in (('empty', {}), ('null', None), ('a list', []), ('a list with the word', ['step']),
                        ('a number', 5)):
        yield step(f'the step is {what}', given)
    for what, name in (('null', None), ('a number', 5), ('empty', ''), ('unknown', 'make_coffee'), ('a list', [])):
        yield step(f'the name of the step is {what}', {'step': name})
    for what, args in (('null', None), ('an empty string', ''), ('an empty list', []), ('zero', 0), ('false', False),
                       ('empty', {}), ('pairs', [['a', 1], ['b', None]]), ('a string', 'ab'), ('a number', 5),
                       ('pairs in strings', ['ab']), ('a list of one', [['a']]), ('pairs without names', [[1, 2]])):
        yield step(f'the arguments are {what}', {**STEP, 'args': args})
    for what, version in (('null', None), ('ours', {'generic_hardware_manager': '1.2'}),
                          ('empty', {}), ('a string', '1.2'), ('false', False),
                          ('of one manager more', {'generic_hardware_manager': '1.2', 'x': '1'}),
                          ('a number', {'generic_hardware_manager': 1.2})):
        yield step(f'the version is {what}', STEP, clean_version=version)
    yield step('parameters that nobody knows', STEP, x=1, deploy_version={'y': 'z'}, wait=True)
    yield step('a parameter without a name', STEP, **{'': 1})
    yield step('the name of an argument of the call itself', STEP, command_name='x')


def images():
    def image(what, **changed):
        info = {**IMAGE, **changed}
        return command('standby.prepare_image', what, image_info={key: value for key, value in info.items()
                                                                  if value is not ...})

    prepare = 'standby.prepare_image'
    yield image('as it is sent')
    yield command(prepare, 'nothing')
    yield command(prepare, 'nothing but a config drive', configdrive='H4sI')
    for what, info in (('null', None), ('empty', {}), ('an empty list', []), ('a list', ['id', 'urls']),
                       ('a string', 'id urls'), ('a number', 5)):
        yield command(prepare, f'the image is {what}', image_info=info)
    yield image('no id', id=...)
    yield image('the id is a number', id=5)
    yield image('the id is null', id=None)
    yield image('the id is a list', id=['one'])
    yield image('the id is empty', id='')
    yield image('no URLs', urls=...)
    yield image('the URLs are one', urls='http://192.0.2.1/one.raw')
    yield image('the URLs are none', urls=[])
    yield image('the URLs are null', urls=None)
    yield image('no checksum', checksum=...)
    yield image('the checksum is null', checksum=None)
    yield image('the checksum is empty', checksum='')
    yield image('the checksum is a number', checksum=5)
    yield image('the checksum is an MD5', checksum='a' * 32)
    yield image('the checksum is at a URL', checksum='HTTP://192.0.2.1/SUMS')
    yield image('a hash without its algorithm', checksum=..., os_hash_value=SHA256)
    yield image('an algorithm without its hash', os_hash_algo='sha256')
    yield image('the hash is a number', os_hash_algo='sha256', os_hash_value=5)
    yield image('an empty hash beside a checksum', os_hash_algo='', os_hash_value=None)
    yield image('fields that nobody knows', **{'x': 1, 'Größe': None, 'tags': [[]]})
    yield image('the type is a number', image_type=5)
    yield image('the node is a number', node_uuid=5)
    yield command(prepare, 'the config drive is null', image_info=IMAGE, configdrive=None)
    yield command(prepare, 'the config drive is empty', image_info=IMAGE, configdrive='')
    yield command(prepare, 'a parameter too many', image_info=IMAGE, x=1)
    yield command(prepare, 'a parameter too many, and no image', x=1)
    yield command('deploy.execute_deploy_step', 'the image is empty', node=NODE, ports={},
                  step={'step': 'write_image', 'args': {'image_info': {}}})


def others():
    install = 'image.install_bootloader'
    yield command(install, 'the root is null', root_uuid=None)
    yield command(install, 'no root', target_boot_mode='uefi')
    yield command(install, 'everything else is null', root_uuid='0x00000000', efi_system_part_uuid=None,
                  prep_boot_part_uuid=None, target_boot_mode=None, ignore_bootloader_failure=None)
    yield command(install, 'everything else is of another type', root_uuid='0x00000000', prep_boot_part_uuid=[1],
                  target_boot_mode=5, ignore_bootloader_failure=1)
    yield command(install, 'a parameter too many', root_uuid=None, x=1)

    bootc = 'standby.execute_bootc_install'
    yield command(bootc, 'the image alone', image_source='oci://192.0.2.1/os:1')
    yield command(bootc, 'nothing')

    for name in ('standby.run_image', 'standby.power_off'):
        yield command(name, 'nothing')
    yield command('standby.power_off', 'a parameter too many', now=True)
    yield command('standby.sync', 'nothing')
    yield command('standby.sync', 'a parameter too many', x=None)
    yield command('standby.get_partition_uuids', 'nothing')
    yield command('standby.get_partition_uuids', 'a parameter too many', image='one.raw')

    rescue = 'rescue.finalize_rescue'
    yield command(rescue, 'a hash', rescue_password=HASH, hashed=True)
    yield command(rescue, 'hashed is a number', rescue_password=HASH, hashed=1)
    yield command(rescue, 'hashed is a word', rescue_password=HASH, hashed='yes')
    yield command(rescue, 'hashed is null', rescue_password='open sesame', hashed=None)
    yield command(rescue, 'hashed is empty', rescue_password='open sesame', hashed='')
    yield command(rescue, 'letters from anywhere', rescue_password='Sésam-öffne-dich-漢字')
    yield command(rescue, 'nothing')
    yield command(rescue, 'an empty password', rescue_password='')
    yield command(rescue, 'the password is null', rescue_password=None)
    yield command(rescue, 'the password is a number', rescue_password=12345)
    yield command(rescue, 'the hash is a number', rescue_password=12345, hashed=True)
    yield command(rescue, 'the hash is none', rescue_password='open sesame', hashed=True)
    yield command(rescue, 'a parameter too many', rescue_password=HASH, hashed=True, x=1)

    yield command('log.collect_system_logs', 'nothing')
    yield command('log.collect_system_logs', 'a parameter too many', compress=False)
    yield command('system.lockdown', 'nothing')
    yield command('system.lockdown', 'a parameter too many', x=1)
    yield command('poll.get_hardware_info', 'nothing')
    yield command('poll.get_hardware_info', 'a parameter too many', cached=True)
    for what, params in (('nothing', {}), ('null', {'node_info': None}), ('a list', {'node_info': []}),
                         ('a reply to a lookup', {'node_info': {'node': NODE, 'config': {'heartbeat_timeout': 300}}})):
        yield command('poll.set_node_info', what, **params)


def flows():
    def flow(what, given):
        return command('flow.start_flow', what, flow=given)

    sync = {'standby.sync': {}}
    yield flow('two commands', [sync, {'standby.get_partition_uuids': {}}])
    yield flow('two commands in one object', [{**sync, 'standby.get_partition_uuids': {}}])
    for what, given in (('an empty list', []), ('an empty object', {}), ('an empty string', ''),
                        ('of an empty object', [{}]), ('null', None), ('false', False), ('a number', 5),
                        ('a string', 'standby.sync'), ('an object', sync), ('of a string', ['standby.sync']),
                        ('of an empty list', [[]]), ('of a list', [['standby.sync']]), ('of null', [None])):
        yield flow(f'the flow is {what}', given)
    yield flow('parameters are null', [{'standby.sync': None}])
    yield flow('parameters are a list', [{'standby.sync': []}])
    yield flow('a parameter too many for a command', [{'standby.sync': {'x': 1}}])
    yield flow('an extension that is not there', [sync, {'foo.bar': {}}])
    yield flow('a command that is not there', [sync, {'standby.bar': {}}])
    yield flow('a name without a dot', [{'sync': {}}])
    yield flow('a flow in a flow', [{'flow.start_flow': {'flow': []}}])
    yield flow('a step that fails', [{'clean.execute_clean_step': {'step': {}, 'node': NODE, 'ports': []}}])
    yield flow('ports of a step are an object',
               [{'clean.execute_clean_step': {'step': STEP, 'node': NODE, 'ports': {}}}])
    yield command('flow.start_flow', 'nothing')
    yield command('flow.start_flow', 'a parameter too many', flow=[], x=1)


def bodies():
    sync = '{"name": "standby.sync", "params": {}}'

    def text(what, sent, **more):
        return case(f'body: {what}', sent, **more)

    yield text('empty', '')
    yield text('blank', ' \n')
    yield text('null', 'null')
    yield text('a list', '["name", "params"]')
    yield text('a string', '"name params"')
    yield text('a number', '1')
    yield text('empty object', '{}')
    yield text('a comma too many', '{"name": "standby.sync", "params": {},}')
    yield text('single quotes', "{'name': 'standby.sync', 'params': {}}")
    yield text('two documents', sync + sync)
    yield text('blanks around it', f'\r\n\t {sync} \n\n')
    yield text('more names than two', '{"name": "standby.sync", "params": {}, "x": [], "wait": true}')
    yield text('a name that comes twice', '{"name": "foo.bar", "params": [], "params": {}, "name": "standby.sync"}')
    yield text('a name with an escape', r'{"name": "standby\u002esync", "params": {}}')
    yield text('no name', '{"params": {}}')
    yield text('no params', '{"name": "standby.sync"}')
    for what, params in (('null', 'null'), ('a list', '[]'), ('a string', '"{}"'), ('a number', '0')):
        yield text(f'params are {what}', f'{{"name": "standby.sync", "params": {params}}}')
    for name in (1, None, ['standby.sync'], {}, '', '.', 'sync', 'standby.', '.sync', 'standby.sync.', 'Standby.sync',
                 'standby.Sync', ' standby.sync', 'standby.sync\n', 'standby/sync', 'Größe.漢字', 'standby.execute'):
        shown = json.dumps(name, ensure_ascii=False)
        yield text(f'the name is {shown}', f'{{"name": {shown}, "params": {{}}}}')
    yield text('a byte order mark', '\ufeff' + sync)
    yield text('UTF-16', sync.encode('utf-16'))
    yield text('no UTF-8', sync.encode().replace(b'sync', b'\xff\xfe'))
    for what, value in (('NaN', 'NaN'), ('infinity', '-Infinity'), ('too large a number', '1e400'),
                        ('a long number', '123456789012345678901234567890'), ('half a character', r'"\ud83e"'),
                        ('a NUL', r'"\u0000"'), ('a line break in a string', '"a\nb"'), ('a number with a zero', '01'),
                        ('120 lists in one another', '[' * 120 + ']' * 120),
                        ('300 lists in one another', '[' * 300 + ']' * 300)):
        yield text(f'a value is {what}', '{"name": "clean.get_clean_steps", "params": {"node": {"uuid": "1be2", "x": '
                                         f'{value}}}, "ports": []}}}}')
    for kind in ('text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', 'application/xml; x="', ''):
        yield text(f'Content-Type is {json.dumps(kind)}', sync, content_type=kind)


def queries():
    gate = {'name': 'clean.execute_clean_step', 'params': {'step': {'step': 'gate'}, 'node': NODE, 'ports': []}}
    sync = {'name': 'standby.sync', 'params': {}}
    for wait in ('wait=true', 'wait=TRUE', 'wait=true&wait=false', 'wait=1', 'wait=yes', 'wait=', 'wait', 'wait=true%20',
                 'wait=false&wait=true', 'WAIT=true', 'wait=tr%75e', 'x=1'):
        yield case(f'query: {wait}', gate, query=f'{wait}&agent_token={TOKEN}')
    escaped = ''.join(f'%{ord(letter):02x}' for letter in TOKEN)
    for what, query in (('no token', 'wait=true'), ('an empty token', 'agent_token='),
                        ('a token without a value', 'agent_token'), ('half a token', f'agent_token={TOKEN[:-1]}'),
                        ('a token in capitals', f'agent_token={TOKEN.upper()}'),
                        ('a blank behind the token', f'agent_token={TOKEN}%20'),
                        ('a token in escapes', f'agent_token={escaped}'),
                        ('the token first, then another', f'agent_token={TOKEN}&agent_token=x'),
                        ('another token first', f'agent_token=x&agent_token={TOKEN}'),
                        ('a token by another name', f'token={TOKEN}'), ('a name in capitals', f'AGENT_TOKEN={TOKEN}'),
                        ('a name in escapes', f'%61gent_token={TOKEN}'),
                        ('a semicolon in front', f'x=1;agent_token={TOKEN}'),
                        ('ampersands all over', f'&&x&=1&agent_token={TOKEN}&'),
                        ('a wrong escape', f'x=%zz&agent_token={TOKEN}')):
        yield case(f'query: {what}', sync, query=query)
    token = f'agent_token={TOKEN}'
    for method, target, sent in (
            ('POST', f'/v1/commands?{token}', sync), ('POST', f'/commands/?{token}', sync),
            ('POST', f'/v1//commands?{token}', sync), ('GET', f'//v1/commands/?{token}', None),
            ('GET', f'/v1/commands/?{token}', None), ('GET', f'/v1/commands/?x=1&{token}&wait=true', None),
            ('GET', f'/v1/commands/none?{token}', None), ('GET', f'/v1/commands/none/?{token}', None),
            ('GET', f'/v1/commands/none?wait=true&{token}', None), ('GET', f'/v1/%63ommands/?{token}', None),
            ('GET', f'/V1/commands/?{token}', None), ('GET', f'/v1/commands/%20?{token}', None),
            ('GET', '/v1/status?agent_token=x', None), ('GET', '/v1/status/', None),
            ('PUT', f'/v1/commands/?{token}', sync), ('POST', f'/v1/commands/none?{token}', sync),
            ('OPTIONS', f'/v1/commands/?{token}', None)):
        body = {'body': json.dumps(sent)} if sent else {}
        yield {'name': f'{method} {target}'.replace(TOKEN, '…'), 'method': method, 'target': target, **body}
