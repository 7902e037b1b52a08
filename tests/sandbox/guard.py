"""Run in the sandbox, tries what would harm this machine: guard.py DEVICE..., each NAME:MAJOR:MINOR of a block device.

What it could do is its output, a line each, and its exit status. Nothing that it tries does harm where it can be done:
devices are made and removed again, or opened to be read and left alone; so are files, to be written; and reboot(2) is called
without its magic numbers, which are looked at after the right to call it.
"""

import contextlib
import ctypes
import errno
import os
import stat
import sys
import tempfile
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER = 0x10000000
SYS_REBOOT = {'x86_64': 169, 'aarch64': 142}[os.uname().machine]

# All that there is to be opened.
DEVICES = {'fd', 'full', 'null', 'random', 'shm', 'urandom', 'zero'}

# What ends or changes the machine where it can be written.
SWITCHES = ('/proc/sysrq-trigger', '/proc/sys/kernel/sysrq', '/proc/sys/kernel/core_pattern', '/proc/sys/kernel/modprobe',
            '/proc/sys/vm/drop_caches')

# Where programs ask an init to end the machine.
INITS = ('/run/systemd/private', '/run/dbus/system_bus_socket', '/run/initctl', '/dev/initctl')


def opens(path, flags):
    try:
        os.close(os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def makes(kind, major, minor):
    """Whether such a device can be made. It is not opened: of a watchdog that alone would restart the machine."""
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(OSError):
        os.mknod(f'{folder}/device', kind | 0o600, os.makedev(major, minor))
        return True
    return False


def may_reboot():
    """Without the right this is EPERM; with it, and without the magic numbers, EINVAL."""
    ctypes.set_errno(0)
    return LIBC.syscall(SYS_REBOOT, 0, 0, 0, None) == 0 or ctypes.get_errno() != errno.EPERM


def devices(named):
    """Block devices that can be reached, by their names or by their numbers."""
    for each in named:
        name, major, minor = each.rsplit(':', 2)
        for path in (f'/dev/{name}', f'/dev/block/{major}:{minor}'):
            if opens(path, os.O_RDONLY):
                yield f'opened {path}'
        if makes(stat.S_IFBLK, int(major), int(minor)):
            yield f'made the block device {name}'


def ways():
    """Everything else that must not be."""
    for name in set(os.listdir('/dev')) - DEVICES:
        yield f'/dev has {name}'
    for folder in ('/sys/block', '/sys/class/block'):
        for name in os.listdir(folder):
            yield f'{folder} has {name}'
    # mem, and the watchdog.
    for major, minor in ((1, 1), (10, 130)):
        if makes(stat.S_IFCHR, major, minor):
            yield f'made the character device {major}:{minor}'
    if may_reboot():
        yield 'may call reboot(2)'
    for path in SWITCHES:
        if opens(path, os.O_WRONLY):
            yield f'may write to {path}'
    for path in INITS:
        if os.path.exists(path):
            yield f'{path} is there'
    with contextlib.suppress(OSError):
        os.kill(1, 0)
        if Path('/proc/1/comm').read_text().strip() in ('systemd', 'init'):
            yield 'sees the init of this machine'
    status = dict(line.split(':', 1) for line in Path('/proc/self/status').read_text().splitlines())
    for name in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'):
        if int(status[name], 16):
            yield f'has capabilities: {name}'
    if '0' in status['Uid'].split() or status['NoNewPrivs'].strip() != '1':
        yield 'is root, or can become root'
    links = [line.split(':')[0].strip() for line in Path('/proc/net/dev').read_text().splitlines()[2:]]
    if links != ['lo']:
        yield f'has the network of {links}'
    for line in Path('/proc/self/mountinfo').read_text().splitlines():
        fields, kind = line.split(' - ')
        place, options = fields.split()[4:6]
        kind = kind.split()[0]
        if kind in ('sysfs', 'devtmpfs', 'debugfs', 'securityfs', 'cgroup2', 'efivarfs'):
            yield f'{place} is a {kind}'
        if kind not in ('tmpfs', 'proc') and not {'ro', 'nodev', 'nosuid'} <= set(options.split(',')):
            yield f'may write to {place}, or open devices there'


def as_root_of_its_own(named):
    """The same with all capabilities in a user namespace of its own, where there can be one."""
    child = os.fork()
    if child == 0:
        if LIBC.unshare(CLONE_NEWUSER) != 0:
            os._exit(0)
        found = [*devices(named)]
        if may_reboot():
            found.append('may call reboot(2)')
        found += [f'may write to {path}' for path in SWITCHES if opens(path, os.O_WRONLY)]
        for line in found:
            print(f'in a user namespace of its own: {line}', flush=True)
        os._exit(bool(found))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(named):
    """The exit status: 0 where nothing could be done."""
    found = [*devices(named), *ways()]
    for line in found:
        print(line, flush=True)
    return bool(found) | as_root_of_its_own(named)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
