//! The agent's own certificate (contract/control-plane 4.2).

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, KeyPair, SignatureAlgorithm,
};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};

use super::{NetError, tls};
use crate::config::{Curve, Options};

/// How long the certificate is valid: the 90 days that the reference declares. That it makes 30 is
/// one of its defects (contract/control-plane 4.2).
const LIFETIME: Duration = Duration::from_secs(90 * 86_400);

/// 9999-12-31T23:59:59Z, in seconds since 1970.
const LAST_SECOND: u64 = 253_402_300_799;

/// X.509 allows 64 characters in a common name.
const COMMON_NAME_LIMIT: usize = 64;

/// A certificate with its key, both PEM.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Identity {
    /// The certificate. Conductors store this text and refuse another one for the same boot.
    pub certificate: String,
    /// Its key, PKCS #8.
    pub key: String,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("certificate", &self.certificate)
            .field("key", &"***")
            .finish()
    }
}

impl Identity {
    /// Make a key and a self-signed certificate for this address.
    ///
    /// The address is the only subject alternative name, marked critical; there are no other
    /// extensions, so that the certificate verifies as its own trust anchor in OpenSSL. It is valid
    /// from `now` less the option `auto_tls_allowed_clock_skew`, for 90 days.
    pub(crate) fn generate(
        address: IpAddr,
        hostname: &str,
        options: &Options,
        now: SystemTime,
    ) -> Result<Self, NetError> {
        let failed = |source| NetError::Certificate {
            subject: address.to_string(),
            source,
        };
        let key =
            KeyPair::generate_for(algorithm(options.tls_certificate_curve)).map_err(failed)?;
        let mut parameters = CertificateParams::default();
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, common_name(hostname));
        parameters.distinguished_name = name;
        let skew = Duration::from_secs(options.auto_tls_allowed_clock_skew);
        parameters.not_before = nameable(now.checked_sub(skew)).into();
        parameters.not_after = nameable(now.checked_add(LIFETIME)).into();
        parameters.custom_extensions = vec![subject_alternative_name(address)];
        let certificate = parameters.self_signed(&key).map_err(failed)?;
        Ok(Self {
            // OpenSSL's line ends: the conductor compares the text after stripping.
            certificate: certificate.pem().replace("\r\n", "\n"),
            key: key.serialize_pem(),
        })
    }

    /// The settings of a server with this certificate.
    pub(crate) fn server_config(&self, options: &Options) -> Result<ServerConfig, NetError> {
        let pem = |source| NetError::Pem {
            what: "the agent's own certificate",
            path: "the kept state".into(),
            option: "enable_auto_tls",
            source,
        };
        let certificate =
            CertificateDer::from_pem_slice(self.certificate.as_bytes()).map_err(pem)?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).map_err(pem)?;
        tls::server(
            options,
            vec![certificate],
            key,
            "the agent's own certificate",
        )
    }
}

/// The nearest time that a certificate can name, from 1970 to the last second of 9999 (RFC 5280
/// 4.1.2.5); `None` is one that no clock can hold. The clock is a conductor's, which may say anything.
fn nameable(time: Option<SystemTime>) -> SystemTime {
    let first = SystemTime::UNIX_EPOCH;
    time.unwrap_or(first)
        .clamp(first, first + Duration::from_secs(LAST_SECOND))
}

fn algorithm(curve: Curve) -> &'static SignatureAlgorithm {
    match curve {
        Curve::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        Curve::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
        Curve::P521 => &rcgen::PKCS_ECDSA_P521_SHA512,
    }
}

fn common_name(hostname: &str) -> String {
    let name: String = hostname.chars().take(COMMON_NAME_LIMIT).collect();
    if name.is_empty() {
        "localhost".to_owned()
    } else {
        name
    }
}

/// The extension in DER, since rcgen marks it critical only where the subject is empty:
/// `SEQUENCE { [7] IMPLICIT OCTET STRING }` (RFC 5280 4.2.1.6).
fn subject_alternative_name(address: IpAddr) -> CustomExtension {
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    // 4 or 16 octets, so both lengths fit the short form.
    let length = octets.len() as u8;
    let mut content = vec![0x30, length + 2, 0x87, length];
    content.extend(octets);
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 17], content);
    extension.set_criticality(true);
    extension
}

#[cfg(test)]
mod tests {
    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::crypto::aws_lc_rs;
    use rustls_pki_types::{ServerName, UnixTime};

    use super::*;
    use crate::sys::process::Program;

    const NOW: u64 = 1_795_331_660;

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
    }

    fn identity(address: &str, curve: Curve) -> Identity {
        let options = Options {
            tls_certificate_curve: curve,
            ..Options::default()
        };
        Identity::generate(address.parse().unwrap(), "ipa", &options, now()).unwrap()
    }

    #[test]
    fn it_verifies_as_its_own_trust_anchor() {
        for curve in [Curve::P256, Curve::P384, Curve::P521] {
            let identity = identity("10.77.0.90", curve);
            let der = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
            let mut roots = RootCertStore::empty();
            roots.add(der.clone()).unwrap();
            let verifier = WebPkiServerVerifier::builder_with_provider(
                roots.into(),
                aws_lc_rs::default_provider().into(),
            )
            .build()
            .unwrap();
            let verify = |host: &'static str, time: u64| {
                verifier.verify_server_cert(
                    &der,
                    &[],
                    &ServerName::try_from(host).unwrap(),
                    &[],
                    UnixTime::since_unix_epoch(Duration::from_secs(time)),
                )
            };
            verify("10.77.0.90", NOW).unwrap();
            verify("10.77.0.90", NOW - 3600).unwrap();
            verify("10.77.0.90", NOW + 89 * 86_400).unwrap();
            verify("10.77.0.91", NOW).unwrap_err();
            verify("10.77.0.90", NOW - 3602).unwrap_err();
            verify("10.77.0.90", NOW + 91 * 86_400).unwrap_err();
            identity.server_config(&Options::default()).unwrap();
        }
    }

    #[test]
    fn openssl_reads_it_as_the_contract_says() {
        if !std::path::Path::new("/usr/bin/openssl").exists() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.crt");
        let path = path.to_str().unwrap();
        for (address, shown) in [
            ("10.77.0.90", "IP Address:10.77.0.90"),
            ("2001:db8::5", "IP Address:2001:DB8:0:0:0:0:0:5"),
        ] {
            std::fs::write(path, identity(address, Curve::P384).certificate).unwrap();
            let text = Program::new("/usr/bin/openssl")
                .arg("x509")
                .arg("-noout")
                .arg("-text")
                .arg("-in")
                .arg(path)
                .run()
                .unwrap()
                .stdout
                // OpenSSL before 3.2.
                .replace("CN = ", "CN=");
            for part in [
                "Version: 3",
                "Issuer: CN=ipa",
                "Subject: CN=ipa",
                "ecdsa-with-SHA384",
                "NIST CURVE: P-384",
                "X509v3 Subject Alternative Name: critical",
                "Not Before: Nov 22 06:14:20 2026 GMT",
                "Not After : Feb 20 07:14:20 2027 GMT",
                shown,
            ] {
                assert!(text.contains(part), "{part} is not in {text}");
            }
            assert!(!text.contains("Basic Constraints"), "{text}");
            Program::new("/usr/bin/openssl")
                .arg("verify")
                .arg("-attime")
                .arg(NOW.to_string())
                .arg("-CAfile")
                .arg(path)
                .arg("-verify_ip")
                .arg(address)
                .arg(path)
                .run()
                .unwrap();
        }
    }

    #[test]
    fn whatever_the_clock_says_there_is_a_certificate_that_is_valid_then() {
        let epoch = SystemTime::UNIX_EPOCH;
        for seconds in [0, 1, NOW, 4_102_444_800, LAST_SECOND - 1, LAST_SECOND] {
            let now = epoch + Duration::from_secs(seconds);
            let address = "10.77.0.90".parse().unwrap();
            let options = Options::default();
            let identity = Identity::generate(address, "ipa", &options, now).unwrap();
            let der = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
            let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
            let validity = certificate.validity();
            let seconds = seconds.cast_signed();
            assert!(validity.not_before.timestamp() <= seconds, "{validity:?}");
            assert!(validity.not_after.timestamp() >= seconds, "{validity:?}");
            identity.server_config(&options).unwrap();
        }
        for beyond in [Some(epoch - Duration::from_secs(1)), None] {
            assert_eq!(nameable(beyond), epoch);
        }
        let beyond = epoch + Duration::from_secs(LAST_SECOND + 1);
        assert_eq!(nameable(Some(beyond)), beyond - Duration::from_secs(1));
    }

    #[test]
    fn a_long_host_name_is_cut() {
        let hostname = "ä".repeat(100);
        Identity::generate(
            "::1".parse().unwrap(),
            &hostname,
            &Options::default(),
            now(),
        )
        .unwrap();
        assert_eq!(common_name(&hostname).chars().count(), 64);
    }
}
