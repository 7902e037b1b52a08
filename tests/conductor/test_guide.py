"""docs/writing-a-hardware-manager.md, as somebody follows it who has never written one."""

import filecmp

import pytest

from conductor.guide import Guide, blocks, follow, run
from lab import Disk, conductor, paths

GUIDE = Guide('writing-a-hardware-manager.md')
HEADINGS = ['A script', 'To a server', 'The same in Rust', 'In production']
# A variable that was exported before holds on.
EXPORTED = 'export FARRIER_HARDWARE_MANAGER_DIRECTORIES=$PWD\n'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """What the reader begins with: a folder beside the checkout."""
    folder = tmp_path_factory.mktemp('vendor')
    (folder / 'farrier').symlink_to(paths.ROOT)
    run(folder, blocks(GUIDE.beginning, 'sh'))
    return folder / 'acme'


def test_guide_leads_to_a_step_of_a_script(lab, folder):
    """From nothing to a step that the conductor ran."""
    guides = paths.ROOT / 'build' / 'ramdisk' / 'vmlinuz'
    if not filecmp.cmp(paths.KERNEL, guides, shallow=False):
        pytest.skip(f"the guide's commands take the ramdisk beside {guides}; "
                    f'its modules are not those of {paths.KERNEL}, which FARRIER_RAMDISK names')
    follow(folder, GUIDE.section('A script'), before=EXPORTED)
    with lab.enrolled('server1', boot='direct', disks=[Disk('virtio', 64)],
                      node={'clean': False}):
        names = {'/var/lib/ironic/boot': str(lab.run.boot),
                 'http://ironic.example:6385': conductor.URL}
        with lab.network.inside():
            follow(folder, GUIDE.section('To a server'), names, before=EXPORTED)


def test_guide_leads_to_a_library(folder):
    """In Rust, with the crate as a vendor uses it."""
    follow(folder, GUIDE.section('The same in Rust'), before=EXPORTED)


def test_guide_has_no_command_that_is_not_tried():
    tried = [GUIDE.beginning, *map(GUIDE.section, HEADINGS[:-1])]
    assert sum(len(blocks(part, 'sh')) for part in tried) == GUIDE.text.count('```sh\n')
    assert GUIDE.headings == HEADINGS
