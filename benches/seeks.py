"""How often a program moves to another place of the disk while it writes an image."""

import re
import subprocess

# strace -y: pwrite64(5</dev/loop0>, "..."..., 65536, 1048576) = 65536; also pwritev and pwritev2.
WRITE = re.compile(r'pwrite\w*\((?:\d+)<(?P<path>[^>]*)>.*, (?P<offset>\d+)(?:, \S+)?\)\s*= '
                   r'(?P<count>\d+)$')


def count(command, target, trace):
    """Writes and seeks of the command. Traced, therefore slow: never in a run that is timed."""
    subprocess.run(['strace', '-f', '-y', '-qq', '-s', '0', '-e',
                    'trace=pwrite64,pwritev,pwritev2', '-o', trace, *command],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    writes = seeks = position = 0
    with open(trace, encoding='utf-8', errors='replace') as lines:
        for line in lines:
            found = WRITE.search(line)
            if found is None or found['path'] != str(target):
                continue
            writes += 1
            offset = int(found['offset'])
            seeks += offset != position
            position = offset + int(found['count'])
    return writes, seeks
