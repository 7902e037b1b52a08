#!/usr/bin/python3
"""How fast `farrier write` streams a raw image into memory, against the floor of this machine.

The floor is OpenSSL's hash over the same bytes in the same run, one process, nothing else. Machines
are noisy, so the ratio counts, not the seconds. Each is run three times in turn, the best counts.
"""

import argparse
import hashlib
import http.server
import os
import pathlib
import sys
import tempfile
import threading
import time

MIB = 1 << 20
ROUNDS = 3


class Image(http.server.BaseHTTPRequestHandler):
    """Serves one file with sendfile, so that the server costs next to nothing."""

    protocol_version = 'HTTP/1.1'
    path_to_image = None

    def do_GET(self):
        with open(self.path_to_image, 'rb') as image:
            self.send_response(200)
            self.send_header('Content-Length', str(os.fstat(image.fileno()).st_size))
            self.end_headers()
            self.wfile.flush()
            self.connection.sendfile(image)

    def log_message(self, *arguments):
        pass


def hash_alone(path, algorithm):
    """Seconds to hash the file, and its digest."""
    started = time.monotonic()
    with open(path, 'rb') as image:
        digest = hashlib.file_digest(image, algorithm).hexdigest()
    return time.monotonic() - started, digest


def write(agent, url, target, checksum):
    """Seconds, CPU seconds and peak KiB of one `farrier write`."""
    started = time.monotonic()
    pid = os.posix_spawn(agent, [agent, 'write', '--url', url, '--device', str(target),
                                 '--checksum', checksum],
                         os.environ, file_actions=[
                             (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                             (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)])
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        sys.exit(f'farrier write ended with {os.waitstatus_to_exitcode(status)}')
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('agent', help='the farrier executable')
    parser.add_argument('--mib', type=int, default=1024)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir='/dev/shm') as folder:
        image, target = (pathlib.Path(folder) / name for name in ('image', 'target'))
        block = os.urandom(MIB)
        with open(image, 'wb') as file:
            for number in range(arguments.mib):
                file.write(number.to_bytes(8, 'little') + block[8:])
        # The target's pages are there before the first run: what is measured is the streaming.
        target.write_bytes(bytes(arguments.mib * MIB))
        Image.path_to_image = image
        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Image)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f'http://127.0.0.1:{server.server_port}/image'
        print(f'{"":8}{"hash alone":>14}{"farrier write":>16}{"of the hash":>14}'
              f'{"CPU s/GiB":>12}{"peak MiB":>10}')
        for algorithm in ('sha256', 'sha512'):
            floors, runs = [], []
            for _ in range(ROUNDS):
                seconds, digest = hash_alone(image, algorithm)
                floors.append(seconds)
                runs.append(write(arguments.agent, url, target, f'{algorithm}:{digest}'))
                if hash_alone(target, algorithm)[1] != digest:
                    sys.exit('the target is not the image')
            floor, (seconds, cpu, peak) = min(floors), min(runs)
            print(f'{algorithm:8}{arguments.mib / floor:9.0f} MiB/s{arguments.mib / seconds:10.0f}'
                  f' MiB/s{floor / seconds:14.2f}{cpu * 1024 / arguments.mib:12.2f}'
                  f'{peak / 1024:10.1f}')
        server.shutdown()


if __name__ == '__main__':
    main()
