//! Files of checksums (contract/data-plane 1.7): `SHA256SUMS` and its kin, GNU and BSD style, or a
//! digest alone, for one name or a million.

use std::borrow::Cow;

use super::digest::Algorithm;

/// Algorithms of bare digests, the strongest first: of several for one name, where none is asked
/// for, the first here counts.
const BY_STRENGTH: [Algorithm; 6] = [
    Algorithm::Sha512,
    Algorithm::Sha384,
    Algorithm::Sha256,
    Algorithm::Sha224,
    Algorithm::Sha1,
    Algorithm::Md5,
];

/// What programs call the algorithms besides their names in `os_hash_algo`.
const LABELS: [(&str, Algorithm); 14] = [
    ("sha2-224", Algorithm::Sha224),
    ("sha2-256", Algorithm::Sha256),
    ("sha2-384", Algorithm::Sha384),
    ("sha2-512", Algorithm::Sha512),
    ("sha-1", Algorithm::Sha1),
    ("sha-224", Algorithm::Sha224),
    ("sha-256", Algorithm::Sha256),
    ("sha-384", Algorithm::Sha384),
    ("sha-512", Algorithm::Sha512),
    ("sha3-224", Algorithm::Sha3x224),
    ("sha3-256", Algorithm::Sha3x256),
    ("sha3-384", Algorithm::Sha3x384),
    ("sha3-512", Algorithm::Sha3x512),
    ("blake2b-512", Algorithm::Blake2b),
];

/// Characters of a line that an error shows. A file can be one line of megabytes.
const SHOWN: usize = 200;

/// The name of the digest of what came from standard input, in GNU and OpenSSL style.
const STANDARD_INPUT: [&str; 2] = ["-", "stdin"];

/// The file whose digest is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// The path that it was fetched by, its characters decoded; the part after the last slash is
    /// its name.
    pub(super) path: &'a str,
    /// The same name as it stands in the URL.
    pub(super) encoded_name: &'a str,
    /// The algorithm, where one is asked for.
    pub(super) algorithm: Option<Algorithm>,
}

/// A digest, and what it is computed by.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Found {
    digest: String,
    /// `None` where the file does not name it; its length then tells.
    label: Option<Algorithm>,
}

/// How well a line names the wanted file, the best last.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Fit {
    /// Its last word does: `digest size name`, or a name with a blank in it.
    LastWord,
    /// Its path ends in the name, and shares so many directories with the wanted file's.
    Directories(usize),
    /// It is the name.
    Whole,
}

/// Algorithm and digest in lower case of the wanted file; else what is wrong with the file, in the
/// reference's words where it has some.
///
/// Of several lines for one name, that of the algorithm asked for counts, else the strongest. If
/// there is none of the algorithm asked for, another's digest is the answer, and differs.
pub(super) fn digest_of(wanted: &Wanted<'_>, content: &str) -> Result<(Algorithm, String), String> {
    if lines(content).next().is_none() {
        return Err("Empty checksum file".to_owned());
    }
    let without_comments = || lines(content).filter(|line| !line.starts_with('#'));
    let mut first = without_comments();
    if let (Some(line), None) = (first.next(), first.next())
        && let Some(found) = alone(line)?
    {
        return wanted.choose(&[found]);
    }
    let mut best: Option<(Fit, Cow<'_, str>)> = None;
    let mut found: Vec<Found> = Vec::new();
    for entry in without_comments().filter_map(Entry::parse) {
        let Some(fit) = wanted.fit(&entry.name) else {
            continue;
        };
        match &best {
            Some((best, _)) if fit < *best => continue,
            Some((best, name)) if fit == *best => {
                // Two files of one name in different directories: which of them is a guess.
                let is_other = *name != entry.name && matches!(fit, Fit::Directories(_));
                if is_other && !found.contains(&entry.found[0]) {
                    return Err(format!(
                        "Checksum file names several files {}: {name} and {}",
                        wanted.encoded_name, entry.name
                    ));
                }
            }
            _ => {
                best = Some((fit, entry.name));
                found.clear();
            }
        }
        found.extend(entry.found);
    }
    if found.is_empty() {
        return Err(format!(
            "Checksum file does not contain name {}",
            wanted.encoded_name
        ));
    }
    wanted.choose(&found)
}

/// Lines that are not empty. A zero ends one too (`sha256sum --zero`).
fn lines(content: &str) -> impl Iterator<Item = &str> {
    content
        .split(['\n', '\r', '\0'])
        .map(str::trim)
        .filter(|line| !line.is_empty())
}

/// The digest of a file that has one line, where that line is for no name.
fn alone(line: &str) -> Result<Option<Found>, String> {
    if !line.contains(char::is_whitespace) {
        return match digest(line) {
            Some(found) => Ok(Some(found)),
            // OpenSSL 1.0 wrote no blank at all.
            None if line.contains(")=") => Ok(None),
            None => {
                let shown: String = line.chars().take(SHOWN).collect();
                Err(format!(
                    "Invalid checksum file (No valid checksum found) [{shown}]"
                ))
            }
        };
    }
    let entry = Entry::parse(line);
    Ok(entry
        .filter(|entry| STANDARD_INPUT.contains(&&*entry.name))
        .and_then(|entry| entry.found.into_iter().next()))
}

/// One line: digests and the name that they are for.
#[derive(Debug)]
struct Entry<'a> {
    /// At least one.
    found: Vec<Found>,
    name: Cow<'a, str>,
}

impl<'a> Entry<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        // A line of coreutils that begins with a backslash has escaped characters.
        let (line, is_escaped) = match line.strip_prefix('\\') {
            Some(line) => (line, true),
            None => (line, false),
        };
        let (found, name) = Self::tagged(line)
            .or_else(|| Self::untagged(line))
            .or_else(|| Self::column(line))?;
        let name = if is_escaped {
            Cow::Owned(unescape(name))
        } else {
            Cow::Borrowed(name.strip_prefix("./").unwrap_or(name))
        };
        Some(Self { found, name })
    }

    /// `ALGORITHM (name) = digest`, as BSD, OpenSSL and coreutils write it.
    fn tagged(line: &'a str) -> Option<(Vec<Found>, &'a str)> {
        let (before, after) = line.rsplit_once('=')?;
        let (label, name) = before.trim_end().strip_suffix(')')?.split_once('(')?;
        let label = label.trim();
        let mut found = digest(after.trim())?;
        if !label.is_empty() && !label.contains(char::is_whitespace) {
            // The digest of an algorithm that is not known here is not another's of its length.
            let algorithm = named(label)?;
            if algorithm.digits() != found.digest.len() {
                return None;
            }
            found.label = Some(algorithm);
        }
        Some((vec![found], name))
    }

    /// `digest  name` and `digest *name`; further digests may stand between, and other words.
    fn untagged(line: &'a str) -> Option<(Vec<Found>, &'a str)> {
        let (word, mut name) = line.split_once(char::is_whitespace)?;
        let mut found = vec![digest(word)?];
        name = name.trim_start();
        while let Some((word, rest)) = name.split_once(char::is_whitespace)
            && let Some(another) = digest(word)
        {
            found.push(another);
            name = rest.trim_start();
        }
        Some((found, name.strip_prefix('*').unwrap_or(name)))
    }

    /// The columns of PowerShell's `Get-FileHash` (`SHA256  digest  C:\name`), and a digest behind
    /// a name in parentheses.
    fn column(line: &'a str) -> Option<(Vec<Found>, &'a str)> {
        let (first, rest) = line.split_once(char::is_whitespace)?;
        if let Some(algorithm) = named(first) {
            let (word, name) = rest.trim_start().split_once(char::is_whitespace)?;
            let mut found = digest(word)?;
            found.label = (algorithm.digits() == found.digest.len()).then_some(algorithm);
            return Some((vec![found], name.trim_start()));
        }
        if line.contains('=') {
            return None;
        }
        let (before, last) = line.rsplit_once(char::is_whitespace)?;
        let bracketed = before
            .split_whitespace()
            .find_map(|word| word.strip_prefix('(')?.strip_suffix(')'));
        Some((vec![digest(last)?], bracketed?))
    }
}

impl Wanted<'_> {
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// How well this is the wanted file's name.
    fn fit(&self, entry: &str) -> Option<Fit> {
        let names = [self.name(), self.encoded_name];
        let mut names = names.into_iter().filter(|name| !name.is_empty());
        names.find_map(|name| {
            let before = entry.strip_suffix(name)?;
            if before.is_empty() {
                return Some(Fit::Whole);
            }
            if before.ends_with(char::is_whitespace) {
                return Some(Fit::LastWord);
            }
            if let Some(before) = before.strip_suffix('*') {
                return before
                    .ends_with(char::is_whitespace)
                    .then_some(Fit::LastWord);
            }
            let directories = before.strip_suffix(['/', '\\'])?;
            Some(Fit::Directories(self.shared(directories)))
        })
    }

    /// How many of the last of these directories are the last of the wanted file's too.
    fn shared(&self, directories: &str) -> usize {
        let mut own = self.path.rsplit('/').skip(1);
        directories
            .rsplit(['/', '\\'])
            .take_while(|directory| own.next() == Some(directory))
            .count()
    }

    fn choose(&self, found: &[Found]) -> Result<(Algorithm, String), String> {
        let of = |algorithm: Algorithm| {
            found.iter().find(|found| match found.label {
                Some(label) => label == algorithm,
                None => found.digest.len() == algorithm.digits(),
            })
        };
        if let Some(algorithm) = self.algorithm {
            let chosen = of(algorithm).or_else(|| found.first());
            return chosen
                .map(|found| (algorithm, found.digest.clone()))
                .ok_or_else(|| "Empty checksum file".to_owned());
        }
        let strongest = BY_STRENGTH
            .into_iter()
            .find_map(|algorithm| Some((algorithm, of(algorithm)?.digest.clone())));
        strongest
            .or_else(|| {
                let labelled = found.iter().find(|found| found.label.is_some())?;
                Some((labelled.label?, labelled.digest.clone()))
            })
            .ok_or_else(|| "Unable to identify checksum algorithm used".to_owned())
    }
}

/// A name as coreutils escapes it.
fn unescape(name: &str) -> String {
    let mut text = String::new();
    let mut characters = name.chars();
    while let Some(character) = characters.next() {
        text.push(match character {
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some(other) => other,
                None => '\\',
            },
            other => other,
        });
    }
    text
}

/// The algorithm of this label, in either case.
fn named(label: &str) -> Option<Algorithm> {
    Algorithm::named(label).or_else(|| {
        let known = LABELS
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(label));
        known.map(|(_, algorithm)| *algorithm)
    })
}

/// A word that is a digest, perhaps with the algorithm before it: `sha256:digest`.
fn digest(word: &str) -> Option<Found> {
    let (label, digits) = match word.split_once(':') {
        Some((label, digits)) => (Some(named(label)?), digits),
        None => (None, word),
    };
    let is_digest = digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        && match label {
            Some(algorithm) => algorithm.digits() == digits.len(),
            None => BY_STRENGTH
                .iter()
                .any(|algorithm| algorithm.digits() == digits.len()),
        };
    is_digest.then(|| Found {
        digest: digits.to_ascii_lowercase(),
        label,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(name: &str, content: &str) -> Result<String, String> {
        let wanted = Wanted {
            path: name,
            encoded_name: name.rsplit('/').next().unwrap(),
            algorithm: None,
        };
        digest_of(&wanted, content).map(|(_, digest)| digest)
    }

    #[test]
    fn styles_of_files() {
        let digest = "AB".repeat(32);
        let lower = digest.to_lowercase();
        for content in [
            digest.clone(),
            format!("\n  {digest}\n\n"),
            format!("# a\n{digest}  disk.raw\n"),
            format!("{}  other.raw\n{digest} *disk.raw\n", "0".repeat(64)),
            format!(
                "SHA256 (other) = {}\nSHA256 (disk.raw) = {digest}\n",
                "0".repeat(64)
            ),
            format!("{digest}\tdisk.raw"),
        ] {
            assert_eq!(found("disk.raw", &content), Ok(lower.clone()), "{content}");
        }
    }

    #[test]
    fn the_name_is_no_pattern_and_no_suffix() {
        let digest = "ab".repeat(32);
        for content in [
            format!("{digest}  diskXraw\n"),
            format!("{digest}  mydisk.raw\n"),
            format!("# {digest}  disk.raw\n{digest}  x"),
            "short  disk.raw\n".to_owned(),
            format!("RMD160 (disk.raw) = {}\n", "ab".repeat(20)),
            format!("SHA512/256 (disk.raw) = {digest}\n"),
            format!("SHA512 (disk.raw.sha256) = {digest}\n"),
            format!("SHA512 (disk.raw) = {digest}\n"),
        ] {
            assert_eq!(
                found("disk.raw", &content),
                Err("Checksum file does not contain name disk.raw".to_owned()),
                "{content}"
            );
        }
    }

    #[test]
    fn broken_files() {
        assert_eq!(found("a", " \n\n"), Err("Empty checksum file".to_owned()));
        assert_eq!(
            found("a", "<html>"),
            Err("Invalid checksum file (No valid checksum found) [<html>]".to_owned())
        );
    }

    #[test]
    fn the_directory_tells_two_files_of_one_name_apart() {
        let (first, second) = ("ab".repeat(32), "cd".repeat(32));
        let content = format!("{first}  jammy/disk.raw\n{second}  ./noble/disk.raw\n");
        let of = |path| found(path, &content);
        assert_eq!(of("/releases/jammy/disk.raw"), Ok(first.clone()));
        assert_eq!(of("/releases/noble/disk.raw"), Ok(second.clone()));
        let unknown = of("/releases/disk.raw").unwrap_err();
        assert_eq!(
            unknown,
            "Checksum file names several files disk.raw: jammy/disk.raw and noble/disk.raw"
        );
        // The same digest is no question, and a name without a directory none either.
        let same = format!("{first}  a/disk.raw\n{first}  b/disk.raw\n");
        assert_eq!(found("/disk.raw", &same), Ok(first.clone()));
        let whole = format!("{first}  a/disk.raw\n{second}  disk.raw\n");
        assert_eq!(found("/a/disk.raw", &whole), Ok(second));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(content in ".{0,300}", name in ".{0,20}") {
            if let Ok(digest) = found(&name, &content) {
                prop_assert!(BY_STRENGTH.iter().any(|known| known.digits() == digest.len()));
            }
        }
    }
}
