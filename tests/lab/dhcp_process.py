"""A DHCP server as a process, whichever it is, for IPv4 or IPv6."""

import shutil
from pathlib import Path

from lab.process import Process


def start(run, server, name, settings, *, outlive):
    """Starts this server (a module) with these settings and waits until it serves. Its log is the one of this name."""
    # A copy of the program. Where AppArmor is on, Debian's profiles, which go by the program's path, keep dhcpd and Kea
    # to the folders of the machine's own service.
    copy = run.etc / Path(server.PROGRAM).name
    if not copy.exists():
        shutil.copy(server.PROGRAM, copy)
    command, environment = server.command(copy, settings, run.etc)
    log = run.logs / f'{name}.log'
    offset = len(said(log))
    process = Process.start(name, command, run.namespace, log, env=environment, outlive=outlive)
    process.wait_until(lambda: server.READY in said(log)[offset:], 10, 'start of service')
    return process


def said(log):
    """What a server has said so far."""
    return log.read_text(errors='replace') if log.exists() else ''
