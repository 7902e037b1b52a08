//! Digests, and the stage that computes one over every byte that passes.

use std::fmt;
use std::sync::mpsc::{Receiver, Sender};

use super::buffer::Buffer;
use crate::sys::digest::{self, Function};

/// How a checksum is computed.
///
/// By OpenSSL's functions, linked in from Debian's libcrypto.a. Measured over 512 MiB in pieces of
/// 1 MiB in a static release build on an AMD EPYC with AVX2 and the SHA extensions, MiB per second
/// of processor time:
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
pub enum Algorithm {
    /// MD5: only where the option `md5_enabled` allows it.
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
}

impl Algorithm {
    /// The algorithm of this name in `os_hash_algo`; `None` where it is not offered.
    pub fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "md5" => Some(Self::Md5),
            "sha1" => Some(Self::Sha1),
            "sha224" => Some(Self::Sha224),
            "sha256" => Some(Self::Sha256),
            "sha384" => Some(Self::Sha384),
            "sha512" => Some(Self::Sha512),
            _ => None,
        }
    }

    /// The algorithm that a digest of so many hexadecimal digits comes from
    /// (contract/data-plane 1.7).
    pub fn of_length(digits: usize) -> Option<Self> {
        match digits {
            32 => Some(Self::Md5),
            64 => Some(Self::Sha256),
            128 => Some(Self::Sha512),
            _ => None,
        }
    }

    /// Hexadecimal digits of a digest.
    pub fn digits(self) -> usize {
        match self {
            Self::Md5 => 32,
            Self::Sha1 => 40,
            Self::Sha224 => 56,
            Self::Sha256 => 64,
            Self::Sha384 => 96,
            Self::Sha512 => 128,
        }
    }

    pub(super) fn start(self) -> Digest {
        Digest(digest::Digest::new(match self {
            Self::Md5 => Function::Md5,
            Self::Sha1 => Function::Sha1,
            Self::Sha224 => Function::Sha224,
            Self::Sha256 => Function::Sha256,
            Self::Sha384 => Function::Sha384,
            Self::Sha512 => Function::Sha512,
        }))
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha224 => "sha224",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        })
    }
}

/// A digest in the making.
pub(super) struct Digest(digest::Digest);

impl Digest {
    pub(super) fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// The digest in lower-case hexadecimal.
    pub(super) fn finish(self) -> String {
        hexadecimal(&self.0.finish())
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

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Digests of `abc`: RFC 1321 appendix 5, FIPS 180-4 examples.
    #[test]
    fn known_digests() {
        for (name, expected) in [
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
        ] {
            let algorithm = Algorithm::named(name).unwrap();
            let mut digest = algorithm.start();
            digest.update(b"a");
            digest.update(b"bc");
            assert_eq!(digest.finish(), expected);
        }
        assert_eq!(Algorithm::named("sha3_256"), None);
    }
}
