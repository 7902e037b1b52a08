"""What the tests with a conductor expect in the same words."""

import time

from lab.api import ApiError
from lab.patience import patience


def config_drive(value):
    """A config drive whose meta data hold `value` where the test image looks for it."""
    return {'meta_data': {'meta': {'farrier_test': value}}}


def expect_deployed_system(server, value, since):
    """The deployed system comes up from the disk and prints what its config drive says."""
    server.console.wait_for('FARRIER-TEST-OS booted', 120, since)
    server.console.wait_for(rf'configdrive: {value}', 30, since)
    server.console.wait_for('login:', 30, since)


def expect_partition_system(server, value, since, *, swap=True, ephemeral='none', efi=True):
    """The system of the partition image comes up from the disk, with its config drive and with the
    partitions that it was deployed with, which it finds by their labels.

    `ephemeral` is `none`, `new`, or the config drive's value of the first system that saw it.
    """
    expect_deployed_system(server, value, since)
    text = server.console.text(since)
    for expected in (rf'swap: {"/dev/" if swap else "none"}', rf'ephemeral: {ephemeral}',
                     rf'efi-partition: {"/dev/" if efi else "none"}'):
        assert expected in text, f'{expected} is not in:\n{text}'


def wait_for_node_with(lab, mac, timeout):
    """The node of the port with this address, once the conductor has made it."""
    timeout = patience(timeout)
    deadline = time.monotonic() + timeout
    while True:
        ports = lab.api.get(f'/v1/ports?detail=True&address={mac}')['ports']
        if ports:
            return lab.api.get(f'/v1/nodes/{ports[0]["node_uuid"]}')
        assert time.monotonic() < deadline, f'no port {mac} after {timeout} s'
        time.sleep(0.5)


def wait_for_inventory(lab, node, timeout):
    """What is stored at the end of an inspection."""
    timeout = patience(timeout)
    deadline = time.monotonic() + timeout
    while True:
        try:
            return lab.api.get(f'/v1/nodes/{node}/inventory')
        except ApiError as error:
            assert error.status == 404, error
        error = lab.api.get(f'/v1/nodes/{node}')['last_error']
        assert not error, error
        assert time.monotonic() < deadline, f'no inventory after {timeout} s'
        time.sleep(0.2)


def wait_for_heartbeats(lab, node, count, timeout):
    """When they came, once there are that many."""
    timeout = patience(timeout)
    deadline = time.monotonic() + timeout
    while len(beats := lab.conductor.heartbeats(node)) < count:
        assert time.monotonic() < deadline, f'{len(beats)} of {count} heartbeats in {timeout} s'
        time.sleep(0.5)
    return beats


def wait_until(seen, timeout, what):
    """Until `seen()` is true."""
    timeout = patience(timeout)
    deadline = time.monotonic() + timeout
    while not seen():
        assert time.monotonic() < deadline, f'no {what} within {timeout} s'
        time.sleep(0.2)
