//! What a certificate says about its own use, as OpenSSL reads it: dates, purposes, who may issue.
//!
//! The library that verifies paths looks at the dates and purposes of what a server sends, but not
//! at key usage, nor at any of it in a trust anchor.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::extensions::{KeyUsage, ParsedExtension, X509Extension};
use x509_parser::oid_registry::OID_X509_EXT_BASIC_CONSTRAINTS;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::X509Version;

use crate::sys::clock::{self, RELEASED};

/// Least bits of an RSA key. OpenSSL's default in distributions is the same.
pub(super) const LEAST_RSA_BITS: usize = 2048;

/// The facts of a certificate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// First second that it is valid in, since 1970.
    not_before: i64,
    /// Last second that it is valid in.
    not_after: i64,
    /// Whether it may issue certificates.
    pub(super) is_authority: bool,
    /// How many others that are not self-issued may stand between it and the server's.
    path_length: Option<u32>,
    /// Whether its extended key usage, if there is one, has servers in it.
    is_for_servers: bool,
    /// Whether its key usage, if there is one, lets a server use it.
    serves: bool,
    /// Whether issuer and subject are the same.
    pub(super) is_self_issued: bool,
    /// Bits of an RSA key.
    rsa_bits: Option<usize>,
}

/// A certificate is valid at another time than the clock says that it is. Shows as `valid until
/// 2024-12-31 23:59:59 UTC, and this machine's clock says 2026-11-30 01:34:08 UTC`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct OutOfDates {
    /// When it is valid.
    pub bound: Bound,
    /// The clock, in seconds since 1970.
    pub now: u64,
}

/// The end of a certificate's time that the clock is beyond, in seconds since 1970.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Bound {
    /// It is not valid yet.
    From(u64),
    /// It has expired.
    Until(u64),
}

impl fmt::Display for OutOfDates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, bound) = match self.bound {
            Bound::From(bound) => ("from", bound),
            Bound::Until(bound) => ("until", bound),
        };
        let (bound, now) = (date(bound), date(self.now));
        write!(
            f,
            "valid {word} {bound}, and this machine's clock says {now}"
        )
    }
}

/// `2026-11-30 01:34:08 UTC`.
fn date(seconds: u64) -> String {
    // Certificates end in 9999; what is beyond the clock's range is shown as its end.
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(seconds.min(253_402_300_799)));
    let text = clock::utc_text(time.unwrap_or(UNIX_EPOCH));
    format!(
        "{} UTC",
        text.get(..19).unwrap_or_default().replace('T', " ")
    )
}

/// Why a certificate cannot be used for what it stands for.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Unfit {
    /// It is valid at another time.
    #[error("{whose} is {0}: renew the certificate, or set the clock", .dates)]
    Dates {
        /// Which certificate.
        whose: Whose,
        /// When it is, and when now is.
        dates: OutOfDates,
    },
    /// It may not issue others.
    #[error("{0} is not allowed to issue certificates (CA:TRUE, and keyCertSign in a key usage)")]
    NoAuthority(Whose),
    /// It is not for servers.
    #[error("{0} is not for TLS servers: have its extended key usage name serverAuth")]
    Purpose(Whose),
    /// A server cannot use it.
    #[error(
        "{0} has a key usage that no TLS server has: have it name digitalSignature, or none at all"
    )]
    KeyUsage(Whose),
    /// Too many others come between.
    #[error("{whose} allows {allowed} certificates between itself and the server's, not {found}")]
    PathLength {
        /// Which certificate.
        whose: Whose,
        /// `pathLenConstraint`.
        allowed: u32,
        /// How many there are.
        found: u32,
    },
    /// Its key is too short.
    #[error("{whose} has an RSA key of {bits} bits: have it made with {LEAST_RSA_BITS} or more")]
    ShortKey {
        /// Which certificate.
        whose: Whose,
        /// Bits of its key.
        bits: usize,
    },
}

/// The time that certificates have to be valid at.
///
/// By a clock that was never set, none would be valid: each begins after 1970. The dates are then looked
/// at as of the earliest time that it can be: after the release of this program, and after all
/// of the certificates were issued. What has expired by then is refused still; what may be valid is
/// taken. To look at no date was rejected: it would let in what is known to be expired.
#[derive(Clone, Copy, Debug)]
pub(super) struct DatesBy {
    /// That time.
    pub(super) time: UnixTime,
    is_assumed: bool,
}

impl DatesBy {
    /// By this clock, for these certificates.
    pub(super) fn clock<'a>(
        now: UnixTime,
        certificates: impl Iterator<Item = &'a CertificateDer<'a>>,
    ) -> Self {
        if now.as_secs() >= RELEASED {
            return Self {
                time: now,
                is_assumed: false,
            };
        }
        let first = certificates
            .filter_map(|der| Facts::read(der))
            .map(|facts| facts.first_second());
        let time = first.fold(RELEASED, u64::max);
        Self {
            time: UnixTime::since_unix_epoch(Duration::from_secs(time)),
            is_assumed: true,
        }
    }

    /// The same for a trusted certificate.
    pub(super) fn for_anchor(self, anchor: &Facts) -> UnixTime {
        let issued = UnixTime::since_unix_epoch(Duration::from_secs(anchor.first_second()));
        if self.is_assumed {
            self.time.max(issued)
        } else {
            self.time
        }
    }
}

/// Which certificate of a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Whose {
    /// The server's own.
    Server,
    /// One that the server sent to lead from its own to one that is trusted.
    Between,
    /// The trusted one.
    Anchor,
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "the server's certificate",
            Self::Between => "an intermediate certificate that the server sent",
            Self::Anchor => "the issuer's certificate in cafile",
        })
    }
}

impl Facts {
    /// Read the one certificate that these bytes are.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (rest, certificate) = X509Certificate::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        Self::of(&certificate).ok()
    }

    /// The facts of a certificate that has been parsed; an error where an extension stands there
    /// twice or cannot be read.
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Result<Self, X509Error> {
        let constraints = match certificate
            .get_extension_unique(&OID_X509_EXT_BASIC_CONSTRAINTS)?
            .map(X509Extension::parsed_extension)
        {
            None => None,
            Some(ParsedExtension::BasicConstraints(constraints)) => Some(constraints),
            Some(_) => return Err(X509Error::InvalidExtensions),
        };
        let usage = certificate.key_usage()?.map(|found| found.value);
        let purposes = certificate.extended_key_usage()?.map(|found| found.value);
        let is_self_issued = certificate.subject().as_raw() == certificate.issuer().as_raw();
        let signs = usage.is_none_or(KeyUsage::key_cert_sign);
        Ok(Self {
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            // As OpenSSL's check_ca: where no basic constraints tell, the key usage does, and a
            // root of version 1 cannot tell.
            is_authority: match constraints {
                Some(constraints) => constraints.ca && signs,
                None if usage.is_some() => signs,
                None => certificate.version() == X509Version::V1 && is_self_issued,
            },
            path_length: constraints.and_then(|constraints| constraints.path_len_constraint),
            is_for_servers: purposes.is_none_or(|purposes| purposes.server_auth),
            serves: usage.is_none_or(|usage| {
                usage.digital_signature() || usage.key_encipherment() || usage.key_agreement()
            }),
            is_self_issued,
            rsa_bits: match certificate.public_key().parsed() {
                Ok(PublicKey::RSA(key)) => Some(bits(key.modulus)),
                _ => None,
            },
        })
    }

    /// First second that it is valid in, since 1970.
    pub(super) fn first_second(&self) -> u64 {
        u64::try_from(self.not_before).unwrap_or(0)
    }

    /// Whether it is valid now.
    pub(super) fn check_dates(&self, whose: Whose, now: UnixTime) -> Result<(), Unfit> {
        let now = now.as_secs();
        let seconds = i64::try_from(now).unwrap_or(i64::MAX);
        let bound = if seconds < self.not_before {
            Bound::From(self.first_second())
        } else if seconds > self.not_after {
            Bound::Until(u64::try_from(self.not_after).unwrap_or(0))
        } else {
            return Ok(());
        };
        let dates = OutOfDates { bound, now };
        Err(Unfit::Dates { whose, dates })
    }

    /// Whether a server may have it.
    pub(super) fn check_server(&self) -> Result<(), Unfit> {
        if !self.is_for_servers {
            return Err(Unfit::Purpose(Whose::Server));
        }
        if !self.serves {
            return Err(Unfit::KeyUsage(Whose::Server));
        }
        self.check_key(Whose::Server)
    }

    /// Whether it may have issued the next of a path, when so many that are not self-issued stand
    /// between it and the server's.
    pub(super) fn check_issuer(&self, whose: Whose, between: u32) -> Result<(), Unfit> {
        if !self.is_authority {
            return Err(Unfit::NoAuthority(whose));
        }
        if !self.is_for_servers {
            return Err(Unfit::Purpose(whose));
        }
        match self.path_length {
            Some(allowed) if between > allowed => Err(Unfit::PathLength {
                whose,
                allowed,
                found: between,
            }),
            _ => Ok(()),
        }
    }

    /// Whether its key is long enough.
    pub(super) fn check_key(&self, whose: Whose) -> Result<(), Unfit> {
        match self.rsa_bits {
            Some(bits) if bits < LEAST_RSA_BITS => Err(Unfit::ShortKey { whose, bits }),
            _ => Ok(()),
        }
    }
}

/// Bits of a number without the zeros before it.
fn bits(number: &[u8]) -> usize {
    let number = number
        .iter()
        .position(|byte| *byte != 0)
        .map_or(&[][..], |start| &number[start..]);
    number
        .first()
        .map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}
