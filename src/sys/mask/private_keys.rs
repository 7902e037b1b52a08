//! Private keys are known by their look, wherever they stand: somebody pastes one in place of the public key, where no name
//! says that a secret follows.

use memchr::memmem;

/// What ends the first line of a key in PEM (RFC 7468), of whatever kind.
const BEGIN: &str = "PRIVATE KEY-----";

/// What begins its last line.
const END: &str = "-----END ";

/// How the body of OpenSSH's own kind begins: `openssh-key-v1` in base64.
const OPENSSH: &str = "b3BlbnNzaC1rZXktdj";

/// The longest body that is believed, bytes: one of RSA with 16384 bits has 13,000. An end further away is another's.
const LONGEST: usize = 32 * 1024;

/// The text with `***` in place of the body of each private key. One whose end is missing, as on a kernel's command line,
/// which ends at 2048 bytes, is masked to the end of its line and of what may be base64.
pub(super) fn without(text: String) -> String {
    let find = |what: &'static str| memmem::find_iter(text.as_bytes(), what);
    // The last line ends so, too.
    let is_first_line = |at: &usize| {
        let label = text[..*at].rsplit("-----").next();
        !label.is_some_and(|label| label.starts_with("END "))
    };
    let of_pem = find(BEGIN)
        .filter(is_first_line)
        .map(|at| (at + BEGIN.len(), true));
    let mut bodies: Vec<(usize, bool)> =
        of_pem.chain(find(OPENSSH).map(|at| (at, false))).collect();
    if bodies.is_empty() {
        return text;
    }
    bodies.sort_unstable();
    let mut ends = find(END).peekable();
    let mut masked = String::with_capacity(text.len());
    let mut rest = 0;
    for (body, is_pem) in bodies {
        if body < rest {
            continue;
        }
        while ends.next_if(|end| *end < body).is_some() {}
        let end = ends.peek().filter(|end| is_pem && **end - body <= LONGEST);
        let end = end.map_or_else(|| body + open_end(&text[body..]), |end| *end);
        masked.push_str(&text[rest..body]);
        masked.push_str("***");
        rest = end;
    }
    masked.push_str(&text[rest..]);
    masked
}

fn open_end(text: &str) -> usize {
    let is_body =
        |sign: char| sign.is_ascii_alphanumeric() || sign.is_whitespace() || "+/=\\".contains(sign);
    let of_line = text.find('\n').unwrap_or(text.len());
    let of_body = text.find(|sign| !is_body(sign)).unwrap_or(text.len());
    of_line.max(of_body)
}

#[cfg(test)]
mod tests {
    use crate::sys::mask::{mask, mask_cut};

    const BODY: &str = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ AAAAMwAAAAtzc2gtZWQy+/==";

    #[test]
    fn a_private_key_is_masked_wherever_it_stands() {
        for (text, expected) in [
            (
                format!(
                    "a sshkey=\"-----BEGIN OPENSSH PRIVATE KEY----- {BODY} -----END OPENSSH PRIVATE KEY-----\" b=1"
                ),
                "a sshkey=\"-----BEGIN OPENSSH PRIVATE KEY-----***-----END OPENSSH PRIVATE KEY-----\" b=1",
            ),
            // Without quotes, and cut off.
            (
                format!("Command line: sshkey=-----BEGIN RSA PRIVATE KEY----- {BODY}\nnext: line"),
                "Command line: sshkey=-----BEGIN RSA PRIVATE KEY-----***: line",
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nDEK-Info: AES,00\nMIIE+/\n-----END RSA PRIVATE KEY-----\nx"
                    .to_owned(),
                "-----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----\nx",
            ),
            (format!("sshkey=\"{BODY}\" quiet"), "sshkey=\"***"),
            (
                "{\"x\":\"-----BEGIN PRIVATE KEY-----\\nMIIE\\n-----END PRIVATE KEY-----\\n\"}".to_owned(),
                "{\"x\":\"-----BEGIN PRIVATE KEY-----***-----END PRIVATE KEY-----\\n\"}",
            ),
        ] {
            assert_eq!(mask(&text), expected, "{text}");
        }
        for harmless in [
            "-----BEGIN CERTIFICATE----- MIIE -----END CERTIFICATE-----",
            "sshkey=\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM3Cy9c desk\"",
            "the PRIVATE KEY is not here",
        ] {
            assert_eq!(mask(harmless), harmless);
        }
    }

    #[test]
    fn a_cut_text_keeps_no_part_of_a_private_key() {
        for before in 0..200 {
            let text = format!(
                "{} -----BEGIN PRIVATE KEY----- {} -----END PRIVATE KEY-----",
                "x".repeat(before),
                "MIIEvQ".repeat(500)
            );
            let masked = mask_cut(&text, 120);
            assert!(!masked.contains("MII"), "{before}: {masked}");
        }
    }
}
