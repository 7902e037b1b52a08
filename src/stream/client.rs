//! The HTTP client of one image: the agent's TLS settings, and the image's own proxies.

use std::time::Duration;

use reqwest::{Client, NoProxy, Proxy};

use super::error::DownloadError;
use super::request::Proxies;
use crate::config::Options;

/// A client that waits no longer than `image_download_connection_timeout` for a connection.
pub(super) fn client(options: &Options, proxies: &Proxies) -> Result<Client, DownloadError> {
    let mut builder = base(options)?.connect_timeout(Duration::from_secs(
        options.image_download_connection_timeout.max(1),
    ));
    let direct = proxies.no_proxy.as_deref().and_then(NoProxy::from_string);
    for (scheme, url) in &proxies.by_scheme {
        // A proxy without a scheme is an HTTP proxy, as everywhere.
        let url = if url.contains("://") {
            url.clone()
        } else {
            format!("http://{url}")
        };
        let proxy = match scheme.as_str() {
            "http" => Proxy::http(url),
            "https" => Proxy::https(url),
            _ => continue,
        }
        .map_err(client_error)?;
        builder = builder.proxy(proxy.no_proxy(direct.clone()));
    }
    builder.build().map_err(client_error)
}

fn client_error(error: reqwest::Error) -> DownloadError {
    DownloadError::Client(error.without_url().into())
}

fn base(options: &Options) -> Result<reqwest::ClientBuilder, DownloadError> {
    use rustls_pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    let bundle = options
        .cafile
        .clone()
        .unwrap_or_else(|| "/etc/ssl/certs/ca-certificates.crt".into());
    if let Ok(anchors) = rustls_pki_types::CertificateDer::pem_file_iter(bundle) {
        roots.add_parsable_certificates(anchors.flatten());
    }
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| DownloadError::Client(error.into()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Client::builder()
        .tls_backend_preconfigured(tls)
        .referer(false)
        .http1_only())
}
