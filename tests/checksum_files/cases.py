"""Files of checksums: what an image is verified by, and where farrier answers differently.

A case without an answer of its own wants the reference's. Another answer needs a reason.
"""

import base64
import hashlib

IMAGE = b'An image that files of checksums speak of.\n'
SUMS = {name: hashlib.new(name, IMAGE).hexdigest() for name in (
    'md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512', 'sha3_256')}
MD5, SHA1, SHA224, SHA256, SHA384, SHA512, SHA3 = SUMS.values()
BLAKE2B = hashlib.blake2b(IMAGE).hexdigest()
SHA512_256 = hashlib.new('sha512_256', IMAGE).hexdigest()
RIPEMD = '0123456789abcdef0123456789abcdef01234567'
OTHER = hashlib.sha256(b'another').hexdigest()
OTHER512 = hashlib.sha512(b'another').hexdigest()

REASONS = {
    'byte order mark': 'A byte order mark is no part of a digest or a name. The reference reads the file '
                       'as ISO-8859-1 where the server calls it text, and takes the mark for letters.',
    'utf-16': 'PowerShell writes UTF-16. The reference guesses the encoding, unless the server calls it '
              'text; then it sees a zero behind each letter.',
    'algorithms': 'The digest of the algorithm that is asked for counts, else the strongest. The '
                  'reference takes the first line, whatever it is of.',
    'lengths': 'The reference knows digests of 32, 64 and 128 digits only.',
    'labels': 'The line says which algorithm its digest is of. The reference goes by the length.',
    'directories': 'A file of checksums made in another directory names the path. The reference wants the '
                   'bare name, so an operator would have to edit the file.',
    'several': 'Two files of one name in two directories, and the URL does not tell which.',
    'names': 'The name in the URL is percent-encoded, and the one in the file is not.',
    'escaped': 'coreutils escapes such names; the reference compares them as they stand.',
    'pattern': 'The reference uses the name as a regular expression.',
    'lone': 'The file has one digest, and nobody else it could be of.',
    'openssl': 'OpenSSL writes no blank before the parenthesis or around the name.',
    'columns': 'Get-FileHash of PowerShell writes columns.',
    'prefix': 'A digest with its algorithm before it is written so by containers\' tools.',
    'line ends': 'A line may end with a carriage return, or with a zero (sha256sum --zero).',
    'tab': 'A tab is a blank, as for coreutils.',
    'case': 'A digest is a number: capitals are no difference.',
    'crash': 'The reference fails with an error that is not about the file.',
    'latin-1': 'What is no UTF-8 is read as ISO-8859-1. The reference reads it so if the server calls it '
               'text, and guesses else.',
    'limit': 'The file is read into memory, so there is a limit. The reference has none.',
}

VERIFIES = {name: {'verifies': name} for name in SUMS}
LINE = f'{SHA256}  disk.raw\n'


def case(title, content, why=None, farrier=None, **fields):
    return {'title': title, 'content': content, **fields,
            **({'why': why, 'farrier': farrier} if why else {})}


def otherwise(title, content, why, name='sha256', **fields):
    """A case where only farrier verifies the image."""
    return case(title, content, why, VERIFIES[name], **fields)


def encoded():
    yield otherwise('UTF-8 with a mark, as text', LINE, 'byte order mark', encoding='utf-8-sig',
                    type='text/plain')
    yield case('UTF-8 with a mark', LINE, encoding='utf-8-sig')
    yield otherwise('a digest alone behind a mark, as text', SHA256, 'byte order mark',
                    encoding='utf-8-sig', type='text/plain')
    yield case('UTF-8 with a mark, BSD, as text', f'SHA256 (disk.raw) = {SHA256}\n',
               encoding='utf-8-sig', type='text/plain')
    yield otherwise('UTF-16, little end first, as text', LINE.replace('\n', '\r\n'), 'utf-16',
                    encoding='utf-16-le-sig', type='text/plain')
    yield case('UTF-16, little end first', LINE.replace('\n', '\r\n'), encoding='utf-16-le-sig')
    yield otherwise('UTF-16, big end first, as text', LINE, 'utf-16', encoding='utf-16-be-sig',
                    type='text/plain')
    yield otherwise('UTF-16 without a mark, as text', LINE, 'utf-16', encoding='utf-16-le',
                    type='text/plain')
    yield case('UTF-16, and the server says so', LINE, encoding='utf-16-le',
               type='text/plain; charset=utf-16le')
    yield otherwise('a digest alone in UTF-16, as text', f'{SHA256}\r\n', 'utf-16',
                    encoding='utf-16-le-sig', type='text/plain')
    yield otherwise('a name in Latin-1', f'{SHA256}  bücher.raw\n', 'latin-1', encoding='latin-1',
                    url='/b%C3%BCcher.raw')
    yield otherwise('a name in UTF-8', f'{SHA256}  bücher.raw\n', 'names', url='/b%C3%BCcher.raw')


def algorithms():
    several = f'{MD5}  disk.raw\n{SHA256}  disk.raw\n{SHA512}  disk.raw\n'
    yield otherwise('MD5 first, none asked for', several, 'algorithms', 'sha512')
    yield otherwise('MD5 first, none asked for, MD5 enabled', several, 'algorithms', 'sha512', md5=True)
    yield otherwise('MD5 first, SHA-256 asked for', several, 'algorithms', algorithm='sha256')
    yield otherwise('MD5 first, SHA-512 asked for', several, 'algorithms', 'sha512', algorithm='sha512')
    yield case('SHA-256 first, SHA-256 asked for', f'{SHA256}  disk.raw\n{SHA512}  disk.raw\n',
               algorithm='sha256')
    yield otherwise('BSD, several for one name',
                    f'MD5 (disk.raw) = {MD5}\nSHA1 (disk.raw) = {SHA1}\nSHA256 (disk.raw) = {SHA256}\n',
                    'algorithms')
    yield otherwise('SHA-1 first, SHA-1 asked for, among others',
                    f'{OTHER}  other.raw\n{SHA1}  disk.raw\n{SHA256}  disk.raw\n', 'algorithms', 'sha1',
                    algorithm='sha1')
    yield case('MD5 alone', f'{MD5}  disk.raw\n', 'crash', {
        'refuses': 'MD5 support is disabled: give a SHA-256 or SHA-512 checksum, or allow MD5 with the '
                   'kernel parameter ipa-md5-enabled=1 (option md5_enabled); a conductor from Ironic 24.1 on '
                   'decides by its option allow_md5_checksum'})
    yield case('MD5 alone, MD5 enabled', f'{MD5}  disk.raw\n', md5=True)
    for name, value in (('sha1', SHA1), ('sha224', SHA224), ('sha384', SHA384)):
        yield otherwise(f'{name} and the name', f'{value}  disk.raw\n', 'lengths', name)
        yield otherwise(f'{name} and the name, asked for', f'{value}  disk.raw\n', 'lengths', name,
                        algorithm=name)
        yield otherwise(f'{name} alone', f'{value}\n', 'lengths', name)
    yield otherwise('SHA-384, BSD', f'SHA384 (disk.raw) = {SHA384}\n', 'lengths', 'sha384')
    yield case('SHA3-256 asked for', f'{SHA3}  disk.raw\n', algorithm='sha3_256')
    yield case('SHA3-256, BSD, not asked for', f'SHA3-256 (disk.raw) = {SHA3}\n', 'labels',
               VERIFIES['sha3_256'])
    yield case('BLAKE2b, BSD, not asked for', f'BLAKE2b (disk.raw) = {BLAKE2B}\n', 'labels',
               {'verifies': 'blake2b'})
    yield case('SHA-512/256, which is not SHA-256', f'SHA512/256 (disk.raw) = {SHA512_256}\n', 'labels', {
        'refuses': 'Checksum file does not contain name disk.raw'})
    yield case('SHA-512/256 before SHA-256',
               f'SHA512/256 (disk.raw) = {SHA512_256}\nSHA256 (disk.raw) = {SHA256}\n', 'labels',
               VERIFIES['sha256'])
    yield case('RIPEMD, as long as SHA-1', f'RMD160 (disk.raw) = {RIPEMD}\n')
    yield case('another algorithm than the one asked for', LINE, algorithm='sha512')
    yield case('two digests in one line', f'{SHA256} {SHA512}  disk.raw\n', 'algorithms',
               VERIFIES['sha512'])


def names():
    yield case('GNU', f'{OTHER}  other.raw\n{LINE}')
    yield case('GNU, binary', f'{SHA256} *disk.raw\n')
    yield case('BSD', f'SHA256 (other.raw) = {OTHER}\nSHA256 (disk.raw) = {SHA256}\n')
    yield case('comments', f'# {OTHER}  disk.raw\n# disk.raw: 43 bytes\n{LINE}')
    yield case('lines of DOS', f'{OTHER}  other.raw\r\n{SHA256}  disk.raw\r\n')
    yield otherwise('lines of an old Mac', f'{OTHER}  other.raw\r{SHA256}  disk.raw\r', 'line ends')
    yield otherwise('lines that end with a zero', f'{OTHER}  other.raw\0{SHA256}  disk.raw\0', 'line ends')
    yield otherwise('capitals', f'{SHA256.upper()}  disk.raw\n', 'case')
    yield otherwise('the directory ./', f'{SHA256}  ./disk.raw\n', 'directories')
    yield otherwise('the directory ./, binary', f'{SHA256} *./disk.raw\n', 'directories')
    yield otherwise('a directory', f'{SHA256}  images/disk.raw\n', 'directories', url='/images/disk.raw')
    yield otherwise('directories that the URL does not have', f'{SHA256}  /srv/build/7/disk.raw\n',
                    'directories')
    yield otherwise('two directories, of which the URL has one',
                    f'{OTHER}  jammy/disk.raw\n{SHA256}  noble/disk.raw\n', 'directories',
                    url='/images/noble/disk.raw')
    yield case('two directories, of which the URL has none',
               f'{OTHER}  jammy/disk.raw\n{SHA256}  noble/disk.raw\n', 'several', {
                   'refuses': 'Checksum file names several files disk.raw: jammy/disk.raw and '
                              'noble/disk.raw'})
    yield case('a directory after the bare name', f'{SHA256}  disk.raw\n{OTHER}  old/disk.raw\n')
    yield case('a directory before the bare name', f'{OTHER}  old/disk.raw\n{SHA256}  disk.raw\n')
    yield otherwise('a directory, BSD', f'SHA256 (images/disk.raw) = {SHA256}\n', 'directories')
    yield case('the last words of a longer name', f'{OTHER}  my disk.raw\n{SHA256}  disk.raw\n',
               'pattern', VERIFIES['sha256'])
    yield case('a longer name that ends so', f'{OTHER}  mydisk.raw\n')
    yield case('a name that a pattern would match', f'{OTHER}  diskXraw\n{SHA256}  disk.raw\n', 'pattern',
               VERIFIES['sha256'])
    yield case('a name with a plus', f'{SHA256}  disk+1.raw\n', 'pattern', VERIFIES['sha256'],
               url='/disk+1.raw')
    yield case('a name with a parenthesis', f'{SHA256}  disk(1.raw\n', 'pattern', VERIFIES['sha256'],
               url='/disk(1.raw')
    yield otherwise('a name with a blank', f'{SHA256}  my disk.raw\n', 'names', url='/my%20disk.raw')
    yield case('a name that is encoded in the file too', f'{SHA256}  my%20disk.raw\n',
               url='/my%20disk.raw')
    yield otherwise('a name with a backslash', f'\\{SHA256}  my\\\\disk.raw\n', 'escaped',
                    url='/my%5Cdisk.raw')
    yield otherwise('a name with parentheses, BSD', f'SHA256 (disk (1).raw) = {SHA256}\n', 'names',
                    url='/disk%20(1).raw')
    yield otherwise('a path of Windows', f'{SHA256}  C:\\new\\disk.raw\n', 'directories')
    yield case('a URL with a query', LINE, url='/disk.raw?temp_url_sig=1')
    yield case('digest, size and name', f'{OTHER} 5 other.raw\n {SHA256} 43 disk.raw\n')
    yield otherwise('a tab', f'{SHA256}\tdisk.raw\n', 'tab')
    yield case('tabs in several lines', f'{OTHER}\tother.raw\n{SHA256}\tdisk.raw\n')
    yield case('blanks around', f'\n\n   {SHA256}  disk.raw   \n\n')
    yield case('the wrong digest first', f'{OTHER}  disk.raw\n{LINE}')


def writers():
    yield case('signed by PGP', '-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n'
               f'{OTHER}  other.raw\n{LINE}-----BEGIN PGP SIGNATURE-----\n\n'
               'iQIzBAEBCAAdFiEE0k4F5f0f0u3k7mH0Jx0=\n=abcd\n-----END PGP SIGNATURE-----\n')
    yield case('as CentOS writes it', '-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n'
               f'# disk.raw: 43 bytes\nSHA256 (disk.raw) = {SHA256}\n')
    yield otherwise('OpenSSL 3', f'SHA2-256(disk.raw)= {SHA256}\n', 'openssl')
    yield otherwise('OpenSSL 1.1', f'SHA256(disk.raw)= {SHA256}\n', 'openssl')
    yield otherwise('OpenSSL from standard input', f'SHA2-256(stdin)= {SHA256}\n', 'lone')
    yield otherwise('coreutils from standard input', f'{SHA256}  -\n', 'lone')
    yield case('standard input among others', f'{SHA256}  -\n{OTHER}  other.raw\n')
    yield otherwise('Get-FileHash', 'Algorithm       Hash         Path\n---------       ----         ----\n'
                    f'SHA256          {SHA256.upper()}       C:\\images\\disk.raw\n', 'columns')
    yield otherwise('the algorithm before the digest', f'sha256:{SHA256}  disk.raw\n', 'prefix')
    yield otherwise('the algorithm before the digest, alone', f'sha256:{SHA256}\n', 'prefix')
    yield otherwise('a digest alone behind a comment', f'# made by hand\n{SHA256}\n', 'lone')
    yield case('a digest alone', SHA256)
    yield case('a digest alone, SHA-512', f'\n{SHA512}\n')
    yield otherwise('a digest alone in capitals', SHA256.upper(), 'case')
    yield case('a digest alone of another name', f'{OTHER}  other.raw\n')


def broken():
    yield case('nothing', '')
    yield case('empty lines', ' \n\r\n\n')
    yield case('a page', '<html>')
    yield case('a page of several lines', '<html>\n<body>disk.raw</body>\n')
    yield case('a digest that is cut', f'{SHA256[:-1]}\n')
    yield case('a digest that is cut, and the name', f'{SHA256[:-1]}  disk.raw\n')
    yield case('the name without a digest', 'disk.raw\n')
    yield case('base64', f'SHA256 (disk.raw) = {base64.b64encode(bytes.fromhex(SHA256)).decode()}\n')
    yield case('only comments', f'# {SHA256}\n# disk.raw\n')


def large():
    line = f'{OTHER}  pool/main/another-file.raw\n'
    yield case('3 MiB', LINE, filler=line, times=(3 << 20) // len(line))
    yield case('3 MiB in UTF-16', LINE, filler=line, times=(3 << 20) // len(line) // 2,
               encoding='utf-16-le-sig')
    yield case('17 MiB', LINE, 'limit', {'refuses': 'is larger than 16777216 bytes'}, filler=line,
               times=(17 << 20) // len(line))


def all_cases():
    for group in (names, algorithms, encoded, writers, broken, large):
        for each in group():
            yield {'group': group.__name__, **each}
