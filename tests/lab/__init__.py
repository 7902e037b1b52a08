"""The lab: a real Ironic conductor, a virtual BMC and QEMU servers in one network namespace."""

from lab.disk import Disk
from lab.image import Image
from lab.lab import Lab
from lab.node import Node, ProvisionError
from lab.server import Server

__all__ = ['Disk', 'Image', 'Lab', 'Node', 'ProvisionError', 'Server']
