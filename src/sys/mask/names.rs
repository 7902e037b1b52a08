//! The names by which a value is known to be a secret.

use std::sync::LazyLock;

use crate::config;

/// Names whose value is a secret, in lower case: query parameters, JSON members, headers. Those of
/// options come from [`config::secret_names`].
const NAMES: [&str; 18] = [
    "access_key",
    "agent_secret_token",
    "api_key",
    "apikey",
    "auth_token",
    "configdrive",
    "passphrase",
    "private_key",
    "rootpwd",
    "temp_url_sig",
    "password",
    "passwd",
    "authorization",
    "x-auth-token",
    "x-amz-signature",
    "x-amz-security-token",
    "signature",
    "secret",
];

/// Query parameters whose value is a secret, in lower case. As parts of other words they would mask
/// too much.
pub(super) const QUERY_NAMES: [&str; 27] = [
    "access_key",
    "access_token",
    "api_key",
    "apikey",
    "auth",
    "awsaccesskeyid",
    "code",
    "googleaccessid",
    "id_token",
    "jwt",
    "key",
    "key-pair-id",
    "ossaccesskeyid",
    "pass",
    "policy",
    "pwd",
    "refresh_token",
    "security-token",
    "session",
    "sig",
    "ticket",
    "token",
    "x-amz-credential",
    "x-goog-credential",
    "x-obs-security-token",
    "x-oss-credential",
    "x-oss-security-token",
];

/// Parts of names of which a member of a document is a secret, in lower case without hyphens and
/// underscores; in a text they would mask too much. Most are oslo.utils' (`strutils.py`,
/// `_SANITIZE_KEYS`), by which the conductor masks.
const PARTS: [&str; 19] = [
    "accesskey",
    "adminpass",
    "apikey",
    "authorization",
    "chappassword",
    "configdrive",
    "credential",
    "encryptedkey",
    "newpass",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "pwd",
    "secret",
    "signature",
    "sslkey",
    "token",
    "userdata",
];

/// [`NAMES`] and those of options.
pub(super) static ALL_NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut names: Vec<String> = NAMES.map(str::to_owned).to_vec();
    names.extend(config::secret_names());
    names.sort();
    names.dedup();
    names
});

/// The names by their last byte: one look tells at nearly every sign that none stands before it.
pub(super) static NAMES_BY_END: LazyLock<[Vec<&'static str>; 256]> = LazyLock::new(|| {
    let mut names = [const { Vec::new() }; 256];
    for name in ALL_NAMES.iter() {
        if let Some(last) = name.as_bytes().last() {
            names[usize::from(*last)].push(name.as_str());
        }
    }
    names
});

/// Whether the value of a member of this name, in a document, is a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let name = name.to_lowercase();
    let plain = name.replace(['-', '_', '.', ' '], "");
    PARTS.iter().any(|part| plain.contains(part)) || ALL_NAMES.contains(&name)
}
