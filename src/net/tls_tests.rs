//! TLS against servers in this process, over real sockets.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::resolver::Resolver;
use super::tls_anchors::Anchors;
use super::{http, tls};
use crate::config::{Options, TlsVersion};

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    certificate: rcgen::Certificate,
}

fn authority(name: &str) -> Authority {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    Authority {
        pem: certificate.pem(),
        issuer: Issuer::new(parameters, key),
        certificate,
    }
}

/// A server's certificate: its key with it, and PEM for pinning.
struct Served {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

fn signed(authority: &Authority, host: &str) -> Served {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![host.to_owned()])
        .unwrap()
        .signed_by(&key, &authority.issuer)
        .unwrap();
    Served { certificate, key }
}

/// What `openssl req -x509` makes: self-signed, and marked as a CA.
fn self_signed(host: &str) -> Served {
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(vec![host.to_owned()]).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = parameters.self_signed(&key).unwrap();
    Served { certificate, key }
}

struct Server {
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start(
        served: &Served,
        versions: &[&'static SupportedProtocolVersion],
        clients: Option<&Authority>,
    ) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.certificate.der().clone()).unwrap();
                builder.with_client_cert_verifier(
                    WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
                        .build()
                        .unwrap(),
                )
            }
        };
        let key = PrivatePkcs8KeyDer::from(served.key.serialize_der());
        let config = builder
            .with_single_cert(
                vec![served.certificate.der().clone()],
                PrivateKeyDer::from(key),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let mut request = [0; 4096];
                    let _ = stream.read(&mut request).await;
                    let _ = stream
                        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                        .await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { address, task }
    }

    async fn answers(&self, options: &Options) -> Result<String, String> {
        let client =
            http::client(options, Resolver::default()).map_err(|error| error.to_string())?;
        let answer = client
            .get(format!("https://{}/", self.address))
            .send()
            .await
            .map_err(|error| format!("{error:?}"))?;
        answer.text().await.map_err(|error| format!("{error:?}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, content: &str) -> Option<PathBuf> {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        Some(path)
    }
}

const BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

#[tokio::test]
async fn a_server_is_verified_by_the_authority_in_cafile() {
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    let files = Files::new();
    let options = Options {
        cafile: files.write("ca.pem", &format!("# ours\n{}\n", ours.pem)),
        ..Options::default()
    };
    let good = Server::start(&signed(&ours, "127.0.0.1"), &BOTH, None).await;
    assert_eq!(good.answers(&options).await.as_deref(), Ok("ok"));
    let foreign = Server::start(&signed(&theirs, "127.0.0.1"), &BOTH, None).await;
    let error = foreign.answers(&options).await.unwrap_err();
    assert!(error.contains("UnknownIssuer"), "{error}");
    let other_name = Server::start(&signed(&ours, "127.0.0.2"), &BOTH, None).await;
    let error = other_name.answers(&options).await.unwrap_err();
    assert!(error.contains("NotValidForName"), "{error}");
}

#[tokio::test]
async fn a_servers_own_certificate_can_stand_in_cafile() {
    let served = self_signed("127.0.0.1");
    let files = Files::new();
    let options = Options {
        cafile: files.write("server.pem", &served.certificate.pem()),
        ..Options::default()
    };
    let server = Server::start(&served, &BOTH, None).await;
    assert_eq!(server.answers(&options).await.as_deref(), Ok("ok"));

    let elsewhere = self_signed("192.0.2.1");
    let options = Options {
        cafile: files.write("elsewhere.pem", &elsewhere.certificate.pem()),
        ..Options::default()
    };
    let server = Server::start(&elsewhere, &BOTH, None).await;
    let error = server.answers(&options).await.unwrap_err();
    assert!(error.contains("NotValidForName"), "{error}");
}

/// What old templates of OpenSSL make of a server.
fn signed_as_authority(authority: &Authority, host: &str) -> Served {
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(vec![host.to_owned()]).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = parameters.signed_by(&key, &authority.issuer).unwrap();
    Served { certificate, key }
}

#[tokio::test]
async fn a_servers_certificate_may_be_a_cas() {
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    let files = Files::new();
    let options = Options {
        cafile: files.write("ca.pem", &ours.pem),
        ..Options::default()
    };
    let served = signed_as_authority(&ours, "127.0.0.1");
    for version in [&BOTH[..1], &BOTH[1..]] {
        let server = Server::start(&served, version, None).await;
        assert_eq!(server.answers(&options).await.as_deref(), Ok("ok"));
    }
    for (served, text) in [
        (signed_as_authority(&theirs, "127.0.0.1"), "UnknownIssuer"),
        (signed_as_authority(&ours, "127.0.0.2"), "NotValidForName"),
        (self_signed("127.0.0.1"), "UnknownIssuer"),
    ] {
        let server = Server::start(&served, &BOTH, None).await;
        let error = server.answers(&options).await.unwrap_err();
        assert!(error.contains(text), "{error}");
    }
}

#[tokio::test]
async fn insecure_takes_any_certificate() {
    let server = Server::start(&self_signed("192.0.2.1"), &BOTH, None).await;
    let options = Options {
        insecure: true,
        ..Options::default()
    };
    assert_eq!(server.answers(&options).await.as_deref(), Ok("ok"));
    server.answers(&Options::default()).await.unwrap_err();
}

#[tokio::test]
async fn the_least_version_is_kept() {
    let server = Server::start(&self_signed("127.0.0.1"), &[&TLS12], None).await;
    let mut options = Options {
        insecure: true,
        ..Options::default()
    };
    assert_eq!(server.answers(&options).await.as_deref(), Ok("ok"));
    options.tls_min_version = TlsVersion::Tls13;
    let error = server.answers(&options).await.unwrap_err();
    assert!(error.contains("ProtocolVersion"), "{error}");
}

#[tokio::test]
async fn the_client_certificate_is_shown() {
    let ours = authority("ours");
    let files = Files::new();
    let own = signed(&ours, "agent");
    let server = Server::start(&signed(&ours, "127.0.0.1"), &BOTH, Some(&ours)).await;
    let mut options = Options {
        cafile: files.write("ca.pem", &ours.pem),
        ..Options::default()
    };
    server.answers(&options).await.unwrap_err();
    options.certfile = files.write("agent.crt", &own.certificate.pem());
    server.answers(&options).await.unwrap_err();
    options.keyfile = files.write("agent.key", &own.key.serialize_pem());
    assert_eq!(server.answers(&options).await.as_deref(), Ok("ok"));
}

#[test]
fn what_cannot_be_used_is_named() {
    let files = Files::new();
    for (options, part) in [
        (
            Options {
                cafile: Some("/no/such/ca.pem".into()),
                ..Options::default()
            },
            "/no/such/ca.pem",
        ),
        (
            Options {
                cafile: files.write("empty.pem", ""),
                ..Options::default()
            },
            "empty.pem; check the option cafile",
        ),
    ] {
        let error = http::client(&options, Resolver::default()).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
}

/// A list that leaves nothing neither ends the agent nor brings suites back that nobody asked for.
#[tokio::test]
async fn without_a_suite_only_tls_1_3_is_spoken() {
    let served = self_signed("127.0.0.1");
    let tls13 = Server::start(&served, &[&TLS13], None).await;
    let tls12 = Server::start(&served, &[&TLS12], None).await;
    for (list, says) in [
        ("RC4-MD5", "it leaves none of this agent's suites"),
        ("AES128:!ECDHE", "it leaves none of this agent's suites"),
        ("", "it leaves none of this agent's suites"),
        (
            "HIGH:*",
            "OpenSSL would refuse the list: there is no word at \"*\"",
        ),
    ] {
        let options = Options {
            insecure: true,
            tls_cipher_suites: Some(list.to_owned()),
            ..Options::default()
        };
        let trouble = tls::trouble(&options).unwrap();
        assert!(trouble.contains(says), "{trouble}");
        assert_eq!(tls13.answers(&options).await.as_deref(), Ok("ok"));
        let error = tls12.answers(&options).await.unwrap_err();
        assert!(error.contains("tls_cipher_suites"), "{error}");
    }
    for list in [None, Some("ECDHE+AESGCM:!aNULL")] {
        let tls_cipher_suites = list.map(str::to_owned);
        let options = Options {
            tls_cipher_suites,
            ..Options::default()
        };
        assert_eq!(tls::trouble(&options), None);
    }
}

#[tokio::test]
async fn a_host_may_have_underscores_anywhere_but_no_dash_at_an_end() {
    let ours = authority("ours");
    let files = Files::new();
    let options = Options {
        cafile: files.write("ca.pem", &ours.pem),
        ..Options::default()
    };
    // Whatever ends in `localhost` is this machine.
    for host in ["img_1.my_lab.localhost", "_img.localhost"] {
        let server = Server::start(&signed(&ours, host), &BOTH, None).await;
        let client = http::client(&options, Resolver::default()).unwrap();
        let url = format!("https://{host}:{}/", server.address.port());
        let answer = client.get(url).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "ok", "{host}");
    }
    // rustls knows no such names; glibc and OpenSSL do.
    let client = http::client(&options, Resolver::default()).unwrap();
    let error = client.get("https://img-.localhost:1/").send().await;
    assert!(format!("{error:?}").contains("InvalidDnsName"), "{error:?}");
}

#[test]
fn every_anchor_of_the_system_can_be_used() {
    let path = std::path::Path::new("/etc/ssl/certs/ca-certificates.crt");
    // A container need not have them.
    let Ok(anchors) = Anchors::read(path, "cafile") else {
        return;
    };
    assert!(anchors.store().len() > 50);
    assert_eq!(anchors.unusable, 0);
}
