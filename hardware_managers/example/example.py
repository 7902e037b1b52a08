#!/usr/bin/python3
"""A hardware manager to copy: one clean step with an argument and progress, one deploy step, and an
erase of disks of its own vendor. Everything else it leaves to the agent.

It speaks docs/plugin-protocol.md with nothing but Python's own library, and of that json, sys and
time. docs/writing-a-hardware-manager.md leads from here to a step at the conductor.
"""

import json
import sys
import time

VENDOR = 'EXAMPLE'

INTRODUCTION = {
    'protocol': 1,
    'class_name': 'ExampleScriptHardwareManager',  # the conductor's key for these steps
    'name': 'example_script',
    'version': '1.0',  # change it whenever the steps change what they do
    'methods': ['evaluate_hardware_support', 'get_clean_steps', 'get_deploy_steps', 'execute_step',
                'erase_block_device'],
}


class Failed(Exception):
    """The method failed. The text is for the operator, `kind` one of the protocol's names."""

    def __init__(self, text, kind='CleaningError', code=-32000):
        super().__init__(text)
        self.error = {'code': code, 'message': text, 'data': {'type': kind}}


# What the agent calls: each gets the number of the call, and its parameters. More of these may come
# with a later agent.

def evaluate_hardware_support(call, params):
    """A real manager looks for its hardware here, and returns 0 where it is not."""
    return 3


def get_clean_steps(call, params):
    return [step('script_polish', abortable=True, argsinfo={
        'passes': {'description': 'How often to polish, 1 to 100; 3 by default',
                   'required': False}})]


def get_deploy_steps(call, params):
    return [step('script_greet')]


def execute_step(call, params):
    name, node = params['step'], params['node'].get('uuid')
    if name == 'script_polish':
        return polish(call, **params['arguments'])
    if name == 'script_greet':
        tell('log', call, level='info', message=f'greetings, node {node}')
        return {'greeted': node}
    raise Failed(f'there is no step {name}', code=-32601)  # another manager may have it


def erase_block_device(call, params):
    disk = params['block_device']
    if disk.get('vendor') != VENDOR:
        # Not ours: the agent asks the next manager, in the end its own.
        raise Failed(f'{disk["name"]} is not a disk of the vendor {VENDOR}',
                     'IncompatibleHardwareMethodError')
    # Nobody makes such disks. A real manager erases here, and returns only once it knows it did.
    raise Failed(f'{disk["name"]} cannot be erased: this manager is an example',
                 'BlockDeviceEraseError')


def polish(call, passes=3):
    """A long step: it says how far it is, and looks whether it was cancelled."""
    if not isinstance(passes, int) or not 1 <= passes <= 100:
        raise Failed(f'passes must be 1 to 100, and is {passes}', 'InvalidCommandParamsError')
    for done in range(passes):
        if ask('is_cancelled', call):
            raise Failed(f'script_polish was cancelled after {done} of {passes} passes')
        tell('progress', call, what='polishing', done=done, total=passes)
        time.sleep(0.1)
    disks = ask('list_block_devices', call, include_partitions=False)
    return {'passes': passes, 'disks': len(disks)}


def step(name, **more):
    """Priority 0: only when somebody asks for it. Above 0 it is part of automated cleaning."""
    return {'step': name, 'priority': 0, 'interface': 'deploy', 'reboot_requested': False, **more}


# The protocol: one JSON object a line on stdin and stdout. Nothing else may go to stdout; what
# people are to read goes to stderr, which is the agent's log.

def send(**message):
    sys.stdout.write(json.dumps({'jsonrpc': '2.0', **message}) + '\n')
    sys.stdout.flush()


def receive():
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)  # the agent ended
    return json.loads(line)


def tell(method, call, **params):
    """News to the agent: progress, or a line of log."""
    send(method=method, params={'call': call, **params})


def ask(method, call, **params):
    """Ask the agent for something, and wait for its answer."""
    send(id='question', method=method, params={'call': call, **params})
    while (message := receive()).get('id') != 'question':
        pass  # the agent makes no other call meanwhile; of a "cancel" we ask
    if 'error' in message:
        raise Failed(message['error']['message'])
    return message['result']


def handshake(call, params):
    if 1 not in params['protocol']:
        raise Failed(f'this manager speaks version 1 of the protocol, not {params["protocol"]}',
                     code=-32602)
    return INTRODUCTION


def answer(call, method, params):
    if method == 'handshake' or method in INTRODUCTION['methods']:
        return globals()[method](call, params)
    raise Failed(f'there is no method {method}', code=-32601)


while True:
    request = receive()
    if 'method' not in request or 'id' not in request:
        continue  # news, such as "cancel"
    call = request['id']
    try:
        send(id=call, result=answer(call, request['method'], request.get('params', {})))
    except Failed as failed:
        send(id=call, error=failed.error)
    except Exception as fault:  # ours: it costs this call, and not the manager
        send(id=call, error={'code': -32603, 'message': f'{type(fault).__name__}: {fault}'})
