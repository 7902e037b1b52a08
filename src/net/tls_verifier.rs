//! Which servers' certificates are accepted: those that OpenSSL accepts, as far as the library that
//! verifies paths can read them.

use std::cell::RefCell;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, OtherError, SignatureScheme};
use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, ServerName,
    SignatureVerificationAlgorithm, UnixTime,
};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::OID_X509_EXT_BASIC_CONSTRAINTS;
use x509_parser::prelude::FromDer;

use super::tls_anchors::Anchors;
use super::x509::{DatesBy, Facts, Unfit, Whose};

/// Verification against trust anchors: WebPKI's, and what OpenSSL does besides.
///
/// - A server whose own certificate is a trust anchor is accepted for the names in it: conductors
///   hand out their self-signed certificate as CA.
/// - A server's certificate may itself be a CA's (`CA:TRUE`, as `openssl req -x509` and old
///   templates make it), which WebPKI refuses.
/// - Issuers need `keyCertSign`, servers a key usage for servers, where there is a key usage; and a
///   trust anchor's own dates, purposes and path length count. WebPKI looks at none of these.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) anchors: Anchors,
    pub(super) provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let facts = Facts::read(end_entity).ok_or(CertificateError::BadEncoding)?;
        let now = DatesBy::clock(now, std::iter::once(end_entity).chain(intermediates));
        if self.anchors.hold(end_entity) {
            facts
                .check_dates(Whose::Server, now.for_anchor(&facts))
                .map_err(unfit)?;
        } else if let Some(overlooked) = Overlooked::of(end_entity) {
            let algorithms = self.provider.signature_verification_algorithms.all;
            let algorithms: Vec<Overlooking<'_>> = algorithms
                .iter()
                .map(|algorithm| Overlooking {
                    algorithm: *algorithm,
                    certificate: &overlooked,
                })
                .collect();
            let algorithms: Vec<&dyn SignatureVerificationAlgorithm> = algorithms
                .iter()
                .map(|algorithm| algorithm as &dyn SignatureVerificationAlgorithm)
                .collect();
            self.verify_path(&overlooked.shown, intermediates, now, &algorithms)?;
        } else {
            let algorithms = self.provider.signature_verification_algorithms.all;
            self.verify_path(end_entity, intermediates, now, algorithms)?;
        }
        facts.check_server().map_err(unfit)?;
        verify_server_name(&parsed, server_name)
    }

    fn verify_path(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: DatesBy,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> Result<(), rustls::Error> {
        let refusal = RefCell::new(None);
        let check = |path: &VerifiedPath<'_>| {
            self.check_path(path, now).map_err(|unfit| {
                refusal.replace(Some(unfit));
                webpki::Error::UnknownIssuer
            })
        };
        let verified = EndEntityCert::try_from(end_entity).is_ok_and(|certificate| {
            certificate
                .verify_for_usage(
                    algorithms,
                    &self.anchors.store().roots,
                    intermediates,
                    now.time,
                    KeyUsage::server_auth(),
                    None,
                    Some(&check),
                )
                .is_ok()
        });
        if verified {
            return Ok(());
        }
        // The same without what is checked here says what the library has against it, in the words
        // of TLS; where it has nothing, what was found here is the reason.
        let parsed = ParsedCertificate::try_from(end_entity)?;
        match verify_server_cert_signed_by_trust_anchor(
            &parsed,
            self.anchors.store(),
            intermediates,
            now.time,
            algorithms,
        ) {
            Ok(()) => Err(refusal
                .into_inner()
                .map_or(CertificateError::UnknownIssuer.into(), unfit)),
            // A short key is no key to the library, so that nothing is signed with it.
            Err(rustls::Error::InvalidCertificate(CertificateError::BadSignature)) => {
                self.check_keys(intermediates).map_err(unfit)?;
                Err(CertificateError::BadSignature.into())
            }
            Err(error) => Err(error),
        }
    }

    /// What the library does not look at, for a path that it found good.
    fn check_path(&self, path: &VerifiedPath<'_>, now: DatesBy) -> Result<(), Unfit> {
        let mut between = 0;
        for certificate in path.intermediate_certificates() {
            let facts =
                Facts::read(&certificate.der()).ok_or(Unfit::NoAuthority(Whose::Between))?;
            facts.check_issuer(Whose::Between, between)?;
            if !facts.is_self_issued {
                between += 1;
            }
        }
        self.anchors.check(path.anchor(), between, now)
    }

    fn check_keys(&self, intermediates: &[CertificateDer<'_>]) -> Result<(), Unfit> {
        let mut between = intermediates.iter().filter_map(|der| Facts::read(der));
        between.try_for_each(|facts| facts.check_key(Whose::Between))?;
        self.anchors.check_keys()
    }
}

/// A server's certificate that is a CA's too, beside one that is not and else the same: the one
/// byte of `CA:TRUE` changed.
///
/// The library verifies the changed one, so that each of its rules holds, and each signature is
/// verified over what was really signed ([`Overlooking`]). The changed one could do less than the
/// real one, and stands for it at the end of the path alone: as an issuer it would be refused.
/// A path of our own would have to repeat dates, names, constraints and purposes.
pub(super) struct Overlooked {
    /// The changed certificate.
    pub(super) shown: CertificateDer<'static>,
    /// What is signed of it, and what is signed of the real one.
    shown_content: Vec<u8>,
    real_content: Vec<u8>,
}

impl Overlooked {
    /// `None` where the certificate does not say `CA:TRUE` as it must be written.
    pub(super) fn of(der: &CertificateDer<'_>) -> Option<Self> {
        /// `SEQUENCE`, its length, and `TRUE`.
        const TRUE: [u8; 3] = [0x01, 0x01, 0xff];
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let extension = certificate
            .get_extension_unique(&OID_X509_EXT_BASIC_CONSTRAINTS)
            .ok()??;
        if extension.value.get(2..5)? != TRUE {
            return None;
        }
        let position = |part: &[u8]| (part.as_ptr() as usize).checked_sub(der.as_ptr() as usize);
        let content = certificate.tbs_certificate.as_ref();
        let start = position(content)?;
        let mut shown = der.to_vec();
        *shown.get_mut(position(extension.value)? + 4)? = 0;
        Some(Self {
            shown_content: shown.get(start..start + content.len())?.to_vec(),
            real_content: content.to_vec(),
            shown: CertificateDer::from(shown),
        })
    }
}

/// A signature's algorithm, to which the real content is given in place of the changed one.
struct Overlooking<'a> {
    algorithm: &'a dyn SignatureVerificationAlgorithm,
    certificate: &'a Overlooked,
}

impl std::fmt::Debug for Overlooking<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.algorithm.fmt(f)
    }
}

impl SignatureVerificationAlgorithm for Overlooking<'_> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let signed = if message == self.certificate.shown_content {
            &self.certificate.real_content
        } else {
            message
        };
        self.algorithm
            .verify_signature(public_key, signed, signature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature_alg_id()
    }
}

fn unfit(unfit: Unfit) -> rustls::Error {
    CertificateError::Other(OtherError(Arc::new(unfit))).into()
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verify(end_entity, intermediates, server_name, now)
            .map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The option `insecure`: any certificate is taken, but the peer must hold its key.
#[derive(Debug)]
pub(super) struct Unverified(pub(super) Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// No trust anchor exists, so no server can be verified.
#[derive(Debug)]
pub(super) struct NoAnchors {
    /// Why there is none.
    pub(super) reason: String,
    pub(super) provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for NoAnchors {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Err(rustls::Error::General(format!(
            "there are no trust anchors: {}",
            self.reason
        )))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(CertificateError::UnknownIssuer.into())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(CertificateError::UnknownIssuer.into())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests;
