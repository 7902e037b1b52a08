use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Mutex;
use std::sync::atomic::AtomicU16;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME};
use hickory_proto::rr::{RData, Record};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;

use super::*;
use crate::net::NetError;

/// What a second is in the tests whose servers are silent.
const SHORT: Duration = Duration::from_millis(100);

/// What it is where all servers answer: nothing is waited for, and the machine may be busy.
const LONG: Duration = Duration::from_secs(10);

/// The files of a machine, and a port for its name servers, which differ by their addresses.
pub(super) struct Place {
    folder: tempfile::TempDir,
    port: u16,
}

impl Place {
    pub(super) fn new() -> Self {
        // Below the ports that the kernel gives to clients, so that none of them is in the way.
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let port = loop {
            let chance = u16::try_from(std::process::id() % 10_000).unwrap();
            let port = 12_000 + (chance + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
            let free = |address: &str| {
                std::net::TcpListener::bind((address, port)).is_ok()
                    && std::net::UdpSocket::bind((address, port)).is_ok()
            };
            if free("0.0.0.0") && free("::1") {
                break port;
            }
        };
        Self {
            folder: tempfile::tempdir().unwrap(),
            port,
        }
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn resolver(&self, second: Duration) -> Resolver {
        let file = |name: &str| self.folder.path().join(name);
        Resolver {
            shared: Arc::new(Shared {
                system: System {
                    resolv_conf: file("resolv.conf"),
                    hosts: file("hosts"),
                    host_name: file("hostname"),
                    port: self.port,
                    second,
                },
                ..Shared::default()
            }),
        }
    }
}

/// Does what a zone of `tests/lab/name_server.py` says.
pub(super) struct NameServer {
    tasks: Vec<JoinHandle<()>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl NameServer {
    pub(super) async fn start(address: &str, port: u16, zone: &Value) -> Self {
        let udp = Arc::new(UdpSocket::bind((address, port)).await.unwrap());
        let tcp = TcpListener::bind((address, port)).await.unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let zone = Arc::new(Zone {
            content: zone.clone(),
            asked: Arc::clone(&asked),
        });
        let over_tcp = Arc::clone(&zone);
        let tasks = vec![
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok((length, client)) = udp.recv_from(&mut buffer).await {
                    let (udp, zone) = (Arc::clone(&udp), Arc::clone(&zone));
                    let packet = buffer[..length].to_vec();
                    tokio::spawn(async move {
                        if let Some(answer) = zone.answer(&packet, false).await {
                            let _ = udp.send_to(&answer, client).await;
                        }
                    });
                }
            }),
            tokio::spawn(async move {
                while let Ok((mut client, _)) = tcp.accept().await {
                    let zone = Arc::clone(&over_tcp);
                    tokio::spawn(async move {
                        while let Ok(length) = client.read_u16().await {
                            let mut packet = vec![0; usize::from(length)];
                            client.read_exact(&mut packet).await.unwrap();
                            if let Some(answer) = zone.answer(&packet, true).await {
                                let length = u16::try_from(answer.len()).unwrap();
                                let answer = [&length.to_be_bytes(), answer.as_slice()].concat();
                                // Who has waited long enough is gone.
                                let _ = client.write_all(&answer).await;
                            }
                        }
                    });
                }
            }),
        ];
        Self { tasks, asked }
    }

    fn asked(&self) -> BTreeSet<String> {
        self.asked.lock().unwrap().iter().cloned().collect()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

struct Zone {
    content: Value,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Zone {
    async fn answer(&self, packet: &[u8], over_tcp: bool) -> Option<Vec<u8>> {
        let question = Message::from_vec(packet).unwrap();
        let query = question.queries[0].clone();
        let count = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(exchange::text(query.name()));
            asked.len()
        };
        if count <= usize::try_from(self.content["drop"].as_u64().unwrap_or(0)).unwrap() {
            return None;
        }
        let delay = self.content["delay"].as_f64().unwrap_or(0.0);
        tokio::time::sleep(Duration::from_secs_f64(delay)).await;
        let (code, records) = self.look_up(query.name(), query.query_type());
        let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
        let lame = self.content["lame"] == true;
        answer.metadata.authoritative = !lame;
        answer.metadata.recursion_available = !lame;
        answer.metadata.truncation = self.content["truncated"] == true && !over_tcp;
        answer.metadata.response_code = match code.as_str() {
            "NOERROR" => ResponseCode::NoError,
            "FORMERR" => ResponseCode::FormErr,
            "SERVFAIL" => ResponseCode::ServFail,
            "NXDOMAIN" => ResponseCode::NXDomain,
            "NOTIMP" => ResponseCode::NotImp,
            "REFUSED" => ResponseCode::Refused,
            _ => return None,
        };
        answer.add_query(query);
        if !answer.metadata.truncation {
            for record in records {
                answer.add_answer(record);
            }
        }
        Some(answer.to_vec().unwrap())
    }

    fn look_up(&self, name: &DnsName, kind: RecordType) -> (String, Vec<Record>) {
        let code = |value: &Value| (value.as_str().unwrap().to_owned(), Vec::new());
        if kind == RecordType::AAAA
            && let Some(all) = self.content.get("AAAA")
        {
            return code(all);
        }
        let text = exchange::text(name);
        let known = self.content["names"].as_object().unwrap();
        let Some((_, what)) = known.iter().find(|(of, _)| of.eq_ignore_ascii_case(&text)) else {
            return code(&self.content["else"]);
        };
        let Some(values) = what.as_array() else {
            return code(what);
        };
        if let Some(target) = values.first().and_then(|value| value[0].as_str()) {
            let target = DnsName::from_labels(target.split('.').map(str::as_bytes)).unwrap();
            let (mut code, mut records) = self.look_up(&target, kind);
            records.push(Record::from_rdata(
                name.clone(),
                60,
                RData::CNAME(CNAME(target)),
            ));
            if code == "NXDOMAIN" {
                "NOERROR".clone_into(&mut code);
            }
            return (code, records);
        }
        let records = values
            .iter()
            .filter_map(|address| match (address.as_str()?.parse().ok()?, kind) {
                (IpAddr::V4(address), RecordType::A) => Some(RData::A(A(address))),
                (IpAddr::V6(address), RecordType::AAAA) => Some(RData::AAAA(AAAA(address))),
                _ => None,
            })
            .map(|data| Record::from_rdata(name.clone(), 60, data))
            .collect();
        ("NOERROR".to_owned(), records)
    }
}

fn knows(name: &str, address: &str) -> Value {
    json!({"names": {name: [address]}, "else": "NXDOMAIN"})
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// What a person reads.
fn told(error: &NetError) -> String {
    error.source().unwrap().to_string()
}

#[tokio::test]
async fn what_the_files_say_later_counts() {
    let place = Place::new();
    let resolver = place.resolver(LONG);
    // Before the first lease there is no file at all.
    let error = resolver.addresses("web.lab.test").await.unwrap_err();
    assert!(
        told(&error).contains("127.0.0.1: Connection refused"),
        "{error:?}"
    );

    let _one = NameServer::start(
        "127.0.0.1",
        place.port(),
        &knows("web.lab.test", "10.0.0.1"),
    )
    .await;
    let two = NameServer::start(
        "127.0.0.2",
        place.port(),
        &knows("web.lab.test", "10.0.0.2"),
    )
    .await;
    place.write("resolv.conf", "nameserver 127.0.0.1\n");
    assert_eq!(
        resolver.addresses("web.lab.test").await.unwrap(),
        addresses(&["10.0.0.1"])
    );
    place.write("resolv.conf", "nameserver 127.0.0.2\nsearch lab.test\n");
    assert_eq!(
        resolver.addresses("web").await.unwrap(),
        addresses(&["10.0.0.2"])
    );
    assert_eq!(two.asked(), BTreeSet::from(["web.lab.test".to_owned()]));
    place.write("hosts", "10.0.0.3 web\n");
    assert_eq!(
        resolver.addresses("web").await.unwrap(),
        addresses(&["10.0.0.3"])
    );
}

#[tokio::test]
async fn a_failure_is_remembered_for_a_second() {
    const SECOND: Duration = Duration::from_secs(3);
    let place = Place::new();
    place.write("resolv.conf", "nameserver 127.0.0.1\n");
    let resolver = place.resolver(SECOND);
    let before =
        NameServer::start("127.0.0.1", place.port(), &knows("other.test", "10.0.0.1")).await;
    let error = resolver.addresses("web.test").await.unwrap_err();
    assert_eq!(told(&error), "127.0.0.1 says that web.test does not exist");
    for _ in 0..3 {
        resolver.clone().addresses("web.test").await.unwrap_err();
    }
    // For both families.
    assert_eq!(before.asked.lock().unwrap().len(), 2);
    for task in &before.tasks {
        task.abort();
    }
    while before.tasks.iter().any(|task| !task.is_finished()) {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(SECOND).await;
    let _after = NameServer::start("127.0.0.1", place.port(), &knows("web.test", "10.0.0.1")).await;
    assert_eq!(
        resolver.addresses("web.test").await.unwrap(),
        addresses(&["10.0.0.1"])
    );
}

#[tokio::test]
async fn servers_take_turns_where_the_file_says_so() {
    for (options, turns) in [("", false), ("options rotate\n", true)] {
        let place = Place::new();
        place.write(
            "resolv.conf",
            &format!("nameserver 127.0.0.1\nnameserver 127.0.0.2\n{options}"),
        );
        let _one =
            NameServer::start("127.0.0.1", place.port(), &knows("web.test", "10.0.0.1")).await;
        let _two =
            NameServer::start("127.0.0.2", place.port(), &knows("web.test", "10.0.0.2")).await;
        let resolver = place.resolver(LONG);
        let mut seen = BTreeSet::new();
        for _ in 0..3 {
            // A clone is what each HTTP client has.
            seen.extend(resolver.clone().addresses("web.test").await.unwrap());
        }
        assert_eq!(seen.len() == 2, turns, "{seen:?}");
    }
}

#[tokio::test]
async fn a_lost_packet_costs_no_whole_time_limit() {
    let place = Place::new();
    place.write(
        "resolv.conf",
        "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n",
    );
    let mut zone = knows("web.test", "10.0.0.1");
    zone["drop"] = json!(2);
    let _server = NameServer::start("127.0.0.1", place.port(), &zone).await;
    // Of one attempt a time limit that runs out is an error.
    let resolver = place.resolver(Duration::from_secs(1));
    let found = resolver.addresses("web.test").await;
    assert_eq!(found.unwrap(), addresses(&["10.0.0.1"]));
}

#[tokio::test]
async fn servers_without_an_answer_are_named_with_what_they_did() {
    let place = Place::new();
    place.write(
        "resolv.conf",
        "nameserver 127.0.0.1\nnameserver 127.0.0.2\nnameserver 127.0.0.3\n\
         options timeout:1 attempts:1\n",
    );
    let silent = json!({"names": {}, "else": "silent"});
    let failing = json!({"names": {}, "else": "SERVFAIL"});
    let _one = NameServer::start("127.0.0.1", place.port(), &silent).await;
    let _two = NameServer::start("127.0.0.2", place.port(), &failing).await;
    let error = place
        .resolver(SHORT)
        .addresses("web.test")
        .await
        .unwrap_err();
    let text = told(&error);
    assert!(
        text.starts_with(
            "no name server could tell about web.test: 127.0.0.1: no answer within 1 s, 127.0.0.2: "
        ) && text.contains("127.0.0.3: Connection refused"),
        "{text}"
    );
    let error = place
        .resolver(SHORT)
        .addresses("web..test")
        .await
        .unwrap_err();
    assert!(told(&error).starts_with("it is no host name"), "{error:?}");
}

#[test]
fn link_local_servers_have_their_interface() {
    let servers = |text: &str| ResolvConf::parse(text.as_bytes(), "", 53).servers;
    for (text, server) in [
        ("nameserver fe80::1%lo", "[fe80::1%1]:53"),
        ("nameserver fe80::1%7", "[fe80::1%7]:53"),
        ("nameserver 2001:db8::1", "[2001:db8::1]:53"),
        ("nameserver fe80::1%no-such.link", "127.0.0.1:53"),
        ("", "127.0.0.1:53"),
    ] {
        assert_eq!(servers(text), [server.parse().unwrap()], "{text}");
    }
}

#[test]
fn the_bounds_of_the_options_are_kept() {
    let patience = |options: &str, servers: usize| -> Vec<u32> {
        let text = format!(
            "{}options {options}\n",
            "nameserver 10.0.0.1\n".repeat(servers)
        );
        let read = ResolvConf::parse(text.as_bytes(), "", 53);
        (0..servers).map(|place| read.patience(place)).collect()
    };
    assert_eq!(patience("", 1), [5]);
    assert_eq!(patience("", 2), [5, 5]);
    assert_eq!(patience("", 3), [5, 3, 6]);
    assert_eq!(patience("timeout:0", 2), [1, 1]);
    assert_eq!(patience("timeout:1000 timeout:x", 1), [30]);
    let attempts = |options: &str| ResolvConf::parse(options.as_bytes(), "", 53).attempts;
    assert_eq!(attempts("options attempts:0"), 1);
    assert_eq!(attempts("options attempts:99"), 5);
}

#[test]
fn domains_are_told_from_other_words() {
    for (word, is) in [
        ("lab.test", Some("lab.test")),
        ("my_lab.test.", Some("my_lab.test")),
        (".lab.test", Some("lab.test")),
        ("10", Some("10")),
        ("(none)", None),
        ("Joe's", None),
        ("lab..test", None),
        (".", None),
        ("..", None),
        ("", None),
        ("lab.test,other.test", None),
    ] {
        assert_eq!(domain(word).as_deref(), is, "{word}");
    }
    assert_eq!(domain(&"x".repeat(64)), None);
    assert_eq!(domain(&["x".repeat(63).as_str(); 4].join(".")), None);
}

proptest! {
    #[test]
    fn no_file_and_no_name_makes_the_readers_panic(
        file: Vec<u8>,
        word in "[a-z.:%#; \\r\\n0-9]{0,40}",
        host: String,
        own: String,
    ) {
        for text in [file.clone(), format!("options {word}\nsearch {word}").into_bytes(),
                     format!("nameserver {word}").into_bytes()] {
            let read = ResolvConf::parse(&text, &own, 53);
            prop_assert!(!read.servers.is_empty());
            read.candidates(&host);
            hosts::addresses(&text, &host);
        }
    }
}
