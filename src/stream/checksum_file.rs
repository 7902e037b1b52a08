//! Files of checksums (contract/data-plane 1.7): `SHA256SUMS` and its kin, GNU and BSD style, or a
//! digest alone.

/// Lengths of digests in hexadecimal digits, in the order in which they are looked for.
const LENGTHS: [usize; 3] = [32, 64, 128];

/// The digest of the file of this name, in lower case; else what is wrong with the file, in the
/// reference's words.
pub(super) fn digest_of(name: &str, content: &str) -> Result<String, String> {
    let lines: Vec<&str> = content
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    match lines[..] {
        [] => return Err("Empty checksum file".to_owned()),
        [line] if !line.contains(char::is_whitespace) => {
            return digest(line).ok_or_else(|| {
                format!("Invalid checksum file (No valid checksum found) [{line}]")
            });
        }
        _ => {}
    }
    lines
        .iter()
        .filter(|line| !line.starts_with('#'))
        .find(|line| names(line, name))
        .and_then(|line| {
            let mut words = line.split_whitespace();
            let first = words.next().and_then(digest);
            first.or_else(|| words.next_back().and_then(digest))
        })
        .ok_or_else(|| format!("Checksum file does not contain name {name}"))
}

/// `<digest> [*]name` or `ALGORITHM (name) = <digest>`.
fn names(line: &str, name: &str) -> bool {
    let gnu = line.strip_suffix(name).is_some_and(|before| {
        before
            .strip_suffix('*')
            .unwrap_or(before)
            .ends_with(char::is_whitespace)
    });
    let bracketed = format!("({name})");
    gnu || line.split_whitespace().any(|word| word == bracketed)
}

fn digest(word: &str) -> Option<String> {
    (LENGTHS.contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .then(|| word.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
            assert_eq!(
                digest_of("disk.raw", &content),
                Ok(lower.clone()),
                "{content}"
            );
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
        ] {
            assert_eq!(
                digest_of("disk.raw", &content),
                Err("Checksum file does not contain name disk.raw".to_owned()),
                "{content}"
            );
        }
    }

    #[test]
    fn broken_files() {
        assert_eq!(
            digest_of("a", " \n\n"),
            Err("Empty checksum file".to_owned())
        );
        assert_eq!(
            digest_of("a", "<html>"),
            Err("Invalid checksum file (No valid checksum found) [<html>]".to_owned())
        );
    }

    proptest! {
        #[test]
        fn any_text_is_survived(content in ".{0,300}", name in ".{0,20}") {
            if let Ok(digest) = digest_of(&name, &content) {
                prop_assert!(LENGTHS.contains(&digest.len()));
            }
        }
    }
}
