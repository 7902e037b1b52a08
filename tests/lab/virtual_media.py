"""Virtual media as a BMC shows them to a server: a stick with parameters and a disc with files."""

import subprocess
from pathlib import Path

# The labels of Ironic: `[redfish]` images of its own, and a config drive's.
PARAMETERS_LABEL = 'IR-VFD-DEV'
DISC_LABEL = 'config-2'
STICK_KIB = 1440


class VirtualMedia:
    """What Ironic inserts with `config_via_removable`, beside a boot ISO that the operator built.

    `parameters` is the text of parameters.txt on the stick; `files` maps paths on the disc, which
    stands for the boot ISO, to texts. `arguments` insert both into a server's QEMU, whatever its
    boot. The kernel that is booted has to say `boot_method=vmedia`.
    """

    def __init__(self, folder: Path, name, parameters, files=None):
        self._stick = folder / f'{name}.stick'
        self._disc = folder / f'{name}.iso'
        text = folder / f'{name}.parameters'
        text.write_text(parameters)
        with open(self._stick, 'wb') as file:
            file.truncate(STICK_KIB * 1024)
        _run('mkfs.vfat', '-n', PARAMETERS_LABEL, self._stick)
        _run('mcopy', '-i', self._stick, text, '::parameters.txt')
        make_disc(self._disc, files or {})

    @property
    def arguments(self):
        """For the server's QEMU."""
        return ['-device', 'qemu-xhci,id=media', '-drive',
                f'if=none,id=parameters,format=raw,readonly=on,file={self._stick}',
                '-device', 'usb-storage,bus=media.0,drive=parameters,removable=on',
                '-drive', f'if=none,id=disc,format=raw,media=cdrom,readonly=on,file={self._disc}',
                '-device', 'ide-cd,bus=ide.4,drive=disc']


def make_disc(path: Path, files):
    """Writes a disc with these files, and with the label that a boot ISO has in common with config drives."""
    content = path.with_suffix('.disc')
    content.mkdir()
    for name, lines in files.items():
        (content / name).parent.mkdir(parents=True, exist_ok=True)
        (content / name).write_text(lines)
    _run('xorriso', '-as', 'mkisofs', '-quiet', '-R', '-V', DISC_LABEL, '-o', path, content)


def _run(*command):
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
