//! Digests, and the stage that computes one over every byte that passes.

use std::fmt;
use std::sync::mpsc::{Receiver, Sender};

use blake2::{Blake2b512, Blake2s256};
use sha3::digest::DynDigest;
use sha3::{Sha3_224, Sha3_256, Sha3_384, Sha3_512};

use super::buffer::Buffer;
use crate::sys::digest::{self, Function};
use crate::sys::hex;

/// Why an MD5 is not enough, and what to do. Conductors say what they allow from Ironic 24.1 on.
pub(crate) const MD5_DISABLED: &str = "MD5 support is disabled: give a SHA-256 or SHA-512 checksum, or allow \
     MD5 with the kernel parameter ipa-md5-enabled=1 (option md5_enabled); a conductor from Ironic \
     24.1 on decides by its option allow_md5_checksum";

/// How a checksum is computed: all that the reference's Python has a digest of a fixed length for.
///
/// MD5, SHA-1 and SHA-2 by OpenSSL's functions, linked in from Debian's libcrypto.a. Measured over
/// 512 MiB in pieces of 1 MiB in a static release build on an AMD EPYC with AVX2 and the SHA
/// extensions, MiB per second of processor time:
///
/// | | sha512 | sha256 | md5 |
/// |---|---|---|---|
/// | libcrypto.a 3.0 | 833 | 1736 | 733 |
/// | aws-lc-rs 1.19 (linked in for TLS) | 585 | 1728 | – |
/// | ring 0.17 | 584 | – | – |
/// | sha2 0.11, its AVX2 code | 586 | 1719 | – |
/// | sha2 0.11, its portable code with BMI2 | 606 | 1726 | – |
/// | graviola 0.4 | 546 | 1720 | – |
/// | md-5 0.11 | – | – | 613 |
///
/// The others dropped OpenSSL's AVX2 code for SHA-512, or never had it, and what they have for
/// AVX they keep from AMD's processors; yet SHA-512 is what Glance computes, and the slowest stage
/// of a raw image's way to the disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Algorithm {
    /// MD5: only where the option `md5_enabled` allows it, else [`MD5_DISABLED`].
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
    /// SHA3-224.
    Sha3x224,
    /// SHA3-256.
    Sha3x256,
    /// SHA3-384.
    Sha3x384,
    /// SHA3-512.
    Sha3x512,
    /// BLAKE2b with its longest digest.
    Blake2b,
    /// BLAKE2s with its longest digest.
    Blake2s,
}

const ALL: [Algorithm; 12] = [
    Algorithm::Md5,
    Algorithm::Sha1,
    Algorithm::Sha224,
    Algorithm::Sha256,
    Algorithm::Sha384,
    Algorithm::Sha512,
    Algorithm::Sha3x224,
    Algorithm::Sha3x256,
    Algorithm::Sha3x384,
    Algorithm::Sha3x512,
    Algorithm::Blake2b,
    Algorithm::Blake2s,
];

impl Algorithm {
    /// The algorithm of this name in `os_hash_algo`; `None` where it is not offered.
    pub(crate) fn named(name: &str) -> Option<Self> {
        ALL.into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// The algorithm that a digest of so many hexadecimal digits comes from
    /// (contract/data-plane 1.7).
    pub(crate) fn of_length(digits: usize) -> Option<Self> {
        match digits {
            32 => Some(Self::Md5),
            64 => Some(Self::Sha256),
            128 => Some(Self::Sha512),
            _ => None,
        }
    }

    /// Hexadecimal digits of a digest.
    pub(crate) fn digits(self) -> usize {
        match self {
            Self::Md5 => 32,
            Self::Sha1 => 40,
            Self::Sha224 | Self::Sha3x224 => 56,
            Self::Sha256 | Self::Sha3x256 | Self::Blake2s => 64,
            Self::Sha384 | Self::Sha3x384 => 96,
            Self::Sha512 | Self::Sha3x512 | Self::Blake2b => 128,
        }
    }

    pub(super) fn start(self) -> Digest {
        let function = match self {
            Self::Md5 => Function::Md5,
            Self::Sha1 => Function::Sha1,
            Self::Sha224 => Function::Sha224,
            Self::Sha256 => Function::Sha256,
            Self::Sha384 => Function::Sha384,
            Self::Sha512 => Function::Sha512,
            Self::Sha3x224 => return Digest::other::<Sha3_224>(),
            Self::Sha3x256 => return Digest::other::<Sha3_256>(),
            Self::Sha3x384 => return Digest::other::<Sha3_384>(),
            Self::Sha3x512 => return Digest::other::<Sha3_512>(),
            Self::Blake2b => return Digest::other::<Blake2b512>(),
            Self::Blake2s => return Digest::other::<Blake2s256>(),
        };
        Digest(State::Openssl(Box::new(digest::Digest::new(function))))
    }

    /// Its name in `os_hash_algo`, which is Python's.
    fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha224 => "sha224",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
            Self::Sha3x224 => "sha3_224",
            Self::Sha3x256 => "sha3_256",
            Self::Sha3x384 => "sha3_384",
            Self::Sha3x512 => "sha3_512",
            Self::Blake2b => "blake2b",
            Self::Blake2s => "blake2s",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A digest in the making.
pub(super) struct Digest(State);

enum State {
    Openssl(Box<digest::Digest>),
    Other(Box<dyn DynDigest + Send>),
}

impl Digest {
    /// What nobody has measured: used by few, and libcrypto offers no lean functions for it.
    fn other<D: DynDigest + Default + Send + 'static>() -> Self {
        Self(State::Other(Box::new(D::default())))
    }

    pub(super) fn update(&mut self, data: &[u8]) {
        match &mut self.0 {
            State::Openssl(digest) => digest.update(data),
            State::Other(digest) => digest.update(data),
        }
    }

    /// The digest in lower-case hexadecimal.
    pub(super) fn finish(self) -> String {
        match self.0 {
            State::Openssl(digest) => hex::encode(&digest.finish()),
            State::Other(digest) => hex::encode(&digest.finalize()),
        }
    }
}

/// The stage `verify`: compute the digest of all that passes; `None` where the next stage is gone.
pub(super) fn verify(
    algorithm: Algorithm,
    from: Receiver<Buffer>,
    to: Sender<Buffer>,
) -> Option<String> {
    let mut digest = algorithm.start();
    for buffer in from {
        digest.update(&buffer);
        to.send(buffer).ok()?;
    }
    Some(digest.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Digests of `abc`: RFC 1321 appendix 5, FIPS 180-4 and 202 examples, RFC 7693 appendices A
    /// and B.
    #[test]
    fn known_digests() {
        let known = [
            ("md5", "900150983cd24fb0d6963f7d28e17f72"),
            ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (
                "sha224",
                "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
            ),
            (
                "SHA256",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                "sha384",
                "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358\
                 baeca134c825a7",
            ),
            (
                "sha512",
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836\
                 ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
            (
                "sha3_224",
                "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf",
            ),
            (
                "sha3_256",
                "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
            ),
            (
                "sha3_384",
                "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b298d88cea927ac7f539\
                 f1edf228376d25",
            ),
            (
                "sha3_512",
                "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e10e116e9192af3c91a\
                 7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
            ),
            (
                "blake2b",
                "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d17d87c5392aab792dc2\
                 52d5de4533cc9518d38aa8dbf1925ab92386edd4009923",
            ),
            (
                "blake2s",
                "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982",
            ),
        ];
        assert_eq!(known.len(), ALL.len());
        for (name, expected) in known {
            let algorithm = Algorithm::named(name).unwrap();
            let mut digest = algorithm.start();
            digest.update(b"a");
            digest.update(b"bc");
            assert_eq!(digest.finish(), expected);
            assert_eq!(expected.len(), algorithm.digits());
            assert_eq!(algorithm.to_string(), name.to_lowercase());
        }
        assert_eq!(Algorithm::named("shake_128"), None);
    }
}
