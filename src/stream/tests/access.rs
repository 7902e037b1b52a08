//! The way to the server: redirects, proxies, credentials, certificates.

use std::sync::Arc;
use std::time::{Duration, Instant};

use farrier_plugin::{ErrorKind, SilentContext, chain};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{MIB, assert_written, head_is_blank, image, options, request, run};
use crate::config::Options;
use crate::stream::http_cases;
use crate::stream::test_server::{Reply, TestServer};
use crate::stream::{Credentials, ImageRequest, StreamError, Written, write};
use crate::sys::memory_medium::MemoryMedium;

fn basic() -> Credentials {
    Credentials::Basic {
        user: "me".to_owned(),
        password: "pw".to_owned(),
    }
}

fn serving(content: &Arc<Vec<u8>>) -> TestServer {
    let content = Arc::clone(content);
    TestServer::start(move |_, request| Reply::ranged(&content, request))
}

fn redirecting(to: impl Fn(usize) -> String + Send + Sync + 'static) -> TestServer {
    TestServer::start(move |number, _| Reply::status(302).header("Location", &to(number)))
}

#[test]
fn redirects_are_followed_and_credentials_sent() {
    let content = image(2 * MIB);
    let server = TestServer::start({
        let content = Arc::clone(&content);
        move |_, request| match request.target.as_str() {
            "/elsewhere?token=secret" => Reply::ok(&content),
            _ => Reply::status(302).header("Location", "/elsewhere?token=secret"),
        }
    });
    for (credentials, header) in [
        (basic(), "Basic bWU6cHc="),
        (
            Credentials::Authorization("Bearer eyJ0".to_owned()),
            "Bearer eyJ0",
        ),
    ] {
        let mut request = request(&[server.url("/one.raw")], &content);
        request.credentials = credentials;
        let medium = MemoryMedium::used(4 * MIB);
        write(&request, &options(), &medium, &SilentContext).unwrap();
        assert_written(&medium, &content);
        let requests = server.requests();
        let [first, second] = &requests[requests.len() - 2..] else {
            panic!("two requests");
        };
        assert_eq!(first.header("authorization"), Some(header));
        // The same host may see them again.
        assert_eq!(second.target, "/elsewhere?token=secret");
        assert_eq!(second.header("authorization"), Some(header));
    }
}

#[test]
fn another_host_does_not_get_the_credentials() {
    let content = image(2 * MIB);
    let there = serving(&content);
    let url = there.url("/two.raw?sig=secret");
    let here = redirecting(move |_| url.clone());
    let mut request = request(&[here.url("/one.raw")], &content);
    request.credentials = basic();
    let medium = MemoryMedium::used(4 * MIB);
    write(&request, &options(), &medium, &SilentContext).unwrap();
    assert_written(&medium, &content);
    assert!(here.requests()[0].header("authorization").is_some());
    assert_eq!(there.requests()[0].header("authorization"), None);
    assert_eq!(there.requests()[0].header("referer"), None);
}

#[test]
fn redirects_in_a_loop_are_left_at_once() {
    let server = TestServer::start(|_, request| {
        let next = match request.target.as_str() {
            "/a?sig=secret" => "/b?sig=secret",
            _ => "/a?sig=secret",
        };
        Reply::status(307).header("Location", next)
    });
    let medium = MemoryMedium::used(4 * MIB);
    let error = run(&server, b"", &medium).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ImageDownload);
    assert_eq!(
        chain(&error),
        format!(
            "Download of image one.raw failed: Could not read {}: The redirects go round in a loop, \
             through {}",
            server.url("/one.raw"),
            server.url("/a")
        )
    );
    assert_eq!(server.requests().len(), 3, "asked once, not with retries");
    assert_eq!(medium.log(), []);
}

#[test]
fn redirects_without_end_are_left() {
    let server = redirecting(|number| format!("/{number}?sig=secret"));
    let error = run(&server, b"", &MemoryMedium::used(4 * MIB)).unwrap_err();
    let text = chain(&error);
    assert!(
        text.ends_with("More than 30 redirects follow each other"),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");
    assert_eq!(server.requests().len(), 31);
}

#[test]
fn a_redirect_to_something_else_than_http_is_not_followed() {
    for target in ["file:///etc/passwd?secret", "ftp://127.0.0.1/secret"] {
        let server = redirecting(move |_| target.to_owned());
        let text = chain(&run(&server, b"", &MemoryMedium::used(4 * MIB)).unwrap_err());
        assert!(
            text.contains("URL scheme is not allowed")
                || text.ends_with("expected 200 (a redirect that cannot be followed)"),
            "{text}"
        );
        assert!(!text.contains("secret"), "{text}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn the_server_that_refuses_is_named() {
    let there = TestServer::start(|_, _| Reply::status(403));
    let url = there.url("/two.raw?sig=secret");
    let here = redirecting(move |_| url.clone());
    let text = chain(&run(&here, b"", &MemoryMedium::used(4 * MIB)).unwrap_err());
    assert_eq!(
        text,
        format!(
            "Download of image one.raw failed: Received status code 403 from {} (redirected to \
             {}), expected 200 (the temporary URL has probably expired, or its signature is wrong)",
            here.url("/one.raw"),
            there.url("/two.raw")
        )
    );
}

#[test]
fn a_proxy_is_used_for_its_scheme_and_not_for_what_is_reached_directly() {
    let content = image(2 * MIB);
    let server = serving(&content);
    let proxy = serving(&content);
    let address = |server: &TestServer| server.url("").trim_start_matches("http://").to_owned();
    let mut far = request(&["http://images.invalid/one.raw".to_owned()], &content);
    let mut near = request(&[server.url("/one.raw")], &content);
    let send = |request: &ImageRequest| {
        write(
            request,
            &options(),
            &MemoryMedium::used(4 * MIB),
            &SilentContext,
        )
    };

    // Written without a scheme, as operators do; with the credentials in its URL.
    far.proxies.by_scheme = vec![("http".to_owned(), format!("me:pw@{}", address(&proxy)))];
    send(&far).unwrap();
    let requests = proxy.requests();
    assert_eq!(requests[0].target, "http://images.invalid/one.raw");
    assert_eq!(
        requests[0].header("proxy-authorization"),
        Some("Basic bWU6cHc=")
    );
    far.proxies.by_scheme = vec![(
        "http".to_owned(),
        format!("DOMAIN\\me:pw@{}", address(&proxy)),
    )];
    send(&far).unwrap();
    assert_eq!(
        proxy
            .requests()
            .last()
            .unwrap()
            .header("proxy-authorization"),
        Some("Basic RE9NQUlOXG1lOnB3")
    );

    // The proxy of the other scheme is none for this one.
    near.proxies.by_scheme = vec![("https".to_owned(), "127.0.0.1:1".to_owned())];
    send(&near).unwrap();

    let own_port = address(&server);
    for hosts in ["127.0.0.1", ".example, 127.0.0.0/8", "*", &own_port] {
        near.proxies.by_scheme = vec![("http".to_owned(), "127.0.0.1:1".to_owned())];
        near.proxies.no_proxy = Some(hosts.to_owned());
        send(&near).unwrap();
    }
    for hosts in ["images.invalid", "127.0.0.1:1"] {
        near.proxies.no_proxy = Some(hosts.to_owned());
        send(&near).unwrap_err();
    }
}

#[test]
fn a_cookie_that_a_redirect_sets_is_kept_while_the_image_is_read() {
    let content = image(3 * MIB);
    let server = TestServer::start({
        let content = Arc::clone(&content);
        move |number, request| match request.header("cookie") {
            None => Reply::status(302)
                .header("Location", "/one.raw")
                .header("Set-Cookie", "door=open; HttpOnly"),
            _ if number == 1 => Reply::ok(&content).cut_at(MIB),
            _ => Reply::ranged(&content, request),
        }
    });
    let medium = MemoryMedium::used(4 * MIB);
    write(
        &request(&[server.url("/one.raw")], &content),
        &options(),
        &medium,
        &SilentContext,
    )
    .unwrap();
    assert_written(&medium, &content);
    let seen: Vec<_> = server
        .requests()
        .iter()
        .map(|request| (request.range(), request.header("cookie").map(str::to_owned)))
        .collect();
    let open = Some("door=open".to_owned());
    assert_eq!(
        seen,
        [(None, None), (None, open.clone()), (Some(MIB), open)]
    );
}

#[test]
fn an_end_of_tls_without_notice_is_an_end_only_where_a_checksum_vouches() {
    let content = image(2 * MIB);
    let options = Options {
        image_download_connection_retries: 0,
        insecure: true,
        ..options()
    };
    for (at, vouched) in [(2 * MIB, true), (2 * MIB, false), (MIB, true)] {
        let server = TestServer::start_tls(http_cases::certificate(), {
            let content = Arc::clone(&content);
            move |_, _| Reply::ok(&content).announce(None).cut_at(at)
        });
        let mut request = request(&[server.url("/one.raw")], &content);
        if !vouched {
            request.checksum = None;
        }
        let medium = MemoryMedium::used(4 * MIB);
        let outcome = write(&request, &options, &medium, &SilentContext);
        if at == content.len() && vouched {
            outcome.unwrap();
            assert_written(&medium, &content);
            continue;
        }
        let kind = match vouched {
            true => ErrorKind::ImageChecksum,
            false => ErrorKind::ImageDownload,
        };
        assert_eq!(outcome.unwrap_err().kind(), kind);
        assert!(head_is_blank(&medium.content()));
    }
}

/// A server over TLS that shows a certificate of an authority, and takes only clients of it.
struct Guarded {
    server: TestServer,
    files: tempfile::TempDir,
}

impl Guarded {
    fn start(content: &Arc<Vec<u8>>) -> Self {
        let files = tempfile::tempdir().unwrap();
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = parameters.self_signed(&key).unwrap();
        let issuer = Issuer::new(parameters, key);
        let signed = |host: &str| {
            let key = KeyPair::generate().unwrap();
            let certificate = CertificateParams::new(vec![host.to_owned()])
                .unwrap()
                .signed_by(&key, &issuer)
                .unwrap();
            (certificate, key)
        };
        let (own, own_key) = signed("127.0.0.1");
        let (client, client_key) = signed("agent");
        for (name, text) in [
            ("ca.pem", root.pem()),
            ("client.pem", client.pem()),
            ("client.key", client_key.serialize_pem()),
        ] {
            std::fs::write(files.path().join(name), text).unwrap();
        }
        let mut roots = RootCertStore::empty();
        roots.add(root.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
            .build()
            .unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(
                vec![own.der().clone()],
                PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own_key.serialize_der())),
            )
            .unwrap();
        let content = Arc::clone(content);
        let server = TestServer::start_tls(config, move |number, request| {
            let reply = Reply::ranged(&content, request);
            if number == 0 {
                reply.cut_at(MIB)
            } else {
                reply
            }
        });
        Self { server, files }
    }

    fn options(&self) -> Options {
        let file = |name: &str| Some(self.files.path().join(name));
        Options {
            cafile: file("ca.pem"),
            certfile: file("client.pem"),
            keyfile: file("client.key"),
            ..options()
        }
    }

    fn write(&self, content: &[u8], options: &Options) -> Result<Written, StreamError> {
        let medium = MemoryMedium::used(4 * MIB);
        let request = request(&[self.server.url("/one.raw")], content);
        let written = write(&request, options, &medium, &SilentContext)?;
        assert_written(&medium, content);
        Ok(written)
    }
}

#[test]
fn certificates_are_checked_both_ways() {
    let content = image(2 * MIB);
    let guarded = Guarded::start(&content);
    let good = guarded.options();
    guarded.write(&content, &good).unwrap();
    assert_eq!(guarded.server.requests().len(), 2, "resumed over TLS too");
    guarded
        .write(
            &content,
            &Options {
                cafile: None,
                insecure: true,
                ..good.clone()
            },
        )
        .unwrap();
    let served = guarded.server.requests().len();
    for (options, part) in [
        // Trusted by the system, by nobody, without a certificate of our own.
        (
            Options {
                cafile: None,
                ..good.clone()
            },
            "certificate",
        ),
        (
            Options {
                cafile: good.certfile.clone(),
                ..good.clone()
            },
            "invalid peer certificate",
        ),
        (
            Options {
                certfile: None,
                keyfile: None,
                ..good.clone()
            },
            "ertificate",
        ),
    ] {
        let text = chain(&guarded.write(&content, &options).unwrap_err());
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(guarded.server.requests().len(), served);

    // What is not accepted now will not be in a moment.
    let began = Instant::now();
    let patient = Options {
        cafile: good.certfile.clone(),
        image_download_connection_retry_interval: 120,
        ..good
    };
    guarded.write(&content, &patient).unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(60));
}
