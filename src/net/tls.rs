//! TLS settings shared by all connections: protocol versions, cipher suites, trust anchors, client
//! certificate (contract/control-plane 4.3).

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
    SupportedCipherSuite, SupportedProtocolVersion,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tracing::warn;

use super::NetError;
use crate::config::{Options, TlsVersion};

/// Trust anchors where `cafile` is not set.
const SYSTEM_ANCHORS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// OpenSSL's names of the TLS 1.2 suites that there are, in order of preference.
const SUITES: [(&str, SupportedCipherSuite); 6] = [
    (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        aws_lc_rs::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        aws_lc_rs::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-RSA-AES256-GCM-SHA384",
        aws_lc_rs::cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-RSA-AES128-GCM-SHA256",
        aws_lc_rs::cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        aws_lc_rs::cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "ECDHE-RSA-CHACHA20-POLY1305",
        aws_lc_rs::cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

/// How many of [`SUITES`] are on where `tls_cipher_suites` is not set: the reference's default.
const DEFAULT_SUITES: usize = 4;

/// The settings for connections that the agent opens.
///
/// The trust anchors are `cafile`, else the system's; where neither can be read, every HTTPS
/// connection fails with an unknown issuer, but plain HTTP works.
pub fn client(options: &Options) -> Result<ClientConfig, NetError> {
    let provider = provider(options)?;
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions(options))
        .map_err(|source| NetError::Tls {
            with: "the options tls_min_version and tls_cipher_suites".to_owned(),
            source,
        })?
        .dangerous()
        .with_custom_certificate_verifier(verifier(options, provider)?);
    let (Some(certificate), Some(key)) = (&options.certfile, &options.keyfile) else {
        if options.certfile.is_some() || options.keyfile.is_some() {
            warn!("only one of the options certfile and keyfile is set; both are ignored");
        }
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(certificate, "certfile")?;
    builder
        .with_client_auth_cert(chain, private_key(key, "keyfile")?)
        .map_err(|source| NetError::Tls {
            with: format!("{} and {}", certificate.display(), key.display()),
            source,
        })
}

/// The settings of the command API with a certificate and a key in PEM files
/// (`tls_cert_file`, `tls_key_file`).
pub fn server_from_files(
    options: &Options,
    certificate: &Path,
    key: &Path,
) -> Result<ServerConfig, NetError> {
    server(
        options,
        certificates(certificate, "tls_cert_file")?,
        private_key(key, "tls_key_file")?,
        &format!("{} and {}", certificate.display(), key.display()),
    )
}

/// The settings of the command API with this certificate chain and key; `with` names them in an
/// error.
pub fn server(
    options: &Options,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    with: &str,
) -> Result<ServerConfig, NetError> {
    let tls_error = |source| NetError::Tls {
        with: with.to_owned(),
        source,
    };
    let mut config = ServerConfig::builder_with_provider(provider(options)?)
        .with_protocol_versions(versions(options))
        .map_err(tls_error)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(tls_error)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn versions(options: &Options) -> &'static [&'static SupportedProtocolVersion] {
    static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
    match options.tls_min_version {
        TlsVersion::Tls12 => &BOTH,
        TlsVersion::Tls13 => &BOTH[..1],
    }
}

/// The cryptography, with the TLS 1.2 suites that are wanted. TLS 1.3 suites are not configurable,
/// as in the contract.
fn provider(options: &Options) -> Result<Arc<CryptoProvider>, NetError> {
    static DEFAULT: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let default = DEFAULT.get_or_init(|| {
        let wanted = SUITES[..DEFAULT_SUITES].iter().map(|(_, suite)| *suite);
        Arc::new(with_suites(wanted.collect()))
    });
    let Some(names) = &options.tls_cipher_suites else {
        return Ok(Arc::clone(default));
    };
    let mut wanted = Vec::new();
    for name in names.split([':', ',', ' ']).filter(|name| !name.is_empty()) {
        match SUITES.iter().find(|(known, _)| *known == name) {
            Some((_, suite)) => wanted.push(*suite),
            None => warn!(name, "this TLS 1.2 cipher suite is not offered"),
        }
    }
    if wanted.is_empty() && options.tls_min_version == TlsVersion::Tls12 {
        return Err(NetError::CipherSuites {
            names: names.clone(),
            known: SUITES.map(|(name, _)| name).join(", "),
        });
    }
    Ok(Arc::new(with_suites(wanted)))
}

fn with_suites(tls12: Vec<SupportedCipherSuite>) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider
        .cipher_suites
        .retain(|suite| suite.tls13().is_some());
    provider.cipher_suites.extend(tls12);
    provider
}

fn verifier(
    options: &Options,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, NetError> {
    if options.insecure {
        warn!("the option insecure is set: servers' certificates are not verified");
        return Ok(Arc::new(Unverified(provider)));
    }
    let (path, option) = match &options.cafile {
        Some(path) => (path.as_path(), "cafile"),
        None => (Path::new(SYSTEM_ANCHORS), "cafile (not set)"),
    };
    let anchors = match certificates(path, option) {
        Ok(anchors) => anchors,
        Err(error) if options.cafile.is_some() => return Err(error),
        Err(_) => Vec::new(),
    };
    let mut roots = RootCertStore::empty();
    let (_, unusable) = roots.add_parsable_certificates(anchors.iter().cloned());
    if unusable > 0 {
        warn!(path = %path.display(), unusable, "some trust anchors cannot be used");
    }
    if roots.is_empty() {
        return Ok(Arc::new(NoAnchors(provider)));
    }
    // The system's bundle has no servers' own certificates, so only `cafile` is kept for pinning.
    let pinned = if options.cafile.is_some() {
        anchors
    } else {
        Vec::new()
    };
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| NetError::Tls {
            with: path.display().to_string(),
            source: rustls::Error::General(error.to_string()),
        })?;
    Ok(Arc::new(Pinning { inner, pinned }))
}

fn certificates(
    path: &Path,
    option: &'static str,
) -> Result<Vec<CertificateDer<'static>>, NetError> {
    let pem = |source| NetError::Pem {
        what: "certificates",
        path: path.to_owned(),
        option,
        source,
    };
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(pem)?
        .collect::<Result<_, _>>()
        .map_err(pem)?;
    if found.is_empty() {
        return Err(pem(rustls_pki_types::pem::Error::NoItemsFound));
    }
    Ok(found)
}

fn private_key(path: &Path, option: &'static str) -> Result<PrivateKeyDer<'static>, NetError> {
    PrivateKeyDer::from_pem_file(path).map_err(|source| NetError::Pem {
        what: "a private key",
        path: path.to_owned(),
        option,
        source,
    })
}

/// Verification against trust anchors as usual; in addition, a server whose own certificate stands
/// in `cafile` is accepted for the names in it. OpenSSL does the same, and conductors hand out their
/// self-signed certificate as CA, which WebPKI alone refuses when it is marked as a CA.
#[derive(Debug)]
struct Pinning {
    inner: Arc<WebPkiServerVerifier>,
    pinned: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Pinning {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.pinned.iter().any(|pinned| pinned == end_entity) {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            return Ok(ServerCertVerified::assertion());
        }
        self.inner
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// The option `insecure`: any certificate is taken, but the peer must hold its key.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

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
struct NoAnchors(Arc<CryptoProvider>);

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
            "there are no trust anchors: the option cafile is not set and {SYSTEM_ANCHORS} cannot \
             be read"
        )))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::CertificateError::UnknownIssuer.into())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::CertificateError::UnknownIssuer.into())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
