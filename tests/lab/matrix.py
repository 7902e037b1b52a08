"""`make lab-matrix`: conductors of several releases, each through inspection, cleaning and deployment; prints a table.

    python tests/lab/matrix.py [RELEASE…]

A release that cannot be installed here, or that fails, has its message in the table; only a failure ends the
program with 1. The table of the last run is in docs/operators/conductors.md.
"""

import subprocess
import sys
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conductor import other_releases  # noqa: E402  (needs the path above)
from lab import Image, Lab, paths  # noqa: E402
from lab.release import Release  # noqa: E402

RELEASES = ('20.1.3', '24.1.3', '24.1.5', '29.0.6', '32.0.1', '35.1.0', '39.0.0')

STEPS = ('refused without', 'inspect', 'clean', 'deploy')


def main(versions):
    rows, failed = [], False
    for version in versions or RELEASES:
        row = {'Ironic': version}
        rows.append(row)
        print(f'== Ironic {version}', flush=True)
        try:
            _run(Release.of(version), row)
        except Exception as error:  # pylint: disable=broad-exception-caught (the others are run all the same)
            traceback.print_exc()
            missing = next(step for step in (*STEPS[1:], '') if step not in row)
            row[missing or 'deploy'] = f'fails: {error}'.splitlines()[0]
            failed = True
    print('\n' + _table(rows))
    return 1 if failed else 0


def _run(release, row):
    if release != Release.own():
        done = subprocess.run([Path(__file__).with_name('install-conductor'), release.version],
                              stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode == 3:
            row['Python'] = 'not installable: ' + done.stderr.strip().splitlines()[-1]
            return
        if done.returncode:
            raise RuntimeError(f'install-conductor: {done.stderr.strip().splitlines()[-1]}')
    python = subprocess.run([release.program('python'), '-c', 'import platform; print(platform.python_version())'],
                            stdout=subprocess.PIPE, text=True, check=True)
    row['Python'] = python.stdout.strip()
    with Lab(paths.LAB / 'run-matrix', release=release) as lab:
        row['option'] = '-' if release.reads_with_token else other_releases.READS
        if not release.speaks_of_md5:
            row['option'] += f' {other_releases.MD5}'
        if release.reads_with_token:
            row['refused without'] = '-'
        else:
            other_releases.fail_without_the_option(lab)
            row['refused without'] = 'yes, by name'
        if not release.inspects:
            row['inspect'] = 'has no such interface'
        image = Image.publish(lab, paths.TEST_IMAGE)
        other_releases.lead(lab, image, lambda step, seconds: row.update({step: f'ok ({seconds:.0f} s)'}))


def _table(rows):
    columns = ('Ironic', 'Python', 'option', *STEPS)
    lines = [columns, ('---',) * len(columns), *([row.get(name, '') for name in columns] for row in rows)]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
