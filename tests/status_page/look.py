"""Looks at the page of an agent whose command stands still, as a browser: look.py FARRIER, in the sandbox (tests/sandbox).

Its last line is JSON: `page` (what the browser made of the page), `picture` (a PNG in base64) and `browser` (what it said). What
the agent said is on standard error.
"""

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
PORT = 9999
URL = f'http://127.0.0.1:{PORT}'
TOKEN = 'made-up_for_tests_and_as_long_as_a_real_one'

STEP = {'name': 'clean.execute_clean_step',
        'params': {'step': {'interface': 'deploy', 'step': 'stand_still', 'priority': 0}, 'ports': [],
                   'node': {'uuid': '2564c0a3-dd23-551f-a25c-1af767f45a81', 'name': 'node-with-a-name'}}}


def get(path, **headers):
    with urllib.request.urlopen(urllib.request.Request(URL + path, headers=headers), timeout=30) as answer:
        return answer.read().decode()


def wait_for(what):
    until = time.monotonic() + 120
    while True:
        try:
            if what():
                return
        except OSError:
            pass
        assert time.monotonic() < until, 'not within two minutes'
        time.sleep(0.2)


def browse(folder, *flags):
    """What the browser gave, and what it said."""
    fonts = folder / 'fonts.conf'
    fonts.write_text(f'<fontconfig><dir>/usr/share/fonts</dir><cachedir>{folder}/fonts</cachedir></fontconfig>')
    # Debian's script around it wants its configuration in /etc, of which the sandbox has little.
    words = ['/usr/lib/chromium/chromium', '--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars',
             '--window-size=720,360', f'--user-data-dir={folder}/profile', '--enable-logging=stderr', *flags,
             f'{URL}/']
    environment = {**os.environ, 'HOME': str(folder), 'FONTCONFIG_FILE': str(fonts)}
    ended = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=True)
    return ended.stdout, ended.stderr


def main(farrier, folder):
    words = [farrier, 'run', '--config-file', '/dev/null', '--noenable_auto_tls', '--listen_host', '127.0.0.1',
             '--listen_port', str(PORT), '--agent_token', TOKEN, '--disk_wait_attempts', '0',
             '--hardware_manager_directories', str(HERE / 'plugins')]
    log = folder / 'agent.log'
    with log.open('w') as said, subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=said) as agent:
        try:
            wait_for(lambda: get('/v1/status'))
            command = urllib.request.Request(f'{URL}/v1/commands/?agent_token={TOKEN}', json.dumps(STEP).encode())
            urllib.request.urlopen(command, timeout=30).close()
            wait_for(lambda: {'42 %', 'cleaning'} <= set(re.findall('42 %|cleaning', get('/', Accept='text/html'))))
            page, browser = browse(folder, '--dump-dom')
            picture = folder / 'page.png'
            browser += browse(folder, f'--screenshot={picture}')[1]
        finally:
            agent.kill()
            print(log.read_text(), file=sys.stderr)
    print(json.dumps({'page': page, 'picture': base64.b64encode(picture.read_bytes()).decode(), 'browser': browser}))


if __name__ == '__main__':
    with tempfile.TemporaryDirectory() as name:
        main(os.path.abspath(sys.argv[1]), Path(name))
