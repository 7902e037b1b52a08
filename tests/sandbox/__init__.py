"""Where programs run that would harm this machine, and the proof that they cannot."""

import subprocess
from pathlib import Path

HERE = Path(__file__).parent
ENTER = HERE / 'enter'
PYTHON = '/usr/bin/python3'


def block_devices():
    """NAME:MAJOR:MINOR of each that this machine has."""
    return [f'{folder.name}:{(folder / "dev").read_text().strip()}' for folder in Path('/sys/class/block').iterdir()]


def guard(*words, devices):
    """What the guard could do when it was started by these words: lines, and whether it says that there is nothing."""
    done = subprocess.run([*words, PYTHON, HERE / 'guard.py', *devices], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60, check=False)
    return done.stdout.splitlines() + done.stderr.splitlines(), done.returncode == 0


def prove():
    """Whoever starts a program in the sandbox asks first, and goes on where this does not raise."""
    devices = block_devices()
    assert devices, 'there is nothing to be kept out of'
    found, is_safe = guard(ENTER, devices=devices)
    assert is_safe and not found, f'the sandbox is not safe: {found}'
