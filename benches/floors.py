"""What this machine can do at best: hash, receive and write, each alone."""

import re
import socket
import subprocess
import time
import urllib.parse

from measure import MIB, Run, own_processor_seconds, run


def hash_alone(algorithm):
    """MiB a second of OpenSSL, in pieces of 1 MiB."""
    reply = subprocess.run(
        ['openssl', 'speed', '-mr', '-evp', algorithm, '-bytes', str(MIB), '-seconds', '2'],
        check=True, capture_output=True, text=True).stdout
    return float(re.search(r'^\+F:.*:([0-9.]+)$', reply, re.MULTILINE)[1]) / MIB


def receive_alone(url):
    """One download into the same memory over and over."""
    parts = urllib.parse.urlsplit(url)
    memory = bytearray(MIB)
    started, cpu_started = time.monotonic(), own_processor_seconds()
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.sendall(f'GET {parts.path} HTTP/1.0\r\n\r\n'.encode())
        while connection.recv_into(memory):
            pass
    return Run(time.monotonic() - started, own_processor_seconds() - cpu_started, 0)


def write_alone(image, target):
    """The file onto the target by dd, direct, flushed at the end."""
    return run(['/usr/bin/dd', f'if={image}', f'of={target}', 'bs=4M', 'oflag=direct',
                'conv=notrunc,fsync', 'status=none'])
