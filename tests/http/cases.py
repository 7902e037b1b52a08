"""Cases of HTTP: what a server answers byte for byte, and where farrier differs.

A case is a list of replies, the n-th for the n-th request, and the digest that is promised. Lines of
a head end in CRLF unless the case says otherwise; `{here}` is the server, `{there}` the same server
under another host's address. A case without an answer of its own wants the reference's; another answer
needs a reason.
"""

import base64
import gzip
import hashlib
import zlib

IMAGE = b''.join(f'{number:07}\n'.encode() for number in range(512))


def packed(content):
    return gzip.compress(content, 6, mtime=0)


def raw_deflate(content):
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    return compressor.compress(content) + compressor.flush()


def zstandard(content):
    """One frame of one raw block (RFC 8878), so that no library is needed."""
    frame = b'\x28\xb5\x2f\xfd' + b'\x60' + (len(content) - 256).to_bytes(2, 'little')
    return frame + (len(content) << 3 | 1).to_bytes(3, 'little') + content


# A config drive is known by the descriptor of ISO 9660.
DRIVE = bytes(32768) + b'\x01CD001' + bytes(2010)
SUMS = f'{hashlib.sha256(IMAGE).hexdigest()}  one.raw\n'.encode()

BODIES = {
    'image': IMAGE,
    'image.gz': packed(IMAGE),
    'image.gz.gz': packed(packed(IMAGE)),
    'image.zlib': zlib.compress(IMAGE),
    'image.deflate': raw_deflate(IMAGE),
    'image.zst': zstandard(IMAGE),
    'cut.gz': packed(IMAGE)[:-9],
    'damaged.gz': packed(IMAGE)[:-6] + b'\0\0' + packed(IMAGE)[-4:],
    'drive': DRIVE,
    'drive.gz': packed(DRIVE),
    'drive.gz.gz': packed(packed(DRIVE)),
    'drive.base64': base64.b64encode(packed(DRIVE)),
    'drive.base64.gz': packed(base64.b64encode(packed(DRIVE))),
    'sums': SUMS,
    'sums.gz': packed(SUMS),
}

REASONS = {
    'stored': 'The digest is of the bytes as they are stored, and an image that is stored as gzip or '
              'zstd is decompressed anyway; the reference can only verify what it unpacked.',
    'no coding': 'The server names a coding that the bytes are not in. The digest vouches for them; '
                 'the reference gives up.',
    'zstd': 'The coding is taken off like gzip; the reference of Debian has no library for it.',
    'packed twice': 'Two codings on top of each other are refused by name; nobody has been seen to '
                    'send an image so.',
    'raw deflate': 'Deflate without the frame of zlib, which RFC 9110 asks for, cannot be told from '
                   'bytes that are not compressed.',
    'config drive': 'A config drive is known by its content; the reference takes gzip for the drive '
                    'itself where it is not inside base64.',
    'blank': 'The length means the same with a blank before the colon; the reference does not know '
             'the name then, and waits for the end of the connection or takes the chunk lines for data.',
    'hyper': 'The library refuses it, and has no switch. An intermediary that does so is broken by '
             'the RFC: chunked in HTTP/1.0 (9112 6.1), chunk lines without CR (9112 7.1), a sign in '
             'Content-Length (9110 8.6).',
    'cut': 'A chunked body tells its own end. One that ends without it may be cut, and is resumed '
           'instead of being judged by its digest.',
    'lengths': 'Two different lengths are the mark of a smuggled response (RFC 9112 6.3).',
    'url': 'The library writes this character percent-encoded; to a server both are the same.',
    'dots': 'A percent-encoded dot is a dot (RFC 3986 6.2.2.2), and is taken for one before the '
            'path is shortened.',
    'interim': 'Any interim reply is passed over (RFC 9110 15.2); the reference passes over one of '
               'status 100 alone.',
    'loopback': 'A cookie for secure connections is also sent to the machine itself, as curl and '
                'browsers do.',
    'loop': 'A redirect that changes neither the URL nor a cookie would be answered as before.',
}


def ok(*lines, body='image', length=True, version='1.1', end='\r\n', hold=False):
    """A reply of status 200; `body` is the name of one or a list of names and literal texts."""
    pieces = body if isinstance(body, list) else [{'of': body}]
    head = [f'HTTP/{version} 200 OK', *lines]
    if length:
        size = sum(len(BODIES[piece['of']]) if isinstance(piece, dict) else len(piece)
                   for piece in pieces)
        head.append(f'Content-Length: {size}')
    return {'head': end.join(head) + end + end, 'body': pieces, **({'hold': True} if hold else {})}


def encoded(value, body='image', **more):
    return ok(*(f'Content-Encoding: {each}' for each in
                (value if isinstance(value, list) else [value])), body=body, **more)


def chunked(*lines, version='1.1', size=None, last='0\r\n\r\n', line='\r\n', name='image',
            coding='Transfer-Encoding: chunked', **more):
    size = size or f'{len(BODIES[name]):x}'
    return ok(coding, *lines, body=[f'{size}{line}', {'of': name}, f'{line}{last}'], length=False,
              version=version, **more)


def to(location, *lines, status='302 Found'):
    return {'head': '\r\n'.join([f'HTTP/1.1 {status}', f'Location: {location}', *lines,
                                 'Content-Length: 0', 'Connection: close', '', '']), 'body': []}


def case(replies, digest='image', **more):
    """`replies` is one or a list."""
    return {'replies': replies if isinstance(replies, list) else [replies], 'digest': digest, **more}


TAKES = {'takes': True}
REFUSES = {'takes': False}
RAW = '/a[1]/b|c^d{e}`f'
QUOTED = '/a%5B1%5D/b%7Cc%5Ed%7Be%7D%60f'

# (case, what differs in our answer, reason)
CASES = {
    'Content-Encoding that is none': [
        *((case(encoded(word)),) for word in
          ('identity', 'aws-chunked', '', 'UTF-8', 'none', 'binary', 'aws-chunked,', 'base64',
           'identity, aws-chunked', ['aws-chunked', 'utf-8'])),
        (case(encoded('aws-chunked'), digest='image.gz'),),
        (case(encoded('br')),),
        (case(encoded('gzip')), TAKES, 'no coding'),
        (case(encoded('deflate')), TAKES, 'no coding'),
    ],
    'Content-Encoding around an image': [
        (case(encoded('gzip', 'image.gz')),),
        (case(encoded('X-GZip', 'image.gz')),),
        (case(encoded('gzip', 'image.gz'), digest='image.gz'), TAKES, 'stored'),
        (case(encoded('x-gzip', 'image.gz'), digest='image.gz'), TAKES, 'stored'),
        (case(encoded('aws-chunked, gzip', 'image.gz')), TAKES, 'no coding'),
        (case(encoded(['aws-chunked', 'gzip'], 'image.gz'), digest='image.gz'), TAKES, 'stored'),
        (case(chunked('Content-Encoding: gzip', name='image.gz')),),
        (case(encoded('gzip', 'image.gz'), digest='image.zst'),),
        (case(encoded('gzip', 'cut.gz')),),
        (case(encoded('gzip', 'damaged.gz')),),
        (case(encoded('gzip', 'image.gz.gz'), digest='image.gz'),),
        (case(encoded('gzip, gzip', 'image.gz.gz')), REFUSES, 'packed twice'),
        (case(encoded('deflate', 'image.zlib')),),
        (case(encoded('deflate', 'image.deflate')), REFUSES, 'raw deflate'),
        (case(encoded('zstd', 'image.zst'), digest='image.zst'),),
        (case(encoded('zstd', 'image.zst')), TAKES, 'zstd'),
    ],
    'Content-Encoding around a checksum file': [
        *((case([reply, ok()], digest=None),) for reply in
          (encoded('gzip', 'sums.gz'), encoded('x-gzip', 'sums.gz'), encoded('aws-chunked', 'sums'),
           encoded('', 'sums'))),
        (case([encoded('gzip', 'sums'), ok()], digest=None),
         {**TAKES, 'asks': ['/sums', '/one.raw']}, 'no coding'),
    ],
    'Content-Encoding around a config drive': [
        *((case(reply, digest=None, drive=True),) for reply in
          (encoded('gzip', 'drive.base64.gz'), encoded('aws-chunked', 'drive.base64'),
           encoded('gzip', 'drive.gz'))),
        (case(encoded('', 'drive.gz'), digest=None, drive=True), TAKES, 'config drive'),
        (case(encoded('gzip', 'drive.gz.gz'), digest=None, drive=True), TAKES, 'config drive'),
        (case(encoded('gzip', 'drive.base64'), digest=None, drive=True), TAKES, 'no coding'),
    ],
    'Lengths': [
        (case(chunked()),),
        (case(chunked('Content-Length: 4096')),),
        (case(chunked('Content-Length: 17')),),
        (case(chunked('Content-Length: 99999')),),
        (case(chunked('Content-Length: 0')),),
        (case(chunked('Content-Length: some')),),
        (case(chunked('Content-Length: 17', 'Content-Length: 18')),),
        (case(chunked('Content-Length: 4108', hold=True)),),
        (case(chunked(coding='Transfer-Encoding: Chunked')),),
        (case(chunked(version='1.0')), REFUSES, 'hyper'),
        (case(chunked('Content-Length: 4096', version='1.0')), REFUSES, 'hyper'),
        (case(chunked(size='1000;name="value"')),),
        (case(chunked(size='0001000')),),
        (case(chunked(size='1000  ')),),
        (case(chunked(last='0\r\nX-Sum: 1\r\n\r\n')),),
        (case(chunked(last='0\r\n')), REFUSES, 'cut'),
        (case(chunked(last='')),),
        (case(chunked(line='\n', last='0\n\n')), REFUSES, 'hyper'),
        (case(chunked(size='1001')),),
        (case(ok('Transfer-Encoding: identity', hold=True)),),
        (case(ok('Transfer-Encoding: identity', length=False)),),
        (case(ok(length=False)),),
        (case(ok(length=False, version='1.0')),),
        (case(ok(version='1.0')),),
        (case(ok('Content-Length: 4096')),),
        (case(ok('Content-Length: 4096, 4096', length=False)),),
        (case(ok('Content-Length: 17')), REFUSES, 'lengths'),
        (case(ok('Content-Length: +4096', length=False)), REFUSES, 'hyper'),
        (case(ok('Content-Length: 4097', length=False)),),
        (case(ok('Content-Length: 4095', length=False)),),
    ],
    'Lines': [
        (case(ok('X-Long: one', ' two', '\tthree')),),
        (case(ok('X-Before: one', 'Content-Length:', ' 4096', length=False)),),
        (case(ok('Content-Length : 4096', length=False, hold=True)), TAKES, 'blank'),
        (case(chunked(coding='Transfer-Encoding : chunked')), TAKES, 'blank'),
        (case(ok('X-Blank\t: one')),),
        (case(ok('X Name: one')),),
        (case(ok('no colon at all')),),
        (case(ok('X-Latin: \xe9\xff')),),
        (case(ok(end='\n')),),
        (case({**ok(), 'head': 'HTTP/1.1 200\r\nContent-Length: 4096\r\n\r\n'}),),
        (case({**ok(), 'head': 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'
                               'HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n'}), TAKES,
         'interim'),
    ],
    'Ends of TLS without close_notify': [
        (case(ok(length=False), tls=True),),
        (case(ok(length=False, version='1.0'), tls=True),),
        (case(ok(), tls=True),),
        (case(chunked(), tls=True),),
        (case(ok('Content-Length: 5000', length=False), tls=True),),
        (case(chunked(size='1001', last=''), tls=True),),
        (case(encoded('gzip', 'image.gz', length=False), tls=True),),
        (case(encoded('gzip', 'cut.gz', length=False), tls=True),),
    ],
    'Cookies': [
        (case([to('/two', 'Set-Cookie: a=1'), ok()]),),
        (case([to('/one.raw', 'Set-Cookie: a=1; Path=/'), ok()]),),
        (case([to('{here}/two', 'Set-Cookie: a="x y"; HttpOnly', 'Set-Cookie: b=2'), ok()]),),
        (case([to('/two', 'Set-Cookie: a=1; Path=/x'), to('/x/y'), ok()]),),
        (case([to('/two', 'Set-Cookie: a=1; Secure'), ok()]),
         {'asks': ['/one.raw', '/two with a=1']}, 'loopback'),
        (case([to('/two', 'Set-Cookie: a=1'), to('/three', 'Set-Cookie: a=; Max-Age=0'), ok()]),),
        (case([to('/two', 'Set-Cookie: a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT'), ok()]),),
        (case([to('/two', 'Set-Cookie: a=1; Domain=example.com'), ok()]),),
        (case([to('{there}/two', 'Set-Cookie: a=1; Path=/'), ok()]),),
        (case([to('{there}/two', 'Set-Cookie: a=1'), to('{here}/three', 'Set-Cookie: b=2'), ok()]),),
        (case([to('/one.raw'), ok()]), {**REFUSES, 'asks': ['/one.raw']}, 'loop'),
    ],
    'Paths and queries': [
        (case(ok(), url=RAW),),
        (case(ok(), url='/one.raw?a[1]=b|c^d{e}`f'),),
        (case(ok(), url='/a\\b.raw?c\\d'),),
        (case(ok(), url='/\\one.raw'),),
        (case(ok(), url='/a b"c<d>e.raw?f g"h<i>'),),
        (case(ok(), url='/größe.raw?maß=ß'),),
        (case(ok(), url='/a%5b1%5d%7E%41.raw?x=%2f%7e'),),
        (case(ok(), url='/100%/a%20b.raw?50%'),),
        (case(ok(), url='/a!$&(,)*+;=:@-._~/b?c!$&(,)*+;=:@-._~/?'),),
        (case(ok(), url="/it's.raw"),),
        (case(ok(), url="/one.raw?it's"), {'asks': ['/one.raw?it%27s']}, 'url'),
        (case(ok(), url='/a/./b/../one.raw'),),
        (case(ok(), url='/a/%2e%2e/one.raw'), {'asks': ['/one.raw']}, 'dots'),
        (case([to(RAW + '?a[1]'), ok()]),),
        (case([to('{here}' + RAW), ok()]),),
        (case([to('/a\\b c'), ok()]),),
        (case([to('b[1].raw'), ok()], url='/a/one.raw'),),
        (case([to('?v=[2]'), ok()], url='/a/one.raw'),),
        (case([to('/gr\xc3\xb6\xc3\x9fe'), ok()]),),
        (case([to('/a%5b%7E'), ok()]),),
        (case([to('/two#part'), ok()]),),
        (case([to('/two', status='301 Moved'), to('/three', status='303 Other'),
               to('/four', status='307 Same'), to('/five', status='308 Same'), ok()]),),
    ],
}


def all_cases():
    for group, rows in CASES.items():
        for row in rows:
            subject, differing, why = (*row, *(None,) * (3 - len(row)))
            yield {'group': group, **subject}, differing, why
