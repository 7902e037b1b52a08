//! Digests, and the stage that computes one over every byte that passes.

use std::fmt;
use std::sync::mpsc::{Receiver, Sender};

use aws_lc_rs::digest;
use md5::Digest as _;

use super::buffer::Buffer;

/// How a checksum is computed.
///
/// SHA comes from aws-lc-rs. Measured over 1 GiB in 1 MiB pieces, release build, AMD EPYC, MiB per
/// second of processor time, against the crate sha2: sha512 577 and 577, sha256 1705 and 1695,
/// sha256 without the processor's SHA extensions 480 and 362. So it is never slower, faster on
/// older processors, and linked in for TLS already.
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

    pub(super) fn start(self) -> Digest {
        Digest(match self {
            Self::Md5 => State::Md5(md5::Md5::new()),
            Self::Sha1 => State::Sha(digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY)),
            Self::Sha224 => State::Sha(digest::Context::new(&digest::SHA224)),
            Self::Sha256 => State::Sha(digest::Context::new(&digest::SHA256)),
            Self::Sha384 => State::Sha(digest::Context::new(&digest::SHA384)),
            Self::Sha512 => State::Sha(digest::Context::new(&digest::SHA512)),
        })
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
pub(super) struct Digest(State);

enum State {
    Md5(md5::Md5),
    Sha(digest::Context),
}

impl Digest {
    pub(super) fn update(&mut self, data: &[u8]) {
        match &mut self.0 {
            State::Md5(state) => state.update(data),
            State::Sha(state) => state.update(data),
        }
    }

    /// The digest in lower-case hexadecimal.
    pub(super) fn finish(self) -> String {
        match self.0 {
            State::Md5(state) => hexadecimal(&state.finalize()),
            State::Sha(state) => hexadecimal(state.finish().as_ref()),
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
