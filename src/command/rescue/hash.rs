//! The hash of a rescue's password: which ones let somebody in, and one of our own.
//!
//! The SSH server has crypt(3) of libxcrypt compute the hash of what is typed and compares the texts. A hash that it would
//! write otherwise lets nobody in, so each is held to the form that it writes (crypt(5)); a test asks crypt(3) itself.

use aws_lc_rs::rand;
use farrier_plugin::ManagerError;
use sha_crypt::{Params, sha512_crypt};

use crate::command::parameters::invalid;

/// crypt(5)'s digits, the lowest first.
const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// bcrypt's have another order.
const BCRYPT_DIGITS: &[u8; 64] =
    b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Characters of a salt of SHA-crypt at most; those behind them count for nothing.
const LONGEST_SALT: usize = 16;

/// More rounds of SHA-crypt than this take seconds at each attempt, and longer than a client waits on an old processor.
/// Ironic's hashes have 5000.
const MOST_ROUNDS: u32 = 1_000_000;

/// The same for bcrypt, whose work doubles with each.
const HIGHEST_BCRYPT_COST: u32 = 14;

/// yescrypt's memory is 2 to the power of this digit and one, times 128 bytes and its block size of 32: 256 MiB with the
/// highest, 16 MiB with Debian's own.
const YESCRYPT_COSTS: std::ops::RangeInclusive<u8> = b'7'..=b'D';

/// Bytes of a password at most: the SSH server refuses longer ones unread (dropbear, `DROPBEAR_MAX_PASSWORD_LEN`).
const LONGEST_PASSWORD: usize = 100;

/// Kinds that crypt(3) knows and that are not taken, since they are broken or nothing makes them for logins. Another id
/// is not repeated in an error: it may be a part of a password.
const REFUSED: [&str; 7] = ["1", "3", "7", "2x", "gy", "md5", "sha1"];

/// Whether the user `rescue` could log in with the password of this hash.
///
/// # Errors
/// The hash is of a kind that is not taken, damaged, or takes more than a login may.
pub(super) fn check(hash: &str) -> Result<(), ManagerError> {
    let Some((id, rest)) = hash
        .strip_prefix('$')
        .and_then(|parts| parts.split_once('$'))
    else {
        return Err(invalid(
            "The hashed rescue password is not a crypt(5) hash of the form $id$salt$hash",
        ));
    };
    let is_whole = match id {
        "6" => is_sha_crypt(rest, 86, 2),
        "5" => is_sha_crypt(rest, 43, 4),
        "y" => is_yescrypt(rest),
        "2a" | "2b" | "2y" => is_bcrypt(rest),
        _ => {
            let kind = if REFUSED.contains(&id) {
                format!("of the kind ${id}$")
            } else {
                "of an unknown kind".to_owned()
            };
            return Err(invalid(format!(
                "The hashed rescue password is {kind}; rescues take crypt(5) hashes of sha512crypt ($6$), sha256crypt \
                 ($5$), yescrypt ($y$) and bcrypt ($2b$)"
            )));
        }
    };
    if is_whole {
        return Ok(());
    }
    Err(invalid(format!(
        "The hashed rescue password is no ${id}$ hash that somebody could log in with: it is not as crypt(5) writes it, or \
         its rounds or its cost are beyond what a login may take ({MOST_ROUNDS} rounds, a bcrypt cost of \
         {HIGHEST_BCRYPT_COST}, 256 MiB)"
    )))
}

/// A hash of this password (sha512crypt, 5000 rounds, as Ironic's own).
///
/// # Errors
/// Nobody could log in with the password, or there is no randomness.
pub(super) fn of(password: &str) -> Result<String, ManagerError> {
    if password.is_empty() {
        // The reference would open the machine to everybody.
        return Err(invalid("The rescue password is empty"));
    }
    if password.len() > LONGEST_PASSWORD || password.contains('\0') {
        return Err(invalid(format!(
            "The rescue password has more than {LONGEST_PASSWORD} bytes or a NUL character, and the SSH server takes none \
             such"
        )));
    }
    let mut salt = [0; LONGEST_SALT];
    rand::fill(&mut salt)
        .map_err(|_| invalid("There is no randomness for the hash of the rescue password"))?;
    let salt = salt.map(|byte| DIGITS[usize::from(byte % 64)]);
    let digest = sha512_crypt(password.as_bytes(), &salt, Params::RECOMMENDED);
    let mut hash = String::from("$6$");
    hash.extend(salt.map(char::from));
    hash.push('$');
    // The method's own order of bytes: three from the three thirds, of which another comes first each time.
    let third = |start: usize, number: usize| u32::from(digest[(start + 21 * number) % 63]);
    for group in 0..21 {
        let start = 22 * group;
        let value = third(start, 0) << 16 | third(start, 1) << 8 | third(start, 2);
        push_digits(&mut hash, value, 4);
    }
    push_digits(&mut hash, u32::from(digest[63]), 2);
    Ok(hash)
}

/// So many digits of this number, the lowest first.
fn push_digits(text: &mut String, number: u32, digits: u32) {
    for place in 0..digits {
        let digit = number >> (6 * place) & 63;
        text.push(char::from(DIGITS[digit as usize]));
    }
}

/// `[rounds=N$]salt$hash`, of so many digits, the last of them of so many bits.
fn is_sha_crypt(rest: &str, digits: usize, last_bits: u32) -> bool {
    let mut parts: Vec<&str> = rest.split('$').collect();
    if let Some(rounds) = parts[0].strip_prefix("rounds=") {
        let number: Option<u32> = rounds.parse().ok();
        let is_taken = number.is_some_and(|number| (1000..=MOST_ROUNDS).contains(&number));
        // "05000" and "+5000" are other texts.
        if !is_taken || number.map(|number| number.to_string()).as_deref() != Some(rounds) {
            return false;
        }
        parts.remove(0);
    }
    let [salt, hash] = parts[..] else {
        return false;
    };
    (1..=LONGEST_SALT).contains(&salt.len())
        && are_digits(salt, DIGITS)
        && hash.len() == digits
        && ends_in(hash, DIGITS, 1 << last_bits)
}

/// `jCr$salt$hash`: the flavour that everything makes, cost and block size, 16 bytes of salt, 32 of hash.
fn is_yescrypt(rest: &str) -> bool {
    let [parameters, salt, hash] = rest.split('$').collect::<Vec<_>>()[..] else {
        return false;
    };
    let is_known = matches!(parameters.as_bytes(), [b'j', cost, b'5' | b'T']
        if YESCRYPT_COSTS.contains(cost) && cost.is_ascii_alphanumeric());
    is_known
        && salt.len() == 22
        && ends_in(salt, DIGITS, 4)
        && hash.len() == 43
        && ends_in(hash, DIGITS, 16)
}

/// `cost$` and 22 digits of salt and 31 of hash without anything between them.
fn is_bcrypt(rest: &str) -> bool {
    let Some((cost, text)) = rest.split_once('$') else {
        return false;
    };
    let is_cost = cost.len() == 2
        && cost.bytes().all(|byte| byte.is_ascii_digit())
        && cost
            .parse()
            .is_ok_and(|cost: u32| (4..=HIGHEST_BCRYPT_COST).contains(&cost));
    if !is_cost || text.len() != 53 || !are_digits(text, BCRYPT_DIGITS) {
        return false;
    }
    // Digits of which the lower bits belong to nothing: crypt(3) writes zeros.
    let value = |at: usize| place(text.as_bytes()[at], BCRYPT_DIGITS).unwrap_or_default();
    value(21).is_multiple_of(16) && value(52).is_multiple_of(4)
}

fn are_digits(text: &str, digits: &[u8; 64]) -> bool {
    text.bytes().all(|byte| place(byte, digits).is_some())
}

/// Whether it is of these digits and the last is less than `bound`: what is above belongs to nothing.
fn ends_in(text: &str, digits: &[u8; 64], bound: usize) -> bool {
    let last = text.bytes().last().and_then(|byte| place(byte, digits));
    are_digits(text, digits) && last.is_some_and(|value| value < bound)
}

fn place(byte: u8, digits: &[u8; 64]) -> Option<usize> {
    digits.iter().position(|digit| *digit == byte)
}

#[cfg(test)]
mod tests {
    use farrier_plugin::ErrorKind;
    use proptest::prelude::*;

    use super::*;
    use crate::sys::process::Program;

    /// What crypt(3) of this system (libxcrypt, as in the ramdisk) makes of a password with the setting in this hash.
    fn crypt(password: &str, hash: &str) -> String {
        Program::new("/usr/bin/perl")
            .arg("-e")
            .arg("print crypt($ARGV[0], $ARGV[1]) // ''")
            .arg(password)
            .arg(hash)
            .run()
            .unwrap()
            .stdout
    }

    #[test]
    fn what_crypt_writes_is_taken_and_compared_equal() {
        for setting in [
            "$6$saltsalt",
            "$6$rounds=1000$s",
            "$6$0123456789./abcd",
            "$5$saltsalt",
            "$5$rounds=12345$saltsalt",
            "$y$j9T$uYq3yT5cAY29wYdnY0uX2.",
            "$y$j75$uYq3yT5cAY29wYdnY0uX2.",
            "$y$jAT$uYq3yT5cAY29wYdnY0uX2/",
            "$2b$05$abcdefghijklmnopqrstuu",
            "$2a$04$abcdefghijklmnopqrstu.",
            "$2y$04$abcdefghijklmnopqrstuO",
        ] {
            let hash = crypt("open sesame", setting);
            check(&hash).unwrap_or_else(|error| panic!("{hash}: {error}"));
            assert_eq!(crypt("open sesame", &hash), hash);
        }
    }

    #[test]
    fn kinds_that_let_nobody_in_are_refused_by_name() {
        for (setting, said) in [
            ("$1$saltsalt", "of the kind $1$"),
            ("$3$", "of the kind $3$"),
            ("$7$CU..../....salt", "of the kind $7$"),
            ("$gy$j9T$uYq3yT5cAY29wYdnY0uX2.", "of the kind $gy$"),
            ("$2x$05$abcdefghijklmnopqrstuu", "of the kind $2x$"),
            ("$md5$salt$", "of the kind $md5$"),
            ("$sha1$1000$salt", "of the kind $sha1$"),
            ("ab", "not a crypt(5) hash"),
            ("_J9..rasm", "not a crypt(5) hash"),
        ] {
            let hash = crypt("open sesame", setting);
            assert!(hash.len() > 8, "{setting} is none of crypt(3)'s: {hash}");
            let error = check(&hash).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidCommandParams);
            assert!(error.to_string().contains(said), "{hash}: {error}");
        }
        let error = check("$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA").unwrap_err();
        assert!(error.to_string().contains("of an unknown kind"), "{error}");
        let error = check("$secret$word").unwrap_err();
        assert!(!error.to_string().contains("secret$"), "{error}");
    }

    #[test]
    fn damaged_and_costly_ones_are_refused() {
        let whole = crypt("open sesame", "$6$saltsalt");
        for hash in [
            "",
            "$",
            "$$",
            "$6",
            "$6$",
            "$6$salt$hash",
            "$6$a$b:0:0:",
            "$6$a$b\nroot::0:0",
            "$2b$",
            "$y$j9T$$",
            &whole[..whole.len() - 1],
            &format!("{whole}."),
            &format!("{}9", &whole[..whole.len() - 1]),
            &whole.replace("$6$", "$6$rounds=5$"),
            &whole.replace("$6$", "$6$rounds=05000$"),
            &whole.replace("$6$", "$6$rounds=+5000$"),
            &whole.replace("$6$", "$6$rounds=999999999$"),
            &whole.replace("$6$", "$6$saltsaltsalt"),
            &whole.replace("$6$", "$5$"),
        ] {
            let error = check(hash).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidCommandParams);
            assert!(error.to_string().contains("crypt(5)"), "{hash}: {error}");
        }
    }

    #[test]
    fn a_hash_of_our_own_is_that_of_crypt() {
        for password in ["open sesame", "ä", &"x".repeat(LONGEST_PASSWORD)] {
            let hash = of(password).unwrap();
            check(&hash).unwrap();
            assert_eq!(crypt(password, &hash), hash);
            assert_ne!(of(password).unwrap(), hash, "no salt twice");
        }
        for password in ["", "a\0b", &"x".repeat(LONGEST_PASSWORD + 1)] {
            let error = of(password).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidCommandParams);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Nothing is taken that crypt(3) would write otherwise: hashes of cheap settings, one character of them another.
        #[test]
        fn what_is_taken_is_as_crypt_writes_it(
            setting in prop::sample::select(vec![
                "$6$rounds=1000$saltsalt",
                "$5$rounds=1000$saltsalt",
                "$y$j75$uYq3yT5cAY29wYdnY0uX2.",
                "$2b$04$abcdefghijklmnopqrstuu",
            ]),
            place in 3..60_usize,
            character in "[./0-9A-Za-z$=]",
        ) {
            let mut hash = crypt("open sesame", setting);
            let place = place.min(hash.len() - 1);
            hash.replace_range(place..=place, &character);
            if check(&hash).is_ok() {
                let again = crypt("open sesame", &hash);
                let setting = hash.rfind('$').map_or(0, |end| end.min(hash.len()));
                prop_assert_eq!(again.len(), hash.len(), "{} and {}", again, hash);
                prop_assert_eq!(&again[..setting], &hash[..setting]);
            }
        }

        #[test]
        fn no_text_breaks_it(text in "\\$?(6|5|y|2b)?\\$?.{0,120}") {
            let _ = check(&text);
        }
    }
}
