"""Config drives as they are sent: what is written to the disk, and where farrier answers differently.

A case is sent inline, as the conductor's string, or as the body behind a URL. Without an answer of its
own it wants the reference's. Another answer needs a reason.
"""

import base64
import gzip
import lzma
import pathlib
import subprocess
import tempfile
import zlib

REASONS = {
    'text': 'A byte order mark or the head of a data: URL is no base64. The reference refuses a string with '
            'the one, and takes the letters of the other for base64.',
    'alphabet': 'The two letters that base64 for URLs has instead. The reference leaves them out and fails.',
    'unpadded': 'Padding at the end says nothing. Without it the reference refuses a string, and writes a '
                'download to the disk as the text that it is.',
    'no base64': 'The reference takes an image for base64 where the count of its ASCII letters allows it.',
    'gzip': 'A download that is gzip. The reference writes the gzip file to the disk, or fails.',
    'plain': 'The image lies in the base64 without gzip. The reference wants gzip.',
    'layers': 'Packed twice by mistake: all of it comes off. The reference writes what is inside the first '
              'layer, which nobody can mount.',
    'not one': 'No config drive: the reference writes it to the disk, and the deployment succeeds.',
    'empty': 'Nothing at all: the reference writes nothing, and the deployment succeeds.',
    'cut off': 'The image ends before its files do. The reference writes what there is.',
    'crash': 'The reference fails with an error that is not about the config drive.',
    'padding': 'Base64 that goes on behind its padding is two texts, or damaged. The reference reads the '
               'first only.',
}


def tool(*command):
    subprocess.run(command, check=True, capture_output=True)


def images():
    """A config drive in each form, a few files small; made once, by the tools that sites use."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        latest = folder / 'tree/openstack/latest'
        latest.mkdir(parents=True)
        (latest / 'meta_data.json').write_text('{"uuid": "1be26c0b"}')
        (latest / 'user_data').write_text('#cloud-config\n')
        tool('genisoimage', '-quiet', '-J', '-r', '-no-pad', '-V', 'config-2', '-o', folder / 'iso',
             folder / 'tree')
        for name, sectors in (('fat', '512'), ('fat4096', '4096')):
            (folder / name).write_bytes(bytes(512 << 10))
            tool('/usr/sbin/mkfs.fat', '-n', 'CONFIG-2', '-S', sectors, '-i', '12345678', folder / name)
            tool('mcopy', '-s', '-i', folder / name, folder / 'tree/openstack', '::/')
        for name, label in (('ext4', 'config-2'), ('root', 'root')):
            (folder / name).write_bytes(bytes(256 << 10))
            tool('/usr/sbin/mkfs.ext4', '-q', '-O', '^has_journal', '-L', label, folder / name)
        return {name: (folder / name).read_bytes()
                for name in ('iso', 'fat', 'fat4096', 'ext4', 'root')}


def taken_for_base64(image):
    """The image with a few letters at its start, which nobody reads, so that all are a multiple of four."""
    count = sum(chr(byte).isascii() and (chr(byte).isalnum() or byte in b'+/') for byte in image)
    return b'A' * (-count % 4) + image[-count % 4:]


IMAGES = images()
IMAGES |= {name: taken_for_base64(IMAGES[name]) for name in ('iso', 'ext4')}
ISO, FAT = IMAGES['iso'], IMAGES['fat']
# Its base64 ends with padding.
PACKED = next(packed for packed in (gzip.compress(ISO, level, mtime=0) for level in range(9, 0, -1))
              if len(packed) % 3)
TEXT = base64.b64encode(PACKED).decode()
PAGE = b'<!DOCTYPE html>\n<html><head><title>Anmelden</title></head><body>' + 'Portal für Gäste'.encode() * 9
WRITES = {name: {'writes': name} for name in IMAGES}


def lines(text, width=76, end='\n'):
    return ''.join(text[at:at + width] + end for at in range(0, len(text), width))


def case(title, sent, why=None, farrier=None):
    """`sent` is a string (inline) or bytes (the body behind a URL)."""
    how = 'inline' if isinstance(sent, str) else 'url'
    return {'title': title, how: sent, **({'why': why, 'farrier': farrier} if why else {})}


def writes(title, sent, why, name='iso'):
    """A case where only farrier writes the image."""
    return case(title, sent, why, WRITES[name])


def refuses(title, sent, why, text):
    return case(title, sent, why, {'refuses': text})


NEITHER = 'and no ISO 9660 or FAT image, gzip or base64'
MALFORMED = 'is not base64 encoded or the content is malformed'
UNPACKING = 'Encountered error while decompressing and writing config drive'


def inline():
    yield case('as the conductor sends it', TEXT)
    yield case('in lines', lines(TEXT))
    yield case('in lines of DOS, indented', lines(TEXT, 64, '\r\n    '))
    yield case('in quotation marks', f'"{TEXT}"\n')
    yield writes('for URLs', base64.urlsafe_b64encode(PACKED).decode(), 'alphabet')
    yield writes('unpadded', TEXT.rstrip('='), 'unpadded')
    yield writes('behind a byte order mark', f'\ufeff{TEXT}', 'text')
    yield writes('a data: URL', f'data:application/gzip;base64,{TEXT}', 'text')
    yield writes('base64 of the ISO', base64.b64encode(ISO).decode(), 'plain')
    yield writes('base64 of FAT', base64.b64encode(FAT).decode(), 'plain', 'fat')
    yield writes('base64 twice around gzip', base64.b64encode(TEXT.encode()).decode(), 'layers')
    yield writes('gzip twice', base64.b64encode(gzip.compress(PACKED, mtime=0)).decode(), 'layers')
    yield writes('base64 in gzip', base64.b64encode(gzip.compress(TEXT.encode(), mtime=0)).decode(),
                 'layers')
    for name in ('fat', 'fat4096', 'ext4'):
        yield case(f'{name} in gzip', base64.b64encode(gzip.compress(IMAGES[name], mtime=0)).decode())
    yield refuses('another file system in gzip',
                  base64.b64encode(gzip.compress(IMAGES['root'], mtime=0)).decode(), 'not one', NEITHER)
    yield refuses('a page in gzip', base64.b64encode(gzip.compress(PAGE, mtime=0)).decode(), 'not one',
                  'inside gzip is an HTML or XML page')
    yield refuses('a seed of cloud-init in gzip',
                  base64.b64encode(gzip.compress(b'#cloud-config\n{}\n', mtime=0)).decode(), 'not one',
                  'inside gzip is text')
    yield refuses('nothing in gzip', base64.b64encode(gzip.compress(b'', mtime=0)).decode(), 'empty',
                  'inside gzip is empty')
    yield refuses('five times gzip', base64.b64encode(nested(5)).decode(), 'not one',
                  'more than 4 times gzip or base64')
    yield refuses('nothing but marks', '!!!', 'empty', 'it is empty')
    yield case('a letter', 'A')
    yield case('base64 of text', base64.b64encode(b'#cloud-config\n').decode())
    yield case('base64 of xz', base64.b64encode(lzma.compress(ISO)).decode())
    yield case('base64 of zlib', base64.b64encode(zlib.compress(ISO)).decode())
    yield refuses('cut off', TEXT[:1000], 'crash', UNPACKING)
    yield case('damaged', TEXT[:400] + 'AAAA' + TEXT[404:])
    first = gzip.compress(ISO + b'\0', mtime=0)
    # Zeros until its base64 ends with padding.
    first += bytes(2 if len(first) % 3 == 2 else 1)
    yield refuses('two texts', base64.b64encode(first).decode() + TEXT, 'padding', 'goes on behind its padding')


def nested(times):
    content = ISO
    for _ in range(times):
        content = gzip.compress(content, mtime=0)
    return content


def ends():
    def text(content):
        return base64.b64encode(content).decode()

    zeros = bytes(700)
    half = len(ISO) // 2
    first, second = (gzip.compress(part, mtime=0) for part in (ISO[:half], ISO[half:]))
    yield case('two members', text(first + second))
    yield case('zeros behind it', text(PACKED + zeros))
    yield case('zeros between two members', text(first + zeros + second))
    yield case('zeros behind two members', text(first + second + zeros))
    yield case('something else behind it', text(PACKED + b'signed'))
    yield refuses('half the ISO', text(gzip.compress(ISO[:-4096], mtime=0)), 'cut off', 'is cut off')
    yield refuses('half the FAT', text(gzip.compress(FAT[:16 << 10], mtime=0)), 'cut off', 'is cut off')


def downloads():
    yield writes('the ISO', ISO, 'no base64')
    yield case('FAT', FAT)
    yield case('FAT with sectors of 4096 bytes', IMAGES['fat4096'])
    yield writes('ext4 that says config-2', IMAGES['ext4'], 'no base64', 'ext4')
    yield writes('gzip', PACKED, 'gzip')
    yield case('base64', TEXT.encode())
    yield case('base64 in lines', lines(TEXT).encode())
    yield case('base64 in lines joined by blanks', lines(TEXT, end=' ').encode())
    yield writes('base64 without padding', TEXT.rstrip('=').encode(), 'unpadded')
    yield case('base64 behind a mark', b'\xef\xbb\xbf' + TEXT.encode())
    yield case('base64 in UTF-16, little end first', TEXT.encode('utf-16'))
    yield case('base64 in UTF-16, big end first', b'\xfe\xff' + TEXT.encode('utf-16-be'))
    yield case('base64 in UTF-16 without a mark', TEXT.encode('utf-16-le'))
    yield writes('base64 for URLs', base64.urlsafe_b64encode(PACKED), 'alphabet')
    yield writes('a data: URL', f'data:;base64,{TEXT}'.encode(), 'text')
    yield writes('gzip twice', nested(2), 'gzip')
    yield writes('base64 of the ISO', base64.b64encode(ISO), 'plain')
    yield refuses('a page', PAGE, 'not one', 'it is an HTML or XML page')
    yield refuses('a page in ASCII', PAGE.decode().encode('ascii', 'replace') + b'..', 'not one',
                  'it is an HTML or XML page')
    yield refuses('words', b'There is no config drive for this instance', 'not one', 'it is text')
    yield refuses('JSON', b'{"error": "not found", "code": 404}', 'not one', 'it is text')
    yield refuses('the error of a store', b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
                  'not one', 'it is an HTML or XML page')
    yield refuses('xz', lzma.compress(ISO), 'not one', 'it is xz')
    yield refuses('zip', b'PK\x03\x04\x14\0\0\0\x08\0' + bytes(90), 'not one', 'it is a zip archive')
    yield refuses('another file system', IMAGES['root'], 'not one', NEITHER)
    yield refuses('zeros', bytes(40000), 'empty', NEITHER)
    yield refuses('nothing', b'', 'empty', 'it is empty')
    yield refuses('the ISO, cut off', ISO[:-4096], 'cut off', 'is cut off')
    yield refuses('the first 30 KiB of the ISO', ISO[:30 << 10], 'not one', NEITHER)


def all_cases():
    for group in (inline, ends, downloads):
        for each in group():
            yield {'group': group.__name__, **each}
