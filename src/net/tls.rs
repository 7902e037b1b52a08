//! TLS settings shared by all connections: protocol versions, cipher suites, trust anchors, client
//! certificate (contract/control-plane 4.3).

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tracing::warn;

use super::NetError;
use super::tls_anchors::{Anchors, certificates, private_key};
use super::tls_verifier::{NoAnchors, Unverified, Verifier};
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
    let builder = ClientConfig::builder_with_provider(provider(options)?)
        .with_protocol_versions(versions(options))
        .map_err(|source| NetError::Tls {
            with: "the options tls_min_version and tls_cipher_suites".to_owned(),
            source,
        })?
        .dangerous()
        .with_custom_certificate_verifier(verifier(options)?);
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
    for name in words(names) {
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

/// OpenSSL's names of the TLS 1.2 suites that these options offer.
pub(super) fn offered(options: &Options) -> Vec<&'static str> {
    let is_offered = |(place, name): &(usize, &'static str)| match &options.tls_cipher_suites {
        Some(names) => words(names).any(|word| word == *name),
        None => *place < DEFAULT_SUITES,
    };
    let names = SUITES.iter().map(|(name, _)| *name).enumerate();
    names.filter(is_offered).map(|(_, name)| name).collect()
}

fn words(names: &str) -> impl Iterator<Item = &str> {
    names.split([':', ',', ' ']).filter(|name| !name.is_empty())
}

fn with_suites(tls12: Vec<SupportedCipherSuite>) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider
        .cipher_suites
        .retain(|suite| suite.tls13().is_some());
    provider.cipher_suites.extend(tls12);
    provider
}

/// What decides whether a server is the one that it says it is.
pub(super) fn verifier(options: &Options) -> Result<Arc<dyn ServerCertVerifier>, NetError> {
    let provider = provider(options)?;
    if options.insecure {
        warn!("the option insecure is set: servers' certificates are not verified");
        return Ok(Arc::new(Unverified(provider)));
    }
    let anchors = match &options.cafile {
        Some(path) => Anchors::read(path, "cafile")?,
        // The system's bundle has no servers' own certificates.
        None => Anchors::read(Path::new(SYSTEM_ANCHORS), "cafile (not set)")
            .map_or_else(|_| Anchors::none(), Anchors::without_servers),
    };
    if anchors.unusable > 0 {
        let path = options.cafile.as_deref();
        let path = path.unwrap_or(Path::new(SYSTEM_ANCHORS)).display();
        warn!(%path, unusable = anchors.unusable, "some trust anchors cannot be used");
    }
    if anchors.store().is_empty() {
        let reason = match &options.cafile {
            Some(path) => format!(
                "no certificate in {} can be used as one for servers; check the option cafile",
                path.display()
            ),
            None => {
                format!("the option cafile is not set and {SYSTEM_ANCHORS} cannot be read")
            }
        };
        return Ok(Arc::new(NoAnchors { reason, provider }));
    }
    Ok(Arc::new(Verifier { anchors, provider }))
}
