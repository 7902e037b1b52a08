use proptest::prelude::*;

use super::*;

/// Made by ssh-keygen of OpenSSH 9.2, but for those of tokens, of which only the form is real.
const KEYS: [&str; 7] = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM3Cy9cpYSC6Renlj6sp7cL6+5jZDFR0RHa4uhdf77By",
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBBuNweQY7EjXTY2WDKAcGuNtm36i\
     z8Q5i2zXK7IIw3Sq4GBWHO80GgMDmmFHLAXimPvUnMtvKkOfBy0RWtQggXo=",
    "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBKKB3ZJzk+tETi6AqeDyBF6M2qMx\
     ebPJfHiy3tElqyKl3X9NYADQmtJVEauo0rWb+S/kzopQK8Nsj/rFMij+n/O4P3GMggdgxG8MCxvPSsgD0KSqgZi45ASB6f9TYmoZ\
     eA==",
    "ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAA+5PSbtK/EHmBjhG+mfu4eNQRV\
     68DZqEvK94G+FywaklyCVM2V8F0/PtViowpjQaiFMpqy9SDIC+/V0XACzHndQgFS+HrPx2qabzc7fsKr5ejOVNdbrmZa/WANZntI\
     oKKmg7u9VXy4pt0MtyzH8ksBqBkE3N/tTTBXnDQ9qtZnY4shEw==",
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCc1JdPxfU8WWnXvHYtaddz+LxJH9yuKdtXZsu4L9lpV+tzRBNmI5oyyyTUFPAu\
     tWh8x0uo8HdTIKwP3i8CtSx9pxs2wQgFaU9+k2G1Sc4jsb4wXV1Z3OFf4VUt5oposOo4BdtFJnxfaVU53UyO0WHdN7ORuCYXLznT\
     /Kjue51Zlr6XquKCheyH3q8PwScE0NblI6SrDnLrkgIMOwgKtH3ZQ5a7/Ywnu/SQfUAy3XSjtlu1c7UEtaBGd2wddQiqFkZMyX4H\
     goy3/lxRtYYz5A1ONsaA3R/cyKwaW+PaAH2papHjD0IdTWOU8AR1cp1t6NkDC3wTDuPykLmLdzpVBQ0n",
    "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAABAgMEBQYHCAkKCwwNDg8QERITF\
     BUWFxgZGhscHR4fAAAABHNzaDo=",
    "sk-ecdsa-sha2-nistp256@openssh.com AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20AAAAIbmlzdHAyN\
     TYAAABBBAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8AAAAEc\
     3NoOg==",
];

const SHORT_RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDUifsxkWhGOBTL6RNh8KuH7S9anzwjj6OVM+dEwnIvHu7jP55+tqS90CaV/z/J\
     740C69Mun6AsVvoDbeTrL2XiOqkw4+eiyPYXOyEOHmeVn8WHSao0K0e60CSlYvkipn3Mi0tZ5+dy0w8ISIAUJo0Nd4NK/KwQx11z\
     4VAKEDtIow==";

const DSA: &str = "ssh-dss AAAAB3NzaC1kc3MAAACBAOIqt5qIvGv/wjZXnCJhtabw/5qWQtHTZlpQAHCYFb+P8dGKCgMLZVKXaIaVXYb4+uk8fEqQ\
     0vxGFYJHq/sHAhfLeBlulHi9XEv8pXVrO0KW3AYHMYqLaidOvkHhSobG7oR6zjemOemgdAdD7ZN082jyGLhPjf9BupWQjUNh/OWf";

fn parse(value: &str) -> Result<SupportKey, SupportKeyError> {
    SupportKey::parse(value)
}

#[test]
fn a_key_of_each_kind_is_taken_and_its_comment_kept_apart() {
    for (key, kind) in KEYS.into_iter().zip([
        Kind::Ed25519,
        Kind::Ecdsa256,
        Kind::Ecdsa384,
        Kind::Ecdsa521,
        Kind::Rsa,
        Kind::TokenEd25519,
        Kind::TokenEcdsa256,
    ]) {
        let read = parse(&format!("  {key}  Jo\u{202e} of  the desk ")).unwrap();
        assert_eq!(
            (read.kind, read.comment.as_str()),
            (kind, "Jo\u{202e} of the desk")
        );
        assert_eq!(read.authorized(), format!("{key}\n"));
        assert_eq!(parse(key).unwrap().comment, "");
    }
}

#[test]
fn what_is_no_key_is_refused_by_its_reason() {
    let key = KEYS[0];
    let blob = key.split_once(' ').unwrap().1;
    for (value, expected) in [
        (String::new(), SupportKeyError::Empty),
        ("  ".to_owned(), SupportKeyError::Empty),
        ("ssh-ed25519".to_owned(), SupportKeyError::Alone),
        (
            format!("command=\"reboot -f\" {key}"),
            SupportKeyError::Options,
        ),
        ("command=".to_owned(), SupportKeyError::Options),
        (
            format!("no-pty,permitopen=\"x:1\" {key}"),
            SupportKeyError::Options,
        ),
        (format!("restrict {key}"), SupportKeyError::Options),
        (DSA.to_owned(), SupportKeyError::Kind),
        (
            format!("ssh-ed25519-cert-v01@openssh.com {blob}"),
            SupportKeyError::Kind,
        ),
        ("http://x/key.pub".to_owned(), SupportKeyError::Kind),
        (format!("ssh-rsa {blob}"), SupportKeyError::OtherKind),
        (format!("ssh-ed25519 {blob}A"), SupportKeyError::Base64),
        (
            format!("ssh-ed25519 {}", &blob[..40]),
            SupportKeyError::Form,
        ),
        (
            format!("ssh-ed25519 {}", blob.replace('y', "_")),
            SupportKeyError::Base64,
        ),
        (SHORT_RSA.to_owned(), SupportKeyError::Short),
        (format!("{key}\n{key}"), SupportKeyError::Control),
        (format!("{key} \x1b[2J"), SupportKeyError::Control),
        (
            format!("{key} {}", "x".repeat(LIMIT)),
            SupportKeyError::Long,
        ),
        (
            "-----BEGIN OPENSSH PRIVATE KEY----- b3Bl".to_owned(),
            SupportKeyError::Private,
        ),
    ] {
        assert_eq!(parse(&value), Err(expected), "{value}");
    }
}

/// A refusal goes to the consoles.
#[test]
fn no_refusal_shows_what_was_refused() {
    let secret = "b3BlbnNzaC1rZXktdjE";
    for value in [
        format!("-----BEGIN OPENSSH PRIVATE KEY----- {secret}"),
        format!("ssh-ed25519 {secret}"),
        secret.to_owned(),
    ] {
        let told = parse(&value).unwrap_err().to_string();
        assert!(!told.contains(secret), "{told}");
    }
}

#[test]
fn the_value_is_found_as_the_kernel_splits_its_line() {
    let key = KEYS[0];
    let value = |texts: &[&str]| {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        SupportKey::value_in(&texts)
    };
    let some = Some(format!("{key} me"));
    for text in [
        format!("quiet sshkey=\"{key} me\" nofb"),
        // GRUB's form.
        format!("quiet \"sshkey={key} me\" nofb\n"),
        format!("sshkey=\"{key} me\""),
        format!("sshkey=\"{key} me"),
        format!("sshkey=\"old one\" x=\"a b\" sshkey=\"{key} me\"\n"),
    ] {
        assert_eq!(value(&[&text]), some, "{text}");
    }
    // A medium's over the line's.
    let medium = format!("a=b\nsshkey=\"{key} me\"\nc=d\n");
    assert_eq!(value(&["sshkey=\"x y\"", &medium]), some);
    // Somebody else's text is none, nor a word without a value.
    for text in [
        "x=\"a sshkey=b c\" d",
        "sshkey",
        "nosshkey=x",
        "xsshkey=\"y\"",
        "",
    ] {
        assert_eq!(value(&[text]), None, "{text}");
    }
    // Without quotes only the kind is left of it.
    assert_eq!(
        value(&[&format!("sshkey={key}")]).as_deref(),
        Some("ssh-ed25519")
    );
}

proptest! {
    #[test]
    fn what_is_taken_is_one_line_that_is_taken_again(which in 0..KEYS.len(), comment in "\\PC{0,40}") {
        let key = parse(&format!("{} {comment}", KEYS[which])).unwrap();
        let line = key.authorized();
        prop_assert_eq!(line.lines().count(), 1);
        let again = parse(line.trim_end()).unwrap();
        prop_assert_eq!((again.kind, again.blob), (key.kind, key.blob));
    }

    #[test]
    fn any_text_is_read(text in any::<String>()) {
        let _ = parse(&text);
        let _ = SupportKey::value_in(&[text]);
    }

    /// A key that is cut, lengthened or damaged where its form shows it is none.
    #[test]
    fn a_damaged_key_is_refused(which in 0..KEYS.len(), at in any::<prop::sample::Index>(), more in prop::collection::vec(any::<u8>(), 1..4)) {
        let key = parse(KEYS[which]).unwrap();
        let cut = at.index(key.blob.len());
        let line = |blob: &[u8]| format!("{} {}", key.kind(), STANDARD.encode(blob));
        prop_assert!(parse(&line(&key.blob[..cut])).is_err());
        prop_assert!(parse(&line(&[&key.blob[..], &more].concat())).is_err());
    }
}
