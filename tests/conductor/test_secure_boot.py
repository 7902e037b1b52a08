"""A server whose firmware has Microsoft's keys and starts nothing that they did not sign."""

import pytest

from conductor.expectations import config_drive, expect_partition_system
from lab import Disk, boot_esp


@pytest.fixture
def node(lab):
    """It starts the ramdisk from the ISO that the conductor builds of kernel, ramdisk and the EFI system partition that
    `make esp` makes: by Debian's shim, GRUB and kernel."""
    esp = boot_esp(lab.run.tmp / 'esp')
    with lab.enrolled('secure-boot', firmware='uefi', boot='vmedia', secure_boot=True,
                      disks=[Disk('virtio', 3072)], node={'clean': False, 'bootloader': esp}) as node:
        node.provide()
        yield node


def test_signed_image_under_secure_boot(node, partition_image):
    """The partition image's own signed loaders start it: shim, GRUB, kernel."""
    info = partition_image.partition_info(root_gb=1, swap_mb=64, ephemeral_gb=1)
    node.deploy(info, config_drive('signed'))
    mark = node.server.console.mark_of_last_start()
    expect_partition_system(node.server, 'signed', mark, ephemeral='new')
    node.server.console.wait_for('secure-boot: on', 5, mark)


@pytest.mark.full
def test_unsigned_image_under_secure_boot(node, image):
    """The conductor sees that it was written; that the firmware does not start it is between the
    operator and the image."""
    node.deploy(image, config_drive('not signed'))
    assert node.state == 'active'
    mark = node.server.console.mark_of_last_start()
    console = node.server.console
    console.wait_for('failed to load .* "Farrier test system" .*: Access Denied', 60, mark)
    console.wait_for('failed to (load|start) .* "EFI Internal Shell" .*(Security Violation|Access Denied)', 60, mark)
    assert 'FARRIER-TEST-OS' not in console.text(mark)
