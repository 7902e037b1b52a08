"""The lab: a real Ironic conductor, a virtual BMC and QEMU servers in one network namespace."""

from lab.agent import Agent
from lab.boot_media import boot_esp, boot_iso
from lab.cutter import Cutter
from lab.disk import Disk
from lab.false_conductor import FalseConductor
from lab.hand import Hand
from lab.image import Image
from lab.isolated import Isolated
from lab.lab import Lab
from lab.node import Node, ProvisionError
from lab.receiver import Receiver
from lab.server import Server
from lab.swift import Swift
from lab.switch import Port, Switch
from lab.tenant import Tenant
from lab.terminal import Terminal
from lab.time_server import TimeServer
from lab.trunk import Trunk
from lab.virtual_media import VirtualMedia

__all__ = ['Agent', 'Cutter', 'Disk', 'FalseConductor', 'Hand', 'Image', 'Isolated', 'Lab', 'Node', 'Port',
           'ProvisionError', 'Receiver', 'Server', 'Swift', 'Switch', 'Tenant', 'Terminal', 'TimeServer', 'Trunk',
           'VirtualMedia', 'boot_esp', 'boot_iso']
