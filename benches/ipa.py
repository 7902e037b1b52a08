"""The agent that farrier replaces, from PyPI, driven by its own classes.

As a program (in its virtual environment): streams a raw image, or downloads and converts one, the
way its standby extension does (contract: data plane 1.6 and 1.9), and prints what that took as
JSON. Time starts after its modules are loaded.
"""

import json
import os
import pathlib
import subprocess
import sys
import time

from measure import own_peak_mib, own_processor_seconds, say

VERSION = '13.0.0'


def install(folder):
    """The interpreter of a virtual environment that holds it."""
    interpreter = folder / 'bin' / 'python'
    marker = folder / 'installed'
    if not marker.exists() or marker.read_text() != VERSION:
        say(f'installing ironic-python-agent {VERSION} into {folder}')
        subprocess.run([sys.executable, '-m', 'venv', folder], check=True)
        subprocess.run([interpreter, '-m', 'pip', 'install', '-q', '--disable-pip-version-check',
                        f'ironic-python-agent=={VERSION}'], check=True)
        marker.write_text(VERSION)
    return interpreter


def main(url, target, form, algorithm, digest, temporary):
    # Only the virtual environment has these.
    from ironic_python_agent import config  # noqa: F401 registers the options
    from ironic_python_agent import disk_utils, qemu_img
    from ironic_python_agent.extensions import standby
    from oslo_config import cfg

    cfg.CONF([], project='ironic-python-agent')
    image = {'id': 'image', 'urls': [url], 'checksum': None, 'os_hash_algo': algorithm,
             'os_hash_value': digest, 'disk_format': form}
    is_device = pathlib.Path(target).is_block_device()
    started, cpu_started = time.monotonic(), own_processor_seconds()
    if form == 'raw':
        download = standby.ImageDownload(image)
        # Its open(device, 'wb+') would throw away the pages of a plain file; it does not of a disk.
        with open(target, 'wb+' if is_device else 'rb+') as disk:
            for chunk in download:
                disk.write(chunk)
        download.verify_image(target)
    else:
        standby.tempfile.tempdir = temporary
        location = standby._image_location(image)
        standby._download_image(image)
        image_format = disk_utils.get_and_validate_image_format(location, form)[0]
        if is_device:
            # As its _write_whole_disk_image does.
            qemu_img.convert_image(location, target, out_format='host_device', cache='directsync',
                                   out_of_order=True, sparse_size='0', source_format=image_format)
        else:
            # As it does for a partition, but without making the file anew (-n): a disk's is there.
            subprocess.run(['qemu-img', 'convert', '-n', '-O', 'raw', '-S', '0', '-f',
                            image_format, location, target], check=True)
    # What farrier does before it says that it is done.
    with open(target, 'rb+') as disk:
        os.fsync(disk.fileno())
    seconds = time.monotonic() - started
    if form != 'raw':
        os.unlink(location)
    print(json.dumps({'seconds': seconds, 'cpu_seconds': own_processor_seconds() - cpu_started,
                      'peak_mib': own_peak_mib()}))


if __name__ == '__main__':
    main(*sys.argv[1:])
