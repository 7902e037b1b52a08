"""The iPXE script that Ironic writes for a server, read for a direct boot.

With a direct boot QEMU loads kernel and ramdisk itself, with the parameters Ironic meant for
iPXE: the agent sees no difference, and the test saves the time of an emulated network boot.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass
class BootScript:
    """Files and kernel command line of one boot."""

    kernel: Path
    ramdisk: Path
    parameters: str

    @classmethod
    def of_server(cls, http_root: Path, mac: str):
        """What iPXE on the card with this address would be given; None if nothing."""
        script = http_root / 'pxelinux.cfg' / mac.replace(':', '-')
        if not script.exists():
            return None
        return cls.parse(script.read_text(), http_root, mac)

    @classmethod
    def parse(cls, text, http_root, mac):
        section = text.split('\n:deploy\n', 1)[-1]
        kernel = re.search(r'^kernel (?:--timeout \d+ )?(\S+) (.*?) \|\|', section, re.M)
        ramdisk = re.search(r'^initrd (?:--timeout \d+ )?(\S+) \|\|', section, re.M)
        if not kernel or not ramdisk:
            raise ValueError(f'no kernel or initrd line in the boot script:\n{text}')
        parameters = [word for word in kernel[2].replace('${mac}', mac).split()
                      if not word.startswith('initrd=')]
        return cls(_file_of(kernel[1], http_root), _file_of(ramdisk[1], http_root),
                   ' '.join(parameters))


def _file_of(url, http_root):
    return http_root / urlsplit(url).path.lstrip('/')
