//! Parameters as on the kernel's command line (contract/control-plane 1.3.1).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// `key=value` pairs, the last one of a key counts; and words without a value.
#[derive(Clone, Default, Eq, PartialEq)]
pub(crate) struct KernelParameters {
    values: BTreeMap<String, String>,
    words: BTreeSet<String>,
}

/// Names alone: the token is a value.
impl fmt::Debug for KernelParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.values.keys().chain(&self.words);
        f.debug_set().entries(names).finish()
    }
}

impl KernelParameters {
    /// Split at white space and each word at its first `=`; quotes stay in the value, the last one
    /// of a key wins.
    pub(crate) fn parse(text: &str) -> Self {
        let mut parameters = Self::default();
        for word in text.split_whitespace() {
            match word.split_once('=') {
                Some((key, value)) => {
                    parameters.values.insert(key.to_owned(), value.to_owned());
                }
                None => {
                    parameters.words.insert(word.to_owned());
                }
            }
        }
        parameters
    }

    /// The value of a parameter; `None` also for a word without `=`, which is no parameter to the
    /// reference.
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// The value of a parameter that may stand alone, without the quotes around it: empty for
    /// `key`, `x` for `key=x` and `key="x"`.
    pub(crate) fn value_or_word(&self, key: &str) -> Option<&str> {
        let value = self.value(key).map(|value| value.trim_matches('"'));
        value.or_else(|| self.words.contains(key).then_some(""))
    }

    /// The hardware address of the interface that the machine was booted from, as it stands in
    /// `BOOTIF` (`01-52-54-…` from PXELINUX, `52:54:…` from iPXE); `None` where it is empty.
    pub(crate) fn boot_interface(&self) -> Option<&str> {
        self.value("BOOTIF")
            .map(|interface| interface.trim_matches('"'))
            .filter(|interface| !interface.is_empty())
    }

    /// Whether the machine was booted from virtual media, as the conductor says it
    /// (`boot_method=vmedia`).
    pub(crate) fn is_virtual_media_boot(&self) -> bool {
        self.value("boot_method") == Some("vmedia")
    }

    /// Whether more parameters must be expected on virtual media: there is nothing here that would
    /// lead to a conductor. A conductor that puts them on the command line puts all of them there.
    pub(crate) fn awaits_virtual_media(&self) -> bool {
        let leads_to_conductor = ["ipa-api-url", "ipa-inspection-callback-url"]
            .iter()
            .any(|key| self.value(key).is_some());
        self.is_virtual_media_boot() && !leads_to_conductor
    }

    /// Put the other parameters over these.
    pub(crate) fn merge(&mut self, other: Self) {
        self.values.extend(other.values);
        self.words.extend(other.words);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_line_is_read_as_the_reference_reads_it() {
        let parameters = KernelParameters::parse(
            "BOOT_IMAGE=/vmlinuz ro nofb ipa-api-url=http://10.0.0.1:6385/?a=b \
             x=\"quoted y\" x=2 =nameless empty=\n",
        );
        assert_eq!(
            parameters.value("ipa-api-url"),
            Some("http://10.0.0.1:6385/?a=b")
        );
        assert_eq!(parameters.value("x"), Some("2"));
        assert_eq!(parameters.value("empty"), Some(""));
        assert_eq!(parameters.value("ro"), None);
    }

    #[test]
    fn a_word_without_a_value_can_be_a_parameter() {
        let parameters = KernelParameters::parse("quiet farrier.shell y=\"ttyS1\" y.z=");
        assert_eq!(parameters.value_or_word("farrier.shell"), Some(""));
        assert_eq!(parameters.value_or_word("y"), Some("ttyS1"));
        assert_eq!(parameters.value_or_word("y.z"), Some(""));
        assert_eq!(parameters.value_or_word("x"), None);
    }

    #[test]
    fn the_boot_interface_is_the_last_one_without_quotes() {
        for (line, expected) in [
            ("BOOTIF=a quiet BOOTIF=\"b\"", Some("b")),
            ("BOOTIF=", None),
            ("BOOTIF", None),
        ] {
            let parameters = KernelParameters::parse(line);
            assert_eq!(parameters.boot_interface(), expected, "{line}");
        }
    }

    #[test]
    fn virtual_media_win() {
        let mut parameters = KernelParameters::parse("boot_method=vmedia a=1 b=1");
        parameters.merge(KernelParameters::parse("a=2\nfarrier.shell\n"));
        assert!(parameters.is_virtual_media_boot());
        assert_eq!(parameters.value("a"), Some("2"));
        assert_eq!(parameters.value("b"), Some("1"));
        assert_eq!(parameters.value_or_word("farrier.shell"), Some(""));
    }

    #[test]
    fn only_a_boot_that_knows_no_conductor_waits_for_media() {
        for (line, expected) in [
            ("boot_method=vmedia console=ttyS0", true),
            ("boot_method=vmedia ipa-api-url=http://h", false),
            (
                "boot_method=vmedia ipa-inspection-callback-url=http://h",
                false,
            ),
            ("console=ttyS0", false),
        ] {
            let parameters = KernelParameters::parse(line);
            assert_eq!(parameters.awaits_virtual_media(), expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_read(line in "\\PC{0,200}") {
            let _ = KernelParameters::parse(&line);
        }

        #[test]
        fn what_is_written_is_read(
            pairs in prop::collection::btree_map("[a-z_.-]{1,12}", "[!-~&&[^ ]]{0,20}", 0..12),
            noise in "[a-z]{0,8}",
        ) {
            let line = pairs
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect::<Vec<_>>()
                .join(&format!(" {noise}\t"));
            prop_assert_eq!(KernelParameters::parse(&line).values, pairs);
        }
    }
}
