"""A hand inside the guest: runs a prepared shell command at the moment a test wants it.

The ramdisk has no way in, and is not given one for tests. Instead its image gets a second archive
appended (the kernel unpacks concatenated archives): a static busybox, the commands, and a udev
rule. The rule fires when one tiny disk changes its size, which QEMU does on request from outside.
"""

import shutil
import tempfile
from pathlib import Path

from lab.archive import append
from lab.disk import Disk

BUSYBOX = Path('/bin/busybox')
SERIAL = 'HAND'

# Sizes are in sectors. The number of the command is in the size, above it a counter, because only
# a change is an event.
_FIRST = 2048
_STEP = 8
_COMMANDS = 16

_RULE = (f'ACTION=="change", SUBSYSTEM=="block", ENV{{RESIZE}}=="1", '
         f'ATTR{{serial}}=="{SERIAL}", RUN+="/hand/busybox sh /hand/move %k"\n')

_MOVE = f'''\
exec >/dev/console 2>&1
size=$(/hand/busybox cat /sys/class/block/$1/size)
command=$(( (size - {_FIRST}) / {_STEP} % {_COMMANDS} ))
PATH= /hand/busybox sh /hand/$command
'''


class Hand:
    """Commands for busybox's shell by name; output goes to the console.

    A command calls programs as `/hand/busybox PROGRAM`.
    """

    def __init__(self, **commands):
        if len(commands) > _COMMANDS:
            raise ValueError(f'a hand knows at most {_COMMANDS} commands')
        self._commands = commands
        self._moves = 0

    @staticmethod
    def disk():
        """The disk that a server must have, as its last one, to be given a hand."""
        return Disk('virtio', size_mib=1, serial=SERIAL)

    def into(self, ramdisk: Path, target: Path) -> Path:
        """Writes a ramdisk image with this hand to `target`."""
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            (root / 'hand').mkdir()
            shutil.copy(BUSYBOX, root / 'hand' / 'busybox')
            (root / 'hand' / 'move').write_text(_MOVE)
            for number, command in enumerate(self._commands.values()):
                (root / 'hand' / str(number)).write_text(command + '\n')
            rule = root / 'usr' / 'lib' / 'udev' / 'rules.d' / '99-hand.rules'
            rule.parent.mkdir(parents=True)
            rule.write_text(_RULE)
            return append(ramdisk, root, ['hand'], target)

    def move(self, server, name):
        """Lets the running server's hand do one command."""
        self._moves += 1
        number = list(self._commands).index(name)
        sectors = _FIRST + _STEP * (self._moves * _COMMANDS + number)
        device = f'disk{len(server.disks) - 1}'
        # QEMU resizes the file too.
        with server.qmp() as qmp:
            qmp.execute('block_resize', device=device, size=sectors * 512)


KILL_AGENT = '''\
for p in /proc/[0-9]*; do
    read -r name < $p/comm 2>/dev/null || continue
    [ "$name" = farrier ] && [ ${p#/proc/} != 1 ] && kill -9 ${p#/proc/}
done
echo "hand: killed the agent"
'''

END_AGENT = KILL_AGENT.replace('kill -9', 'kill -TERM').replace('killed', 'asked for its end')

AGENT_MEMORY = '''\
for p in /proc/[0-9]*; do
    read -r name < $p/comm 2>/dev/null || continue
    [ "$name" = farrier ] || continue
    while read -r key value unit; do
        case $key in VmRSS:|VmHWM:) echo "hand: pid ${p#/proc/} $key $value $unit";; esac
    done < $p/status
done
echo "hand: end of memory"
'''

PROCESSES = '''\
for p in /proc/[0-9]*; do
    read -r name < $p/comm 2>/dev/null || continue
    read -r score < $p/oom_score_adj
    read -r group < $p/cgroup
    echo "hand: process ${p#/proc/} $name $score $group"
done
for g in /sys/fs/cgroup/farrier/*/; do
    g=${g%/}
    for f in memory.max memory.swap.max memory.oom.group pids.max; do
        read -r value < $g/$f && echo "hand: limit ${g##*/} $f $value"
    done
done
echo "hand: end of processes"
'''
