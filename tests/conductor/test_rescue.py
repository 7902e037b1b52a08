"""A real conductor rescues a server; its user logs in, mends the disk and is unrescued."""

import re
import subprocess

from conductor.rescued import PASSWORD, agent_address, rescue
from lab import Disk, paths
from lab.ssh import Ssh

# Where the token, the key of the certificate and what steps were given would be, and what else may have the hash.
SEARCH = '''\
ls /run/farrier/state
for file in $(grep -rlF 'HASH' /etc /run/farrier /var /tmp /root /home); do echo "hash in $file"; done
grep -lF 'HASH' /proc/[0-9]*/cmdline /proc/[0-9]*/environ
grep -rl 'PRIVATE KEY' /run/farrier
for process in /proc/[0-9]*; do tr '\\0' ' ' < $process/cmdline; echo; done | grep 'farrier ru[n]'
true
'''


def test_rescued_server_is_mended_and_boots_again(lab, image):
    """Of a deployed system a file is changed, with which it boots. Nothing of the operator's is left for the one who
    logs in, and nobody else can."""
    with lab.enrolled('rescued', boot='direct', disks=[Disk('virtio', 256)],
                      node={'clean': False}) as node:
        server = node.server
        server.disks[0].put(paths.TEST_IMAGE)
        rescue(node, image)
        address = agent_address(node)
        beats = len(lab.conductor.heartbeats(node))
        ssh = Ssh(lab, address, 'rescue', password=PASSWORD)
        assert ssh.output('id -un; sudo id -un; sudo -i id -u; whoami').split() == ['rescue', 'root', '0', 'rescue']
        said = server.console.text(server.console.mark_of_last_start())
        for fingerprint in ssh.fingerprints():
            assert fingerprint in said, 'the console tells the host key'
        assert len(set(re.findall(r'SSH host key (\S+) SHA256:', said))) == 2

        assert '/dev/pts/' in ssh.output('tty', terminal=True)
        for refused in (Ssh(lab, address, 'rescue', password='planted open sesam'),
                        Ssh(lab, address, 'root', password=PASSWORD)):
            ended = refused.run('id')
            assert ended.returncode == 255 and 'Permission denied' in ended.stderr, ended

        hashed = ssh.output('sudo cat /etc/shadow').split(':')[1]
        assert hashed.startswith('$5$'), 'as Ironic hashes where nobody chose otherwise'
        secret = hashed.split('$')[-1]
        found = ssh.output('sudo sh', script=SEARCH.replace('HASH', secret))
        assert found.splitlines() == ['last-exit', 'hash in /etc/shadow']
        for name, text in ('console', said), ('conductor', lab.conductor.log()):
            assert secret not in text and PASSWORD not in text, name

        asked = ssh.output('sudo cat /run/farrier/log/port.log')
        assert 'the addresses count' in asked and 'another' not in asked, asked
        since = server.console.text(server.console.mark_of_last_start()).partition('a rescue system: every 10 s')[2]
        assert since and 'lost its addresses' not in since

        # Kinds of hashes that are taken, each by the server itself.
        for setting in ('$y$j9T$uYq3yT5cAY29wYdnY0uX2.', '$6$saltsalt', '$2b$04$abcdefghijklmnopqrstuu'):
            other = crypt(setting)
            ssh.output('sudo tee /etc/shadow', script=f'rescue:{other}:::::::\n')
            assert ssh.output('sudo cut -d: -f2 /etc/shadow').strip() == other

        ssh.output('sudo mount /dev/vda2 /mnt && '
                   'sudo sed -i "s/loading the test system/loading what a rescuer changed/" /mnt/grub/grub.cfg && '
                   'sudo umount /mnt')
        # An agent that served would have reported by now: at most 0.6 of 60 s after the one before.
        assert len(lab.conductor.heartbeats(node)) == beats
        node.target('unrescue')
        node.wait_for('active', 120)
        server.console.wait_for('loading what a rescuer changed', 120, server.console.mark_of_last_start())
        server.console.wait_for('FARRIER-TEST-OS booted', 120, server.console.mark_of_last_start())


def crypt(setting):
    """The password's hash, by crypt(3) of this machine."""
    return subprocess.run(['perl', '-e', 'print crypt($ARGV[0], $ARGV[1])', PASSWORD, setting],
                          capture_output=True, text=True, check=True).stdout
