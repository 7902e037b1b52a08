//! Every option: its names, its type, its default, how its value is read, and what it is for
//! (contract/control-plane 1.3.4, 1.4). What `--help` and the manual say of an option is its
//! documentation here.

use std::net::IpAddr;
use std::path::PathBuf;

use super::Secret;
use super::value::{
    Curve, MAX, TlsVersion, Value, address, addresses, api_version, boolean, curve, directories,
    list, number, one_of, path, seconds, secret, secret_url, text, tls_version, trimmed, urls,
};

/// An option.
pub(super) struct Entry {
    /// `DEFAULT` or the group's name.
    pub(super) group: &'static str,
    /// The option's name in files and, in the group DEFAULT, as a flag.
    pub(super) name: &'static str,
    /// The field of [`Options`] that holds it.
    #[cfg(test)]
    field: &'static str,
    /// The kernel parameter that sets its default.
    pub(super) kernel: Option<&'static str>,
    /// What it is for: the lines of its documentation, each with the space before it.
    documentation: &'static [&'static str],
    /// Whether a flag takes no value, with a second flag `--no<name>`.
    pub(super) switch: bool,
    /// Whether the value is kept out of logs, messages and the log archive: it is a [`Secret`] in
    /// the options, and what reads it is told to hide it, by value and by [`super::secret_names`].
    pub(super) secret: bool,
    /// Read the value into the options; the error says what the value should be.
    pub(super) set: fn(&mut Options, &str) -> Result<(), String>,
    /// The value in these options, as it could be set; empty where there is none.
    show: fn(&Options) -> String,
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

    /// What it is for.
    pub(super) fn purpose(&self) -> String {
        let purpose = self.documentation.concat();
        purpose.trim_start().trim_end_matches('.').to_owned()
    }

    /// Its default as it could be set; empty where there is none.
    pub(super) fn default(&self) -> String {
        (self.show)(&Options::default())
    }

    /// What a person reads of it: what it is for, its default, the kernel's name of it.
    pub(super) fn help(&self) -> String {
        let mut help = self.purpose();
        let default = self.default();
        if !default.is_empty() {
            help.push_str(&format!(" [default: {default}]"));
        }
        if let Some(key) = self.kernel {
            help.push_str(&format!(" (kernel: {key})"));
        }
        help
    }
}

/// Fields of [`Options`] with what else is to know of each: `field as "name": type = default,
/// reader, "kernel parameter";`. The name is left out where it is the field's, the parameter where
/// there is none. The fields of `unnamed` are set by no source.
macro_rules! options {
    (
        $([$group:ident] { $(
            $(#[doc = $documentation:literal])+
            $field:ident $(as $name:literal)?: $type:ty = $default:expr,
            $read:expr $(, $kernel:literal)?;
        )+ })+
        unnamed { $(
            $(#[doc = $unnamed_documentation:literal])+
            $unnamed:ident: $unnamed_type:ty = $unnamed_default:expr;
        )+ }
    ) => {
        /// The options as they are in force. Field names are the reference's option names; units
        /// are seconds and MiB.
        #[derive(Clone, Debug)]
        pub struct Options {
            $($($(#[doc = $documentation])+ pub $field: $type,)+)+
            $($(#[doc = $unnamed_documentation])+ pub $unnamed: $unnamed_type,)+
        }

        impl Default for Options {
            fn default() -> Self {
                Self {
                    $($($field: $default,)+)+
                    $($unnamed: $unnamed_default,)+
                }
            }
        }

        /// All options, in the contract's order.
        pub(super) static ENTRIES: &[Entry] = &[$($(Entry {
            group: stringify!($group),
            // What may be left out stands before what takes its place.
            name: [$($name,)? stringify!($field)][0],
            #[cfg(test)]
            field: stringify!($field),
            kernel: [$(Some($kernel),)? None][0],
            documentation: &[$($documentation),+],
            switch: <$type as Value>::SWITCH,
            secret: <$type as Value>::SECRET,
            set: |options, value| {
                options.$field = $read(value)?;
                Ok(())
            },
            show: |options| options.$field.shown(),
        },)+)+];

        /// How the value of each is read, in the words of its reader here; in the order of [`ENTRIES`].
        /// Beside them, so that the agent goes without: only [`mod@super::rows`] needs it.
        pub(super) static READERS: &[&str] = &[$($(stringify!($read),)+)+];

        #[cfg(test)]
        const UNNAMED: &[&str] = &[$(stringify!($unnamed)),+];
    };
}

options! {
    [DEFAULT] {
        /// The conductor's API root URLs, tried in order; `mdns` asks the network.
        api_url: Vec<String> = Vec::new(), urls, "ipa-api-url";
        /// Sent as `X-OpenStack-Request-ID` on every request to the conductor.
        global_request_id: Option<String> = None, text, "ipa-global-request-id";
        /// Address the command API binds to; unset: `::` where the kernel has IPv6, else `0.0.0.0`.
        listen_host: Option<IpAddr> = None, address, "ipa-listen-host";
        /// Port the command API binds to.
        listen_port: u16 = 9999, number(0..=65_535), "ipa-listen-port";
        /// Serve TLS with `tls_cert_file` and `tls_key_file` instead of an own certificate.
        listen_tls: bool = false, boolean;
        /// Server certificate, PEM.
        tls_cert_file: Option<PathBuf> = None, path;
        /// Server key, PEM.
        tls_key_file: Option<PathBuf> = None, path;
        /// Make a self-signed certificate and serve TLS with it.
        enable_auto_tls: bool = true, boolean;
        /// Seconds taken off the own certificate's notBefore.
        auto_tls_allowed_clock_skew: u64 = 3600, number(0..=MAX);
        /// Lowest TLS version, as server and as client.
        tls_min_version: TlsVersion = TlsVersion::Tls12, tls_version, "ipa-tls-min-version";
        /// TLS 1.2 cipher suites, OpenSSL's names joined with `:`.
        tls_cipher_suites: Option<String> = None, text, "ipa-tls-cipher-suites";
        /// Curve of the own certificate's key.
        tls_certificate_curve: Curve = Curve::P384, curve, "ipa-tls-certificate-curve";
        /// Address put into the callback URL; unset: found by route.
        advertise_host: Option<String> = None, text, "ipa-advertise-host";
        /// Port put into the callback URL.
        advertise_port: u16 = 9999, number(0..=65_535), "ipa-advertise-port";
        /// Scheme put into the callback URL; an own certificate makes it `https`.
        advertise_protocol: String = "http".to_owned(),
            one_of(&["http", "https"]), "ipa-advertise-protocol";
        /// Rounds of the search for the advertised address, at least 1.
        ip_lookup_attempts: u32 = 6, number(1..=MAX), "ipa-ip-lookup-attempts";
        /// Seconds between the rounds of that search.
        ip_lookup_sleep: u64 = 10, number(0..=MAX), "ipa-ip-lookup-timeout";
        /// Take the advertised address from this interface.
        network_interface: Option<String> = None, text, "ipa-network-interface";
        /// Seconds for all tries of a lookup.
        lookup_timeout: u64 = 600, number(0..=MAX), "ipa-lookup-timeout";
        /// Least seconds between two tries of a lookup.
        lookup_interval: u64 = 1, number(0..=MAX), "ipa-lookup-interval";
        /// Seconds to listen for LLDP.
        lldp_timeout: f64 = 30.0, seconds, "ipa-lldp-timeout";
        /// Put LLDP into the inventory.
        collect_lldp: bool = false, boolean, "ipa-collect-lldp";
        /// Where inspection data goes.
        inspection_callback_url: Vec<String> = Vec::new(), urls, "ipa-inspection-callback-url";
        /// Collectors in order, comma separated; unset: `default,logs`.
        inspection_collectors: Option<String> = None, text, "ipa-inspection-collectors";
        /// Seconds to wait for an address before inspection; 0 does not wait.
        inspection_dhcp_wait_timeout: u64 = 60, number(0..=MAX), "ipa-inspection-dhcp-wait-timeout";
        /// Wait for an address on all interfaces.
        inspection_dhcp_all_interfaces: bool = false, boolean, "ipa-inspection-dhcp-all-interfaces";
        /// Seconds to wait after the managers were initialised.
        hardware_initialization_delay: u64 = 0,
            number(0..=MAX), "ipa-hardware-initialization-delay";
        /// How often the root disk is looked for; 0 does not wait.
        disk_wait_attempts: u32 = 10, number(0..=MAX), "ipa-disk-wait-attempts";
        /// Seconds between two looks for the root disk.
        disk_wait_delay: u64 = 3, number(0..=MAX), "ipa-disk-wait-delay";
        /// Do not verify the servers' certificates.
        insecure: bool = false, boolean, "ipa-insecure";
        /// CA bundle for outbound HTTPS; unset: the system's.
        cafile: Option<PathBuf> = None, path;
        /// Client certificate for outbound HTTPS.
        certfile: Option<PathBuf> = None, path;
        /// Key of the client certificate.
        keyfile: Option<PathBuf> = None, path;
        /// `farrier inspect` goes on: it collects and hands in anew again and again.
        introspection_daemon: bool = false, boolean;
        /// Seconds between two inspections of that, at least 1; by chance from 0.7 to 1.2 times that.
        introspection_daemon_post_interval: u64 = 300, number(1..=MAX);
        /// NTP server for the clock.
        ntp_server: Option<String> = None, text, "ipa-ntp-server";
        /// A clock that cannot be set is an error.
        fail_if_clock_not_set: bool = false, boolean;
        /// Token agreed before the boot.
        agent_token: Option<Secret> = None, secret, "ipa-agent-token";
        // The reference does not have this one.
        /// Let a conductor read results without the token, until one reads with it: Ironic older than 29.0.0 (26.1.2,
        /// 24.1.4, 23.0.5 in their series).
        allow_reads_without_token: bool = false, boolean, "ipa-allow-reads-without-token";
        /// User for images, with `http_basic`.
        image_server_user: Option<String> = None, text;
        /// Password for images, with `http_basic`.
        image_server_password: Option<Secret> = None, secret;
        /// How images are asked for: `noauth` or `http_basic`.
        image_server_auth_strategy: String = "noauth".to_owned(), one_of(&["noauth", "http_basic"]);
        /// Seconds for a connection or a read of a download, at least 1.
        image_download_connection_timeout: u64 = 60,
            number(1..=MAX), "ipa-image-download-connection-timeout";
        /// Tries of a download after the first.
        image_download_connection_retries: u32 = 9,
            number(0..=MAX), "ipa-image-download-connection-retries";
        /// Seconds between two tries of a download.
        image_download_connection_retry_interval: u64 = 10,
            number(0..=MAX), "ipa-image-download-connection-retry-interval";
        /// Seconds for a download in all; 0 sets no limit.
        image_download_max_duration: u64 = 0, number(0..=MAX), "ipa-image-download-max-duration";
        /// The conductor's API version, `1.N`; unset: it is asked for.
        ironic_api_version: Option<String> = None, api_version, "ipa-ironic-api-version";
        /// VLAN interfaces to make.
        enable_vlan_interfaces: String = String::new(), trimmed, "ipa-enable-vlan-interfaces";
        /// A boot loader that cannot be installed is no error.
        ignore_bootloader_failure: bool = false, boolean, "ipa-ignore-bootloader-failure";
        /// Priority of the step inject_files, 0 to 99.
        inject_files_priority: u32 = 0, number(0..=99), "ipa-inject-files-priority";
        /// Refuse to erase shared cluster file systems.
        guard_special_filesystems as "guard-special-filesystems": bool = true,
            boolean, "ipa-guard-special-filesystems";
        /// Allow a verified discard as an erase.
        enable_discard_erase: bool = false, boolean, "ipa-enable-discard-erase";
        // The reference does not have this one and the next.
        /// Let SCSI disks erase themselves with SANITIZE.
        enable_scsi_sanitize: bool = false, boolean, "ipa-enable-scsi-sanitize";
        /// Let SCSI disks erase themselves with FORMAT UNIT.
        enable_scsi_format_unit: bool = false, boolean, "ipa-enable-scsi-format-unit";
        /// Where erase records are sent: an `http://` or `https://` URL.
        erase_record_url: Option<Secret> = None, secret_url, "ipa-erase-record-url";
        /// How erase records are sent: `POST` to the URL, or `PUT` below it.
        erase_record_method: String = "POST".to_owned(),
            one_of(&["POST", "PUT"]), "ipa-erase-record-method";
        /// A device whose record did not arrive is a failure, although it is erased.
        erase_record_required: bool = false, boolean, "ipa-erase-record-required";
        /// Allow MD5 image checksums.
        md5_enabled: bool = false, boolean, "ipa-md5-enabled";
        /// Seconds for a request to the conductor, at least 1.
        http_request_timeout: u64 = 30, number(1..=MAX), "ipa-http-request-timeout";
        /// Always rebuild the config drive on the disk.
        config_drive_rebuild: bool = false, boolean;
        /// Do not look into images for what they are.
        disable_deep_image_inspection: bool = false, boolean;
        // The reference does not have this one.
        /// Read a written image from the disk again and compare it before the disk becomes bootable.
        verify_written_image: bool = false, boolean, "ipa-verify-written-image";
        /// Image formats that may be written.
        permitted_image_formats: Vec<String> = ["raw", "gpt", "qcow2"].map(str::to_owned).to_vec(),
            list;
        /// Refuse bootc deployments.
        disable_bootc_deploy: bool = false, boolean;
        /// Allow GRUB to be installed for BIOS.
        enable_bios_bootloader_install: bool = false, boolean;
        // The reference does not have this one and the four below.
        /// Where plugins lie, the first directory first.
        hardware_manager_directories: Vec<PathBuf> = vec!["/opt/farrier/plugins".into()],
            directories, "ipa-hardware-manager-directories";
        /// The plugins to start, by name; empty starts all. Their order is that of equal support levels.
        enabled_hardware_managers: Vec<String> = Vec::new(), list, "ipa-enabled-hardware-managers";
        /// Plugins not to start, by name.
        disabled_hardware_managers: Vec<String> = Vec::new(),
            list, "ipa-disabled-hardware-managers";
        /// Hardware managers without which no step is offered or run: names of plugins, managers or
        /// classes.
        required_hardware_managers: Vec<String> = Vec::new(),
            list, "ipa-required-hardware-managers";
        /// Seconds that a step of a plugin may take.
        hardware_manager_step_timeout: u64 = 86_400,
            number(1..=MAX), "ipa-hardware-manager-step-timeout";
        /// Log more.
        debug: bool = false, boolean, "ipa-debug";
    }
    [disk_utils] {
        /// MiB of the EFI system partition of partition images.
        efi_system_partition_size: u64 = 550, number(1..=MAX);
    }
    [metrics] {
        /// Where timers of requests go: `noop` and `collector` drop them, `statsd` sends them.
        metrics_backend as "backend": String = "noop".to_owned(),
            one_of(&["noop", "statsd", "collector"]);
        /// Put the host's name before the names of timers.
        metrics_prepend_host as "prepend_host": bool = false, boolean;
        /// Put the parts of the host's name in reverse: `example.node7` for `node7.example`.
        metrics_prepend_host_reverse as "prepend_host_reverse": bool = true, boolean;
        // In files the reference does not have this one.
        /// Put the node's UUID before the names of timers.
        metrics_prepend_uuid as "prepend_uuid": bool = false, boolean;
        /// Put this before the names of timers.
        metrics_global_prefix as "global_prefix": Option<String> = None, text;
    }
    [metrics_statsd] {
        /// The statsd server: a name or an address.
        statsd_host: String = "localhost".to_owned(), trimmed;
        /// The UDP port of the statsd server.
        statsd_port: u16 = 8125, number(0..=65_535);
    }
    [mdns] {
        /// Look for the conductor with mDNS when no `api_url` is set.
        use_mdns: bool = false, boolean, "ipa-use-mdns";
        /// Options of the group DEFAULT that an mDNS answer may set.
        mdns_allowed_overrides as "allowed_overrides": Vec<String> =
            ["inspection_callback_url", "ntp_server"].map(str::to_owned).to_vec(), list;
        /// How often a service is looked for with mDNS.
        mdns_lookup_attempts as "lookup_attempts": u32 = 3, number(1..=MAX);
        /// Addresses of this machine to ask from with mDNS; empty means all.
        mdns_interfaces as "interfaces": Vec<IpAddr> = Vec::new(), addresses;
    }
    unnamed {
        /// The parameter `BOOTIF` as it stands, of the kernel's line or of virtual media.
        boot_interface: Option<String> = None;
        /// Leave the management controller out of inventories, because the conductor knows it better. No
        /// option, only a lookup says so.
        skip_bmc_detect: bool = false;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{ENTRIES, UNNAMED};

    /// Nothing reads this: what it forbids is never done.
    const UNREAD: [&str; 1] = ["disable_bootc_deploy"];

    /// The sources outside this room, joined, without tests and without what a lookup writes.
    fn readers(directory: &Path, text: &mut String) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let writes = ["config", "tests", "tests.rs", "conductor/answer.rs"];
            if writes.iter().any(|end| path.ends_with(end)) {
                continue;
            }
            if path.is_dir() {
                readers(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }

    #[test]
    fn every_option_has_a_reader() {
        let mut text = String::new();
        readers(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
            &mut text,
        );
        let mut fields: Vec<&str> = ENTRIES.iter().map(|entry| entry.field).collect();
        fields.extend(UNNAMED);
        assert!(fields.len() > 70, "{fields:?}");
        for field in fields {
            let is_read = text.match_indices(&format!(".{field}")).any(|(at, found)| {
                let next = text[at + found.len()..].chars().next();
                next.is_none_or(|next| !next.is_alphanumeric() && next != '_')
            });
            assert_eq!(is_read, !UNREAD.contains(&field), "{field}");
        }
    }
}
