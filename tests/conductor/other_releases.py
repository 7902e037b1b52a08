"""How a conductor of another release leads a server, for `make test` and `make lab-matrix`."""

import hashlib
import time

from conductor.expectations import config_drive, expect_deployed_system
from lab import Disk, ProvisionError

# What admits conductors that read results without the token.
READS = 'ipa-allow-reads-without-token=1'
# What allows MD5 where a conductor does not speak of it.
MD5 = 'ipa-md5-enabled=1'

LABEL = b'old partition table'.ljust(512) + b'EFI PART'


def lead(lab, image, tell=lambda step, seconds: None, fast_track=False):
    """Enrol, inspect where there is an interface for it, clean, deploy, boot. What the release wants besides the
    defaults is on the kernel's command line; `tell` hears how long each took. With `fast_track` the ramdisk is booted once.
    """
    release = lab.conductor.release
    parameters = [] if release.reads_with_token else [READS]
    info = image.instance_info()
    if not release.speaks_of_md5:
        # Nothing but an MD5, as sites of that time have them.
        parameters.append(MD5)
        digest = hashlib.md5((lab.run.images / image.name).read_bytes()).hexdigest()
        info = {name: value for name, value in info.items() if 'os_hash' not in name} | {'image_checksum': digest}
    disks = [Disk('virtio', 256, serial='ROOT')]
    with lab.enrolled('other', boot='direct', disks=disks, parameters=' '.join(parameters),
                      node={'fast_track': fast_track}) as node:
        server = node.server

        def step(name, work):
            started = time.monotonic()
            work()
            tell(name, time.monotonic() - started)

        if release.inspects:
            def inspect():
                inventory = node.inspect()['inventory']
                assert {disk['serial'] for disk in inventory['disks']} == {'ROOT'}
            step('inspect', inspect)

        def clean():
            server.disks[0].write(0, LABEL)
            node.provide()
            assert server.disks[0].is_zero(0, 17 * 1024), 'cleaning left metadata at the start of the disk'
        step('clean', clean)

        def deploy():
            node.deploy(info, config_drive('from another release'))
            expect_deployed_system(server, 'from another release', server.console.mark_of_last_start())
        step('deploy', deploy)
        if not release.reads_with_token:
            text = server.console.text()
            assert 'reads results without the token: its Ironic is older than 29.0.0' in text, text[-2000:]


def fail_without_the_option(lab):
    """A conductor that reads without the token, and an agent that does not admit it: the cleaning fails and the console
    says why, once.
    """
    with lab.enrolled('refused', boot='direct', disks=[Disk('virtio', 64, serial='ROOT')]) as node:
        try:
            node.provide()
        except ProvisionError as error:
            assert 'commands' in error.last_error, error
        else:
            raise AssertionError('it was cleaned')
        text = node.server.console.text()
        said = [line for line in text.splitlines()
                if line.startswith('farrier | ') and 'reads results without the token and is refused' in line]
        assert len(said) == 1, said
        assert 'ipa-allow-reads-without-token=1' in text, text[-2000:]
