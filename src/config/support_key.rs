//! `sshkey="ssh-ed25519 AAAA… name"`: the public key with which a person of support may log in (the name is that of
//! diskimage-builder's `dynamic-login`).
//!
//! The whole of a key is judged here, before the SSH server has it: a line of `authorized_keys` may also run commands and
//! open ports, and one that dropbear leaves out would be a login that nobody can use and nobody says why.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Longer keys are refused; one of RSA with 16384 bits has 2800 bytes. dropbear itself reads lines of 4200 bytes.
const LIMIT: usize = 4096;

/// The shortest modulus of RSA, bits (NIST SP 800-131A).
const LEAST_RSA: usize = 2048;

/// A public key that dropbear takes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SupportKey {
    kind: Kind,
    /// The key as SSH sends it (RFC 4253 6.6).
    pub(crate) blob: Vec<u8>,
    /// What stands behind the key: foreign text.
    pub(crate) comment: String,
}

/// Kinds of keys that dropbear 2022.83 (Debian 12) and 2025.89 (Debian 13) both take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Ed25519,
    Ecdsa256,
    Ecdsa384,
    Ecdsa521,
    Rsa,
    /// In a token (FIDO).
    TokenEd25519,
    TokenEcdsa256,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Ed25519,
        Self::Ecdsa256,
        Self::Ecdsa384,
        Self::Ecdsa521,
        Self::Rsa,
        Self::TokenEd25519,
        Self::TokenEcdsa256,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
            Self::Ecdsa256 => "ecdsa-sha2-nistp256",
            Self::Ecdsa384 => "ecdsa-sha2-nistp384",
            Self::Ecdsa521 => "ecdsa-sha2-nistp521",
            Self::Rsa => "ssh-rsa",
            Self::TokenEd25519 => "sk-ssh-ed25519@openssh.com",
            Self::TokenEcdsa256 => "sk-ecdsa-sha2-nistp256@openssh.com",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Why nobody may log in. None of them shows the value: somebody may have put a private key there.
#[derive(Debug, thiserror::Error, Eq, PartialEq)]
pub(crate) enum SupportKeyError {
    #[error("sshkey is empty")]
    Empty,
    #[error("sshkey is longer than {LIMIT} bytes")]
    Long,
    #[error("sshkey has control characters or line breaks")]
    Control,
    #[error("sshkey is a private key, or a part of one: give the public one, and make a new pair")]
    Private,
    #[error(
        "sshkey begins with options of an authorized_keys file; here it is a key alone, which may do everything"
    )]
    Options,
    #[error(
        "the SSH server knows no key of the kind that sshkey begins with; it takes {}",
        kinds()
    )]
    Kind,
    #[error(
        "sshkey has nothing behind its kind: with blanks in it, it must stand in quotes, sshkey=\"ssh-ed25519 AAAA…\""
    )]
    Alone,
    #[error("the key in sshkey is no base64 (RFC 4648), or not all of it is there")]
    Base64,
    #[error("the key in sshkey is of another kind than sshkey says")]
    OtherKind,
    #[error("the key in sshkey is not what a key of its kind is made of")]
    Form,
    #[error("the RSA key in sshkey has less than {LEAST_RSA} bits")]
    Short,
}

fn kinds() -> String {
    Kind::ALL.map(Kind::name).join(", ")
}

impl SupportKey {
    /// The value of the last `sshkey` in these texts, as parameters count: later ones over earlier ones.
    pub(crate) fn value_in(texts: &[String]) -> Option<String> {
        let words = texts.iter().flat_map(|text| quoted_words(text));
        words
            .filter_map(|word| Some(word.strip_prefix("sshkey=")?.trim_matches('"').to_owned()))
            .last()
    }

    /// The key in a value.
    ///
    /// # Errors
    /// It is no such key, and nothing else either that dropbear would take.
    pub(crate) fn parse(value: &str) -> Result<Self, SupportKeyError> {
        if value.len() > LIMIT {
            return Err(SupportKeyError::Long);
        }
        if value.chars().any(char::is_control) {
            return Err(SupportKeyError::Control);
        }
        if value.contains("PRIVATE KEY") || value.contains("openssh-key-v1") {
            return Err(SupportKeyError::Private);
        }
        let mut words = value.split_ascii_whitespace();
        let first = words.next().ok_or(SupportKeyError::Empty)?;
        let Some(kind) = Kind::of_name(first) else {
            return Err(Self::refused(first, words));
        };
        let text = words.next().ok_or(SupportKeyError::Alone)?;
        let blob = STANDARD.decode(text).map_err(|_| SupportKeyError::Base64)?;
        check(kind, &blob)?;
        Ok(Self {
            kind,
            blob,
            comment: words.collect::<Vec<_>>().join(" "),
        })
    }

    /// Options stand in front of a kind; they may have blanks in quotes, which are gone here.
    fn refused<'a>(first: &str, mut others: impl Iterator<Item = &'a str>) -> SupportKeyError {
        let has_key = others.any(|word| Kind::of_name(word).is_some());
        if has_key || first.contains(['=', ',']) {
            SupportKeyError::Options
        } else {
            SupportKeyError::Kind
        }
    }

    /// What kind of key it is, in OpenSSH's words.
    pub(crate) fn kind(&self) -> &'static str {
        self.kind.name()
    }

    /// A line for dropbear, without the comment.
    pub(crate) fn authorized(&self) -> String {
        format!("{} {}\n", self.kind(), STANDARD.encode(&self.blob))
    }
}

/// A line's words as the kernel splits it: blanks between quotes split none, and quotes around a whole word, which GRUB puts
/// there, are none of it.
fn quoted_words(text: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    let splits = move |character: char| {
        is_quoted ^= character == '"';
        character.is_whitespace() && !is_quoted
    };
    text.split(splits).map(|word| {
        let inner = word.strip_prefix('"');
        inner.map_or(word, |word| word.strip_suffix('"').unwrap_or(word))
    })
}

/// Whether a blob is a key of this kind (RFC 4253 6.6, RFC 5656 3.1, RFC 8709 4, OpenSSH's PROTOCOL.u2f).
fn check(kind: Kind, blob: &[u8]) -> Result<(), SupportKeyError> {
    let mut fields = Fields(blob);
    if fields.next() != Some(kind.name().as_bytes()) {
        return Err(SupportKeyError::OtherKind);
    }
    let has_curve = |fields: &mut Fields<'_>, curve: &str, length: usize| {
        fields.next() == Some(curve.as_bytes())
            // A point that is not compressed, X9.62.
            && fields.next().is_some_and(|point| point.len() == 2 * length + 1 && point[0] == 4)
    };
    let has_bytes = |fields: &mut Fields<'_>| fields.next().is_some_and(|bytes| bytes.len() == 32);
    let has_application =
        |fields: &mut Fields<'_>| fields.next().is_some_and(|name| !name.is_empty());
    let is_whole = match kind {
        Kind::Ed25519 => has_bytes(&mut fields),
        Kind::Ecdsa256 => has_curve(&mut fields, "nistp256", 32),
        Kind::Ecdsa384 => has_curve(&mut fields, "nistp384", 48),
        Kind::Ecdsa521 => has_curve(&mut fields, "nistp521", 66),
        Kind::TokenEd25519 => has_bytes(&mut fields) && has_application(&mut fields),
        Kind::TokenEcdsa256 => {
            has_curve(&mut fields, "nistp256", 32) && has_application(&mut fields)
        }
        Kind::Rsa => {
            let exponent = fields.next().map_or(0, bits);
            let modulus = fields.next().map_or(0, bits);
            if exponent > 1 && (1..LEAST_RSA).contains(&modulus) {
                return Err(SupportKeyError::Short);
            }
            exponent > 1 && modulus > 0
        }
    };
    if is_whole && fields.0.is_empty() {
        Ok(())
    } else {
        Err(SupportKeyError::Form)
    }
}

/// How many bits a positive number has (RFC 4251 5, mpint); 0 where it is none.
fn bits(number: &[u8]) -> usize {
    match number {
        [first, ..] if *first >= 0x80 => 0,
        // Not the shortest form.
        [0, second, ..] if *second < 0x80 => 0,
        [0, rest @ ..] => rest.len() * 8,
        [first, rest @ ..] => rest.len() * 8 + (8 - first.leading_zeros() as usize),
        [] => 0,
    }
}

/// Fields of SSH: each its length, four bytes, and so many bytes (RFC 4251 5).
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (field, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(field)
    }
}

#[cfg(test)]
mod tests;
