//! Certificates in PEM files, and those of them that servers are trusted by.

use std::borrow::Cow;
use std::path::Path;

use rustls::RootCertStore;
use rustls_pki_types::pem::{Error as PemError, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, TrustAnchor};
use x509_parser::asn1_rs::{Any, Class, Oid, Sequence, Tag};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::NetError;
use super::x509::{DatesBy, Facts, Unfit, Whose};
use crate::sys::text_encoding;

/// The labels that OpenSSL knows besides `CERTIFICATE`. The second has OpenSSL's own data about whom
/// to trust it for behind the certificate.
const OTHER_LABELS: [&str; 2] = ["X509 CERTIFICATE", "TRUSTED CERTIFICATE"];

/// `id-kp-serverAuth` and `anyExtendedKeyUsage`, encoded.
const SERVERS: [&[u8]; 2] = [
    &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01],
    &[0x55, 0x1d, 0x25, 0x00],
];

/// What servers are trusted by.
#[derive(Debug)]
pub(super) struct Anchors {
    store: RootCertStore,
    /// Of each of the store's, in its order.
    facts: Vec<Facts>,
    /// The certificates themselves.
    certificates: Vec<CertificateDer<'static>>,
    /// How many cannot be used.
    pub(super) unusable: usize,
}

impl Anchors {
    /// Those in a PEM file. `option` is the one that names it.
    pub(super) fn read(path: &Path, option: &'static str) -> Result<Self, NetError> {
        let found = blocks(path, option)?;
        let count = found.len();
        let mut anchors = Self::none();
        for block in found {
            if let Some((certificate, facts)) = trusted(&block)
                && let Ok(anchor) = webpki::anchor_from_trusted_cert(&certificate)
            {
                anchors.store.roots.push(anchor.to_owned());
                anchors.facts.push(facts);
                anchors.certificates.push(certificate);
            }
        }
        anchors.unusable = count - anchors.facts.len();
        Ok(anchors)
    }

    /// None at all.
    pub(super) fn none() -> Self {
        Self {
            store: RootCertStore::empty(),
            facts: Vec::new(),
            certificates: Vec::new(),
            unusable: 0,
        }
    }

    /// The same, but no server is trusted because its own certificate is among them.
    pub(super) fn without_servers(mut self) -> Self {
        self.certificates = Vec::new();
        self
    }

    /// In the form in which paths are verified against them.
    pub(super) fn store(&self) -> &RootCertStore {
        &self.store
    }

    /// Whether this very certificate is among them.
    pub(super) fn hold(&self, certificate: &CertificateDer<'_>) -> bool {
        self.certificates.iter().any(|held| held == certificate)
    }

    /// Whether this one may have issued a path with so many intermediates that are not self-issued.
    /// A root that was renewed stands there twice with one key; one that is valid is enough.
    pub(super) fn check(
        &self,
        anchor: &TrustAnchor<'_>,
        between: u32,
        now: DatesBy,
    ) -> Result<(), Unfit> {
        let mut outcome = Err(Unfit::NoAuthority(Whose::Anchor));
        for (root, facts) in self.store.roots.iter().zip(&self.facts) {
            if root == anchor {
                outcome = facts
                    .check_issuer(Whose::Anchor, between)
                    .and_then(|()| facts.check_dates(Whose::Anchor, now.for_anchor(facts)));
                if outcome.is_ok() {
                    break;
                }
            }
        }
        outcome
    }

    /// Whether the keys of all are long enough.
    pub(super) fn check_keys(&self) -> Result<(), Unfit> {
        let mut facts = self.facts.iter();
        facts.try_for_each(|facts| facts.check_key(Whose::Anchor))
    }
}

/// The certificates of a PEM file, at least one.
pub(super) fn certificates(
    path: &Path,
    option: &'static str,
) -> Result<Vec<CertificateDer<'static>>, NetError> {
    let mut found = blocks(path, option)?;
    for certificate in &mut found {
        // What OpenSSL keeps behind it is of no use here.
        if let Ok((trust, only)) = X509Certificate::from_der(certificate)
            && !trust.is_empty()
        {
            *certificate = CertificateDer::from(only.as_raw().to_vec());
        }
    }
    Ok(found)
}

/// The private key of a PEM file.
pub(super) fn private_key(
    path: &Path,
    option: &'static str,
) -> Result<PrivateKeyDer<'static>, NetError> {
    let pem = |source| NetError::Pem {
        what: "a private key",
        path: path.to_owned(),
        option,
        source,
    };
    let content = std::fs::read(path).map_err(|error| pem(PemError::Io(error)))?;
    PrivateKeyDer::from_pem_slice(text_encoding::decode(&content).as_bytes()).map_err(pem)
}

/// The blocks of a PEM file with certificates, at least one, each with what stands behind it.
///
/// Other blocks and text between them are passed over, and a byte order mark before them, as OpenSSL
/// does.
fn blocks(path: &Path, option: &'static str) -> Result<Vec<CertificateDer<'static>>, NetError> {
    let pem = |source| NetError::Pem {
        what: "certificates",
        path: path.to_owned(),
        option,
        source,
    };
    let content = std::fs::read(path).map_err(|error| pem(PemError::Io(error)))?;
    let mut text = text_encoding::decode(&content);
    for label in OTHER_LABELS {
        if text.contains(label) {
            let named = |side: &str, label: &str| format!("-----{side} {label}-----");
            text = Cow::Owned(
                text.replace(&named("BEGIN", label), &named("BEGIN", "CERTIFICATE"))
                    .replace(&named("END", label), &named("END", "CERTIFICATE")),
            );
        }
    }
    let found: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(pem)?;
    if found.is_empty() {
        return Err(pem(PemError::NoItemsFound));
    }
    Ok(found)
}

/// The certificate of a block if servers may be trusted by it.
pub(super) fn trusted(block: &[u8]) -> Option<(CertificateDer<'static>, Facts)> {
    let (trust, certificate) = X509Certificate::from_der(block).ok()?;
    if !trust.is_empty() && !trusts_servers(trust)? {
        return None;
    }
    let facts = Facts::of(&certificate).ok()?;
    Some((CertificateDer::from(certificate.as_raw().to_vec()), facts))
}

/// Whether OpenSSL's data about trust (`X509_CERT_AUX`: a sequence of trusted purposes, `[0]` of
/// rejected ones, a name and more) leave servers in; `None` where it cannot be read.
fn trusts_servers(data: &[u8]) -> Option<bool> {
    let (rest, data) = Sequence::from_der(data).ok()?;
    if !rest.is_empty() {
        return None;
    }
    let mut rest: &[u8] = &data.content;
    let mut trusted = true;
    while !rest.is_empty() {
        let (behind, part) = Any::from_der(rest).ok()?;
        rest = behind;
        match (part.class(), part.tag()) {
            (Class::Universal, Tag::Sequence) => trusted &= names_servers(part.data)?,
            (Class::ContextSpecific, Tag(0)) => trusted &= !names_servers(part.data)?,
            _ => {}
        }
    }
    Some(trusted)
}

fn names_servers(mut purposes: &[u8]) -> Option<bool> {
    let mut found = false;
    while !purposes.is_empty() {
        let (behind, purpose) = Oid::from_der(purposes).ok()?;
        purposes = behind;
        found |= SERVERS.contains(&purpose.as_bytes());
    }
    Some(found)
}
