//! TLS settings shared by all connections: protocol versions, cipher suites, trust anchors, client
//! certificate (contract/control-plane 4.3).

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tracing::warn;

use super::NetError;
use super::tls_anchors::{Anchors, certificates, private_key};
use super::tls_ciphers::{self, Selection};
use super::tls_verifier::{NoAnchors, Unverified, Verifier};
use crate::config::{Options, TlsVersion};
use crate::sys::clock;

/// Trust anchors where `cafile` is not set.
const SYSTEM_ANCHORS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Characters of a list of cipher suites that are shown.
const LIST_SHOWN: usize = 200;

/// Words of it that are shown as unknown.
const WORDS_SHOWN: usize = 8;

/// The settings for connections that the agent opens.
///
/// The trust anchors are `cafile`, else the system's; where neither can be read, every HTTPS
/// connection fails with an unknown issuer, but plain HTTP works.
pub(crate) fn client(options: &Options) -> Result<ClientConfig, NetError> {
    client_at(options, SystemTime::now())
}

/// The same at this time of the clock.
pub(super) fn client_at(options: &Options, now: SystemTime) -> Result<ClientConfig, NetError> {
    let mut config = client_with_certificate(options)?;
    if clock::is_unset(now) {
        // A session that is resumed is not verified again, and has to be once the clock is set.
        config.resumption = Resumption::disabled();
    }
    Ok(config)
}

fn client_with_certificate(options: &Options) -> Result<ClientConfig, NetError> {
    let builder = ClientConfig::builder_with_provider(provider(options))
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
pub(crate) fn server_from_files(
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
pub(crate) fn server(
    options: &Options,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    with: &str,
) -> Result<ServerConfig, NetError> {
    let tls_error = |source| NetError::Tls {
        with: with.to_owned(),
        source,
    };
    let mut config = ServerConfig::builder_with_provider(provider(options))
        .with_protocol_versions(versions(options))
        .map_err(tls_error)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(tls_error)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// What the options ask for and do not get, in words for the person at the console: a list of cipher
/// suites that leaves none, or none that is written as OpenSSL wants it.
///
/// TLS 1.2 is off then, for the agent as server and as client. The default suites in their place
/// would be what nobody asked for, perhaps just what the list was to exclude, and to end would help
/// nobody: TLS 1.3, which conductors speak by default, has no suites to choose and is no weaker.
pub(crate) fn trouble(options: &Options) -> Option<String> {
    let list = options.tls_cipher_suites.as_deref()?;
    let selection = Selection::of(Some(list));
    if !selection.is_empty() || options.tls_min_version != TlsVersion::Tls12 {
        return None;
    }
    let why = match &selection.refused {
        Some(why) => format!("OpenSSL would refuse the list: {why}"),
        None => "it leaves none of this agent's suites".to_owned(),
    };
    let list: String = list.chars().take(LIST_SHOWN).collect();
    Some(format!(
        "tls_cipher_suites is {list:?}, and {why}; TLS 1.2 is off, only TLS 1.3 is served and spoken. \
         There are, joined with ':': {}",
        tls_ciphers::SUITES
            .each_ref()
            .map(|suite| suite.name)
            .join(", ")
    ))
}

/// What of the cipher suites' list names nothing here, for the log; OpenSSL passes over it, too.
pub(crate) fn unknown_ciphers(options: &Options) -> Option<String> {
    let mut unknown = Selection::of(options.tls_cipher_suites.as_deref()).unknown;
    unknown.truncate(WORDS_SHOWN);
    (!unknown.is_empty()).then(|| unknown.join(", "))
}

/// The versions; TLS 1.2 only where there is a suite for it.
fn versions(options: &Options) -> &'static [&'static SupportedProtocolVersion] {
    static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
    match options.tls_min_version {
        TlsVersion::Tls12 if !selection(options).is_empty() => &BOTH,
        _ => &BOTH[..1],
    }
}

/// The cryptography, with the TLS 1.2 suites that are wanted.
fn provider(options: &Options) -> Arc<CryptoProvider> {
    static DEFAULT: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let make = || {
        Arc::new(with_suites(
            selection(options).suites().map(|suite| suite.suite),
        ))
    };
    match &options.tls_cipher_suites {
        None => Arc::clone(DEFAULT.get_or_init(make)),
        Some(_) => make(),
    }
}

/// OpenSSL's names of the TLS 1.2 suites that these options offer.
pub(super) fn offered(options: &Options) -> Vec<&'static str> {
    let selection = selection(options);
    selection.suites().map(|suite| suite.name).collect()
}

fn selection(options: &Options) -> Selection {
    Selection::of(options.tls_cipher_suites.as_deref())
}

fn with_suites(tls12: impl Iterator<Item = SupportedCipherSuite>) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider
        .cipher_suites
        .retain(|suite| suite.tls13().is_some());
    provider.cipher_suites.extend(tls12);
    provider
}

/// What decides whether a server is the one that it says it is.
pub(super) fn verifier(options: &Options) -> Result<Arc<dyn ServerCertVerifier>, NetError> {
    let provider = provider(options);
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
