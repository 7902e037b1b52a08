//! Every setting of a lookup's `config`, from the conductor's answer to where it shows.

use std::fs;
use std::io::Read;
use std::net::{TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use farrier_plugin::{BlockDevice, Inventory, NetworkInterface, support};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use serde_json::{Map, Value, json};
use tokio::task::{JoinHandle, spawn_blocking};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::{AgentError, Boot, Caller, End, Hardware, MAC};
use crate::block::fixture;
use crate::conductor::fake::{Answer, Asked, Conductor, NODE, TOKEN, friendly, lookup};
use crate::config::Options;
use crate::hardware::fake::FakeManager;
use crate::sys::loop_device::LoopDevice;

/// A vendor's manager in front of the agent's own: a machine with a management controller, whose root
/// disk is this one.
fn vendor(disk: &str) -> FakeManager {
    let disk = BlockDevice {
        name: disk.to_owned(),
        ..BlockDevice::default()
    };
    FakeManager::new("Vendor", support::MAINLINE)
        .knowing(|| Inventory {
            interfaces: vec![NetworkInterface {
                name: "eno1".to_owned(),
                mac_address: Some(MAC.to_owned()),
                ..NetworkInterface::default()
            }],
            bmc_address: Some("192.0.2.1".to_owned()),
            bmc_v6address: Some("2001:db8::1".to_owned()),
            bmc_mac: Some("52:54:00:cc:dd:01".to_owned()),
            ..Inventory::default()
        })
        .choosing(move || Ok(disk.clone()))
}

/// An agent whose conductor wants this, and who calls it.
struct Wanted {
    conductor: Conductor,
    _boot: Boot,
    heartbeat: Asked,
    caller: Caller,
    agent: JoinHandle<Result<End, AgentError>>,
}

impl Wanted {
    async fn by(settings: Value) -> Self {
        Self::onto("/dev/null", settings).await
    }

    async fn onto(disk: &str, settings: Value) -> Self {
        Self::with(disk, settings, |_| {}).await
    }

    async fn with(disk: &str, settings: Value, change: impl FnOnce(&mut Options)) -> Self {
        let conductor = Conductor::start(move |asked, _| match asked.path.as_str() {
            "/v1/lookup" => {
                let mut answer = lookup(TOKEN);
                let config = answer["config"].as_object_mut().unwrap();
                config.append(&mut settings.as_object().unwrap().clone());
                Answer::Json(200, answer)
            }
            _ => friendly(asked),
        })
        .await;
        let mut boot = Boot::new(&conductor);
        boot.hardware = Hardware::Behind(Arc::new(vendor(disk)));
        change(&mut boot.options);
        let agent = boot.start();
        let heartbeat = conductor.wait_for("/v1/heartbeat", 1).await.remove(0);
        Self {
            caller: Caller::of(&heartbeat),
            conductor,
            _boot: boot,
            heartbeat,
            agent,
        }
    }

    /// The result of a command, or the error's text.
    async fn issue(&self, name: &str, parameters: Value) -> Result<Value, String> {
        let result = self.caller.issue(name, parameters).await;
        if result["command_status"] == "SUCCEEDED" {
            return Ok(result["command_result"].clone());
        }
        Err(result["command_error"]["details"].to_string())
    }

    /// Write this image, which is declared so, with what vouches for it.
    async fn write(&self, image: &Image, declared: Value, vouched: Value) -> Result<(), String> {
        let mut info = json!({
            "id": "one", "urls": [image.url()], "disk_format": declared, "node_uuid": NODE
        });
        let members: &mut Map<String, Value> = info.as_object_mut().unwrap();
        members.append(&mut vouched.as_object().unwrap().clone());
        let step = json!({"interface": "deploy", "step": "write_image", "args": {
            "image_info": info
        }});
        let parameters = json!({"step": step, "node": {"uuid": NODE}, "ports": []});
        self.issue("deploy.execute_deploy_step", parameters)
            .await
            .map(|_| ())
    }

    /// A connection by TLS 1.2: the suite, or why there is none.
    async fn tls12(&self) -> Result<String, String> {
        let text = |name: &str| self.heartbeat.body[name].as_str().unwrap().to_owned();
        let address = text("callback_url").replace("https://", "");
        let certificate = CertificateDer::from_pem_slice(text("agent_verify_ca").as_bytes());
        let mut anchors = RootCertStore::empty();
        anchors.add(certificate.unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_root_certificates(anchors)
            .with_no_client_auth();
        let connect = move || {
            let server = "127.0.0.1".try_into().unwrap();
            let mut tls = ClientConnection::new(Arc::new(config), server).unwrap();
            let mut stream = TcpStream::connect(address).unwrap();
            while tls.is_handshaking() {
                tls.complete_io(&mut stream).map_err(|e| e.to_string())?;
            }
            Ok(format!(
                "{:?}",
                tls.negotiated_cipher_suite().unwrap().suite()
            ))
        };
        spawn_blocking(connect).await.unwrap()
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.agent.abort();
    }
}

/// An image in a file.
struct Image {
    file: tempfile::NamedTempFile,
    content: Vec<u8>,
}

impl Image {
    /// A disk with a partition table.
    fn new() -> Self {
        Self::of(fixture::gpt(512, 0).content())
    }

    fn of(content: Vec<u8>) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &content).unwrap();
        Self { file, content }
    }

    fn url(&self) -> String {
        format!("file://{}", self.file.path().display())
    }

    fn sha256(&self) -> Value {
        let digest = digest(&SHA256, &self.content);
        let text: String = digest.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        json!({"os_hash_algo": "sha256", "os_hash_value": text})
    }
}

/// A disk to write to; `None` without root.
fn disk() -> Option<(tempfile::NamedTempFile, LoopDevice)> {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(32 << 20).unwrap();
    let device = LoopDevice::over(file.path(), 512)?;
    Some((file, device))
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_come_at_the_conductors_rate() {
    let wanted = Wanted::by(json!({"heartbeat_timeout": 1})).await;
    let beats = wanted.conductor.wait_for("/v1/heartbeat", 3).await;
    for pair in beats.windows(2) {
        let gap = (pair[1].at - pair[0].at).as_secs_f64();
        // By the default it would be 90 s at least.
        assert!((0.29..60.0).contains(&gap), "{gap}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_opens_the_door_and_no_other() {
    let other = "another-token-of-at-least-32-characters";
    let wanted = Wanted::by(json!({"agent_token": other})).await;
    assert_eq!(wanted.heartbeat.body["agent_token"], other);
    wanted.caller.commands().await;
    for token in ["", TOKEN] {
        let url = format!("{}/v1/commands/?agent_token={token}", wanted.caller.url);
        let answer = wanted.caller.http.get(url).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{token}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_the_conductor_knows_is_left_out_of_later_inventories() {
    for skips in [true, false] {
        let wanted = Wanted::by(json!({"agent_skip_bmc_detect": skips})).await;
        // What the conductor says of the node in a command does not bring it back.
        let node = json!({"node": {"uuid": NODE, "driver_info": {}}, "ports": []});
        for sent in [None, Some(node)] {
            if let Some(node) = sent {
                wanted.issue("clean.get_clean_steps", node).await.unwrap();
            }
            let inventory = wanted.issue("poll.get_hardware_info", json!({})).await;
            let inventory = inventory.unwrap();
            for field in ["bmc_address", "bmc_v6address", "bmc_mac"] {
                let shown = inventory.get(field).is_some_and(|value| !value.is_null());
                assert_eq!(shown, !skips, "{inventory}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_md5_checksum_is_enough_where_the_conductor_says_so() {
    let Some((_file, disk)) = disk() else { return };
    let image = Image::new();
    // As md5sum says it of the image.
    let md5 = json!({"checksum": "b9132c5412ba381d3d1a89a86c0bc5d6"});
    // A conductor that does not speak of it leaves it to the option (ipa-md5-enabled).
    for (option, said, enabled) in [
        (false, json!(false), false),
        (false, json!(true), true),
        (true, json!(false), false),
        (true, Value::Null, true),
    ] {
        let settings = json!({"agent_md5_checksum_enable": said});
        let change = |options: &mut Options| options.md5_enabled = option;
        let wanted = Wanted::with(disk.path(), settings.clone(), change).await;
        let result = wanted.write(&image, json!("raw"), md5.clone()).await;
        assert_eq!(result.is_ok(), enabled, "{option} {settings} {result:?}");
        if let Err(error) = result {
            assert!(error.contains("Image checksum is an MD5"), "{error}");
            assert!(error.contains("ipa-md5-enabled=1"), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_formats_that_the_conductor_permits_are_written() {
    let Some((_file, disk)) = disk() else { return };
    let image = Image::new();
    for (permitted, written) in [(json!(["qcow2"]), false), (json!(["gpt"]), true)] {
        let settings = json!({"permitted_image_formats": permitted});
        let wanted = Wanted::onto(disk.path(), settings).await;
        let result = wanted.write(&image, Value::Null, image.sha256()).await;
        assert_eq!(result.is_ok(), written, "{permitted}: {result:?}");
        if let Err(error) = result {
            assert!(error.contains("gpt"), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_not_looked_into_where_the_conductor_says_so() {
    let Some((file, disk)) = disk() else { return };
    let image = Image::of(fixture::gzip(&fixture::gpt(512, 0).content()));
    for (disabled, written) in [(false, true), (true, false)] {
        let settings = json!({"disable_deep_image_inspection": disabled});
        let wanted = Wanted::onto(disk.path(), settings).await;
        // A declared raw image is written byte for byte then, and is no disk.
        let result = wanted.write(&image, json!("raw"), image.sha256()).await;
        assert_eq!(result.is_ok(), written, "{result:?}");
    }
    // The head was held back, since a disk without partitions boots nothing.
    let mut head = [0; 512];
    fs::File::open(file.path())
        .unwrap()
        .read_exact(&mut head)
        .unwrap();
    assert_eq!(head, [0; 512]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bios_boot_loader_is_refused_in_the_word_that_the_conductor_chose() {
    if std::path::Path::new("/sys/firmware/efi").exists() {
        eprintln!("not run: this machine was not booted by BIOS");
        return;
    }
    for (enabled, text) in [(false, "disabled by CONF"), (true, "Installing GRUB")] {
        let wanted = Wanted::by(json!({"enable_bios_bootloader_install": enabled})).await;
        let error = wanted
            .issue(
                "image.install_bootloader",
                json!({"root_uuid": "0x12345678"}),
            )
            .await
            .unwrap_err();
        assert!(error.contains(text), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_speaks_the_tls_that_the_conductor_wants() {
    let wanted = Wanted::by(json!({"tls_min_version": "1.3"})).await;
    let error = wanted.tls12().await.unwrap_err();
    assert!(error.contains("ProtocolVersion"), "{error}");
    for (suites, expected) in [
        (Value::Null, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
        (
            json!("ECDHE-ECDSA-AES128-GCM-SHA256"),
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        ),
    ] {
        let settings = json!({"tls_min_version": "1.2", "tls_cipher_suites": suites});
        let wanted = Wanted::by(settings).await;
        assert_eq!(wanted.tls12().await.unwrap(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn timers_go_to_the_statsd_server_that_the_conductor_names() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let limit = Some(Duration::from_secs(30));
    server.set_read_timeout(limit).unwrap();
    let wanted = Wanted::by(json!({
        "metrics": {"backend": "statsd", "prepend_uuid": true},
        "metrics_statsd": {
            "statsd_host": "127.0.0.1", "statsd_port": server.local_addr().unwrap().port()
        }
    }))
    .await;
    wanted.caller.commands().await;
    let mut datagram = [0; 512];
    let length = server.recv(&mut datagram).unwrap();
    let text = std::str::from_utf8(&datagram[..length]).unwrap();
    let name = format!("{NODE}.ironic_python_agent.api.app.list_commands:");
    assert!(text.starts_with(&name) && text.ends_with("|ms"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_done_is_said_in_the_log() {
    let lines = Warnings::collect();
    Wanted::by(json!({
        "metrics": {"backend": "collector"},
        "agent_containers": {"allowed_containers": ["docker://h/c"]},
        "agent_colour": "blue",
        "tls_min_version": "0.9"
    }))
    .await;
    let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
    for what in [
        "has no effect: metrics (backend collector)",
        "has no effect: agent_containers (allowed_containers)",
        "has no effect: agent_colour",
        "makes no sense and is left out name=\"tls_min_version\"",
    ] {
        assert!(
            lines.iter().any(|line| line.contains(what)),
            "{what} in {lines:#?}"
        );
    }
}

/// Keeps the warnings of all tests.
pub(super) struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    pub(super) fn collect() -> Arc<Mutex<Vec<String>>> {
        static LINES: OnceLock<Arc<Mutex<Vec<String>>>> = OnceLock::new();
        let start = || {
            let lines = Arc::default();
            tracing_subscriber::registry()
                .with(Self(Arc::clone(&lines)))
                .init();
            lines
        };
        Arc::clone(LINES.get_or_init(start))
    }
}

impl<S: Subscriber> Layer<S> for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>, _context: Context<'_, S>) -> bool {
        *metadata.level() <= Level::WARN && metadata.target().starts_with("farrier")
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        struct Line(String);

        impl Visit for Line {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                match field.name() {
                    "message" => self.0 = format!("{value:?}{}", self.0),
                    name => self.0 += &format!(" {name}={value:?}"),
                }
            }
        }

        let mut line = Line(String::new());
        event.record(&mut line);
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(line.0);
    }
}
