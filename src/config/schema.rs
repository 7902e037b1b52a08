//! Every option: its group, its names, how its value is read (contract/control-plane 1.3.4, 1.4).

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::{Curve, Options, Secret, TlsVersion};

/// An option.
pub(super) struct Entry {
    /// `DEFAULT` or the group's name.
    pub(super) group: &'static str,
    /// The option's name in files and, in the group DEFAULT, as a flag.
    pub(super) name: &'static str,
    /// The kernel parameter that sets its default.
    pub(super) kernel: Option<&'static str>,
    /// Whether a flag takes no value, with a second flag `--no<name>`.
    pub(super) switch: bool,
    /// Whether the value is kept out of logs, messages and the log archive: it is a [`Secret`] in
    /// the options, and what reads it is told to hide it, by value and by [`secret_names`].
    pub(super) secret: bool,
    /// Read the value into the options; the error says what the value should be.
    pub(super) set: fn(&mut Options, &str) -> Result<(), String>,
}

impl Entry {
    /// The name with its group where that is not DEFAULT.
    pub(super) fn full_name(&self) -> String {
        if self.group == "DEFAULT" {
            self.name.to_owned()
        } else {
            format!("[{}] {}", self.group, self.name)
        }
    }

    /// The environment variable that sets it.
    pub(super) fn variable(&self) -> String {
        format!("FARRIER_{}", self.name.replace('-', "_").to_uppercase())
    }
}

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
pub fn secret_names() -> impl Iterator<Item = String> {
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

macro_rules! entries {
    ($($group:literal $name:literal $kernel:expr, $kind:ident, $set:expr;)*) => {
        /// All options, in the contract's order.
        pub(super) static ENTRIES: &[Entry] = &[$(Entry {
            group: $group,
            name: $name,
            kernel: $kernel,
            switch: matches!(Kind::$kind, Kind::Switch),
            secret: matches!(Kind::$kind, Kind::Secret),
            set: $set,
        }),*];
    };
}

enum Kind {
    Secret,
    Switch,
    Value,
}

entries! {
    "DEFAULT" "api_url" Some("ipa-api-url"), Value, |o, v| urls(v).map(|v| o.api_url = v);
    "DEFAULT" "global_request_id" Some("ipa-global-request-id"), Value,
        |o, v| text(v).map(|v| o.global_request_id = v);
    "DEFAULT" "listen_host" Some("ipa-listen-host"), Value,
        |o, v| address(v).map(|v| o.listen_host = v);
    "DEFAULT" "listen_port" Some("ipa-listen-port"), Value,
        |o, v| number(v, 0..=65_535).map(|v| o.listen_port = v);
    "DEFAULT" "listen_tls" None, Switch, |o, v| boolean(v).map(|v| o.listen_tls = v);
    "DEFAULT" "tls_cert_file" None, Value,
        |o, v| text(v).map(|v| o.tls_cert_file = v.map(Into::into));
    "DEFAULT" "tls_key_file" None, Value,
        |o, v| text(v).map(|v| o.tls_key_file = v.map(Into::into));
    "DEFAULT" "enable_auto_tls" None, Switch, |o, v| boolean(v).map(|v| o.enable_auto_tls = v);
    "DEFAULT" "auto_tls_allowed_clock_skew" None, Value,
        |o, v| number(v, 0..=MAX).map(|v| o.auto_tls_allowed_clock_skew = v);
    "DEFAULT" "tls_min_version" Some("ipa-tls-min-version"), Value,
        |o, v| tls_version(v).map(|v| o.tls_min_version = v);
    "DEFAULT" "tls_cipher_suites" Some("ipa-tls-cipher-suites"), Value,
        |o, v| text(v).map(|v| o.tls_cipher_suites = v);
    "DEFAULT" "tls_certificate_curve" Some("ipa-tls-certificate-curve"), Value,
        |o, v| curve(v).map(|v| o.tls_certificate_curve = v);
    "DEFAULT" "advertise_host" Some("ipa-advertise-host"), Value,
        |o, v| text(v).map(|v| o.advertise_host = v);
    "DEFAULT" "advertise_port" Some("ipa-advertise-port"), Value,
        |o, v| number(v, 0..=65_535).map(|v| o.advertise_port = v);
    "DEFAULT" "advertise_protocol" Some("ipa-advertise-protocol"), Value,
        |o, v| one_of(v, &["http", "https"]).map(|v| o.advertise_protocol = v);
    "DEFAULT" "ip_lookup_attempts" Some("ipa-ip-lookup-attempts"), Value,
        |o, v| number(v, 1..=MAX).map(|v| o.ip_lookup_attempts = v);
    "DEFAULT" "ip_lookup_sleep" Some("ipa-ip-lookup-timeout"), Value,
        |o, v| number(v, 0..=MAX).map(|v| o.ip_lookup_sleep = v);
    "DEFAULT" "network_interface" Some("ipa-network-interface"), Value,
        |o, v| text(v).map(|v| o.network_interface = v);
    "DEFAULT" "lookup_timeout" Some("ipa-lookup-timeout"), Value,
        |o, v| number(v, 0..=MAX).map(|v| o.lookup_timeout = v);
    "DEFAULT" "lookup_interval" Some("ipa-lookup-interval"), Value,
        |o, v| number(v, 0..=MAX).map(|v| o.lookup_interval = v);
    "DEFAULT" "lldp_timeout" Some("ipa-lldp-timeout"), Value,
        |o, v| seconds(v).map(|v| o.lldp_timeout = v);
    "DEFAULT" "collect_lldp" Some("ipa-collect-lldp"), Switch,
        |o, v| boolean(v).map(|v| o.collect_lldp = v);
    "DEFAULT" "inspection_callback_url" Some("ipa-inspection-callback-url"), Value,
        |o, v| urls(v).map(|v| o.inspection_callback_url = v);
    "DEFAULT" "inspection_collectors" Some("ipa-inspection-collectors"), Value,
        |o, v| text(v).map(|v| o.inspection_collectors = v);
    "DEFAULT" "inspection_dhcp_wait_timeout" Some("ipa-inspection-dhcp-wait-timeout"), Value,
        |o, v| number(v, 0..=MAX).map(|v| o.inspection_dhcp_wait_timeout = v);
    "DEFAULT" "inspection_dhcp_all_interfaces" Some("ipa-inspection-dhcp-all-interfaces"), Switch,
        |o, v| boolean(v).map(|v| o.inspection_dhcp_all_interfaces = v);
    "DEFAULT" "hardware_initialization_delay" Some("ipa-hardware-initialization-delay"), Value,
        |o, v| number(v, 0..=MAX).map(|v| o.hardware_initialization_delay = v);
    "DEFAULT" "disk_wait_attempts" Some("ipa-disk-wait-attempts"), Value,
        |o, v| number(v, 0..=MAX).map(|v| o.disk_wait_attempts = v);
    "DEFAULT" "disk_wait_delay" Some("ipa-disk-wait-delay"), Value,
        |o, v| number(v, 0..=MAX).map(|v| o.disk_wait_delay = v);
    "DEFAULT" "insecure" Some("ipa-insecure"), Switch, |o, v| boolean(v).map(|v| o.insecure = v);
    "DEFAULT" "cafile" None, Value, |o, v| text(v).map(|v| o.cafile = v.map(Into::into));
    "DEFAULT" "certfile" None, Value, |o, v| text(v).map(|v| o.certfile = v.map(Into::into));
    "DEFAULT" "keyfile" None, Value, |o, v| text(v).map(|v| o.keyfile = v.map(Into::into));
    "DEFAULT" "ntp_server" Some("ipa-ntp-server"), Value,
        |o, v| text(v).map(|v| o.ntp_server = v);
    "DEFAULT" "fail_if_clock_not_set" None, Switch,
        |o, v| boolean(v).map(|v| o.fail_if_clock_not_set = v);
    "DEFAULT" "agent_token" Some("ipa-agent-token"), Secret,
        |o, v| secret(v).map(|v| o.agent_token = v);
    "DEFAULT" "image_server_user" None, Value, |o, v| text(v).map(|v| o.image_server_user = v);
    "DEFAULT" "image_server_password" None, Secret,
        |o, v| secret(v).map(|v| o.image_server_password = v);
    "DEFAULT" "image_server_auth_strategy" None, Value,
        |o, v| one_of(v, &["noauth", "http_basic"]).map(|v| o.image_server_auth_strategy = v);
    "DEFAULT" "image_download_connection_timeout" Some("ipa-image-download-connection-timeout"),
        Value, |o, v| number(v, 1..=MAX).map(|v| o.image_download_connection_timeout = v);
    "DEFAULT" "image_download_connection_retries" Some("ipa-image-download-connection-retries"),
        Value, |o, v| number(v, 0..=MAX).map(|v| o.image_download_connection_retries = v);
    "DEFAULT" "image_download_connection_retry_interval"
        Some("ipa-image-download-connection-retry-interval"),
        Value, |o, v| number(v, 0..=MAX).map(|v| o.image_download_connection_retry_interval = v);
    "DEFAULT" "image_download_max_duration" Some("ipa-image-download-max-duration"), Value,
        |o, v| number(v, 0..=MAX).map(|v| o.image_download_max_duration = v);
    "DEFAULT" "ironic_api_version" Some("ipa-ironic-api-version"), Value,
        |o, v| api_version(v).map(|v| o.ironic_api_version = v);
    "DEFAULT" "enable_vlan_interfaces" Some("ipa-enable-vlan-interfaces"), Value,
        |o, v| { v.trim().clone_into(&mut o.enable_vlan_interfaces); Ok(()) };
    "DEFAULT" "ignore_bootloader_failure" Some("ipa-ignore-bootloader-failure"), Switch,
        |o, v| boolean(v).map(|v| o.ignore_bootloader_failure = v);
    "DEFAULT" "inject_files_priority" Some("ipa-inject-files-priority"), Value,
        |o, v| number(v, 0..=99).map(|v| o.inject_files_priority = v);
    "DEFAULT" "guard-special-filesystems" Some("ipa-guard-special-filesystems"), Switch,
        |o, v| boolean(v).map(|v| o.guard_special_filesystems = v);
    "DEFAULT" "enable_discard_erase" Some("ipa-enable-discard-erase"), Switch,
        |o, v| boolean(v).map(|v| o.enable_discard_erase = v);
    "DEFAULT" "enable_scsi_sanitize" Some("ipa-enable-scsi-sanitize"), Switch,
        |o, v| boolean(v).map(|v| o.enable_scsi_sanitize = v);
    "DEFAULT" "enable_scsi_format_unit" Some("ipa-enable-scsi-format-unit"), Switch,
        |o, v| boolean(v).map(|v| o.enable_scsi_format_unit = v);
    "DEFAULT" "erase_record_url" Some("ipa-erase-record-url"), Secret,
        |o, v| url(v).map(|v| o.erase_record_url = v.map(Into::into));
    "DEFAULT" "erase_record_method" Some("ipa-erase-record-method"), Value,
        |o, v| one_of(v, &["POST", "PUT"]).map(|v| o.erase_record_method = v);
    "DEFAULT" "erase_record_required" Some("ipa-erase-record-required"), Switch,
        |o, v| boolean(v).map(|v| o.erase_record_required = v);
    "DEFAULT" "md5_enabled" Some("ipa-md5-enabled"), Switch,
        |o, v| boolean(v).map(|v| o.md5_enabled = v);
    "DEFAULT" "http_request_timeout" Some("ipa-http-request-timeout"), Value,
        |o, v| number(v, 1..=MAX).map(|v| o.http_request_timeout = v);
    "DEFAULT" "config_drive_rebuild" None, Switch,
        |o, v| boolean(v).map(|v| o.config_drive_rebuild = v);
    "DEFAULT" "disable_deep_image_inspection" None, Switch,
        |o, v| boolean(v).map(|v| o.disable_deep_image_inspection = v);
    "DEFAULT" "verify_written_image" Some("ipa-verify-written-image"), Switch,
        |o, v| boolean(v).map(|v| o.verify_written_image = v);
    "DEFAULT" "permitted_image_formats" None, Value,
        |o, v| { o.permitted_image_formats = list(v); Ok(()) };
    "DEFAULT" "disable_bootc_deploy" None, Switch,
        |o, v| boolean(v).map(|v| o.disable_bootc_deploy = v);
    "DEFAULT" "enable_bios_bootloader_install" None, Switch,
        |o, v| boolean(v).map(|v| o.enable_bios_bootloader_install = v);
    "DEFAULT" "hardware_manager_directories" Some("ipa-hardware-manager-directories"), Value,
        |o, v| directories(v).map(|v| o.hardware_manager_directories = v);
    "DEFAULT" "enabled_hardware_managers" Some("ipa-enabled-hardware-managers"), Value,
        |o, v| { o.enabled_hardware_managers = list(v); Ok(()) };
    "DEFAULT" "disabled_hardware_managers" Some("ipa-disabled-hardware-managers"), Value,
        |o, v| { o.disabled_hardware_managers = list(v); Ok(()) };
    "DEFAULT" "required_hardware_managers" Some("ipa-required-hardware-managers"), Value,
        |o, v| { o.required_hardware_managers = list(v); Ok(()) };
    "DEFAULT" "hardware_manager_step_timeout" Some("ipa-hardware-manager-step-timeout"), Value,
        |o, v| number(v, 1..=MAX).map(|v| o.hardware_manager_step_timeout = v);
    "DEFAULT" "debug" Some("ipa-debug"), Switch, |o, v| boolean(v).map(|v| o.debug = v);
    "disk_utils" "efi_system_partition_size" None, Value,
        |o, v| number(v, 1..=MAX).map(|v| o.efi_system_partition_size = v);
    "mdns" "use_mdns" Some("ipa-use-mdns"), Switch, |o, v| boolean(v).map(|v| o.use_mdns = v);
    "mdns" "allowed_overrides" None, Value,
        |o, v| { o.mdns_allowed_overrides = list(v); Ok(()) };
    "mdns" "lookup_attempts" None, Value,
        |o, v| number(v, 1..=MAX).map(|v| o.mdns_lookup_attempts = v);
    "mdns" "interfaces" None, Value,
        |o, v| addresses(v).map(|v| o.mdns_interfaces = v);
}

/// As many seconds, tries or MiB as anybody could mean; more would overflow a time.
const MAX: u64 = u32::MAX as u64;

fn text(value: &str) -> Result<Option<String>, String> {
    Ok(Some(value.trim())
        .filter(|value| !value.is_empty())
        .map(str::to_owned))
}

fn secret(value: &str) -> Result<Option<Secret>, String> {
    Ok(text(value)?.map(Secret::from))
}

fn list(value: &str) -> Vec<String> {
    value
        .split([',', '\n'])
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

fn directories(value: &str) -> Result<Vec<PathBuf>, String> {
    let directories: Vec<PathBuf> = list(value).into_iter().map(PathBuf::from).collect();
    if directories.iter().all(|directory| directory.is_absolute()) {
        Ok(directories)
    } else {
        Err("absolute paths, comma separated".to_owned())
    }
}

/// One URL; nothing where the value is empty.
fn url(value: &str) -> Result<Option<String>, String> {
    let value = value.trim();
    if value.is_empty() {
        return Ok(None);
    }
    let parsed = url::Url::parse(value);
    if parsed.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
        Ok(Some(value.to_owned()))
    } else {
        Err("it is an http:// or https:// URL".to_owned())
    }
}

fn urls(value: &str) -> Result<Vec<String>, String> {
    let urls = list(value);
    for url in &urls {
        let parsed = url::Url::parse(url);
        let usable = parsed
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some());
        if url != "mdns" && !usable {
            return Err("it is `mdns` or http:// or https:// URLs joined with commas".to_owned());
        }
    }
    Ok(urls)
}

fn addresses(value: &str) -> Result<Vec<IpAddr>, String> {
    let parsed: Result<_, _> = list(value).iter().map(|item| item.parse()).collect();
    parsed.map_err(|_| "it is addresses of this machine joined with commas".to_owned())
}

fn boolean(value: &str) -> Result<bool, String> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("it is true, 1, yes or on, or false, 0, no or off".to_owned()),
    }
}

fn number<T: TryFrom<u64>>(value: &str, range: RangeInclusive<u64>) -> Result<T, String> {
    value
        .trim()
        .parse::<u64>()
        .ok()
        .filter(|number| range.contains(number))
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| {
            format!(
                "it is a whole number from {} to {}",
                range.start(),
                range.end()
            )
        })
}

fn seconds(value: &str) -> Result<f64, String> {
    value
        .trim()
        .parse::<f64>()
        .ok()
        .filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
        .ok_or_else(|| "it is a number of seconds".to_owned())
}

fn address(value: &str) -> Result<Option<IpAddr>, String> {
    let bare = value.trim().trim_start_matches('[').trim_end_matches(']');
    if bare.is_empty() {
        return Ok(None);
    }
    if bare == "localhost" {
        return Ok(Some(IpAddr::from([127, 0, 0, 1])));
    }
    bare.parse()
        .map(Some)
        .map_err(|_| "it is an IPv4 or IPv6 address of this machine, or 0.0.0.0 or ::".to_owned())
}

fn one_of(value: &str, words: &[&str]) -> Result<String, String> {
    let value = value.trim();
    if words.contains(&value) {
        Ok(value.to_owned())
    } else {
        Err(format!("it is {}", words.join(" or ")))
    }
}

fn tls_version(value: &str) -> Result<TlsVersion, String> {
    TlsVersion::named(value.trim()).ok_or_else(|| "it is 1.2 or 1.3".to_owned())
}

fn curve(value: &str) -> Result<Curve, String> {
    match value.trim().to_ascii_lowercase().as_str() {
        "p256" => Ok(Curve::P256),
        "p384" => Ok(Curve::P384),
        "p521" => Ok(Curve::P521),
        _ => Err("it is p256, p384 or p521".to_owned()),
    }
}

fn api_version(value: &str) -> Result<Option<String>, String> {
    let Some(version) = text(value)? else {
        return Ok(None);
    };
    let known = version
        .split_once('.')
        .is_some_and(|(major, minor)| major == "1" && minor.parse::<u32>().is_ok());
    if known {
        Ok(Some(version))
    } else {
        Err("it is a version 1.N of the conductor's API".to_owned())
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
