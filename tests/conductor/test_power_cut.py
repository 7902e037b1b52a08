"""The power fails in the middle of a deployment: what is on the disk never boots.

`MOMENTS=20 make test` looks at more moments than the usual five.
"""

import os
import random
import time

from conductor.expectations import config_drive, expect_deployed_system
from lab import Disk
from lab.disk import MIB

MOMENTS = int(os.environ.get('MOMENTS', '5'))


def test_power_cut_during_a_deployment(lab, image, record_property):
    """First a guest is killed while it writes. Then the next deployment succeeds, and from the log
    of its writes and flushes the disk is put together as it was at other moments, with each write
    that had not been flushed lost or not.

    The disk held the same system before: were its head not blank, it would boot at any moment.
    """
    seconds = 8
    with lab.enrolled('power-cut', boot='direct', disks=[Disk('virtio', 256, logged=True)],
                      node={'clean': False}) as node:
        server, disk = node.server, node.server.disks[0]
        disk.put(lab.run.images / image.name)
        node.provide()
        with server.throttled_from_next_start(0, image.size // seconds):
            node.start_deploying(image, config_drive('never seen'))
        node.wait_for_step('write_image', 120)
        server.console.wait_for('writing .*image', 60)
        time.sleep(random.uniform(0.5, seconds / 2))
        server.kill()
        expect_no_boot(server)

        node.undeploy()
        disk.put(lab.run.images / image.name)
        before = lab.run.tmp / 'before-the-cut.img'
        before.write_bytes(disk.path.read_bytes())
        first = len(disk.write_logs())
        node.deploy(image, config_drive('after the cut'))
        expect_deployed_system(server, 'after the cut', server.console.mark_of_last_start())
        server.power_off()

        log = disk.write_logs()[first]
        # From when the old head's end is on the medium to the first write of the new head.
        blank = log.first_flush()
        head = log.writes_into(MIB)[0]
        assert log.writes_since_flush(head) == [], 'the head is written before all else is flushed'
        record_property('writes before the head', head)
        for moment in sorted(random.sample(range(blank + 1, head + 1), MOMENTS)):
            log.cut(moment, before, disk.path)
            assert disk.is_zero(0, MIB), f'before entry {moment} of {head}'
            expect_no_boot(server)


def expect_no_boot(server):
    """No firmware finds anything to start on the server's disk."""
    assert server.disks[0].is_zero(0, MIB)
    mark = server.console.mark()
    server.power_on('Hdd')
    server.console.wait_for('No bootable device|not a bootable disk', 60, mark)
    server.power_off()
