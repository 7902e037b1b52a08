//! The types of options: how a value is read from text, and shown.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::Secret;

/// What the type of an option says about it.
pub(super) trait Value {
    /// Whether the flag takes no value.
    const SWITCH: bool = false;
    /// Whether no one may see it.
    const SECRET: bool = false;

    /// The value as it could be set; empty where there is none.
    fn shown(&self) -> String;
}

impl Value for bool {
    #[expect(
        clippy::use_self,
        reason = "a word about the flag, which is not of its type"
    )]
    const SWITCH: bool = true;

    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Value for Secret {
    const SECRET: bool = true;

    fn shown(&self) -> String {
        "***".to_owned()
    }
}

impl Value for PathBuf {
    fn shown(&self) -> String {
        self.display().to_string()
    }
}

impl Value for TlsVersion {
    fn shown(&self) -> String {
        self.name().to_owned()
    }
}

impl Value for Curve {
    fn shown(&self) -> String {
        self.name().to_owned()
    }
}

macro_rules! plain_values {
    ($($type:ty),+) => {
        $(impl Value for $type {
            fn shown(&self) -> String {
                self.to_string()
            }
        })+
    };
}

plain_values!(f64, u16, u32, u64, IpAddr, String);

impl<T: Value> Value for Option<T> {
    const SECRET: bool = T::SECRET;

    fn shown(&self) -> String {
        self.as_ref().map(T::shown).unwrap_or_default()
    }
}

impl<T: Value> Value for Vec<T> {
    fn shown(&self) -> String {
        let items: Vec<String> = self.iter().map(T::shown).collect();
        items.join(",")
    }
}

/// A TLS version that can be the lowest allowed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl TlsVersion {
    /// The version of this name, `1.2` or `1.3`.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Tls12, Self::Tls13]
            .into_iter()
            .find(|version| version.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }
}

/// The curve of the own certificate's key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
}

impl Curve {
    fn named(name: &str) -> Option<Self> {
        [Self::P256, Self::P384, Self::P521]
            .into_iter()
            .find(|curve| curve.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::P256 => "p256",
            Self::P384 => "p384",
            Self::P521 => "p521",
        }
    }
}

/// As many seconds, tries or MiB as anybody could mean; more would overflow a time.
pub(super) const MAX: u64 = u32::MAX as u64;

pub(super) fn text(value: &str) -> Result<Option<String>, String> {
    Ok(Some(value.trim())
        .filter(|value| !value.is_empty())
        .map(str::to_owned))
}

pub(super) fn path(value: &str) -> Result<Option<PathBuf>, String> {
    Ok(text(value)?.map(PathBuf::from))
}

pub(super) fn trimmed(value: &str) -> Result<String, String> {
    Ok(value.trim().to_owned())
}

pub(super) fn secret(value: &str) -> Result<Option<Secret>, String> {
    Ok(text(value)?.map(Secret::from))
}

pub(super) fn list(value: &str) -> Result<Vec<String>, String> {
    Ok(value
        .split([',', '\n'])
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect())
}

pub(super) fn directories(value: &str) -> Result<Vec<PathBuf>, String> {
    let directories: Vec<PathBuf> = list(value)?.into_iter().map(PathBuf::from).collect();
    if directories.iter().all(|directory| directory.is_absolute()) {
        Ok(directories)
    } else {
        Err("absolute paths, comma separated".to_owned())
    }
}

/// One URL; nothing where the value is empty.
pub(super) fn secret_url(value: &str) -> Result<Option<Secret>, String> {
    let value = value.trim();
    if value.is_empty() {
        return Ok(None);
    }
    let parsed = url::Url::parse(value);
    if parsed.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
        Ok(Some(value.into()))
    } else {
        Err("it is an http:// or https:// URL".to_owned())
    }
}

pub(super) fn urls(value: &str) -> Result<Vec<String>, String> {
    let urls = list(value)?;
    for url in &urls {
        let parsed = url::Url::parse(url);
        let usable = parsed
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some());
        if url != "mdns" && !usable {
            return Err("it is `mdns` or http:// or https:// URLs joined with commas".to_owned());
        }
    }
    Ok(urls)
}

pub(super) fn addresses(value: &str) -> Result<Vec<IpAddr>, String> {
    let parsed: Result<_, _> = list(value)?.iter().map(|item| item.parse()).collect();
    parsed.map_err(|_| "it is addresses of this machine joined with commas".to_owned())
}

pub(super) fn boolean(value: &str) -> Result<bool, String> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("it is true, 1, yes or on, or false, 0, no or off".to_owned()),
    }
}

/// A whole number of this range, which the type can hold.
pub(super) fn number<T: TryFrom<u64>>(
    range: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<T, String> {
    move |value| {
        value
            .trim()
            .parse::<u64>()
            .ok()
            .filter(|number| range.contains(number))
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| {
                format!(
                    "it is a whole number from {} to {}",
                    range.start(),
                    range.end()
                )
            })
    }
}

pub(super) fn seconds(value: &str) -> Result<f64, String> {
    value
        .trim()
        .parse::<f64>()
        .ok()
        .filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
        .ok_or_else(|| "it is a number of seconds".to_owned())
}

pub(super) fn address(value: &str) -> Result<Option<IpAddr>, String> {
    let bare = value.trim().trim_start_matches('[').trim_end_matches(']');
    if bare.is_empty() {
        return Ok(None);
    }
    if bare == "localhost" {
        return Ok(Some(IpAddr::from([127, 0, 0, 1])));
    }
    bare.parse()
        .map(Some)
        .map_err(|_| "it is an IPv4 or IPv6 address of this machine, or 0.0.0.0 or ::".to_owned())
}

/// One of these words.
pub(super) fn one_of(words: &[&str]) -> impl Fn(&str) -> Result<String, String> {
    move |value| {
        let value = value.trim();
        if words.contains(&value) {
            Ok(value.to_owned())
        } else {
            Err(format!("it is {}", words.join(" or ")))
        }
    }
}

pub(super) fn tls_version(value: &str) -> Result<TlsVersion, String> {
    TlsVersion::named(value.trim()).ok_or_else(|| "it is 1.2 or 1.3".to_owned())
}

pub(super) fn curve(value: &str) -> Result<Curve, String> {
    Curve::named(&value.trim().to_ascii_lowercase())
        .ok_or_else(|| "it is p256, p384 or p521".to_owned())
}

pub(super) fn api_version(value: &str) -> Result<Option<String>, String> {
    let Some(version) = text(value)? else {
        return Ok(None);
    };
    let known = version
        .split_once('.')
        .is_some_and(|(major, minor)| major == "1" && minor.parse::<u32>().is_ok());
    if known {
        Ok(Some(version))
    } else {
        Err("it is a version 1.N of the conductor's API".to_owned())
    }
}
