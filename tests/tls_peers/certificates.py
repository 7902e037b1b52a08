"""Certificates of the cases, valid from 2020 to 2090 unless a case is about that."""

import datetime
import pathlib
import subprocess
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PURPOSES = {'server': ExtendedKeyUsageOID.SERVER_AUTH, 'client': ExtendedKeyUsageOID.CLIENT_AUTH,
            'any': ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
USAGES = ('digital_signature', 'content_commitment', 'key_encipherment', 'data_encipherment',
          'key_agreement', 'key_cert_sign', 'crl_sign', 'encipher_only', 'decipher_only')
KEYS = {'p256': lambda: ec.generate_private_key(ec.SECP256R1()),
        'p521': lambda: ec.generate_private_key(ec.SECP521R1()),
        'rsa1024': lambda: rsa.generate_private_key(65537, 1024),
        'rsa2048': lambda: rsa.generate_private_key(65537, 2048),
        'ed448': ed448.Ed448PrivateKey.generate}


def year(number):
    return datetime.datetime(number, 1, 1, tzinfo=datetime.UTC)


class Certificate:
    """A certificate and its key. `authority` is None without basic constraints, else CA:TRUE or
    CA:FALSE; `usage` and `purposes` are what the extensions of these names hold, if they are there."""

    def __init__(self, name, issuer=None, *, authority=None, length=None, usage=None, purposes=None,
                 names=(), first=2020, last=2090, key='p256',
                 within=None, same_key_as=None):
        self.key = same_key_as.key if same_key_as else KEYS[key]()
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = issuer or self
        builder = (x509.CertificateBuilder().subject_name(self.name).issuer_name(issuer.name)
                   .public_key(self.key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(year(first)).not_valid_after(year(last)))
        if authority is not None:
            builder = builder.add_extension(x509.BasicConstraints(authority, length), True)
        if usage is not None:
            builder = builder.add_extension(
                x509.KeyUsage(**{each: each in usage for each in USAGES}), True)
        if purposes is not None:
            builder = builder.add_extension(
                x509.ExtendedKeyUsage([PURPOSES[each] for each in purposes]), False)
        if within is not None:
            builder = builder.add_extension(
                x509.NameConstraints([x509.DNSName(within)], None), True)
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), False)
        algorithm = None if isinstance(issuer.key, ed448.Ed448PrivateKey) else hashes.SHA256()
        self.der = builder.sign(issuer.key, algorithm).public_bytes(serialization.Encoding.DER)

    def key_pem(self):
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                      serialization.NoEncryption()).decode()


class Changed:
    """A certificate with other bytes in it, which are not what was signed."""

    def __init__(self, certificate, old, new):
        self.key_pem = certificate.key_pem
        assert certificate.der.count(old) == 1, certificate.der.count(old)
        self.der = certificate.der.replace(old, new)


class Resigned:
    """A self-signed certificate signed anew with a digest that only the openssl program still signs with."""

    def __init__(self, certificate, issuer, digest):
        self.key_pem = certificate.key_pem
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / 'issuer.der').write_bytes(issuer.der)
            (folder / 'issuer.key').write_text(issuer.key_pem())
            self.der = subprocess.run(
                ['openssl', 'x509', '-inform', 'DER', '-outform', 'DER', f'-{digest}', '-preserve_dates',
                 '-CA', folder / 'issuer.der', '-CAform', 'DER', '-CAkey', folder / 'issuer.key', '-set_serial', '7'],
                input=certificate.der, capture_output=True, check=True).stdout


def server(issuer=None, name='server', **facts):
    """A server's certificate for localhost."""
    return Certificate(name, issuer, **{'names': ['localhost'], 'authority': False, **facts})


def root(name='root', **facts):
    return Certificate(name, **{'authority': True, **facts})
