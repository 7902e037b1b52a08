"""docs/writing-a-hardware-manager.md, as somebody follows it who has never written one."""

import filecmp
import os
import re
import subprocess

import pytest

from lab import Disk, conductor, paths

GUIDE = paths.ROOT / 'docs' / 'writing-a-hardware-manager.md'
HEADINGS = ('A script', 'To a server', 'The same in Rust', 'In production')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """What the reader begins with: a folder beside the checkout."""
    folder = tmp_path_factory.mktemp('vendor')
    (folder / 'farrier').symlink_to(paths.ROOT)
    run(folder, commands(GUIDE.read_text().split('\n## ')[0]))
    return folder / 'acme'


def test_guide_leads_to_a_step_of_a_script(lab, folder):
    """From nothing to a step that the conductor ran."""
    guides = paths.ROOT / 'build' / 'ramdisk' / 'vmlinuz'
    if not filecmp.cmp(paths.KERNEL, guides, shallow=False):
        pytest.skip(f"the guide's commands take the ramdisk beside {guides}; "
                    f'its modules are not those of {paths.KERNEL}, which FARRIER_RAMDISK names')
    follow(folder, section('A script'))
    with lab.enrolled('server1', boot='direct', disks=[Disk('virtio', 64)],
                      node={'clean': False}):
        names = {'/var/lib/ironic/boot': str(lab.run.boot),
                 'http://ironic.example:6385': conductor.URL}
        with lab.network.inside():
            follow(folder, section('To a server'), names)


def test_guide_leads_to_a_library(folder):
    """In Rust, with the crate as a vendor uses it."""
    follow(folder, section('The same in Rust'))


def test_guide_has_no_command_that_is_not_tried():
    text = GUIDE.read_text()
    tried = [text.split('\n## ')[0], *(section(heading) for heading in HEADINGS[:-1])]
    assert sum(len(commands(part)) for part in tried) == text.count('```sh\n')
    assert re.findall(r'^## (.*)', text, re.M) == list(HEADINGS)


def section(heading):
    """The text below one heading."""
    part, = re.findall(rf'^## {heading}\n(.*?)(?=^## |\Z)', GUIDE.read_text(), re.M | re.S)
    return part


def commands(text):
    return re.findall(r'^```sh\n(.*?)^```', text, re.M | re.S)


def follow(folder, text, names=None):
    """Runs the commands of a section in one shell; what it says they print, they print."""
    for name, here in (names or {}).items():
        text = text.replace(name, here)
    # A variable that was exported before holds on.
    output = run(folder, ['export FARRIER_HARDWARE_MANAGER_DIRECTORIES=$PWD\n', *commands(text)])
    for shown in re.findall(r'^```text\n(.*?)^```', text, re.M | re.S):
        for line in shown.splitlines():
            assert line.strip() in output, f'{line!r} is not in:\n{output}'


def run(folder, blocks):
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith('CARGO_TARGET')}
    environment['PATH'] = f'{paths.VENV}/bin:{environment["PATH"]}'
    ended = subprocess.run(['bash', '-euo', 'pipefail', '-c', ''.join(blocks)], cwd=folder,
                           env=environment, text=True, timeout=600,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert ended.returncode == 0, ended.stdout
    return ended.stdout
