//! Every option, its type and its default (contract/control-plane 1.4).

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use super::Secret;

/// The options as they are in force. Field names are the reference's option names; units are
/// seconds and MiB.
#[derive(Clone, Debug)]
pub struct Options {
    /// The conductor's API root URLs, tried in order; `mdns` asks the network.
    pub api_url: Vec<String>,
    /// Sent as `X-OpenStack-Request-ID` on every request to the conductor.
    pub global_request_id: Option<String>,
    /// Address the command API binds to; `None` is `::` where the kernel has IPv6, else `0.0.0.0`.
    pub listen_host: Option<IpAddr>,
    /// Port the command API binds to.
    pub listen_port: u16,
    /// Serve TLS with `tls_cert_file` and `tls_key_file` instead of an own certificate.
    pub listen_tls: bool,
    /// Server certificate, PEM.
    pub tls_cert_file: Option<PathBuf>,
    /// Server key, PEM.
    pub tls_key_file: Option<PathBuf>,
    /// Make a self-signed certificate and serve TLS with it.
    pub enable_auto_tls: bool,
    /// Seconds taken off the own certificate's notBefore.
    pub auto_tls_allowed_clock_skew: u64,
    /// Lowest TLS version, as server and as client.
    pub tls_min_version: TlsVersion,
    /// TLS 1.2 cipher suites, OpenSSL's names joined with `:`.
    pub tls_cipher_suites: Option<String>,
    /// Curve of the own certificate's key.
    pub tls_certificate_curve: Curve,
    /// Address put into the callback URL; `None` finds it by route.
    pub advertise_host: Option<String>,
    /// Port put into the callback URL.
    pub advertise_port: u16,
    /// Scheme put into the callback URL; an own certificate makes it `https`.
    pub advertise_protocol: String,
    /// Rounds of the search for the advertised address, at least 1.
    pub ip_lookup_attempts: u32,
    /// Seconds between those rounds.
    pub ip_lookup_sleep: u64,
    /// Take the advertised address from this interface.
    pub network_interface: Option<String>,
    /// Seconds for all tries of a lookup.
    pub lookup_timeout: u64,
    /// Least seconds between two tries of a lookup.
    pub lookup_interval: u64,
    /// Seconds to listen for LLDP.
    pub lldp_timeout: f64,
    /// Put LLDP into the inventory.
    pub collect_lldp: bool,
    /// Where inspection data goes.
    pub inspection_callback_url: Vec<String>,
    /// Collectors in order, comma separated; `default,logs` when unset.
    pub inspection_collectors: Option<String>,
    /// Seconds to wait for an address before inspection; 0 does not wait.
    pub inspection_dhcp_wait_timeout: u64,
    /// Wait for an address on all interfaces.
    pub inspection_dhcp_all_interfaces: bool,
    /// Seconds to wait after the managers were initialised.
    pub hardware_initialization_delay: u64,
    /// How often the root disk is looked for; 0 does not wait.
    pub disk_wait_attempts: u32,
    /// Seconds between two looks.
    pub disk_wait_delay: u64,
    /// Do not verify the servers' certificates.
    pub insecure: bool,
    /// CA bundle for outbound HTTPS; `None` is the system's.
    pub cafile: Option<PathBuf>,
    /// Client certificate for outbound HTTPS.
    pub certfile: Option<PathBuf>,
    /// Key of the client certificate.
    pub keyfile: Option<PathBuf>,
    /// NTP server for the clock.
    pub ntp_server: Option<String>,
    /// A clock that cannot be set is an error.
    pub fail_if_clock_not_set: bool,
    /// Token agreed before the boot.
    pub agent_token: Option<Secret>,
    /// User for images, with `http_basic`.
    pub image_server_user: Option<String>,
    /// Password for images, with `http_basic`.
    pub image_server_password: Option<Secret>,
    /// `noauth` or `http_basic`.
    pub image_server_auth_strategy: String,
    /// Seconds for a connection or a read, at least 1.
    pub image_download_connection_timeout: u64,
    /// Tries after the first.
    pub image_download_connection_retries: u32,
    /// Seconds between two tries.
    pub image_download_connection_retry_interval: u64,
    /// Seconds for a download in all; 0 sets no limit.
    pub image_download_max_duration: u64,
    /// The conductor's API version, `1.N`; `None` asks for it.
    pub ironic_api_version: Option<String>,
    /// VLAN interfaces to make.
    pub enable_vlan_interfaces: String,
    /// A boot loader that cannot be installed is no error.
    pub ignore_bootloader_failure: bool,
    /// Priority of the step inject_files, 0 to 99.
    pub inject_files_priority: u32,
    /// Refuse to erase shared cluster file systems.
    pub guard_special_filesystems: bool,
    /// Allow a verified discard as an erase.
    pub enable_discard_erase: bool,
    /// Let SCSI disks erase themselves with SANITIZE. An option of farrier's own, like the next.
    pub enable_scsi_sanitize: bool,
    /// Let SCSI disks erase themselves with FORMAT UNIT.
    pub enable_scsi_format_unit: bool,
    /// Where erase records are sent: an `http://` or `https://` URL.
    pub erase_record_url: Option<Secret>,
    /// How they are sent: `POST` to the URL, or `PUT` below it.
    pub erase_record_method: String,
    /// A device whose record did not arrive is a failure, although it is erased.
    pub erase_record_required: bool,
    /// Allow MD5 image checksums.
    pub md5_enabled: bool,
    /// Seconds for a request to the conductor, at least 1.
    pub http_request_timeout: u64,
    /// Always rebuild the config drive on the disk.
    pub config_drive_rebuild: bool,
    /// Do not look into images for what they are.
    pub disable_deep_image_inspection: bool,
    /// Read a written image from the disk again and compare it before the disk becomes bootable.
    /// An option of farrier's own.
    pub verify_written_image: bool,
    /// Image formats that may be written.
    pub permitted_image_formats: Vec<String>,
    /// Refuse bootc deployments.
    pub disable_bootc_deploy: bool,
    /// Allow GRUB to be installed for BIOS.
    pub enable_bios_bootloader_install: bool,
    /// Where plugins lie, the first directory first. An option of farrier's own, like the four
    /// below.
    pub hardware_manager_directories: Vec<PathBuf>,
    /// The plugins to start, by name; empty starts all. Their order is that of equal support levels.
    pub enabled_hardware_managers: Vec<String>,
    /// Plugins not to start, by name.
    pub disabled_hardware_managers: Vec<String>,
    /// Hardware managers without which no step is offered or run: names of plugins, managers or
    /// classes.
    pub required_hardware_managers: Vec<String>,
    /// Seconds that a step of a plugin may take.
    pub hardware_manager_step_timeout: u64,
    /// MiB of the EFI system partition of partition images.
    pub efi_system_partition_size: u64,
    /// Look for the conductor with mDNS when no `api_url` is set.
    pub use_mdns: bool,
    /// Options of the group DEFAULT that an mDNS answer may set.
    pub mdns_allowed_overrides: Vec<String>,
    /// How often a service is looked for with mDNS.
    pub mdns_lookup_attempts: u32,
    /// Addresses of this machine to ask from with mDNS; empty means all.
    pub mdns_interfaces: Vec<IpAddr>,
    /// Log more.
    pub debug: bool,
    /// The parameter `BOOTIF` as it stands, of the kernel's line or of virtual media.
    pub boot_interface: Option<String>,
    /// Leave the management controller out of inventories, because the conductor knows it better. No
    /// option, only a lookup says so.
    pub skip_bmc_detect: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            api_url: Vec::new(),
            global_request_id: None,
            listen_host: None,
            listen_port: 9999,
            listen_tls: false,
            tls_cert_file: None,
            tls_key_file: None,
            enable_auto_tls: true,
            auto_tls_allowed_clock_skew: 3600,
            tls_min_version: TlsVersion::Tls12,
            tls_cipher_suites: None,
            tls_certificate_curve: Curve::P384,
            advertise_host: None,
            advertise_port: 9999,
            advertise_protocol: "http".to_owned(),
            ip_lookup_attempts: 6,
            ip_lookup_sleep: 10,
            network_interface: None,
            lookup_timeout: 600,
            lookup_interval: 1,
            lldp_timeout: 30.0,
            collect_lldp: false,
            inspection_callback_url: Vec::new(),
            inspection_collectors: None,
            inspection_dhcp_wait_timeout: 60,
            inspection_dhcp_all_interfaces: false,
            hardware_initialization_delay: 0,
            disk_wait_attempts: 10,
            disk_wait_delay: 3,
            insecure: false,
            cafile: None,
            certfile: None,
            keyfile: None,
            ntp_server: None,
            fail_if_clock_not_set: false,
            agent_token: None,
            image_server_user: None,
            image_server_password: None,
            image_server_auth_strategy: "noauth".to_owned(),
            image_download_connection_timeout: 60,
            image_download_connection_retries: 9,
            image_download_connection_retry_interval: 10,
            image_download_max_duration: 0,
            ironic_api_version: None,
            enable_vlan_interfaces: String::new(),
            ignore_bootloader_failure: false,
            inject_files_priority: 0,
            guard_special_filesystems: true,
            enable_discard_erase: false,
            enable_scsi_sanitize: false,
            enable_scsi_format_unit: false,
            erase_record_url: None,
            erase_record_method: "POST".to_owned(),
            erase_record_required: false,
            md5_enabled: false,
            http_request_timeout: 30,
            config_drive_rebuild: false,
            disable_deep_image_inspection: false,
            verify_written_image: false,
            permitted_image_formats: ["raw", "gpt", "qcow2"].map(str::to_owned).to_vec(),
            disable_bootc_deploy: false,
            enable_bios_bootloader_install: false,
            hardware_manager_directories: vec!["/opt/farrier/plugins".into()],
            enabled_hardware_managers: Vec::new(),
            disabled_hardware_managers: Vec::new(),
            required_hardware_managers: Vec::new(),
            hardware_manager_step_timeout: 86_400,
            efi_system_partition_size: 550,
            use_mdns: false,
            mdns_allowed_overrides: ["inspection_callback_url", "ntp_server"]
                .map(str::to_owned)
                .to_vec(),
            mdns_lookup_attempts: 3,
            mdns_interfaces: Vec::new(),
            debug: false,
            boot_interface: None,
            skip_bmc_detect: false,
        }
    }
}

/// A TLS version that can be the lowest allowed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl TlsVersion {
    /// The version of this name, `1.2` or `1.3`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "1.2" => Some(Self::Tls12),
            "1.3" => Some(Self::Tls13),
            _ => None,
        }
    }
}

/// The curve of the own certificate's key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
}

/// The options in force, shared by all rooms: a lookup replaces some of them
/// (contract/control-plane 2.4).
#[derive(Clone, Debug, Default)]
pub struct Live(Arc<RwLock<Arc<Options>>>);

impl Live {
    /// Share these options.
    pub fn new(options: Options) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(options))))
    }

    /// The options as they are now.
    pub fn current(&self) -> Arc<Options> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Change some of them; who holds an earlier [`Live::current`] keeps what it had.
    pub fn change(&self, change: impl FnOnce(&mut Options)) {
        let mut options = self.0.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut options));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// Nothing reads these: the first is named where it asks for something, and what the second
    /// forbids is never done.
    const UNREAD: [&str; 2] = ["efi_system_partition_size", "disable_bootc_deploy"];

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
        let own = include_str!("options.rs");
        let structure = own.split("pub struct Options {").nth(1).unwrap();
        let structure = structure.split("\n}\n").next().unwrap();
        let fields: Vec<&str> = structure
            .lines()
            .filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(':'))
            .map(|(name, _)| name)
            .collect();
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
