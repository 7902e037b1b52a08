//! The same over TLS, with a certificate like the agent's own.

use std::io::Write;

use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned,
    SupportedProtocolVersion,
};

use super::*;

struct Tls {
    served: Served,
    roots: Arc<RootCertStore>,
}

impl Tls {
    /// A server that takes TLS 1.3 and nothing below, as with a stock conductor.
    fn new() -> Self {
        let own = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(own.cert.der().clone()).unwrap();
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .unwrap();
        Self {
            served: Served::with(|settings| settings.tls = Some(Arc::new(config))),
            roots: Arc::new(roots),
        }
    }

    fn connect(
        &self,
        version: &'static SupportedProtocolVersion,
    ) -> StreamOwned<ClientConnection, TcpStream> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(Arc::clone(&self.roots))
            .with_no_client_auth();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        StreamOwned::new(connection, self.served.connect())
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

#[test]
fn commands_are_served_and_links_say_https() {
    let tls = Tls::new();
    let mut stream = tls.connect(&TLS13);
    let target = format!("/v1/commands/?wait=true&agent_token={TOKEN}");
    let body = br#"{"name": "standby.sync", "params": {}}"#;
    send(&mut stream, "POST", &target, body);
    assert_eq!(
        receive(&mut stream, "POST").json()["command_status"],
        "SUCCEEDED"
    );
    send(&mut stream, "GET", "/", b"");
    assert_eq!(
        receive(&mut stream, "GET").json()["default_version"]["links"][0]["href"],
        "https://agent.test:9999/v1"
    );
}

#[test]
fn strangers_do_not_stop_the_server() {
    let tls = Tls::new();
    // Plain HTTP, a version that is too low, and a connection that says nothing.
    let mut plain = tls.served.connect();
    send(&mut plain, "GET", "/v1/status", b"");
    let mut rest = Vec::new();
    let _ = plain.read_to_end(&mut rest);
    assert!(!rest.starts_with(b"HTTP"));
    let mut old = tls.connect(&TLS12);
    assert!(old.write_all(b"GET / HTTP/1.1\r\n\r\n").is_err());
    let _silent = tls.served.connect();

    let mut stream = tls.connect(&TLS13);
    send(&mut stream, "GET", "/v1/status", b"");
    assert_eq!(receive(&mut stream, "GET").status, 200);
}
