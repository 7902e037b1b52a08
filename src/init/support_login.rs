//! A login for a person of support: root, by the one key of the parameter `sshkey`, never by a password.

use std::fs;
use std::io;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::message;
use crate::config::{KernelParameters, SupportKey};
use crate::sys::digest::{Digest, Function};
use crate::sys::root::Root;
use crate::sys::{kernel_parameters, printable, private_file};

/// Where dropbear looks for root's keys, below the root.
const FOLDER: &str = "root/.ssh";
pub(super) const FILE: &str = "root/.ssh/authorized_keys";

/// The most characters of a comment that are shown.
const COMMENT: usize = 80;

/// Whether a parameter asks for it. What its value is, PID 1 does not look at.
pub(super) fn is_wanted(parameters: &KernelParameters) -> bool {
    // With a quote in front: GRUB's form of a value with blanks.
    ["sshkey", "\"sshkey"]
        .iter()
        .any(|name| parameters.value(name).is_some())
}

/// Have dropbear take the key that the parameters of this boot name, and say which. Returns whether there is one; one that is
/// refused is told on the consoles and admits nobody, also not who was admitted before.
pub(super) fn admit(root: &Root) -> io::Result<bool> {
    let (key, told) = judged(&kernel_parameters::texts(root));
    let Some(key) = key else {
        forget(&root.path("/"))?;
        message::say(&told);
        return Ok(false);
    };
    write(&root.path("/"), &key)?;
    message::say(&told);
    Ok(true)
}

/// The key in these texts, and what the consoles say of it.
fn judged(texts: &[String]) -> (Option<SupportKey>, String) {
    let Some(value) = SupportKey::value_in(texts) else {
        let text = "sshkey stands in another parameter's quotes and admits nobody";
        return (None, text.to_owned());
    };
    match SupportKey::parse(&value) {
        Ok(key) => {
            let told = format!("sshkey admits root by {}", shown(&key));
            (Some(key), told)
        }
        Err(error) => (None, format!("sshkey admits nobody: {error}")),
    }
}

/// As `ssh-keygen -l` shows it. The comment is anybody's text.
fn shown(key: &SupportKey) -> String {
    let mut digest = Digest::new(Function::Sha256);
    digest.update(&key.blob);
    let fingerprint = STANDARD_NO_PAD.encode(digest.finish());
    let mut text = format!("{} SHA256:{fingerprint}", key.kind());
    if !key.comment.is_empty() {
        let comment: String = key.comment.chars().take(COMMENT).collect();
        text.push_str(&format!(" ({})", printable::line(&comment)));
    }
    text
}

fn write(root: &Path, key: &SupportKey) -> io::Result<()> {
    private_file::make_directory(&root.join(FOLDER))?;
    private_file::write(&root.join(FILE), key.authorized().as_bytes())
}

fn forget(root: &Path) -> io::Result<()> {
    match fs::remove_file(root.join(FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// ssh-keygen -l of OpenSSH 9.2 says: 256 SHA256:I/yCZ55A5K8LsDn/tTO8/3JewC5jXohqMLYE4RP2ybw.
    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM3Cy9cpYSC6Renlj6sp7cL6+5jZDFR0RHa4uhdf77By";
    const FINGERPRINT: &str = "ssh-ed25519 SHA256:I/yCZ55A5K8LsDn/tTO8/3JewC5jXohqMLYE4RP2ybw";

    fn told(line: &str) -> (bool, String) {
        let (key, told) = judged(&[line.to_owned()]);
        (key.is_some(), told)
    }

    #[test]
    fn the_console_says_who_is_admitted_and_obeys_no_comment() {
        let line = format!("quiet sshkey=\"{KEY} Jo\u{202e} {}\"", "x".repeat(2000));
        let (is_admitted, told) = told(&line);
        assert!(is_admitted);
        let start = format!("sshkey admits root by {FINGERPRINT} (Jo\\u{{202e}} xxx");
        assert!(told.starts_with(&start) && told.len() < 300, "{told}");
    }

    #[test]
    fn the_console_says_why_nobody_is_admitted() {
        for (line, expected) in [
            (format!("sshkey=\"restrict {KEY}\""), "options"),
            (format!("sshkey={KEY}"), "must stand in quotes"),
            ("sshkey=\"ssh-dss AAAA\"".to_owned(), "no key of the kind"),
            (
                format!("x=\"a sshkey={KEY} b\""),
                "another parameter's quotes",
            ),
        ] {
            let (is_admitted, told) = told(&line);
            assert!(!is_admitted && told.contains(expected), "{line}: {told}");
            assert!(is_wanted(&KernelParameters::parse(&line)), "{line}");
        }
        assert!(!is_wanted(&KernelParameters::parse("quiet sshkey nofb")));
        let grub = format!("\"sshkey={KEY}\"");
        assert!(is_wanted(&KernelParameters::parse(&grub)) && told(&grub).0);
    }

    #[test]
    fn the_key_alone_is_written_where_root_alone_reads_it() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("root")).unwrap();
        let key = SupportKey::parse(&format!("{KEY} me")).unwrap();
        write(root.path(), &key).unwrap();
        let file = root.path().join(FILE);
        assert_eq!(fs::read_to_string(&file).unwrap(), format!("{KEY}\n"));
        for (path, mode) in [(file.clone(), 0o600), (root.path().join(FOLDER), 0o700)] {
            let permissions = fs::metadata(path).unwrap().permissions();
            assert_eq!(permissions.mode() & 0o777, mode);
        }
        forget(root.path()).unwrap();
        forget(root.path()).unwrap();
        assert!(!file.exists());
    }
}
