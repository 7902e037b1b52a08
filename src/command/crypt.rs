//! SHA-256 crypt, the hash of /etc/shadow that starts with `$5$`: "Unix crypt using SHA-256 and
//! SHA-512", U. Drepper, version 0.4.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The alphabet of crypt's own base64.
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The rounds that a hash without the parameter `rounds=` means.
const ROUNDS: usize = 5000;

/// The greatest length of a salt.
const SALT_LENGTH: usize = 16;

/// The digest's bytes in the order in which they are written, three by three.
const ORDER: [[usize; 3]; 10] = [
    [0, 10, 20],
    [21, 1, 11],
    [12, 22, 2],
    [3, 13, 23],
    [24, 4, 14],
    [15, 25, 5],
    [6, 16, 26],
    [27, 7, 17],
    [18, 28, 8],
    [9, 19, 29],
];

/// The hash of a password: `$5$<salt>$<43 characters>`. Of the salt the first 16 bytes count.
pub(super) fn sha256(password: &[u8], salt: &str) -> String {
    let salt = &salt[..salt.len().min(SALT_LENGTH)];
    let digest = stretch(password, salt.as_bytes());
    let mut text = format!("$5${salt}$");
    for [high, middle, low] in ORDER {
        encode(&mut text, [digest[high], digest[middle], digest[low]], 4);
    }
    encode(&mut text, [0, digest[31], digest[30]], 3);
    text
}

/// A salt of 16 random characters (96 bits).
pub(super) fn random_salt() -> String {
    // A version 4 UUID is the process's source of random bytes; its fixed bits lie in bytes 6 and
    // 8, which are left out.
    let (first, second) = (Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes());
    let mut salt = String::with_capacity(SALT_LENGTH);
    for bytes in [&first[0..3], &first[3..6], &second[0..3], &second[3..6]] {
        encode(&mut salt, [bytes[0], bytes[1], bytes[2]], 4);
    }
    salt
}

fn stretch(password: &[u8], salt: &[u8]) -> [u8; 32] {
    let alternate: [u8; 32] = Sha256::new()
        .chain_update(password)
        .chain_update(salt)
        .chain_update(password)
        .finalize()
        .into();
    let mut first = Sha256::new()
        .chain_update(password)
        .chain_update(salt)
        .chain_update(repeated(&alternate, password.len()));
    let mut length = password.len();
    while length > 0 {
        if length & 1 == 1 {
            first.update(alternate);
        } else {
            first.update(password);
        }
        length >>= 1;
    }
    let mut digest: [u8; 32] = first.finalize().into();

    let mut passwords = Sha256::new();
    for _ in 0..password.len() {
        passwords.update(password);
    }
    let p = repeated(&passwords.finalize().into(), password.len());
    let mut salts = Sha256::new();
    for _ in 0..16 + usize::from(digest[0]) {
        salts.update(salt);
    }
    let s = repeated(&salts.finalize().into(), salt.len());

    for round in 0..ROUNDS {
        let mut hash = Sha256::new();
        let odd = round % 2 == 1;
        hash.update(if odd { &p[..] } else { &digest[..] });
        if round % 3 != 0 {
            hash.update(&s);
        }
        if round % 7 != 0 {
            hash.update(&p);
        }
        hash.update(if odd { &digest[..] } else { &p[..] });
        digest = hash.finalize().into();
    }
    digest
}

/// The digest over and over, cut to this length.
fn repeated(digest: &[u8; 32], length: usize) -> Vec<u8> {
    digest.iter().copied().cycle().take(length).collect()
}

/// 24 bits, the first byte highest, as this many characters of 6 bits, the lowest first.
fn encode(text: &mut String, bytes: [u8; 3], characters: usize) {
    let mut bits = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]);
    for _ in 0..characters {
        text.push(char::from(ALPHABET[(bits & 63) as usize]));
        bits >>= 6;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_specification_and_of_libcrypt() {
        // The first is the specification's; the others were made with libcrypt's crypt(3).
        for (password, salt, hash) in [
            (
                "Hello world!",
                "saltstring",
                "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
            ),
            (
                "a rescue password that is longer than one digest of thirty-two bytes",
                "0123456789abcdef",
                "$5$0123456789abcdef$W3NQvNkEom7lq8XvJbI2k/txEiw1c/gKR.ijsvFH9s1",
            ),
            (
                "x",
                "./",
                "$5$./$voaVYfIwvgSSyPn03n4IsyzZlSP8IdV2dGOJ/PBXHA0",
            ),
        ] {
            assert_eq!(sha256(password.as_bytes(), salt), hash);
        }
    }

    #[test]
    fn salts_differ_and_fit() {
        let salt = random_salt();
        assert_eq!(salt.len(), SALT_LENGTH);
        assert!(salt.bytes().all(|byte| ALPHABET.contains(&byte)));
        assert_ne!(salt, random_salt());
    }
}
