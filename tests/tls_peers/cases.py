"""TLS servers: whose certificate is accepted, and what is said where there is no handshake.

A case without an answer of its own wants the reference's. Another answer needs a reason.
"""

import subprocess

from certificates import Certificate, Changed, Resigned, root, server

REASONS = {
    'partial chain': 'What cafile holds is trusted, be it a root or not, as for curl and for Python '
                     'since 3.13.',
    'common name': 'RFC 9525 ends the use of common names for servers: they have no type, and issuers\' '
                   'constraints do not bind them. The library does not read them; the error says so.',
    'utf-16': 'PowerShell writes UTF-16.',
    'keys': 'rustls has no Ed448, which no public authority signs either. The error says so.',
}

ROOT = root()
OTHER = root('other')
# The same name with another key.
IMPOSTOR = root('root')
SIGNS = ('key_cert_sign', 'crl_sign')
SERVES = ('digital_signature', 'key_encipherment')
# CA:TRUE, as openssl req -x509 and old templates make servers' certificates.
TRUE = {'authority': True}


def case(title, chain, cafile, why=None, farrier=None, **fields):
    return {'title': title, 'chain': chain if isinstance(chain, list) else [chain],
            'cafile': cafile if isinstance(cafile, list) else [cafile], **fields,
            **({'why': why, 'farrier': farrier} if why else {})}


def authorities():
    """Servers' certificates that are a CA's."""
    yield case('CA:FALSE', server(ROOT), ROOT)
    yield case('no basic constraints', server(ROOT, authority=None), ROOT)
    yield case('CA:TRUE', server(ROOT, **TRUE), ROOT)
    yield case('CA:TRUE with an RSA key', server(ROOT, key='rsa2048', **TRUE), ROOT)
    yield case('CA:TRUE, with what servers use', server(ROOT, usage=SERVES, purposes=['server'], **TRUE),
               ROOT)
    yield case('CA:TRUE, with what servers and issuers use', server(ROOT, usage=(*SERVES, *SIGNS), **TRUE),
               ROOT)
    yield case('CA:TRUE, with what issuers alone use', server(ROOT, usage=SIGNS, **TRUE), ROOT,
               says='key usage')
    yield case('CA:TRUE, path length 0', server(ROOT, length=0, **TRUE), ROOT)
    between = Certificate('between', ROOT, authority=True)
    yield case('CA:TRUE behind an intermediate', [server(between, **TRUE), between], ROOT)
    between = Certificate('between', ROOT, authority=True, length=0)
    yield case('CA:TRUE behind an intermediate of path length 0', [server(between, **TRUE), between], ROOT)
    short = root('short', length=0)
    yield case('CA:TRUE by a root of path length 0', server(short, **TRUE), short)
    alone = server(name='alone', **TRUE)
    yield case('CA:TRUE, self-signed, unknown', alone, ROOT, says='cafile')
    yield case('CA:TRUE by another root', server(OTHER, **TRUE), ROOT, says='cafile')
    yield case('CA:TRUE by another root, which is sent', [server(OTHER, **TRUE), OTHER], ROOT)
    yield case('CA:TRUE by another root of the same name', server(IMPOSTOR, **TRUE), ROOT)
    yield case('CA:TRUE by another root of the same name, which is sent',
               [server(IMPOSTOR, **TRUE), IMPOSTOR], ROOT)
    yield case('CA:TRUE, self-signed, with the root\'s name', server(name='root', **TRUE), ROOT)
    yield case('CA:TRUE, expired', server(ROOT, last=2024, **TRUE), ROOT, says='expired')
    yield case('CA:TRUE, not yet valid', server(ROOT, first=2080, **TRUE), ROOT, says='not valid yet')
    yield case('CA:TRUE, another name', server(ROOT, names=['elsewhere'], **TRUE), ROOT,
               says='not valid for name')
    yield case('CA:TRUE, the name as common name alone', server(ROOT, 'localhost', names=[], **TRUE), ROOT,
               'common name', 'refuses', says='subjectAltName')
    yield case('the name as common name alone', server(ROOT, 'localhost', names=[]), ROOT, 'common name',
               'refuses', says='subjectAltName')
    yield case('another name than the common name', server(ROOT, 'localhost', names=['elsewhere']), ROOT)
    yield case('CA:TRUE for clients', server(ROOT, purposes=['client'], **TRUE), ROOT)
    yield case('CA:TRUE for any purpose', server(ROOT, purposes=['any'], **TRUE), ROOT)
    yield case('CA:TRUE, one byte of the signed changed',
               Changed(server(ROOT, **TRUE), b'localhost', b'localhosT'), ROOT)
    true = b'\x55\x1d\x13\x01\x01\xff\x04\x05\x30\x03\x01\x01\xff'
    false = true[:-1] + b'\0'
    yield case('CA:TRUE made CA:FALSE after signing', Changed(server(ROOT, **TRUE), true, false), ROOT)
    limited = root('limited', within='lab.test')
    yield case('CA:TRUE outside the names that its issuer may give', server(limited, **TRUE), limited)
    limited = root('limited', within='localhost')
    yield case('CA:TRUE inside the names that its issuer may give', server(limited, **TRUE), limited)


def issuers():
    """Who may issue a server's certificate."""
    first = server(ROOT, usage=SERVES, **TRUE)
    yield case('issued by a server\'s certificate, CA:TRUE, that may not sign',
               [server(first, name='second'), first], ROOT, says='issue certificates')
    yield case('CA:TRUE issued by a server\'s certificate that may not sign',
               [server(first, name='second', **TRUE), first], ROOT, says='issue certificates')
    first = server(ROOT, **TRUE)
    yield case('issued by a server\'s certificate, CA:TRUE, which makes it a CA',
               [server(first, name='second'), first], ROOT)
    short = root('short', length=0)
    first = server(short, **TRUE)
    yield case('issued by one that is CA:TRUE below a root of path length 0',
               [server(first, name='second'), first], short, says='between itself')
    first = server(ROOT)
    yield case('issued by a server\'s certificate', [server(first, name='second'), first], ROOT)
    yield case('CA:TRUE issued by a server\'s certificate',
               [server(first, name='second', **TRUE), first], ROOT)
    between = Certificate('between', ROOT, authority=True, usage=SIGNS)
    yield case('an intermediate', [server(between), between], ROOT)
    yield case('an intermediate that is not sent', server(between), ROOT)
    yield case('an intermediate alone in cafile', server(between), between, 'partial chain', 'accepts')
    yield case('CA:TRUE and an intermediate alone in cafile', server(between, **TRUE), between,
               'partial chain', 'accepts')
    yield case('an intermediate and its root in cafile', server(between), [between, ROOT])
    for title, facts in (('expired', {'last': 2024}), ('CA:FALSE', {'authority': False}),
                         ('without basic constraints', {'authority': None}),
                         ('for clients', {'purposes': ['client']}),
                         ('that may not sign', {'usage': SERVES})):
        between = Certificate('between', ROOT, **{'authority': True, **facts})
        yield case(f'an intermediate {title}', [server(between), between], ROOT)
    upper = Certificate('upper', ROOT, authority=True, length=0)
    lower = Certificate('lower', upper, authority=True)
    yield case('too many intermediates', [server(lower), lower, upper], ROOT)
    for title, facts, says in (('expired', {'last': 2024}, 'valid until'),
                               ('not yet valid', {'first': 2080}, 'valid from'),
                               ('CA:FALSE', {'authority': False}, 'issue certificates'),
                               ('without basic constraints', {'authority': None}, 'issue certificates'),
                               ('that may not sign', {'usage': SERVES}, 'issue certificates'),
                               ('for clients', {'purposes': ['client']}, 'serverAuth')):
        bad = root('bad', **facts)
        yield case(f'a root {title}', server(bad), bad, says=says)
        yield case(f'a root {title}, and CA:TRUE', server(bad, **TRUE), bad, says=says)
    old = root('renewed', last=2024)
    new = root('renewed', same_key_as=old)
    yield case('a root that was renewed with its key', server(old), [old, new])


def own():
    """A server's own certificate in cafile."""
    for title, facts in (('', {}), (', CA:TRUE', TRUE), (', CA:TRUE, for servers',
                                                        {'usage': SERVES, 'purposes': ['server'], **TRUE})):
        alone = server(name='alone', **facts)
        yield case(f'self-signed in cafile{title}', alone, alone)
    for title, facts, says in (('expired', {'last': 2024}, 'valid until'),
                               ('not yet valid', {'first': 2080}, 'valid from'),
                               ('another name', {'names': ['elsewhere']}, 'not valid for name'),
                               ('for clients', {'purposes': ['client']}, 'serverAuth'),
                               ('what issuers alone use', {'usage': SIGNS}, 'key usage')):
        alone = server(name='alone', **{**TRUE, **facts})
        yield case(f'self-signed in cafile, {title}', alone, alone, says=says)
    issued = server(OTHER)
    yield case('issued by an unknown root, itself in cafile', issued, [issued, ROOT], 'partial chain',
               'accepts')
    yield case('the name of a certificate in cafile with another key', server(name='alone'),
               server(name='alone'))
    yield case('what issuers alone use', server(ROOT, usage=SIGNS), ROOT, says='key usage')


def weak():
    """What rustls and OpenSSL's level of security refuse."""
    yield case('signed with SHA-1', Resigned(server(), ROOT, 'sha1'), ROOT, says='SHA-1')
    yield case('signed with SHA-1, CA:TRUE', Resigned(server(**TRUE), ROOT, 'sha1'), ROOT, says='SHA-1')
    yield case('an RSA key of 1024 bits', server(ROOT, key='rsa1024'), ROOT, says='1024 bits')
    yield case('an RSA key of 1024 bits, CA:TRUE', server(ROOT, key='rsa1024', **TRUE), ROOT,
               says='1024 bits')
    short = root('short key', key='rsa1024')
    yield case('a root with an RSA key of 1024 bits', server(short), short, says='1024 bits')
    between = Certificate('between', ROOT, authority=True, key='rsa1024')
    yield case('an intermediate with an RSA key of 1024 bits', [server(between), between], ROOT,
               says='1024 bits')
    yield case('a P-521 key', server(ROOT, key='p521'), ROOT)


class Block:
    """A certificate in a block of another label, with what openssl x509 -trustout adds."""

    def __init__(self, certificate, *options, label='TRUSTED CERTIFICATE'):
        self.label = label
        self.der = certificate.der
        if options:
            from reference import unarmored  # pylint: disable=import-outside-toplevel,cyclic-import
            made = subprocess.run(["openssl", "x509", "-inform", "DER", "-trustout", *options[1:]],
                                  input=certificate.der, capture_output=True, check=True)
            self.der = unarmored(made.stdout.decode())


def files():
    """Forms of cafile."""
    good = server(ROOT)
    yield case('TRUSTED CERTIFICATE', good, Block(ROOT, 'make'))
    yield case('TRUSTED CERTIFICATE with a name', good, Block(ROOT, 'make', '-setalias', 'lab'))
    yield case('TRUSTED CERTIFICATE for servers', good, Block(ROOT, 'make', '-addtrust', 'serverAuth'))
    yield case('TRUSTED CERTIFICATE for any purpose', good,
               Block(ROOT, 'make', '-addtrust', 'anyExtendedKeyUsage'))
    yield case('TRUSTED CERTIFICATE for clients', good, Block(ROOT, 'make', '-addtrust', 'clientAuth'),
               says='no certificate in')
    yield case('TRUSTED CERTIFICATE, not for servers', good, Block(ROOT, 'make', '-addreject', 'serverAuth'),
               says='no certificate in')
    yield case('TRUSTED CERTIFICATE, not for clients', good,
               Block(ROOT, 'make', '-addreject', 'clientAuth'))
    yield case('TRUSTED CERTIFICATE, and CA:TRUE', server(ROOT, **TRUE), Block(ROOT, 'make'))
    yield case('X509 CERTIFICATE', good, Block(ROOT, label='X509 CERTIFICATE'))
    yield case('a byte order mark', good, ROOT, encoding='utf-8-sig')
    yield case('a byte order mark before two', server(OTHER), [OTHER, ROOT],
               encoding='utf-8-sig')
    yield case('a byte order mark and a TRUSTED CERTIFICATE', good, Block(ROOT, 'make'),
               encoding='utf-8-sig')
    yield case('UTF-16', good, ROOT, 'utf-16', 'accepts', encoding='utf-16-le-sig')
    yield case('lines of DOS', good, ROOT, newline='\r\n')
    yield case('text between', good, ['# another\n', OTHER, 'subject=CN = root\n\n', ROOT, '# end\n'])
    yield case('blanks behind the lines', good, ROOT, newline='  \n')
    yield case('a block of another kind before', good,
               ['-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n', ROOT])
    yield case('nothing', good, ['\n'], says='no items found')
    yield case('a block that is cut', good, [ROOT, '-----BEGIN CERTIFICATE-----\nMIIB\n'],
               says='missing section end')


def handshakes():
    """Servers that do otherwise than the client wants: what Python's `ssl` is set to."""
    suites = (('CBC alone', 'ECDHE-RSA-AES256-SHA384'), ('RSA key exchange alone', 'AES128-GCM-SHA256'),
              ('DHE key exchange alone', 'DHE-RSA-AES256-GCM-SHA384'),
              ('CBC and RSA key exchange alone', 'AES256-SHA'),
              ('ChaCha20 alone', 'ECDHE-RSA-CHACHA20-POLY1305'), ('CCM alone', 'ECDHE-ECDSA-AES256-CCM'))
    for title, suite in suites:
        yield case(f'TLS 1.2, {title}', server(ROOT, key='p256' if 'ECDSA' in suite else 'rsa2048'), ROOT,
                   server={'suites': suite, 'last': 'TLSv1_2'}, says='accepts no cipher suite')
    for last in ('TLSv1', 'TLSv1_1'):
        yield case(f'{last} alone', server(ROOT, key='rsa2048'), ROOT,
                   server={'suites': 'ALL:@SECLEVEL=0', 'last': last}, says='neither TLS 1.2 nor 1.3')
    yield case('TLS 1.2 where 1.3 is wanted', server(ROOT), ROOT, server={'last': 'TLSv1_2'},
               least='1.3', says='does not speak TLS 1.3')
    yield case('a key exchange that is not offered', server(ROOT), ROOT,
               server={'group': 'brainpoolP256r1', 'last': 'TLSv1_2'}, says='key exchange')
    yield case('an Ed448 key', server(ROOT, key='ed448'), ROOT, 'keys', 'refuses', server={},
               says='or signature that is offered')
    yield case('no TLS', server(ROOT), ROOT, server={'plain': True}, says='does not speak TLS')
    yield case('a name that the server does not know', server(ROOT), ROOT, server={'unknown_name': True},
               says='does not know the host name')


def all_cases():
    for group in (authorities, issuers, own, weak, files, handshakes):
        for each in group():
            yield {'group': group.__name__, **each}
