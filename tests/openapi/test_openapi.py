"""schemathesis asks the agent for everything that docs/openapi.json has, for a minute, in the sandbox."""

import json
import os
import subprocess
from pathlib import Path

import sandbox

HERE = Path(__file__).parent
BUILD = Path(os.environ.get('FARRIER_BUILD', HERE.parents[1] / 'build'))
SCHEMATHESIS = BUILD / 'schemathesis/venv/bin/schemathesis'
FARRIER = Path(os.environ.get('FARRIER', BUILD / 'farrier'))

SECONDS = 60

# KiB that the agent may have for itself beyond what it had after each command once, and times what it lists: that is kept, and
# an answer that lists all is made in memory. Of results it keeps 16 MiB at most (src/command/results.rs), so it ends somewhere.
MEMORY, TIMES = 8 * 1024, 5


def test_nothing_of_this_machine_can_be_harmed_from_the_sandbox():
    sandbox.prove()


def test_the_guard_tells_what_could_be_done():
    device = sandbox.block_devices()[0]
    name = device.split(':')[0]
    found, is_safe = sandbox.guard(devices=[device])
    assert not is_safe
    assert {f'made the block device {name}', 'may call reboot(2)', 'is root, or can become root'} <= set(found), found


def test_schemathesis_finds_nothing():
    sandbox.prove()
    words = [sandbox.ENTER, SCHEMATHESIS.parent / 'python', HERE / 'run.py', FARRIER, SCHEMATHESIS, str(SECONDS)]
    done = subprocess.run([*words, *sandbox.block_devices()], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=SECONDS + 120, check=False)
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    told = json.loads(done.stdout.splitlines()[-1])
    assert told['ran'] and told['last'] == 200 and told['is_closed'] and told['ended'] == 0, told
    assert told['findings'] == 0 and not told['defects'], told
    # Each command ran, what is dangerous among them. A node is told to stand-alone agents alone.
    refused = {name for name, status in told['statuses'].items() if status != 200}
    assert len(told['statuses']) >= 18 and refused == {'poll.set_node_info'}, told
    assert told['count'] > len(told['statuses']), told
    assert told['after'] - told['before'] <= MEMORY + TIMES * told['listed'], told
