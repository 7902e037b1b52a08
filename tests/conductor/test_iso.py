"""Boot media of our own: what `make iso` makes starts everywhere, and takes what the conductor has to tell; and a
controller that ejects early costs nothing.

test_secure_boot has the ISO that the conductor builds with what `make esp` makes.
"""

import re
import subprocess

import pytest

from lab import Disk, boot_esp, boot_iso, conductor

# What the conductor appends to each kernel line; and a value with blanks, which GRUB quotes as a whole.
APPENDED = 'farrier.lab="one two" farrier.lab.last=1'


@pytest.fixture
def iso(lab):
    """Without parameters of a site: those of the conductor come on a stick."""
    return boot_iso(lab.run.tmp / 'iso')


def test_bios_server_boots_it_and_takes_the_conductors_parameters_from_a_stick(lab, iso):
    """As `deploy_iso` with `config_via_removable`, until cleaning has ended."""
    with lab.enrolled('iso-bios', boot='vmedia', disks=[Disk('sata', 64)], node={'iso': iso}) as node:
        expect_cleaning(lab, node)


@pytest.mark.full
@pytest.mark.parametrize('secure_boot', [False, True])
def test_uefi_server_boots_it_and_takes_the_conductors_parameters_from_a_stick(lab, iso, secure_boot):
    name = f'iso-uefi-{"secure" if secure_boot else "open"}'
    with lab.enrolled(name, firmware='uefi', boot='vmedia', secure_boot=secure_boot, disks=[Disk('sata', 64)],
                      node={'iso': iso}) as node:
        expect_cleaning(lab, node)
        said = 'UEFI Secure Boot is enabled' in node.server.console.text()
        assert said is secure_boot


def expect_cleaning(lab, node):
    """The conductor cleans it, with the token that was on the stick and on nothing that a console shows."""
    node.provide()
    text = node.server.console.text()
    assert re.search(r'Command line: \S*vmlinuz.* boot_method=vmedia', text)
    assert conductor.URL not in re.search(r'Command line: .*', text)[0]
    assert 'took parameters from the virtual medium' in text
    assert lab.conductor.heartbeats(node)


@pytest.mark.full
@pytest.mark.parametrize('firmware', ['bios', 'uefi'])
def test_a_stick_with_parameters_of_the_site_boots_by_hand(lab, firmware):
    """What is written to a stick is the image as it is. It has no label of Ironic's, and nothing is taken from it."""
    iso = boot_iso(lab.run.tmp / 'site', f'ipa-api-url={conductor.URL} farrier.lab="one two"')
    with lab.enrolled(f'iso-stick-{firmware}', firmware=firmware, boot='network', disks=[Disk('sata', 64)]) as node:
        node.server.add_arguments(stick(iso))
        node.provide()
        text = node.server.console.text()
        line = re.search(r'Command line: .*', text)[0]
        assert f'ipa-api-url={conductor.URL}' in line and '"farrier.lab=one two"' in line
        assert 'boot_method' not in line
        assert 'virtual medi' not in text


def stick(iso):
    """A stick that the firmware starts from before all else, whatever the BMC says."""
    return ['-device', 'qemu-xhci,id=sticks', '-drive', f'if=none,id=boot,format=raw,readonly=on,file={iso}',
            '-device', 'usb-storage,bus=sticks.0,drive=boot,removable=on,bootindex=0']


@pytest.mark.full
def test_a_controller_that_ejects_early_costs_nothing(lab):
    """The conductor's own ISO goes as soon as the kernel runs; what it had to tell is on the kernel's line, with what
    the operator appends."""
    esp = boot_esp(lab.run.tmp / 'esp')
    with lab.enrolled('ejected', firmware='uefi', boot='vmedia', disks=[Disk('sata', 64)],
                      node={'bootloader': esp}) as node:
        node.update(**{'driver_info/kernel_append_params': f'%default% {APPENDED}'})
        node.target('provide')
        node.server.console.wait_for('Linux version', 120)
        with node.server.qmp() as qmp:
            qmp.execute('eject', device='cd', force=True)
        node.wait_for('available', 300)
        text = node.server.console.text()
        assert re.search(r'Command line: .*"farrier.lab=one two" farrier.lab.last=1', text)
        assert "the parameters are the kernel's alone" in text
        assert lab.conductor.heartbeats(node)


def test_two_builds_are_the_same_and_wrong_parameters_are_refused(lab, iso):
    """They are refused before anything is written."""
    again = boot_iso(lab.run.tmp / 'iso-again')
    assert again.read_bytes() == iso.read_bytes()
    for wrong in ("a='b'", 'a=$b', 'a;b', 'a"b', 'a\nb', 'a' * 1901):
        with pytest.raises(subprocess.CalledProcessError):
            boot_iso(lab.run.tmp / 'iso-wrong', wrong)
    assert not (lab.run.tmp / 'iso-wrong' / 'farrier.iso').exists()
