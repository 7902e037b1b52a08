//! Which TLS 1.2 cipher suites a list in OpenSSL's language selects (`openssl-ciphers(1)`), of those
//! that the TLS library has. TLS 1.3 suites are not configurable, as in the contract.

use rustls::SupportedCipherSuite;
use rustls::crypto::aws_lc_rs::cipher_suite;

/// A TLS 1.2 suite.
pub(super) struct Suite {
    /// OpenSSL's name.
    pub(super) name: &'static str,
    /// The standard's name, which OpenSSL takes from 3.2 on.
    standard_name: &'static str,
    /// The library's.
    pub(super) suite: SupportedCipherSuite,
    /// Bits of its key.
    bits: u16,
}

/// All that there are, in the order in which OpenSSL has them before a list changes it.
pub(super) static SUITES: [Suite; 6] = [
    Suite {
        name: "ECDHE-ECDSA-AES256-GCM-SHA384",
        standard_name: "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        suite: cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        bits: 256,
    },
    Suite {
        name: "ECDHE-RSA-AES256-GCM-SHA384",
        standard_name: "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        suite: cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        bits: 256,
    },
    Suite {
        name: "ECDHE-ECDSA-CHACHA20-POLY1305",
        standard_name: "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        suite: cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        bits: 256,
    },
    Suite {
        name: "ECDHE-RSA-CHACHA20-POLY1305",
        standard_name: "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        suite: cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        bits: 256,
    },
    Suite {
        name: "ECDHE-ECDSA-AES128-GCM-SHA256",
        standard_name: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        suite: cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        bits: 128,
    },
    Suite {
        name: "ECDHE-RSA-AES128-GCM-SHA256",
        standard_name: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        suite: cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        bits: 128,
    },
];

/// Some of [`SUITES`], a bit for each.
type Set = u8;

const ALL: Set = 0b11_1111;
const ECDSA: Set = 0b01_0101;
const RSA: Set = 0b10_1010;
const AES256: Set = 0b00_0011;
const CHACHA20: Set = 0b00_1100;
const AES128: Set = 0b11_0000;

/// OpenSSL's words for more than one suite, and which of ours they mean (`cipher_aliases` of its
/// `ssl_ciph.c`). `SHA256` and `SHA384` are MACs, which our suites do not have.
const WORDS: [(&str, Set); 12] = [
    ("ALL HIGH TLSv1.2", ALL),
    ("kEECDH kECDHE ECDH EECDH ECDHE", ALL),
    ("aECDSA ECDSA", ECDSA),
    ("aRSA", RSA),
    ("AES256", AES256),
    ("AES128", AES128),
    ("AES AESGCM FIPS", AES256 | AES128),
    ("CHACHA20", CHACHA20),
    (
        "COMPLEMENTOFALL COMPLEMENTOFDEFAULT LOW MEDIUM SSLv3 TLSv1 TLSv1.0 NULL eNULL aNULL ADH AECDH",
        0,
    ),
    (
        "kRSA RSA kEDH kDHE DH EDH DHE kPSK kRSAPSK kECDHEPSK kDHEPSK PSK kSRP SRP kGOST kGOST18 aDSS \
         DSS aPSK aGOST aGOST01 aGOST12 aSRP",
        0,
    ),
    (
        "3DES RC4 RC2 IDEA SEED GOST89 AESCCM AESCCM8 CAMELLIA CAMELLIA128 CAMELLIA256 ARIA ARIAGCM \
         ARIA128 ARIA256 CBC MD5 SHA SHA1 SHA256 SHA384 GOST94 GOST89MAC GOST12",
        0,
    ),
    // Always offered; their names in a list have no effect.
    (
        "TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256 TLS_AES_128_GCM_SHA256",
        0,
    ),
];

/// What stands for a whole list where it begins with this word (`check_suiteb_cipher_list`).
const SUITE_B: [(&str, &str); 4] = [
    ("SUITEB128ONLY", "ECDHE-ECDSA-AES128-GCM-SHA256"),
    ("SUITEB128C2", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    (
        "SUITEB128",
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384",
    ),
    ("SUITEB192", "ECDHE-ECDSA-AES256-GCM-SHA384"),
];

/// Without a list: the reference's default.
const DEFAULT: [usize; 4] = [0, 4, 1, 5];

/// Least bits of a key at each security level, `@SECLEVEL=0` to `@SECLEVEL=5`.
const LEVELS: [u16; 6] = [0, 80, 112, 128, 192, 256];

/// What a list selects.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Selection {
    /// Places in [`SUITES`], the preferred first.
    places: Vec<usize>,
    /// Words that name nothing here: OpenSSL passes over those that it does not know either.
    pub(super) unknown: Vec<String>,
    /// What OpenSSL refuses the whole list for.
    pub(super) refused: Option<String>,
}

impl Selection {
    /// What this list selects, or the default without one.
    pub(super) fn of(list: Option<&str>) -> Self {
        let Some(list) = list else {
            return Self {
                places: DEFAULT.to_vec(),
                ..Self::default()
            };
        };
        let suite_b = SUITE_B.iter().find(|(word, _)| list.starts_with(word));
        let mut rest = suite_b.map_or(list, |(_, meaning)| meaning);
        let mut state = State::new();
        if let Some(behind) = rest.strip_prefix("DEFAULT") {
            // OpenSSL's own default leaves none of ours out.
            state.apply(Rule::Add, ALL);
            rest = behind.strip_prefix(':').unwrap_or(behind);
        }
        let mut unknown = Vec::new();
        let read = state.process(rest, &mut unknown);
        Self {
            places: read
                .as_ref()
                .map_or_else(|_| Vec::new(), |()| state.selected()),
            unknown,
            refused: read.err(),
        }
    }

    /// The suites, the preferred first.
    pub(super) fn suites(&self) -> impl Iterator<Item = &'static Suite> {
        self.places.iter().map(|place| &SUITES[*place])
    }

    /// Whether none is left.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

/// What is done with the suites that a word means.
#[derive(Clone, Copy, Debug)]
enum Rule {
    /// Put them at the end, where they are not selected yet.
    Add,
    /// `-`: select them no longer.
    Delete,
    /// `+`: put those that are selected at the end.
    Last,
    /// `!`: never select them.
    Kill,
}

/// OpenSSL's list of suites while it reads rules.
struct State {
    /// Places in [`SUITES`], and whether they are selected.
    order: Vec<(usize, bool)>,
    level: usize,
}

impl State {
    fn new() -> Self {
        Self {
            order: (0..SUITES.len()).map(|place| (place, false)).collect(),
            level: 0,
        }
    }

    fn selected(&self) -> Vec<usize> {
        let selected = self.order.iter().filter(|(_, selected)| *selected);
        selected
            .map(|(place, _)| *place)
            .filter(|place| SUITES[*place].bits >= LEVELS[self.level])
            .collect()
    }

    /// `ssl_cipher_process_rulestr`. The error says what the list is refused for.
    fn process(&mut self, list: &str, unknown: &mut Vec<String>) -> Result<(), String> {
        let mut rest = list;
        while let Some(first) = rest.chars().next() {
            if is_separator(first) {
                rest = &rest[1..];
                continue;
            }
            let rule = match first {
                '-' => Some(Rule::Delete),
                '+' => Some(Rule::Last),
                '!' => Some(Rule::Kill),
                _ => None,
            };
            if rule.is_some() {
                rest = &rest[1..];
            }
            if let Some(command) = rest.strip_prefix('@').filter(|_| rule.is_none()) {
                let (word, behind) = word(command);
                self.command(word)?;
                rest = behind.trim_start_matches(|sign| !is_separator(sign));
                continue;
            }
            let start = rest;
            let mut meant = Some(ALL);
            loop {
                let (word, behind) = word(rest);
                if word.is_empty() {
                    return Err(format!("there is no word at {:?}", excerpt(rest)));
                }
                rest = behind;
                meant = meaning(word).and_then(|set| Some(meant? & set));
                if meant.is_none() {
                    rest = behind.trim_start_matches(|sign| !is_separator(sign));
                    unknown.push(excerpt(&start[..start.len() - rest.len()]));
                    break;
                }
                match behind.strip_prefix('+') {
                    Some(behind) => rest = behind,
                    None => break,
                }
            }
            if let Some(set) = meant {
                self.apply(rule.unwrap_or(Rule::Add), set);
            }
        }
        Ok(())
    }

    /// What stands behind an `@`.
    fn command(&mut self, word: &str) -> Result<(), String> {
        let level = word.strip_prefix("SECLEVEL=").map(str::parse);
        match level {
            Some(Ok(level)) if level < LEVELS.len() && word.len() == 10 => self.level = level,
            None if word == "STRENGTH" => {
                // The sort is stable.
                for bits in [256, 128] {
                    let of_these = (0..SUITES.len()).filter(|place| SUITES[*place].bits == bits);
                    self.apply(Rule::Last, of_these.map(|place| 1 << place).sum());
                }
            }
            _ => return Err(format!("there is no command @{}", excerpt(word))),
        }
        Ok(())
    }

    /// `ssl_cipher_apply_rule`.
    fn apply(&mut self, rule: Rule, set: Set) {
        let order = std::mem::take(&mut self.order);
        let moved = |(place, selected): &(usize, bool)| {
            let is_meant = set & (1 << place) != 0;
            is_meant
                && match rule {
                    Rule::Add => !selected,
                    Rule::Delete | Rule::Last => *selected,
                    Rule::Kill => true,
                }
        };
        let (moved, mut stay): (Vec<_>, Vec<_>) = order.into_iter().partition(moved);
        let moved = moved.into_iter().map(|(place, _)| place);
        self.order = match rule {
            Rule::Add | Rule::Last => {
                stay.extend(moved.map(|place| (place, true)));
                stay
            }
            Rule::Delete => moved.map(|place| (place, false)).chain(stay).collect(),
            Rule::Kill => stay,
        };
    }
}

fn is_separator(sign: char) -> bool {
    [':', ' ', ';', ','].contains(&sign)
}

/// The word at the beginning, and what stands behind it.
fn word(text: &str) -> (&str, &str) {
    let is_part = |sign: char| sign.is_ascii_alphanumeric() || "-_.=".contains(sign);
    text.split_at(text.find(|sign| !is_part(sign)).unwrap_or(text.len()))
}

/// What a word means; `None` where it is no word, or names a suite that is not there.
fn meaning(word: &str) -> Option<Set> {
    let is_named = |suite: &Suite| suite.name == word || suite.standard_name == word;
    if let Some(place) = SUITES.iter().position(is_named) {
        return Some(1 << place);
    }
    let mut groups = WORDS.iter();
    groups
        .find(|(words, _)| words.split(' ').any(|known| known == word))
        .map(|(_, set)| *set)
}

/// Enough of it to be recognised.
fn excerpt(text: &str) -> String {
    text.chars().take(48).collect()
}

#[cfg(test)]
mod tests;
