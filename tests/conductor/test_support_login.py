"""A login for a person of support: `sshkey` on the kernel line, a real SSH client, and who is not let in.

The conductor has no part in this: an agent without one serves and waits.
"""

import re
import subprocess

import pytest

from lab import Disk
from lab.patience import patience

# What a person who looks for a fault takes for granted.
TOOLS = ('mount umount fsck fsck.ext4 e2fsck fsck.vfat xfs_repair mkfs.ext4 chroot ip vi dd mdadm dmsetup ps dmesg '
         'less grep tar blkid fdisk nc ping udevadm modprobe').split()


@pytest.fixture(scope='module')
def keys(lab):
    """Two key pairs, of which only the first is admitted, named by somebody who would like to clear screens."""
    made = {}
    for name in ('admitted', 'other'):
        path = lab.run.tmp / name
        for file in (path, path.with_suffix('.pub')):
            file.unlink(missing_ok=True)
        subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'desk $(reboot) \u202e', '-f', path],
                       check=True)
        made[name] = path
    return made


@pytest.fixture(scope='module')
def server(lab, keys):
    public = keys['admitted'].with_suffix('.pub').read_text().strip()
    server = lab.server('support', boot='direct', disks=[Disk('virtio', 64)])
    try:
        server.boot_kernel(lab.kernel, lab.ramdisk, f'console=ttyS0,115200 sshkey="{public}"')
        server.power_on('Pxe')
        yield server
    finally:
        lab.remove(server)


def test_root_logs_in_with_the_key_and_with_nothing_else(lab, server, keys):
    console = server.console
    address = console.wait_for(r'network \S+ dhcp (192\.0\.2\.\d+)/24', 90)[1]
    told = console.wait_for(r'sshkey admits root by (ssh-ed25519 SHA256:\S+) \((.*)\)', 30)
    shown = subprocess.run(['ssh-keygen', '-lf', keys['admitted']], check=True, capture_output=True, text=True).stdout
    assert told[1].split()[1] == shown.split()[1]
    assert told[2] == r'desk $(reboot) \u{202e}'
    host_key = console.wait_for(r'SSH host key (ed25519) (SHA256:\S+)', 60)[2]
    login = ssh(lab, address, keys['admitted'], 'id -u; cat /etc/hostname /proc/1/comm; for t in ' + ' '.join(TOOLS)
                + '; do which $t > /dev/null || echo missing $t; done; sed s/^/filesystems:/ /etc/filesystems')
    assert login.returncode == 0, login.stderr
    assert login.stdout.splitlines()[0] == '0'
    assert 'missing' not in login.stdout, login.stdout
    # The fingerprint that the client saw is the one on the console.
    assert host_key in login.stderr, login.stderr
    for refused in (ssh(lab, address, keys['other'], 'id'),
                    ssh(lab, address, keys['admitted'], 'id', user='rescue'),
                    ssh(lab, address, None, 'id')):
        assert refused.returncode == 255 and 'Permission denied (publickey)' in refused.stderr, refused.stderr
    assert len(console.starts()) == 1, 'a comment was run'


def test_file_systems_are_mounted_and_mended_without_their_names(lab, server, keys):
    """None of their modules is loaded before."""
    address = re.search(r'network \S+ dhcp (192\.0\.2\.\d+)/24', server.console.text())[1]
    done = ssh(lab, address, keys['admitted'], '''set -e
        mkfs.ext4 -q /dev/vda; fsck.ext4 -fy /dev/vda > /dev/null; mount /dev/vda /mnt; echo was here > /mnt/x
        grep -c " /mnt ext4 " /proc/mounts; umount /mnt
        mkfs.vfat /dev/vda > /dev/null; fsck.vfat -a /dev/vda > /dev/null; mount /dev/vda /mnt
        grep -c " /mnt vfat " /proc/mounts; umount /mnt
        dd if=/dev/zero of=/tmp/x bs=1M count=0 seek=320 2> /dev/null; mkfs.xfs -q /tmp/x; xfs_repair -f /tmp/x 2> /dev/null
        echo done''')
    assert done.stdout.split()[:2] == ['1', '1'] and done.stdout.endswith('done\n'), done.stdout + done.stderr


def ssh(lab, address, key, command, user='root'):
    """The client's end, never asking anybody; without a key only passwords would be left."""
    way = ['-o', 'PubkeyAuthentication=no'] if key is None else ['-o', 'IdentitiesOnly=yes', '-i', str(key)]
    with lab.network.inside():
        return subprocess.run(
            ['ssh', '-v', '-F', 'none', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=no',
             '-o', 'UserKnownHostsFile=/dev/null', '-o', f'ConnectTimeout={int(patience(20))}', *way,
             f'{user}@{address}', command],
            capture_output=True, text=True, timeout=patience(60), env={'PATH': '/usr/bin:/bin', 'HOME': '/nonexistent'})


def test_ten_wrong_passwords_lock_nobody_out(lab, server, keys):
    """A second server, of the arguments of the first, but for a user with a password: as in a rescue. It counts each wrong
    one in its log, ends the connection, and lets the right one in."""
    address = re.search(r'network \S+ dhcp (192\.0\.2\.\d+)/24', server.console.text())[1]
    hashed = subprocess.run(['openssl', 'passwd', '-6', 'the right one'], check=True, capture_output=True,
                            text=True).stdout.strip()
    started = ssh(lab, address, keys['admitted'], f'''set -e
        echo 'rescue:{hashed}:1000:1000::/tmp:/usr/bin/sh' >> /etc/passwd
        words=$(tr '\\0' ' ' < /proc/$(cat /run/farrier/ssh/ssh-support.pid)/cmdline |
            sed 's/ -p 22 / -p 2222 /; s/ssh-support.pid/second.pid/; s/ -s *$/ -w/')
        $words < /dev/null > /tmp/second.log 2>&1 &
        until test -e /run/farrier/ssh/second.pid; do sleep 0.1; done''')
    assert started.returncode == 0, started.stderr
    wrong = by_password(lab, address, 'the wrong one', tries=12)
    assert wrong.returncode == 255, wrong
    log = ssh(lab, address, keys['admitted'], 'cat /tmp/second.log').stdout
    assert log.count('Bad password attempt') == 10, log
    assert 'the wrong one' not in log
    assert by_password(lab, address, 'the right one', tries=1).stdout == 'rescue\n'


def by_password(lab, address, password, tries):
    """A login as `rescue` at the second server."""
    program = lab.run.tmp / 'askpass'
    program.write_text(f'#!/bin/sh\necho "{password}"\n')
    program.chmod(0o700)
    with lab.network.inside():
        return subprocess.run(
            ['ssh', '-F', 'none', '-p', '2222', '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null',
             '-o', 'PreferredAuthentications=password', '-o', f'NumberOfPasswordPrompts={tries}',
             f'rescue@{address}', 'id -un'],
            capture_output=True, text=True, timeout=patience(120), start_new_session=True,
            env={'PATH': '/usr/bin:/bin', 'HOME': '/nonexistent', 'SSH_ASKPASS': str(program),
                 'SSH_ASKPASS_REQUIRE': 'force'})
