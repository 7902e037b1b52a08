"""An image that tests deploy: a file in the HTTP server's folder, with its checksum."""

import hashlib
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from lab import network


@dataclass
class Image:
    """What the conductor is told: where the image is and what it must hash to."""

    url: str
    sha512: str
    size: int
    disk_format: str = 'raw'

    @classmethod
    def publish(cls, lab, path: Path, name=None, disk_format='raw'):
        """Puts a file under the HTTP server."""
        target = lab.run.images / (name or path.name)
        if not target.exists():
            try:
                os.link(path, target)
            except OSError:
                shutil.copy(path, target)
        target.chmod(0o644)
        with open(target, 'rb') as file:
            digest = hashlib.file_digest(file, 'sha512').hexdigest()
        return cls(lab.web.url(target.name), digest, target.stat().st_size, disk_format)

    def over_ipv6(self):
        """The same, at the lab's IPv6 address."""
        return replace(self, url=self.url.replace(network.ADDRESS, f'[{network.ADDRESS6}]'))

    @property
    def name(self):
        """The file's name in the run folder's `images`."""
        return self.url.rpartition('/')[2]

    def instance_info(self):
        """Ironic's instance_info of this whole-disk image."""
        return {'image_source': self.url, 'image_os_hash_algo': 'sha512',
                'image_os_hash_value': self.sha512, 'image_disk_format': self.disk_format,
                'image_type': 'whole-disk'}

    def partition_info(self, *, root_gb, swap_mb=0, ephemeral_gb=0, **more):
        """The same of this partition image, which becomes one partition of those that are asked for."""
        return {**self.instance_info(), 'image_type': 'partition', 'root_gb': root_gb,
                'swap_mb': swap_mb, 'ephemeral_gb': ephemeral_gb, **more}
