#!/usr/bin/env python3
"""Makes config drives with links, deep directories and strange names, and says what an ISO reader finds
in each: trees.py FILE. As root, since there are devices among them.

    tests/check/install-packages genisoimage xorriso dosfstools mtools
    python3 tests/config_drives/trees.py tests/fixtures/config_drives/trees.json

A disk with blocks of 4096 bytes gets these files as FAT. xorriso reads every image back (mtools those of
FAT), and links are followed in what it extracted. What FAT cannot hold is refused, by this text.
"""

import base64
import datetime
import gzip
import json
import os
import pathlib
import subprocess
import sys
import tempfile


def tool(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, timeout=30, **options).stdout


def plain(root):
    """What a config drive has at least."""
    latest = root / 'openstack/latest'
    latest.mkdir(parents=True)
    (latest / 'meta_data.json').write_text('{"uuid": "1be26c0b"}')
    (latest / 'user_data').write_text('#cloud-config\n')
    (latest / 'empty').write_text('')
    return latest


def links(root):
    latest = plain(root)
    (root / 'openstack/2012-08-10').symlink_to('latest')
    (root / 'ec2').mkdir()
    (root / 'ec2/user-data').symlink_to('../openstack/latest/user_data')
    (root / 'ec2/again').symlink_to('./user-data')
    (root / 'ec2/by-link').symlink_to('../openstack/2012-08-10/meta_data.json')
    (root / 'here').symlink_to('.//ec2/../openstack/')
    os.link(latest / 'user_data', root / 'hard')
    (root / 'script.sh').write_text('#!/bin/sh\n')
    (root / 'script.sh').chmod(0o755)
    (latest / 'secret').write_text('x' * 5000)
    (latest / 'secret').chmod(0o400)


def names(root):
    latest = plain(root)
    (latest / ('n' * 200)).write_text('long')
    (root / ('d' * 120)).mkdir()
    (root / ('d' * 120) / ('e' * 120)).mkdir()
    (root / ('d' * 120) / ('e' * 120) / 'file').write_text('far')
    (root / 'Größe und Maß.txt').write_text('ß')
    (root / '.hidden').write_text('dot')
    (root / 'two.dots.txt').write_text('dots')
    for number in range(60):
        (latest / f'many-{number:02}').write_text(str(number))


def names_and_link(root):
    names(root)
    # Its parts go on from one entry to the next. genisoimage cannot do that.
    (root / 'far').symlink_to(f'{"d" * 120}/{"e" * 120}/../../{"d" * 120}/{"e" * 120}/file')


def deep(root):
    latest = plain(root)
    folder = latest
    for level in range(1, 13):
        folder = folder / f'level-{level:02}'
        folder.mkdir()
        (folder / 'file').write_text(f'{level}')
    (root / 'bottom').symlink_to(folder.relative_to(root))


def link(to):
    def make(root):
        plain(root)
        (root / 'link').symlink_to(to)
    return make


def circle(root):
    plain(root)
    (root / 'one').symlink_to('two')
    (root / 'two').symlink_to('one')


def up(root):
    plain(root)
    (root / 'openstack/parent').symlink_to('..')


def pipe(root):
    plain(root)
    os.mkfifo(root / 'pipe')


def device(root):
    plain(root)
    os.mknod(root / 'device', 0o20600, os.makedev(1, 3))


def named(*paths):
    def make(root):
        plain(root)
        for path in paths:
            # As bytes, since not all are text.
            with open(os.path.join(os.fsencode(root), path), 'w', encoding='ascii') as file:
                file.write('x')
    return make


def genisoimage(*options):
    def make(tree, image, _):
        tool('genisoimage', '-quiet', *options, '-no-pad', '-V', 'config-2', '-o', image, tree)
    return make


def xorriso(*options):
    def make(tree, image, _):
        tool('xorriso', '-as', 'mkisofs', *options, '-no-pad', '-V', 'config-2', '-o', image, tree)
    return make


def two_sessions(tree, image, folder):
    more = folder / 'more'
    more.mkdir()
    (more / 'user_data').write_text('#second session\n')
    tool('xorriso', '-outdev', image, '-volid', 'config-2', '-map', tree, '/', '-commit')
    tool('xorriso', '-dev', image, '-map', more / 'user_data', '/openstack/latest/user_data',
         '-map', more / 'user_data', '/new', '-commit')


def compressed(tree, image, _):
    (tree / 'zeros').write_bytes(bytes(100_000))
    tool('xorriso', '-outdev', image, '-volid', 'config-2', '-map', tree, '/', '-set_filter', '--zisofs',
         '/zeros', '--', '-commit')


def fat(*options):
    def make(tree, image, _):
        image.write_bytes(bytes(4 << 20))
        tool('/usr/sbin/mkfs.fat', '-n', 'CONFIG-2', '-i', '12345678', *options, image)
        tool('mcopy', '-s', '-i', image, *tree.iterdir(), '::/', env={**os.environ, 'LC_ALL': 'C.UTF-8'})
    return make


BOTH = genisoimage('-J', '-r')
MADE = [
    # Title, tree, image, text of the refusal.
    ('links, as the conductor makes images', links, BOTH, None),
    ('links, Rock Ridge alone', links, genisoimage('-R'), None),
    ('links, by xorriso', links, xorriso('-R', '-J'), None),
    ('links, and UDF beside', links, genisoimage('-r', '-J', '-udf'), None),
    ('links followed by the tool, Joliet alone', links, genisoimage('-J', '-f'), None),
    ('links followed by the tool, neither', links, genisoimage('-f', '-iso-level', '2'), None),
    ('names', names, genisoimage('-J', '-joliet-long', '-r'), None),
    ('names, by xorriso', names_and_link, xorriso('-R'), None),
    ('deep directories, relocated', deep, genisoimage('-r'), None),
    ('deep directories, as they are', deep, xorriso('-R'), None),
    ('deep directories, relocated by xorriso', deep, xorriso('-R', '-D', '-hide-rr-moved'), None),
    ('two sessions', links, two_sessions, None),
    ('FAT with sectors of 512 bytes', plain, fat('-S', '512'), None),
    ('FAT16 with names', lambda root: plain(root) and named(b'a rather long name.json')(root / 'openstack'),
     fat('-S', '512', '-F', '16', '-s', '1'), None),
    ('a link that leads nowhere', link('nothing'), BOTH, '/link in the ISO 9660 image is a symbolic link to '
     'nothing, which is not there'),
    ('a link to a file of whoever mounts it', link('/etc/passwd'), BOTH, '/link in the ISO 9660 image is a '
     'symbolic link to /etc/passwd, which begins at the root'),
    ('a link out of the image', link('../passwd'), BOTH, '/link in the ISO 9660 image is a symbolic link to '
     '../passwd, which is not in the image'),
    ('a link through a file', link('openstack/latest/user_data/x'), BOTH, 'which is behind a file'),
    ('links in a circle', circle, BOTH, 'round in a circle'),
    ('a link to a directory above it', up, BOTH, 'round in a circle'),
    ('a pipe', pipe, BOTH, '/pipe in the ISO 9660 image is a device, a pipe or a socket'),
    ('a device', device, BOTH, '/device in the ISO 9660 image is a device, a pipe or a socket'),
    ('a compressed file', plain, compressed, '/zeros in the ISO 9660 image is compressed or sparse'),
    ('a name that FAT does not have', named(b'a:b'), BOTH, 'FAT cannot hold the file /a:b'),
    ('a name with a dot at its end', named(b'a.'), BOTH, 'FAT cannot hold the file /a.'),
    ('two names that differ in their case', named(b'name', b'NAME'), BOTH, 'differs in its case alone'),
    ('a name that is no UTF-8', named(b'b\xfccher'), genisoimage('-r', '-input-charset', 'iso8859-1',
                                                                 '-output-charset', 'iso8859-1'),
     'has a name that is no UTF-8'),
]


def found(image, folder):
    """Path and content of every file that a reader finds, links followed."""
    extracted = folder / 'extracted'
    extracted.mkdir()
    if image.read_bytes()[510:512] == b'\x55\xaa' and b'FAT1' in image.read_bytes()[:512]:
        tool('mcopy', '-s', '-n', '-i', image, '::/*', extracted, env={**os.environ, 'LC_ALL': 'C.UTF-8'})
    else:
        tool('xorriso', '-osirrox', 'on', '-indev', image, '-extract', '/', extracted)
    files = {}
    for path, _, names_here in os.walk(extracted, followlinks=True):
        for name in names_here:
            path_here = os.path.join(path, name)
            files[os.path.relpath(path_here, extracted)] = pathlib.Path(path_here).read_bytes().decode()
    return files


def made(title, tree, image, text):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / 'tree').mkdir()
        tree(folder / 'tree')
        image(folder / 'tree', folder / 'image', folder)
        content = (folder / 'image').read_bytes()
        result = {'refuses': text} if text else {'files': found(folder / 'image', folder)}
        if 'neither' in title:
            # Linux shows names without Rock Ridge and Joliet in small letters.
            result['files'] = {path.lower(): file for path, file in result['files'].items()}
        packed = base64.b64encode(gzip.compress(content, mtime=0)).decode()
        return {'title': title, 'image': packed, **result}


def main(path):
    versions = [tool('genisoimage', '--version').decode().strip(),
                tool('xorriso', '--version').decode().splitlines()[0]]
    head = json.dumps({'tools': versions, 'date': datetime.date.today().isoformat()}, indent=1)
    lines = ',\n'.join('  ' + json.dumps(made(*each), ensure_ascii=False) for each in MADE)
    path.write_text(head.removesuffix('\n}') + f',\n "images": [\n{lines}\n ]\n}}\n')
    print(f'{len(MADE)} images')


if __name__ == '__main__':
    main(pathlib.Path(sys.argv[1]))
