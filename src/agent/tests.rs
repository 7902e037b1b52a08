//! The whole life against a conductor in this process.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use farrier_plugin::{
    ErrorKind, HardwareManager, Inventory, ManagerError, NetworkInterface, SilentContext,
    TlsCertificate,
};
use reqwest::Certificate;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{AgentError, End, Setup, live, network};
use crate::conductor::Endpoint;
use crate::conductor::fake::{Answer, Asked, Conductor, NODE, TOKEN, friendly, lookup, root};
use crate::config::{Live, Options};
use crate::hardware::Managers;
use crate::hardware::fake::FakeManager;
use crate::net::certificate::Identity;
use crate::net::mdns::Service;
use crate::sys::power::PowerError;
use crate::sys::root::Root;

mod discovery;
mod ending;
mod inspection;
mod lookups;
mod restarts;
mod settings;
mod tokenless_reads;

const MAC: &str = "52:54:00:1a:b0:02";

/// A machine without a disk, with interfaces of these MAC addresses.
fn machine(interfaces: Arc<Mutex<Vec<&'static str>>>) -> FakeManager {
    let inventory = move || {
        let interface = |(number, mac): (usize, &&str)| NetworkInterface {
            name: format!("eno{}", number + 1),
            mac_address: Some((*mac).to_owned()),
            ..NetworkInterface::default()
        };
        let interfaces = interfaces.lock().unwrap();
        Inventory {
            interfaces: interfaces.iter().enumerate().map(interface).collect(),
            ..Inventory::default()
        }
    };
    FakeManager::new("GenericHardwareManager", 1)
        .called("generic_hardware_manager", "1.2")
        .knowing(inventory)
        .choosing(|| Err(ManagerError::new(ErrorKind::DeviceNotFound, "No disk")))
}

/// One with one interface.
pub(super) fn small_machine() -> FakeManager {
    machine(Arc::new(Mutex::new(vec![MAC])))
}

/// One boot of a machine; agents come and go in it.
struct Boot {
    root: tempfile::TempDir,
    options: Options,
    certificate: Option<TlsCertificate>,
    hardware: Hardware,
    interfaces: Arc<Mutex<Vec<&'static str>>>,
    /// Stands for SIGTERM.
    asked_to_end: Arc<Notify>,
}

/// Who knows the machine.
enum Hardware {
    /// [`machine`].
    Fake,
    /// The agent's own manager, by what the boot's tree shows.
    Tree,
    /// The agent's own manager on this machine, behind another one that chooses the disk.
    Behind(Arc<dyn HardwareManager>),
}

impl Boot {
    fn new(conductor: &Conductor) -> Self {
        let root = tempfile::tempdir().unwrap();
        let port = free_port();
        let options = Options {
            api_url: vec![conductor.url()],
            listen_host: Some("127.0.0.1".parse().unwrap()),
            listen_port: port,
            advertise_port: port,
            disk_wait_attempts: 0,
            http_request_timeout: 60,
            lookup_interval: 0,
            ..Options::default()
        };
        let boot = Self {
            root,
            options,
            certificate: None,
            hardware: Hardware::Fake,
            interfaces: Arc::default(),
            asked_to_end: Arc::default(),
        };
        boot.plug_in("eno1", MAC);
        boot
    }

    /// The machine has this interface from now on.
    fn plug_in(&self, name: &str, mac: &'static str) {
        let interface = self.path().join("sys/class/net").join(name);
        fs::create_dir_all(interface.join("device")).unwrap();
        self.interfaces.lock().unwrap().push(mac);
        fs::write(interface.join("address"), format!("{mac}\n")).unwrap();
    }

    fn start(&self) -> JoinHandle<Result<End, AgentError>> {
        let discover: Box<dyn FnOnce(Live) -> Result<Managers, ManagerError> + Send> =
            match &self.hardware {
                Hardware::Fake => {
                    let machine =
                        machine(Arc::clone(&self.interfaces)).certifying(self.certificate.clone());
                    Box::new(|options| {
                        Managers::from_managers(options, vec![Arc::new(machine)], &SilentContext)
                    })
                }
                Hardware::Tree => {
                    let root = Root::at(self.path());
                    Box::new(|options| Managers::discover_at(options, root, false, &SilentContext))
                }
                Hardware::Behind(other) => {
                    let other = Arc::clone(other);
                    Box::new(|options| Managers::behind(options, other))
                }
            };
        let setup = Setup {
            options: Live::new(self.options.clone()),
            root: self.root.path().to_owned(),
            discover,
            shutdown: Box::new(|transition| Err(PowerError::NotInMemory { transition })),
            open_rescue: Box::new({
                let etc = self.path().join("etc");
                move |_| {
                    fs::create_dir_all(&etc).unwrap();
                    fs::write(etc.join(".rescued"), b"").unwrap();
                    Ok(())
                }
            }),
            asked_to_end: Box::pin({
                let asked = Arc::clone(&self.asked_to_end);
                async move { asked.notified().await }
            }),
        };
        tokio::spawn(live(setup))
    }

    /// An agent after this one, which is killed.
    async fn start_again(
        &self,
        agent: JoinHandle<Result<End, AgentError>>,
    ) -> JoinHandle<Result<End, AgentError>> {
        agent.abort();
        let _ = agent.await;
        // The port is free once the tasks of the first agent are gone.
        while TcpListener::bind(("127.0.0.1", self.options.listen_port)).is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.start()
    }

    fn path(&self) -> &Path {
        self.root.path()
    }
}

/// What the clients of these tests encrypt with. The first of them installs it, whichever that is.
fn install_provider() {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let _ = provider.install_default();
}

/// Calls the agent as a conductor does: by the URL of its heartbeat, trusting its certificate.
struct Caller {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Caller {
    fn of(heartbeat: &Asked) -> Self {
        let text = |name: &str| heartbeat.body[name].as_str().unwrap().to_owned();
        let certificate = Certificate::from_pem(text("agent_verify_ca").as_bytes()).unwrap();
        install_provider();
        let http = reqwest::Client::builder()
            .tls_backend_rustls()
            .tls_certs_only([certificate])
            .tls_version_min(reqwest::tls::Version::TLS_1_3)
            .no_proxy()
            .build()
            .unwrap();
        Self {
            http,
            url: text("callback_url"),
            token: text("agent_token"),
        }
    }

    async fn commands(&self) -> Value {
        let url = format!("{}/v1/commands/?agent_token={}", self.url, self.token);
        let answer = self.http.get(url).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// Issue it and do not wait for its end; the answer, also where that is a refusal.
    async fn begin(&self, name: &str, parameters: Value) -> Value {
        let url = format!("{}/v1/commands/?agent_token={}", self.url, self.token);
        let body = json!({"name": name, "params": parameters}).to_string();
        let answer = self.http.post(url).body(body).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    async fn issue(&self, name: &str, parameters: Value) -> Value {
        let url = format!(
            "{}/v1/commands/?wait=true&agent_token={}",
            self.url, self.token
        );
        let body = json!({"name": name, "params": parameters}).to_string();
        let answer = self.http.post(url).body(body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }
}

/// A port that no other test takes: the kernel gives outgoing connections higher ones.
fn free_port() -> u16 {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    // Another run of the tests begins at another one.
    let first = 10_000 + std::process::id() % 10_000;
    loop {
        let port = first as u16 + TAKEN.fetch_add(1, Ordering::SeqCst);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// What a conductor at this port of this machine announces.
pub(super) fn announced(port: u16) -> Endpoint {
    let service = Service {
        // Of `.local` it would be an address, and no loopback one.
        host: "127.0.0.1".to_owned(),
        port,
        addresses: Vec::new(),
        text: vec![("protocol".to_owned(), "http".to_owned())],
    };
    Endpoint::of(&service, |_| true).unwrap()
}

async fn ended(agent: JoinHandle<Result<End, AgentError>>) -> Result<End, AgentError> {
    timeout(Duration::from_secs(60), agent)
        .await
        .expect("the agent did not end")
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_reports_within_a_second_and_serves_what_it_says() {
    // One of some starts: other programs' work is none of ours, and there may be much of it.
    let mut starts = 0;
    let (conductor, boot, agent, heartbeat) = loop {
        let conductor = Conductor::friendly().await;
        let boot = Boot::new(&conductor);
        let started = Instant::now();
        let agent = boot.start();
        let heartbeat = conductor.wait_for("/v1/heartbeat", 1).await.remove(0);
        let took = heartbeat.at - started;
        if took < Duration::from_secs(1) {
            break (conductor, boot, agent, heartbeat);
        }
        starts += 1;
        assert!(starts < 20, "{took:?}");
        agent.abort();
    };
    assert_eq!(heartbeat.path, format!("/v1/heartbeat/{NODE}"));
    assert_eq!(
        heartbeat.body["callback_url"],
        format!("https://127.0.0.1:{}", boot.options.listen_port)
    );
    assert_eq!(heartbeat.body["agent_token"], TOKEN);
    assert_eq!(heartbeat.body["agent_version"], super::VERSION);
    let order: Vec<_> = conductor
        .asked()
        .iter()
        .map(|asked| format!("{} {}", asked.method, asked.path))
        .collect();
    assert_eq!(
        order,
        [
            "GET /".to_owned(),
            "GET /v1/lookup".to_owned(),
            format!("POST /v1/heartbeat/{NODE}")
        ]
    );

    let caller = Caller::of(&heartbeat);
    assert_eq!(caller.commands().await, json!({"commands": []}));
    let result = caller
        .issue(
            "clean.get_clean_steps",
            json!({"node": {"uuid": NODE}, "ports": []}),
        )
        .await;
    assert_eq!(result["command_status"], "SUCCEEDED", "{result}");
    agent.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hardware_manager_can_make_the_certificate() {
    let conductor = Conductor::friendly().await;
    let mut boot = Boot::new(&conductor);
    let address = "127.0.0.1".parse().unwrap();
    let made = Identity::generate(address, "vendor", &boot.options, SystemTime::now()).unwrap();
    boot.certificate = Some(TlsCertificate {
        text: made.certificate.clone(),
        private_key: made.key,
    });
    let agent = boot.start();
    let heartbeat = conductor.wait_for("/v1/heartbeat", 1).await.remove(0);
    assert_eq!(heartbeat.body["agent_verify_ca"], made.certificate);
    Caller::of(&heartbeat).commands().await;
    agent.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_cannot_be_used_keeps_nobody_out() {
    let conductor = Conductor::friendly().await;
    let mut boot = Boot::new(&conductor);
    boot.certificate = Some(TlsCertificate {
        text: "CERTIFICATE".to_owned(),
        private_key: "KEY".to_owned(),
    });
    let agent = boot.start();
    let heartbeat = conductor.wait_for("/v1/heartbeat", 1).await.remove(0);
    Caller::of(&heartbeat).commands().await;
    agent.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asynchronous_command_is_followed_by_a_heartbeat() {
    let conductor = Conductor::friendly().await;
    let boot = Boot::new(&conductor);
    let agent = boot.start();
    let heartbeat = conductor.wait_for("/v1/heartbeat", 1).await.remove(0);
    let caller = Caller::of(&heartbeat);
    // Fails, since a test has nothing to power off; the end is what counts.
    caller.issue("standby.power_off", json!({})).await;
    let beats = conductor.wait_for("/v1/heartbeat", 2).await;
    let gap = (beats[1].at - beats[0].at).as_secs_f64();
    // Unasked, the next would come after 18 s at the earliest.
    assert!((4.9..17.9).contains(&gap), "{gap}");
    assert_eq!(beats[0].body, beats[1].body);
    agent.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_from_virtual_media_stands_for_the_masked_one() {
    let conductor = Conductor::start(|asked, _| match asked.path.as_str() {
        "/v1/lookup" => Answer::Json(200, lookup("******")),
        _ => friendly(asked),
    })
    .await;
    let mut boot = Boot::new(&conductor);
    let token = "from-virtual-media-0123456789-0123456789";
    boot.options.agent_token = Some(token.into());
    let agent = boot.start();
    let heartbeat = conductor.wait_for("/v1/heartbeat", 1).await.remove(0);
    assert_eq!(heartbeat.body["agent_token"], token);
    Caller::of(&heartbeat).commands().await;
    agent.abort();
}

/// Ironic would take an empty list after this heartbeat for the end of the erase.
#[tokio::test(flavor = "multi_thread")]
async fn a_reboot_that_nobody_asked_for_is_not_the_end_of_a_step() {
    let conductor = Conductor::start(|asked, _| match asked.path.as_str() {
        "/v1/lookup" => {
            let mut answer = lookup("******");
            answer["node"]["driver_internal_info"] = json!({
                "clean_steps": [{"step": "erase_devices", "interface": "deploy"}],
                "clean_step_index": 0});
            Answer::Json(200, answer)
        }
        _ => friendly(asked),
    })
    .await;
    let mut boot = Boot::new(&conductor);
    boot.options.agent_token = Some("from-virtual-media-0123456789-0123456789".into());
    let agent = boot.start();
    let heartbeat = conductor.wait_for("/v1/heartbeat", 1).await.remove(0);
    let commands = Caller::of(&heartbeat).commands().await;
    let commands = commands["commands"].as_array().unwrap();
    assert_eq!(commands.len(), 1, "{commands:?}");
    assert_eq!(commands[0]["command_name"], "execute_clean_step");
    assert_eq!(commands[0]["command_status"], "FAILED");
    let details = commands[0]["command_error"]["details"].as_str().unwrap();
    assert!(details.contains("started anew in the middle of clean step erase_devices"));
    agent.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_journal_nothing_is_served() {
    let conductor = Conductor::friendly().await;
    let boot = Boot::new(&conductor);
    // A file where the journal's directory has to be.
    let state = super::state::directory(boot.path());
    fs::create_dir_all(state.parent().unwrap()).unwrap();
    fs::write(&state, b"").unwrap();
    let result = ended(boot.start()).await;
    assert!(matches!(result, Err(AgentError::Journal(_))), "{result:?}");
    assert!(conductor.asked_for("/v1/heartbeat").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_rescue_system_no_agent_starts() {
    let conductor = Conductor::friendly().await;
    let boot = Boot::new(&conductor);
    fs::create_dir(boot.path().join("etc")).unwrap();
    fs::write(boot.path().join("etc/.rescued"), b"").unwrap();
    let kept = ["state/agent.json", "state/commands.jsonl", "parameters.txt"]
        .map(|name| boot.path().join("run/farrier").join(name));
    fs::create_dir_all(kept[0].parent().unwrap()).unwrap();
    for path in &kept {
        fs::write(path, "token, key, arguments").unwrap();
    }
    assert_eq!(ended(boot.start()).await.unwrap(), End::Rescued);
    assert!(conductor.asked().is_empty());
    // Whoever logs in is not the operator.
    assert!(kept.iter().all(|path| !path.exists()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_virtual_machine_of_openstack_is_waited_for_listed_and_looked_up() {
    let conductor = Conductor::friendly().await;
    let mut boot = Boot::new(&conductor);
    boot.hardware = Hardware::Tree;
    boot.options.inspection_collectors = Some("default".to_owned());
    let interface = boot.path().join("sys/class/net/eno1");
    fs::write(interface.join("address"), "fa:16:3e:00:00:01\n").unwrap();
    fs::create_dir(boot.path().join("sys/block")).unwrap();
    let started = Instant::now();
    let agent = boot.start();
    let looked_up = conductor.wait_for("/v1/lookup", 1).await.remove(0);
    assert!(
        looked_up.at - started < network::INTERFACES / 2,
        "{:?}",
        looked_up.at - started
    );
    assert!(
        looked_up
            .query
            .starts_with("addresses=fa%3A16%3A3e%3A00%3A00%3A01"),
        "{}",
        looked_up.query
    );
    let data = conductor.asked_for("/v1/continue_inspection").remove(0);
    let interfaces = &data.body["inventory"]["interfaces"];
    assert_eq!(interfaces[0]["mac_address"], "fa:16:3e:00:00:01");
    agent.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_comes_after_the_first_lookup_is_looked_up_too() {
    const LATE: &str = "52:54:00:1a:b0:99";
    let conductor = Conductor::start(|asked, _| match asked.path.as_str() {
        "/v1/lookup" if !asked.query.contains("99") => Answer::Text(404, "not found"),
        _ => friendly(asked),
    })
    .await;
    let boot = Boot::new(&conductor);
    let agent = boot.start();
    conductor.wait_for("/v1/lookup", 1).await;
    boot.plug_in("eno2", LATE);
    conductor.wait_for("/v1/heartbeat", 1).await;
    agent.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_outlasts_a_conductor_of_changing_mind() {
    let conductor = Conductor::start(|asked, before| match asked.path.as_str() {
        "/" if before == 0 => Answer::Drop,
        "/v1/lookup" if before == 0 => Answer::Text(502, "Bad Gateway"),
        path if path.starts_with("/v1/heartbeat") => match before {
            0 => Answer::Json(409, json!({"error_message": {"faultstring": "locked"}})),
            1 => Answer::Json(400, json!({"error_message": {"faultstring": "no"}})),
            _ => Answer::Text(202, ""),
        },
        "/" => Answer::Json(200, root()),
        _ => friendly(asked),
    })
    .await;
    let boot = Boot::new(&conductor);
    let agent = boot.start();
    // One by one: each may take as long as `wait_for` waits.
    for count in 1..3 {
        conductor.wait_for("/v1/heartbeat", count).await;
    }
    let beats = conductor.wait_for("/v1/heartbeat", 3).await;
    for pair in beats.windows(2) {
        let gap = (pair[1].at - pair[0].at).as_secs_f64();
        // Five to ten seconds, and what a busy machine adds.
        assert!((4.9..40.0).contains(&gap), "{gap}");
        assert_eq!(pair[0].body, pair[1].body);
    }
    agent.abort();
}
