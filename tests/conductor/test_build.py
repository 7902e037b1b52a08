"""What was built keeps its bounds; no server is needed."""

import struct

from lab import paths

MIB = 1024 * 1024
PT_INTERP = 3


def test_agent_executable_is_static_and_small(record_property):
    """No program interpreter in its ELF header: nothing is loaded when it starts."""
    agent = (paths.BUILD / 'farrier').read_bytes()
    record_property('agent executable, bytes', len(agent))
    assert agent[:4] == b'\x7fELF'
    table, = struct.unpack_from('<Q', agent, 32)
    size, count = struct.unpack_from('<HH', agent, 54)
    kinds = [struct.unpack_from('<I', agent, table + size * number)[0] for number in range(count)]
    assert kinds
    assert PT_INTERP not in kinds
    assert len(agent) <= 12 * MIB


def test_kernel_and_ramdisk_are_small(record_property):
    """At most 48 MiB over the network."""
    size = paths.KERNEL.stat().st_size + paths.RAMDISK.stat().st_size
    record_property('kernel and ramdisk, bytes', size)
    assert size <= 48 * MIB
