//! Planted secrets: made by name, and looked for in every way in which they can be written.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use farrier_plugin::SplitMix;

use crate::sys::hex;

/// No less is looked for.
const SHORTEST: usize = 4;

/// Secrets by name. The name's beginning says of what kind one is: `text.…` has letters only,
/// `code.…` letters and digits, `mac.…`, `uuid.…`, `naa.…`, `eui.…`, `half.…` (8 bytes), `ip4.…`,
/// `ip6.…`, `bytes.…` (8 bytes), `word.…` (4 bytes).
#[derive(Debug, Default)]
pub(crate) struct Secrets(BTreeMap<String, Vec<u8>>);

impl Secrets {
    /// The bytes of the secret of this name.
    pub(crate) fn bytes(&mut self, name: &str) -> Vec<u8> {
        let number = self.0.len() as u64;
        let made = || made(name, number);
        self.0.entry(name.to_owned()).or_insert_with(made).clone()
    }

    /// As it is usually written.
    pub(crate) fn text(&mut self, name: &str) -> String {
        let bytes = self.bytes(name);
        match kind(name) {
            "text" | "code" => String::from_utf8(bytes).unwrap(),
            "mac" => hex::with_colons(&bytes),
            "uuid" => dashed(&bytes),
            "ip4" => Ipv4Addr::from(*bytes.first_chunk().unwrap()).to_string(),
            "ip6" => Ipv6Addr::from(*bytes.first_chunk().unwrap()).to_string(),
            _ => hex::encode(&bytes),
        }
    }

    /// The template with each `%name%` written out.
    pub(crate) fn filled(&mut self, template: &str) -> String {
        let mut text = String::new();
        for (index, part) in template.split('%').enumerate() {
            if index % 2 == 1 {
                text.push_str(&self.text(part));
            } else {
                text.push_str(part);
            }
        }
        text
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The secrets that are left in these bytes, and how they are written there.
    pub(crate) fn left_in(&self, bytes: &[u8]) -> BTreeMap<&str, String> {
        let mut places: HashMap<&[u8], Vec<usize>> = HashMap::new();
        for (at, beginning) in bytes.windows(SHORTEST).enumerate() {
            places.entry(beginning).or_default().push(at);
        }
        let holds = |needle: &[u8]| {
            let places = places.get(&needle[..SHORTEST]).into_iter().flatten();
            places.copied().any(|at| bytes[at..].starts_with(needle))
        };
        let mut left = BTreeMap::new();
        for (name, secret) in &self.0 {
            for (how, needle) in spellings(kind(name), secret) {
                if holds(&needle) {
                    left.insert(name.as_str(), how);
                }
            }
        }
        left
    }
}

fn kind(name: &str) -> &str {
    name.split('.').next().unwrap()
}

fn made(name: &str, number: u64) -> Vec<u8> {
    // No zeros, which would be left of some masks.
    let mut bytes: Vec<u8> = (0..4)
        .flat_map(|word| SplitMix::with_seed(number).number(word).to_le_bytes())
        .map(|byte| byte | 1)
        .collect();
    let letters =
        |bytes: &[u8]| -> Vec<u8> { bytes.iter().map(|b| b'A' + (b >> 1) % 26).collect() };
    let (size, maker): (usize, &[u8]) = match kind(name) {
        "text" => return letters(&bytes[..11]),
        "code" => return [letters(&bytes[..5]), format!("{number:03}7").into_bytes()].concat(),
        "mac" => (6, &[0x3c, 0xec, 0xef]),
        "uuid" => (16, &[]),
        // Both begin with a maker's digits.
        "naa" => (8, &[0x50, 0x00, 0xc5, 0x00]),
        "eui" => (8, &[0x00, 0x25, 0x38]),
        "ip4" => (4, &[10]),
        "ip6" => (16, &[0x2a, 0x01]),
        "half" | "bytes" => (8, &[]),
        "word" => (4, &[]),
        other => panic!("no kind of secret: {other}"),
    };
    bytes.truncate(size);
    bytes[..maker.len()].copy_from_slice(maker);
    bytes
}

/// What is looked for: the part that is no maker's, in all forms.
fn spellings(kind: &str, secret: &[u8]) -> Vec<(String, Vec<u8>)> {
    let own = match kind {
        "mac" | "eui" => &secret[3..],
        "naa" => &secret[4..],
        _ => secret,
    };
    let mut forms: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |how: &str, needle: &[u8]| {
        // Less stands anywhere by chance.
        if needle.len() >= SHORTEST {
            forms.push((how.to_owned(), needle.to_vec()));
        }
    };
    let both = |text: &str| [text.to_lowercase(), text.to_uppercase()];
    add("bytes", own);
    let reversed: Vec<u8> = own.iter().rev().copied().collect();
    add("bytes from the end", &reversed);
    for text in both(&hex::encode(own)) {
        add("hexadecimal", text.as_bytes());
    }
    for text in both(&hex::encode(&reversed)) {
        add("hexadecimal from the end", text.as_bytes());
    }
    // Without its ends, which hang together with what is beside it.
    add(
        "base64",
        STANDARD.encode(own).trim_end_matches('=').as_bytes(),
    );
    let wide: Vec<u8> = own.iter().flat_map(|byte| [*byte, 0]).collect();
    match kind {
        "text" | "code" => {
            add("UTF-16", &wide);
            let text = String::from_utf8(own.to_vec()).unwrap();
            for text in both(&text) {
                add("text", text.as_bytes());
            }
            add("a part of it", &own[2..9]);
        }
        "mac" => {
            for separator in [":", "-", "_", ".", " "] {
                let text: Vec<String> = own.iter().map(|byte| format!("{byte:02x}")).collect();
                for text in both(&text.join(separator)) {
                    add("octets", text.as_bytes());
                }
            }
            let digits = hex::encode(secret);
            for text in both(&format!("{}.{}", &digits[6..8], &digits[8..])) {
                add("its last groups", text.as_bytes());
            }
            add("bytes", secret);
            add(
                "bytes from the end",
                &secret.iter().rev().copied().collect::<Vec<_>>(),
            );
        }
        "uuid" => {
            let mut mixed = own.to_vec();
            mixed[..4].reverse();
            mixed[4..6].reverse();
            mixed[6..8].reverse();
            add("mixed order", &mixed);
            for bytes in [own, &mixed] {
                let digits = hex::encode(bytes);
                for text in [
                    dashed(bytes),
                    digits[..16].to_owned(),
                    digits[16..].to_owned(),
                ] {
                    for text in both(&text) {
                        add("digits", text.as_bytes());
                    }
                }
                let colons: Vec<&str> = (0..4).map(|at| &digits[at * 8..at * 8 + 8]).collect();
                add("groups", colons.join(":").as_bytes());
            }
        }
        "bytes" => {
            let number = u64::from_le_bytes(*own.first_chunk().unwrap());
            add("number", number.to_string().as_bytes());
        }
        "ip4" => {
            let address = Ipv4Addr::from(*secret.first_chunk().unwrap());
            add("address", address.to_string().as_bytes());
            add("address", address.to_string().replace('.', "_").as_bytes());
        }
        "ip6" => {
            let address = Ipv6Addr::from(*secret.first_chunk().unwrap()).to_string();
            add("address", address.as_bytes());
            add("its host", address.rsplit_once(':').unwrap().1.as_bytes());
            add("host in bytes", &secret[8..]);
        }
        _ => {}
    }
    forms
}

fn dashed(bytes: &[u8]) -> String {
    let digits = hex::encode(bytes);
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32].map(|group| &digits[group]);
    groups.join("-")
}
