//! The line in words, and a word in fields.

/// Words of a line as key and value, which is empty without `=`. Quotes hold blanks together and are no part of the
/// value, as in the kernel and in dracut-getarg.
pub(super) fn split(line: &str) -> Vec<(String, String)> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut is_quoted = false;
    for letter in line.chars().chain([' ']) {
        match letter {
            '"' => is_quoted = !is_quoted,
            // A quote that nobody closes ends with the line.
            letter if letter.is_ascii_whitespace() && !is_quoted => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            letter => word.push(letter),
        }
    }
    words.extend((!word.is_empty()).then(|| word.trim_end().to_owned()));
    let pair = |word: String| match word.split_once('=') {
        Some((key, value)) => (key.to_owned(), value.to_owned()),
        None => (word, String::new()),
    };
    words.into_iter().map(pair).collect()
}

/// Fields between colons; what stands in brackets is one, without them.
pub(super) fn fields(value: &str) -> Vec<String> {
    let mut fields = Vec::new();
    let mut rest = value;
    loop {
        let bracketed = rest
            .strip_prefix('[')
            .and_then(|inside| inside.split_once(']'));
        if let Some((inside, behind)) =
            bracketed.filter(|(_, behind)| behind.is_empty() || behind.starts_with(':'))
        {
            fields.push(inside.to_owned());
            match behind.strip_prefix(':') {
                Some(behind) => rest = behind,
                None => return fields,
            }
            continue;
        }
        match rest.split_once(':') {
            Some((field, behind)) => {
                fields.push(field.to_owned());
                rest = behind;
            }
            None => {
                fields.push(rest.to_owned());
                return fields;
            }
        }
    }
}

/// An IPv6 address may stand in brackets.
pub(super) fn unbracketed(text: &str) -> &str {
    let inside = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    inside.unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quotes_hold_words_together() {
        let pairs = |line: &str| -> Vec<String> {
            split(line)
                .into_iter()
                .map(|(key, value)| format!("{key}|{value}"))
                .collect()
        };
        assert_eq!(
            pairs("quiet ip=dhcp\tx=\"a b\" \"y=c d\" z=\"\n"),
            ["quiet|", "ip|dhcp", "x|a b", "y|c d", "z|"]
        );
    }

    #[test]
    fn brackets_hold_fields_together() {
        assert_eq!(
            fields("[2001:db8::5]::[fe80::1]:64"),
            ["2001:db8::5", "", "fe80::1", "64"]
        );
        assert_eq!(fields("a:[b:c]"), ["a", "b:c"]);
        assert_eq!(fields("a:"), ["a", ""]);
        assert_eq!(fields(""), [""]);
        assert_eq!(fields("[a:b]c:d"), ["[a", "b]c", "d"]);
        assert_eq!(fields("[a:b"), ["[a", "b"]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(words in prop::collection::vec("[a-z.]{1,5}", 1..6)) {
            prop_assert_eq!(fields(&words.join(":")), words.clone());
            let keys: Vec<String> = split(&words.join(" \t")).into_iter().map(|(key, _)| key).collect();
            prop_assert_eq!(keys, words);
        }
    }
}
