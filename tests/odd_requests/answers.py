"""The answers of our own to the requests of cases.py, where they are not the reference's: each with its reason."""

GET = 'clean.get_clean_steps'
RUN = 'clean.execute_clean_step'
IMAGE = 'standby.prepare_image'
RESCUE = 'rescue.finalize_rescue'
FLOW = 'flow.start_flow'

UNEXPECTED = "{}() got an unexpected keyword argument '{}'"
NO_OBJECT = "The parameter 'node' must be an object"
NO_UUID = "The parameter 'node' has no 'uuid'"
NO_LIST = "The parameter 'flow' must be a list"
NO_ITEM = "Each item of 'flow' must be an object"
NO_ARGUMENTS = "The step's 'args' must be an object"
NO_STEP = 'Malformed {}_step, no "step" key: The parameter \'step\' must be an object'
NO_NAME = 'The name of the clean step must be a string'
EMPTY = 'The rescue password is empty'
NO_SHAPE = '400 Bad Request: Missing or invalid name or params'


def fault(status, text):
    return {'status': status, 'fault': text, 'listed': []}


def refused(text):
    return fault(400, f'Invalid command parameters: {text}')


def undecoded(text):
    return fault(400, f'400 Bad Request: Failed to decode JSON object: {text}')


def ended(name, ends, **outcome):
    bare = name.rsplit('.', 1)[1]
    return {'status': 200, 'command': bare, 'ends': ends, **outcome, 'listed': [bare]}


def failed(name, details, error='CommandExecutionError'):
    return ended(name, 'FAILED', error=error, details=details)


def wrong(name, details):
    return failed(name, details, 'InvalidCommandParamsError')


def all_answers():
    """(name of the case, (reason, answer))"""
    for why, answers in (*getting_steps(), *executing_steps(), *images(), *others(), *flows(), *bodies()):
        for name, answer in answers.items():
            yield name, (why, answer)


def getting_steps():
    missing = 'get_clean_steps() missing {}'
    yield 'broken list', {
        f'{GET}: no ports': refused(missing.format("1 required positional argument: 'ports'")),
        f'{GET}: no node': refused(missing.format("1 required positional argument: 'node'")),
        f'{GET}: nothing': refused(missing.format("2 required positional arguments: 'node' and 'ports'")),
        **{f'{GET}: the node is {what}': refused(NO_OBJECT) for what in ('null', 'a list', 'its UUID', 'a number')},
        f'{GET}: a parameter too many': refused(UNEXPECTED.format('get_clean_steps', 'step')),
        f'{GET}: the name of an argument of the call itself':
            refused(UNEXPECTED.format('get_clean_steps', 'command_name')),
        'service.get_service_steps: a manager fails':
            failed('service.get_service_steps', 'get_service_steps ended in a panic, which is a defect of the agent: '
                                                'service steps are broken'),
    }
    yield 'named', {f'{GET}: the node {what}': refused(NO_UUID) for what in ('has no UUID', 'is empty')}


def executing_steps():
    missing = 'execute_clean_step() missing {}'
    current = 'Current versions: {"generic_hardware_manager":"1.2"}, versions used by ironic: '
    versions = {'empty': '{}', 'a string': '"1.2"', 'false': 'false', 'a number': '{"generic_hardware_manager":1.2}',
                'of one manager more': '{"generic_hardware_manager":"1.2","x":"1"}'}
    yield 'words', {
        f'{RUN}: no ports': failed(RUN, missing.format("1 required positional argument: 'ports'")),
        f'{RUN}: nothing': failed(RUN, missing.format("3 required positional arguments: 'step' and 'node' and 'ports'")),
        'deploy.execute_deploy_step: the step is its name':
            failed('deploy.execute_deploy_step', NO_STEP.format('deploy')),
        **{f'{RUN}: the step is {what}': failed(RUN, NO_STEP.format('clean'))
           for what in ('null', 'a list', 'a list with the word', 'a number')},
        **{f'{RUN}: the name of the step is {what}': failed(RUN, NO_NAME, 'CleaningError')
           for what in ('null', 'a number', 'a list')},
        **{f'{RUN}: the version is {what}':
           ended(RUN, 'CLEAN_VERSION_MISMATCH', error='VersionMismatch', details=current + shown)
           for what, shown in versions.items()},
    }
    yield 'type', {
        f'{RUN}: the node has no UUID': wrong(RUN, NO_UUID),
        f'{RUN}: the node is null': wrong(RUN, NO_OBJECT),
        **{f'{RUN}: the arguments are {what}': wrong(RUN, NO_ARGUMENTS)
           for what in ('a string', 'a number', 'a list of one', 'pairs without names')},
    }
    yield 'accident', {f'{RUN}: the arguments are pairs in strings': wrong(RUN, NO_ARGUMENTS)}
    step = {'step': 'erase_devices', 'interface': 'deploy'}
    yield 'broken list', {f'{RUN}: the name of an argument of the call itself':
                          ended(RUN, 'SUCCEEDED', result={'clean_result': {'/dev/sda': None}, 'clean_step': step})}


def images():
    yield 'broken list', {f'{IMAGE}: the image is {what}': refused("The argument 'image_info' must be an object.")
                          for what in ('a list', 'a string', 'a number')}
    yield 'image', {f'{IMAGE}: the id is {what}': refused("Image 'id' must be a string.") for what in ('null', 'a list')}
    yield 'reason', {f'{IMAGE}: the checksum is an MD5': refused('Image checksum is an MD5. MD5 support is disabled: give a SHA-256 or SHA-512 checksum, or allow '
                            'MD5 with the kernel parameter ipa-md5-enabled=1 (option md5_enabled); a conductor from '
                            'Ironic 24.1 on decides by its option allow_md5_checksum.')}
    yield 'scheme', {f'{IMAGE}: the checksum is at a URL':
                     ended(IMAGE, 'SUCCEEDED', result={'result': 'prepare_image: image (one.raw) written to device '
                                                                 '/dev/vda root_uuid=0x00000000'})}
    yield 'words', {f'{IMAGE}: a parameter too many': failed(IMAGE, UNEXPECTED.format('prepare_image', 'x'))}


def others():
    install, bootc = 'image.install_bootloader', 'standby.execute_bootc_install'
    missing = "{}() missing 1 required positional argument: '{}'"
    yield 'words', {
        f'{install}: no root': failed(install, missing.format('install_bootloader', 'root_uuid')),
        f'{install}: a parameter too many': failed(install, UNEXPECTED.format('install_bootloader', 'x')),
        f'{bootc}: nothing': failed(bootc, missing.format('execute_bootc_install', 'image_source')),
        'standby.power_off: a parameter too many': failed('standby.power_off', UNEXPECTED.format('power_off', 'now')),
    }
    yield 'bootc', {f'{bootc}: the image alone':
                    failed(bootc, "This agent does not offer bootc deployments; use the deploy interface 'direct' with a "
                                  'disk image')}
    no_text = "The parameter 'rescue_password' must be a string"
    yield 'broken list', {
        **{f'{name}: a parameter too many': refused(UNEXPECTED.format(name.rsplit('.', 1)[1], parameter))
           for name, parameter in (('standby.sync', 'x'), ('standby.get_partition_uuids', 'image'),
                                   ('log.collect_system_logs', 'compress'), ('system.lockdown', 'x'),
                                   ('poll.get_hardware_info', 'cached'))},
        f'{RESCUE}: the password is null': wrong(RESCUE, EMPTY),
        f'{RESCUE}: the password is a number': wrong(RESCUE, no_text),
        f'{RESCUE}: a parameter too many': wrong(RESCUE, UNEXPECTED.format('finalize_rescue', 'x')),
    }
    yield 'password', {
        f'{RESCUE}: nothing': wrong(RESCUE, EMPTY),
        f'{RESCUE}: an empty password': wrong(RESCUE, EMPTY),
        f'{RESCUE}: the hash is a number': wrong(RESCUE, no_text),
        f'{RESCUE}: the hash is none': wrong(RESCUE, 'The hashed rescue password is not a crypt(5) hash of the form $id$salt$hash'),
    }


def flows():
    yield 'broken list', {
        **{f'{FLOW}: the flow is {what}': refused(NO_LIST) for what in ('null', 'false', 'a number')},
        f'{FLOW}: the flow is of null': refused(NO_ITEM),
        f'{FLOW}: nothing': refused(NO_LIST),
        f'{FLOW}: a parameter too many': failed(FLOW, UNEXPECTED.format('start_flow', 'x')),
    }
    yield 'words', {
        **{f'{FLOW}: the flow is {what}': refused(NO_LIST) for what in ('a string', 'an object')},
        f'{FLOW}: the flow is of a string': refused(NO_ITEM),
        f'{FLOW}: a parameter too many for a command':
            failed(FLOW, f'standby.sync was failed: {UNEXPECTED.format("sync", "x")}'),
        f'{FLOW}: a step that fails':
            failed(FLOW, 'clean.execute_clean_step was failed: Malformed clean_step, no "step" key: {}'),
    }
    yield 'earlier', {
        **{f'{FLOW}: the flow is of {what}': refused(NO_ITEM) for what in ('an empty list', 'a list')},
        **{f'{FLOW}: parameters are {what}': refused('The parameters of standby.sync must be an object')
           for what in ('null', 'a list')},
    }
    yield 'bare', {f'{FLOW}: an extension that is not there':
                   failed(FLOW, 'Extension with id foo not found.', 'RequestedObjectNotFoundError')}


def bodies():
    yield 'broken list', {
        **{f'body: {what}': fault(400, NO_SHAPE) for what in ('null', 'a list', 'a string', 'a number')},
        **{f'body: the name is {name}': fault(400, NO_SHAPE) for name in ('1', 'null', '["standby.sync"]', '{}')},
    }
    yield 'words', {
        'body: empty': undecoded('EOF while parsing a value at line 1 column 0'),
        'body: blank': undecoded('EOF while parsing a value at line 2 column 0'),
        'body: a comma too many': undecoded('trailing comma at line 1 column 39'),
        'body: single quotes': undecoded('key must be a string at line 1 column 2'),
        'body: two documents': undecoded('trailing characters at line 1 column 39'),
        'body: no UTF-8': undecoded('invalid unicode code point at line 1 column 19'),
        'body: a value is a line break in a string':
            undecoded('control character (\\u0000-\\u001F) found while parsing a string at line 2 column 0'),
        'body: a value is a number with a zero': undecoded('invalid number at line 1 column 77'),
    }
    yield 'json', {
        'body: UTF-16': undecoded('expected value at line 1 column 1'),
        'body: a value is NaN': undecoded('expected value at line 1 column 76'),
        'body: a value is infinity': undecoded('invalid number at line 1 column 77'),
        'body: a value is too large a number': undecoded('number out of range at line 1 column 81'),
        'body: a value is half a character': undecoded('unexpected end of hex escape at line 1 column 83'),
    }
    yield 'deep', {'body: a value is 300 lists in one another':
                   undecoded('recursion limit exceeded at line 1 column 200')}
    yield 'server', {'GET //v1/commands/?agent_token=…':
                     fault(404, '404 Not Found: The requested URL was not found on the server. If you entered the URL '
                                'manually please check your spelling and try again.')}
