"""The page for browsers in Debian's Chromium: what it makes of it, and that the page breaks no rule of its own.

With FARRIER_PICTURES naming a folder, the picture of the guide is made there (docs/status-page.md).
"""

import base64
import json
import os
import subprocess
from pathlib import Path

import sandbox

HERE = Path(__file__).parent
BUILD = Path(os.environ.get('FARRIER_BUILD', HERE.parents[1] / 'build'))
FARRIER = Path(os.environ.get('FARRIER', BUILD / 'farrier'))


def test_a_browser_draws_how_far_a_command_is():
    sandbox.prove()
    ended = subprocess.run([sandbox.ENTER, sandbox.PYTHON, HERE / 'look.py', FARRIER], stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, timeout=400, check=False)
    assert ended.returncode == 0, ended.stderr
    seen = json.loads(ended.stdout.splitlines()[-1])
    page, browser, picture = seen['page'], seen['browser'], base64.b64decode(seen['picture'])
    assert '<h1>cleaning</h1>' in page
    assert '<progress max="100" value="42"></progress>' in page
    # The step, the disk, the node and the address are nobody's business without the token.
    for name in ('stand_still', 'sda', 'node-with-a-name', '2564c0a3', '127.0.0.1'):
        assert name not in page, page
    # A browser says what a policy forbids, as it would of a style that is none of the page's.
    assert 'Content Security Policy' not in browser, browser
    assert picture.startswith(b'\x89PNG')
    if folder := os.environ.get('FARRIER_PICTURES'):
        Path(folder, 'status-page.png').write_bytes(picture)
