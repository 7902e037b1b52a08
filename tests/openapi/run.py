"""Run in the sandbox: starts the agent, then schemathesis. run.py FARRIER SCHEMATHESIS SECONDS DEVICE...

What came of it is its last line, as JSON. The agent is asked for everything that it can do to a machine, so nothing starts
before the guard has tried the same from here.
"""

import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from sandbox import calls  # noqa: E402  (needs the path above)
from sandbox.guard import main as harm  # noqa: E402

DOCUMENT = HERE.parents[1] / 'docs/openapi.json'
PORT = 9999
TOKEN = 'a-token-for-schemathesis-a-token-for-schema'
LOG = Path('/tmp/agent.log')
SEED = '23'

# Nothing to wait for: there are no disks, and no conductor whom a failed download would reach later.
OPTIONS = {'listen_host': '127.0.0.1', 'listen_port': PORT, 'advertise_host': '127.0.0.1', 'agent_token': TOKEN,
           'disk_wait_attempts': 1, 'disk_wait_delay': 0}

# It ends the serving.
LAST = 'system.lockdown'


def ask(method, path, body=None):
    connection = http.client.HTTPConnection('127.0.0.1', PORT, timeout=30)
    try:
        connection.request(method, path, json.dumps(body) if body else None)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def commands():
    """Each example of the document, at whose end memory is looked at first: code is read in by then, and caches are filled.
    Gives the statuses of their answers, by name."""
    document = json.loads(DOCUMENT.read_text())
    body = document['paths']['/v1/commands/']['post']['requestBody']['content']['application/json']
    return {name: command(example['value']) for name, example in body['examples'].items() if name != LAST}


def command(body):
    return ask('POST', f'/v1/commands/?wait=true&agent_token={TOKEN}', body)[0]


def wait_for(agent):
    until = time.monotonic() + 30
    while True:
        try:
            return ask('GET', '/v1/status')
        except OSError:
            assert agent.poll() is None and time.monotonic() < until, LOG.read_text()
            time.sleep(0.05)


def closes():
    """Whether nothing is served any more, soon."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            ask('GET', '/v1/status')
        except OSError:
            return True
        time.sleep(0.05)
    return False


def memory(agent):
    """KiB that the agent has for itself; pages of its program come and go."""
    lines = Path(f'/proc/{agent.pid}/status').read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith('RssAnon:')))


def fuzz(schemathesis, seconds):
    words = [schemathesis, '--config-file', HERE / 'schemathesis.toml', '--no-color', 'run', DOCUMENT,
             '--url', f'http://127.0.0.1:{PORT}', '--max-time', seconds, '--seed', os.environ.get('SEED', SEED)]
    environment = {**os.environ, 'AGENT_TOKEN': TOKEN, 'PYTHONPATH': str(HERE), 'HOME': '/tmp', 'NO_PROXY': '*',
                   'HYPOTHESIS_STORAGE_DIRECTORY': '/tmp/hypothesis'}
    return subprocess.run(words, cwd=HERE, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT,
                          stdout=subprocess.PIPE, text=True, check=False)


def main(farrier, schemathesis, seconds, *devices):
    if harm(devices):
        sys.exit('the sandbox is not safe: nothing was started')
    words = [farrier, 'run', '--config-file', '/dev/null']
    for name, value in OPTIONS.items():
        words += [f'--{name}', str(value)]
    with open(LOG, 'w', encoding='utf-8') as log:
        agent = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=calls.restrict)
    wait_for(agent)
    statuses = commands()
    before = memory(agent)
    fuzzed = fuzz(schemathesis, seconds)
    print(fuzzed.stdout)
    ran = agent.poll() is None
    after = memory(agent) if ran else None
    listed = ask('GET', f'/v1/commands/?agent_token={TOKEN}')[1] if ran else b'{"commands": []}'
    # It still does what it is told, and ends when it is asked to.
    last = command({'name': LAST, 'params': {}}) if ran else None
    is_closed = closes()
    agent.terminate()
    ended = agent.wait(30)
    text = LOG.read_text(errors='replace')
    print(json.dumps({
        'findings': fuzzed.returncode, 'ran': ran, 'before': before, 'after': after, 'last': last, 'is_closed': is_closed,
        'ended': ended, 'statuses': statuses, 'count': len(json.loads(listed)['commands']), 'listed': len(listed) // 1024,
        'defects': [line for line in text.splitlines() if 'panic' in line or 'defect' in line]}))


if __name__ == '__main__':
    main(*sys.argv[1:])
