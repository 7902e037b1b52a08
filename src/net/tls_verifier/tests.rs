//! Certificates' dates by a clock that is right, and by one that nobody has set.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::HandshakeKind;
use rustls_pki_types::{PrivatePkcs8KeyDer, ServerName, UnixTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::config::Options;
use crate::net::tls;
use crate::sys::clock::RELEASED;

const YEAR: u64 = 365 * 86_400;

/// From and until when, in years since the release.
type Years = (i64, i64);

const PAST: Years = (-5, -1);
const PRESENT: Years = (-1, 2);
const FUTURE: Years = (1, 3);

fn parameters(names: &[&str], (from, until): Years) -> CertificateParams {
    let at = |years: i64| {
        let seconds = RELEASED.cast_signed() + years * YEAR.cast_signed();
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.cast_unsigned())
    };
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut parameters = CertificateParams::new(names).unwrap();
    parameters.not_before = at(from).into();
    parameters.not_after = at(until).into();
    parameters
}

/// The certificates of an authority and of a server of it.
fn pair(authority: Years, server: Years) -> (Certificate, Certificate) {
    let mut of_authority = parameters(&[], authority);
    of_authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = of_authority.self_signed(&key).unwrap();
    let issuer = Issuer::new(of_authority, key);
    let server_key = KeyPair::generate().unwrap();
    let served = parameters(&["localhost"], server).signed_by(&server_key, &issuer);
    (certificate, served.unwrap())
}

/// Why a server is refused at this time of the clock, if it is.
fn refusal(cafile: &Certificate, served: &Certificate, now: u64) -> Option<String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), cafile.pem()).unwrap();
    let options = Options {
        cafile: Some(file.path().to_owned()),
        ..Options::default()
    };
    let verified = tls::verifier(&options).unwrap().verify_server_cert(
        served.der(),
        &[],
        &ServerName::try_from("localhost").unwrap(),
        &[],
        UnixTime::since_unix_epoch(Duration::from_secs(now)),
    );
    verified.err().map(|error| format!("{error:?}"))
}

#[test]
fn a_clock_that_nobody_has_set_lets_in_what_may_be_valid_and_nothing_that_has_expired() {
    let (unset, right) = (3600, RELEASED + YEAR / 2);
    for (authority, server, by_unset, by_right) in [
        (PRESENT, PRESENT, true, true),
        (PRESENT, PAST, false, false),
        // The certificate was issued after this program was made; so it may be valid.
        (PRESENT, FUTURE, true, false),
        (PAST, PRESENT, false, false),
        (PAST, PAST, false, false),
        // The authority's has expired by the time from which the server's is valid.
        (PAST, FUTURE, false, false),
        (FUTURE, PRESENT, true, false),
        (FUTURE, FUTURE, true, false),
    ] {
        let (cafile, served) = pair(authority, server);
        for (now, accepted) in [
            (0, by_unset),
            (unset, by_unset),
            (RELEASED - 1, by_unset),
            (right, by_right),
        ] {
            let refusal = refusal(&cafile, &served, now);
            assert_eq!(
                refusal.is_none(),
                accepted,
                "{authority:?}, {server:?} at {now}: {refusal:?}"
            );
        }
    }
    // As soon as the clock may be right, it counts.
    let (cafile, served) = pair(PRESENT, FUTURE);
    assert!(refusal(&cafile, &served, RELEASED).is_some());
}

/// One that was begun by such a clock would go on after it was set, without another look.
#[tokio::test]
async fn by_such_a_clock_no_session_is_resumed() {
    for (clock, resumed) in [(0, false), (RELEASED + YEAR, true)] {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(clock);
        let options = Options {
            insecure: true,
            ..Options::default()
        };
        let client = Arc::new(tls::client_at(&options, now).unwrap());
        let key = KeyPair::generate().unwrap();
        let own = parameters(&["localhost"], PRESENT)
            .self_signed(&key)
            .unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let server = tls::server(&options, vec![own.der().clone()], key.into(), "a test");
        let server = Arc::new(server.unwrap());
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let (near, far) = tokio::io::duplex(1 << 16);
            let accept = TlsAcceptor::from(Arc::clone(&server)).accept(far);
            let name = ServerName::try_from("localhost").unwrap();
            let connect = TlsConnector::from(Arc::clone(&client)).connect(name, near);
            let (accepted, connected) = tokio::join!(accept, connect);
            let (mut accepted, mut connected) = (accepted.unwrap(), connected.unwrap());
            accepted.write_all(b"x").await.unwrap();
            // With the byte come the tickets.
            connected.read_u8().await.unwrap();
            kinds.push(connected.get_ref().1.handshake_kind());
        }
        assert_eq!(
            kinds[1] == Some(HandshakeKind::Resumed),
            resumed,
            "{kinds:?}"
        );
    }
}

#[test]
fn the_same_holds_for_a_servers_own_certificate() {
    let key = KeyPair::generate().unwrap();
    for (years, by_unset, by_right) in [
        (PAST, false, false),
        (PRESENT, true, true),
        (FUTURE, true, false),
    ] {
        let own = parameters(&["localhost"], years).self_signed(&key).unwrap();
        assert_eq!(refusal(&own, &own, 0).is_none(), by_unset, "{years:?}");
        let right = RELEASED + YEAR / 2;
        assert_eq!(refusal(&own, &own, right).is_none(), by_right, "{years:?}");
    }
}
