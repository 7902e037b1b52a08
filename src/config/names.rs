//! The names that options go by.

use super::Options;
use super::options::{ENTRIES, Entry};

/// The option of this group and name in a file; deprecated names are known too.
pub(super) fn in_file(group: &str, name: &str) -> Option<&'static Entry> {
    let (group, name) = match (group, name) {
        ("ssl", "cert_file") => ("DEFAULT", "tls_cert_file"),
        ("ssl", "key_file") => ("DEFAULT", "tls_key_file"),
        ("DEFAULT", "guard_special_filesystems") => ("DEFAULT", "guard-special-filesystems"),
        other => other,
    };
    ENTRIES
        .iter()
        .find(|entry| entry.group == group && entry.name == name)
}

/// Every name that an option with a secret value goes by, in lower case: in files and flags, in the
/// environment (`farrier_` and the name), on the kernel's command line (`ipa-` and the name).
pub(crate) fn secret_names() -> impl Iterator<Item = String> {
    let secrets = ENTRIES.iter().filter(|entry| entry.secret);
    secrets.flat_map(|entry| {
        let underscores = entry.name.replace('-', "_").to_lowercase();
        let hyphens = underscores.replace('_', "-");
        let kernel = entry.kernel.map(str::to_lowercase);
        [Some(underscores), Some(hyphens), kernel]
            .into_iter()
            .flatten()
    })
}

impl Options {
    /// Set the option of the group DEFAULT with this name, as a file would.
    ///
    /// # Errors
    /// What is wrong with the name or the value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let entry = in_file("DEFAULT", name).ok_or("there is no such option")?;
        (entry.set)(self, value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names = HashSet::new();
        let mut kernel = HashSet::new();
        for entry in ENTRIES {
            assert!(names.insert(entry.name), "{}", entry.name);
            if let Some(key) = entry.kernel {
                assert!(kernel.insert(key), "{key}");
            }
        }
    }

    #[test]
    fn each_switch_reads_booleans_and_nothing_else() {
        for entry in ENTRIES.iter().filter(|entry| entry.switch) {
            let mut options = Options::default();
            for value in ["True", "1", "yes", "ON", "false", "0", "No", "off"] {
                (entry.set)(&mut options, value).unwrap();
            }
            for value in ["", "2", "maybe", "\"true\""] {
                (entry.set)(&mut options, value).unwrap_err();
            }
        }
    }

    #[test]
    fn values_are_checked() {
        for (name, good, bad) in [
            (
                "api_url",
                "http://10.0.0.1:6385,https://[2001:db8::1]:6385/x",
                "ftp://h/",
            ),
            ("api_url", "mdns", "10.0.0.1:6385"),
            ("listen_host", "::", "host.example"),
            ("listen_port", "0", "65536"),
            ("tls_min_version", "1.3", "1.1"),
            ("tls_certificate_curve", "p521", "p192"),
            ("ip_lookup_attempts", "1", "0"),
            ("inject_files_priority", "99", "100"),
            ("lookup_timeout", "600", "-1"),
            ("lldp_timeout", "0.5", "NaN"),
            ("ironic_api_version", "1.68", "2"),
            ("advertise_protocol", "https", "HTTPS"),
            ("erase_record_url", "https://h/records?a,b", "ftp://h/"),
            ("erase_record_method", "PUT", "PATCH"),
        ] {
            let entry = in_file("DEFAULT", name).unwrap();
            (entry.set)(&mut Options::default(), good).unwrap();
            (entry.set)(&mut Options::default(), bad).unwrap_err();
        }
    }
}
