//! What to change where TLS with a server fails: rustls offers less than OpenSSL, and its errors name
//! the alert or the rule, not the remedy.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::{AlertDescription, CertificateError, PeerIncompatible, PeerMisbehaved};
use tower_layer::Layer;
use tower_service::Service;

use super::tls;
use super::x509::{Bound, OutOfDates, Unfit};
use crate::config::{Options, TlsVersion};

/// Key exchange groups that are offered.
const GROUPS: &str = "X25519MLKEM768, X25519, P-256 and P-384";

type BoxError = Box<dyn Error + Send + Sync>;

/// A connection that failed, with what can be done about it.
#[derive(Debug, thiserror::Error)]
#[error("{hint}")]
struct Hinted {
    hint: String,
    #[source]
    source: BoxError,
}

/// Puts a hint before the errors of a client's connections.
#[derive(Clone, Debug)]
pub(super) struct Hints(Arc<Offer>);

/// What a client offers.
#[derive(Debug)]
struct Offer {
    /// TLS 1.2's cipher suites; empty where only TLS 1.3 is offered.
    suites: String,
}

/// The error of TLS among an error and its causes.
pub(crate) fn tls_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // An I/O error is silent about the error within it, which is where TLS puts its own, and
        // perhaps an I/O error again.
        next = match cause.downcast_ref::<io::Error>().map(io::Error::get_ref) {
            Some(Some(inner)) => Some(inner),
            _ => cause.source(),
        };
    }
    None
}

/// When the certificate is valid that is the cause of this error, and what the clock says; `None` where
/// the error is of another kind.
pub(crate) fn out_of_dates(error: &(dyn Error + 'static)) -> Option<OutOfDates> {
    match tls_error(error)? {
        rustls::Error::InvalidCertificate(error) => dates_of(error),
        _ => None,
    }
}

fn dates_of(error: &CertificateError) -> Option<OutOfDates> {
    let (bound, now) = match error {
        CertificateError::ExpiredContext { time, not_after } => {
            (Bound::Until(not_after.as_secs()), time)
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            (Bound::From(not_before.as_secs()), time)
        }
        CertificateError::Other(other) => match other.0.downcast_ref::<Unfit>()? {
            Unfit::Dates { dates, .. } => return Some(*dates),
            _ => return None,
        },
        _ => return None,
    };
    let now = now.as_secs();
    Some(OutOfDates { bound, now })
}

impl Hints {
    /// For a client with these options.
    pub(super) fn of(options: &Options) -> Self {
        let suites = match options.tls_min_version {
            TlsVersion::Tls12 => tls::offered(options).join(", "),
            TlsVersion::Tls13 => String::new(),
        };
        Self(Arc::new(Offer { suites }))
    }

    /// The error of a connection, behind a hint where there is one.
    pub(super) fn add(&self, error: BoxError) -> BoxError {
        match tls_error(&*error).and_then(|error| self.0.hint(error)) {
            Some(hint) => Box::new(Hinted {
                hint,
                source: error,
            }),
            None => error,
        }
    }
}

impl Offer {
    /// What to change; `None` where the error itself says it.
    fn hint(&self, error: &rustls::Error) -> Option<String> {
        let hint = match error {
            rustls::Error::AlertReceived(
                AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity,
            )
            | rustls::Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon)
            | rustls::Error::PeerMisbehaved(
                PeerMisbehaved::SelectedUnofferedCipherSuite
                | PeerMisbehaved::SelectedUnusableCipherSuiteForVersion,
            ) => self.no_suite(),
            rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)
            | rustls::Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            ) => self.no_version(),
            rustls::Error::PeerIncompatible(
                PeerIncompatible::NoKxGroupsInCommon
                | PeerIncompatible::NoEcPointFormatsInCommon
                | PeerIncompatible::UncompressedEcPointsRequired,
            )
            | rustls::Error::PeerMisbehaved(
                PeerMisbehaved::SelectedUnofferedKxGroup
                | PeerMisbehaved::IllegalHelloRetryRequestWithUnofferedNamedGroup,
            ) => format!(
                "the server uses a group for the key exchange that is not offered: have it allow \
                 one of {GROUPS}"
            ),
            rustls::Error::PeerIncompatible(
                PeerIncompatible::NoSignatureSchemesInCommon
                | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon,
            )
            | rustls::Error::PeerMisbehaved(
                PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme
                | PeerMisbehaved::SignedKxWithWrongAlgorithm,
            ) => "the server signs in a way that is not offered (SHA-1, MD5 or DSA): have it use \
                  an RSA or ECDSA key with SHA-256 or better"
                .to_owned(),
            rustls::Error::AlertReceived(AlertDescription::UnrecognisedName) => {
                "the server does not know the host name in the URL".to_owned()
            }
            rustls::Error::InvalidMessage(_) => {
                "what answers there does not speak TLS: check the URL's scheme and port".to_owned()
            }
            rustls::Error::InvalidCertificate(error) => certificate(error)?,
            _ => return None,
        };
        Some(hint)
    }

    fn no_suite(&self) -> String {
        let offered = match self.suites.as_str() {
            "" => "TLS 1.3".to_owned(),
            suites => format!("TLS 1.3 or, in TLS 1.2, one of {suites}"),
        };
        format!(
            "the server accepts no cipher suite, key exchange or signature that is offered (CBC \
             suites, RSA and DHE key exchange, DSA keys and SHA-1 are not): have it allow \
             {offered}, and a key exchange with {GROUPS}; a server that asks for a client's \
             certificate needs the options certfile and keyfile"
        )
    }

    fn no_version(&self) -> String {
        match self.suites.as_str() {
            "" => "the server does not speak TLS 1.3, and the options tls_min_version and \
                   tls_cipher_suites allow no other: have it speak TLS 1.3, or set \
                   tls_min_version to 1.2 and see that tls_cipher_suites leaves a suite for that"
                .to_owned(),
            _ => "the server speaks neither TLS 1.2 nor 1.3, and older versions are not offered: \
                  have it speak TLS 1.2 or 1.3"
                .to_owned(),
        }
    }
}

/// What is to be changed about a certificate.
fn certificate(error: &CertificateError) -> Option<String> {
    let hint = match error {
        CertificateError::ExpiredContext { .. } | CertificateError::NotValidYetContext { .. } => {
            let dates = dates_of(error)?;
            return Some(format!(
                "a certificate of the server's is {dates}: renew the certificate, or set the clock"
            ));
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "a certificate of the server's is signed by an algorithm that is not accepted (SHA-1, \
             MD5 and DSA are not): have it issued anew with RSA or ECDSA and SHA-256 or better"
        }
        CertificateError::UnknownIssuer => {
            "no certificate in cafile is the issuer's of the server's certificate: have the \
             option cafile name a file with the issuer's"
        }
        CertificateError::BadSignature => {
            "a certificate of the server's is not signed by the key of the issuer that it names: \
             have the option cafile name a file with that issuer's present certificate"
        }
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            "the server's certificate has no name but perhaps a common name, which does not count \
             (RFC 9525): have it issued anew with the host of the URL as subjectAltName"
        }
        CertificateError::Other(other) => {
            // The library shows these as its programmers do.
            if let Some(unfit) = other.0.downcast_ref::<Unfit>() {
                return Some(unfit.to_string());
            }
            match other.0.downcast_ref::<webpki::Error>()? {
                webpki::Error::UnsupportedCertVersion => {
                    "a certificate of the server's is an X.509 certificate of version 1 or 2: \
                     have it issued as version 3, with the server's name as subjectAltName"
                }
                _ => return None,
            }
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

impl<S> Layer<S> for Hints {
    type Service = HintedConnector<S>;

    fn layer(&self, inner: S) -> Self::Service {
        HintedConnector {
            inner,
            hints: self.clone(),
        }
    }
}

/// Makes connections.
#[derive(Clone)]
pub(super) struct HintedConnector<S> {
    inner: S,
    hints: Hints,
}

impl<S, R> Service<R> for HintedConnector<S>
where
    S: Service<R, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, target: R) -> Self::Future {
        let connecting = self.inner.call(target);
        let hints = self.hints.clone();
        Box::pin(async move { connecting.await.map_err(|error| hints.add(error)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use farrier_plugin::chain;

    #[test]
    fn the_error_of_tls_is_found_inside_of_others_and_kept_behind_the_hint() {
        let alert = rustls::Error::AlertReceived(AlertDescription::ProtocolVersion);
        let twice = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, alert.clone()));
        assert_eq!(tls_error(&twice), Some(&alert));
        let hints = Hints::of(&Options::default());
        let hinted = hints.add(Box::new(twice));
        assert_eq!(tls_error(&*hinted), Some(&alert));
        assert_eq!(
            chain(&*hinted),
            "the server speaks neither TLS 1.2 nor 1.3, and older versions are not offered: have \
             it speak TLS 1.2 or 1.3: received fatal alert: ProtocolVersion"
        );
        let other = hints.add(Box::new(io::Error::other("no route")));
        assert_eq!(other.to_string(), "no route");
        assert!(tls_error(&*other).is_none());
    }
}
