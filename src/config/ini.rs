//! Configuration files in the form of oslo.config (contract/control-plane 1.1).

use std::path::Path;

use super::ConfigError;

/// One assignment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Assignment {
    /// The group as written; `DEFAULT` before the first section.
    pub(super) group: String,
    /// The option's name.
    pub(super) name: String,
    /// The value without its surrounding quotes; continued lines are joined with line breaks.
    pub(super) value: String,
    /// The line it starts on, counted from 1.
    pub(super) line: usize,
}

/// Read a file's text.
///
/// `[group]`, `name = value` or `name: value`, comments with `#` or `;` at the start of a line, an
/// indented line continues the value before it, one pair of quotes around a value is dropped, `$$`
/// is a `$`. A `$name` stays as it is: oslo.config puts another option's value there, which no
/// documented use of the agent needs and which would corrupt a password.
pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<Assignment>, ConfigError> {
    let mut found: Vec<Assignment> = Vec::new();
    let mut group = "DEFAULT".to_owned();
    let mut continues = false;
    for (index, line) in text.lines().enumerate() {
        let wrong = |reason| ConfigError::Syntax {
            path: path.to_owned(),
            line: index + 1,
            reason,
        };
        let line = line.trim_end();
        match line.chars().next() {
            None => continues = false,
            Some(' ' | '\t') => {
                let assignment = found
                    .last_mut()
                    .filter(|_| continues)
                    .ok_or_else(|| wrong("an indented line continues nothing"))?;
                assignment.value.push('\n');
                assignment.value.push_str(line.trim_start());
            }
            Some('#' | ';') => continues = false,
            Some('[') => {
                continues = false;
                let inner = line[1..]
                    .split_once(']')
                    .map(|(name, _)| name.trim())
                    .ok_or_else(|| wrong("a section ends with ]"))?;
                if inner.is_empty() {
                    return Err(wrong("a section has a name"));
                }
                group = inner.to_owned();
            }
            Some(_) => {
                let split = line
                    .find(['=', ':'])
                    .ok_or_else(|| wrong("there is neither = nor :"))?;
                let name = line[..split].trim();
                if name.is_empty() {
                    return Err(wrong("there is no name"));
                }
                found.push(Assignment {
                    group: group.clone(),
                    name: name.to_owned(),
                    value: unquoted(line[split + 1..].trim()).to_owned(),
                    line: index + 1,
                });
                continues = true;
            }
        }
    }
    for assignment in &mut found {
        if assignment.value.contains("$$") {
            assignment.value = assignment.value.replace("$$", "$");
        }
    }
    Ok(found)
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = value
            .strip_prefix(quote)
            .and_then(|value| value.strip_suffix(quote))
        {
            return inner;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(text: &str) -> Vec<(String, String, String)> {
        parse(Path::new("test.conf"), text)
            .unwrap()
            .into_iter()
            .map(|found| (found.group, found.name, found.value))
            .collect()
    }

    #[test]
    fn a_file_is_read_as_oslo_config_reads_it() {
        let text = "top = 1\n# comment\n; comment\n[DEFAULT]\ndebug: yes\nurl = http://h:1/?a=b\n\
                    quoted = \" x \"\nmany = one,\n  two\n\n[ssl]\ncert_file=/a b\ndollar=a$$b$c\n";
        let expected = [
            ("DEFAULT", "top", "1"),
            ("DEFAULT", "debug", "yes"),
            ("DEFAULT", "url", "http://h:1/?a=b"),
            ("DEFAULT", "quoted", " x "),
            ("DEFAULT", "many", "one,\ntwo"),
            ("ssl", "cert_file", "/a b"),
            ("ssl", "dollar", "a$b$c"),
        ]
        .map(|(group, name, value)| (group.to_owned(), name.to_owned(), value.to_owned()));
        assert_eq!(values(text), expected);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, line) in [
            ("a = 1\nnonsense\n", 2),
            ("\n\n  continued\n", 3),
            ("[open\n", 1),
            ("[]\n", 1),
            (" = 3", 1),
            ("= 3", 1),
            ("a=1\n\n b\n", 3),
        ] {
            match parse(Path::new("test.conf"), text) {
                Err(ConfigError::Syntax { line: found, .. }) => assert_eq!(found, line, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[\\PC\\n\\t]{0,200}") {
            let _ = parse(Path::new("x"), &text);
        }

        #[test]
        fn what_is_written_is_read(
            pairs in prop::collection::vec(("[a-z_]{1,12}", "[a-zA-Z0-9/.,-]{0,20}"), 0..12),
        ) {
            let text: String = pairs
                .iter()
                .map(|(name, value)| format!("{name} = {value}\n# {value}\n"))
                .collect();
            let found: Vec<_> = values(&text)
                .into_iter()
                .map(|(_, name, value)| (name, value))
                .collect();
            prop_assert_eq!(found, pairs);
        }
    }
}
