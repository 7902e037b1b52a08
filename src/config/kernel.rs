//! Parameters as on the kernel's command line (contract/control-plane 1.3.1).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// `key=value` pairs; the last one of a key counts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KernelParameters(BTreeMap<String, String>);

impl KernelParameters {
    /// Read `proc/cmdline` under this root; empty where there is none.
    pub fn read(root: &Path) -> Self {
        let line = fs::read(root.join("proc/cmdline")).unwrap_or_default();
        Self::parse(&String::from_utf8_lossy(&line))
    }

    /// Split at white space; words without `=` are left out, words are split at the first `=`,
    /// quotes stay in the value, the last one of a key wins.
    pub fn parse(text: &str) -> Self {
        Self(
            text.split_whitespace()
                .filter_map(|word| word.split_once('='))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    /// The value of a parameter.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Whether the machine was booted from virtual media, as the conductor says it
    /// (`boot_method=vmedia`).
    pub fn is_virtual_media_boot(&self) -> bool {
        self.value("boot_method") == Some("vmedia")
    }

    /// Put the other parameters over these.
    pub fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
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
    fn virtual_media_win() {
        let mut parameters = KernelParameters::parse("boot_method=vmedia a=1 b=1");
        parameters.merge(KernelParameters::parse("a=2"));
        assert!(parameters.is_virtual_media_boot());
        assert_eq!(parameters.value("a"), Some("2"));
        assert_eq!(parameters.value("b"), Some("1"));
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
            prop_assert_eq!(KernelParameters::parse(&line).0, pairs);
        }
    }
}
