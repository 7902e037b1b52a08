use std::str::FromStr;
use std::sync::{Arc, Mutex};

use hickory_proto::rr::rdata::{A, SRV, TXT};
use proptest::prelude::*;

use super::*;

const NAME: &str = "baremetal._openstack._tcp.local.";

/// What Ironic 39.0.0 (python-zeroconf 0.154.0) answered to a one-shot query for SRV and TXT with
/// the number 0x1234: announced were http://192.0.2.1:6385 and two parameters.
const RECORDED: &str = "12348400000200020000000209626172656d6574616c0a5f6f70656e737461636b045f746370\
    056c6f63616c0000210001c00c00100001c00c002100010000007800080000000018f1c00cc00c00100001000011940\
    0660e6970615f64656275673d54727565486970615f696e7370656374696f6e5f63616c6c6261636b5f75726c3d6874\
    74703a2f2f3139322e302e322e313a363338352f76312f636f6e74696e75655f696e7370656374696f6e0d70726f746\
    f636f6c3d68747470c00c00010001000000780004c0000201c00c002f0001000000780005c00c000140";

fn recorded() -> Vec<u8> {
    let digits: Vec<u8> = RECORDED.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn name(text: &str) -> Name {
    Name::from_str(text).unwrap()
}

#[test]
fn the_announcement_of_a_real_conductor_is_understood() {
    assert!(accepted(&recorded(), 0x1235).is_none(), "another query's");
    let mut answers = Answers::new(name(NAME));
    answers.take(accepted(&recorded(), 0x1234).unwrap());
    assert!(answers.complete());
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(
        answers.service(),
        Some(Service {
            host: NAME.to_owned(),
            port: 6385,
            addresses: vec![IpAddr::from([192, 0, 2, 1])],
            text: vec![
                pair("ipa_debug", "True"),
                pair(
                    "ipa_inspection_callback_url",
                    "http://192.0.2.1:6385/v1/continue_inspection"
                ),
                pair("protocol", "http"),
            ],
        })
    );
}

#[test]
fn a_query_is_no_answer() {
    let packet = Answers::new(name(NAME)).missing().to_vec().unwrap();
    let id = Message::from_vec(&packet).unwrap().metadata.id;
    assert!(accepted(&packet, id).is_none());
}

#[test]
fn pairs_of_a_text_record_may_be_odd() {
    assert_eq!(pair(b"key=a=b"), Some(("key".to_owned(), "a=b".to_owned())));
    assert_eq!(pair(b"key"), Some(("key".to_owned(), String::new())));
    assert_eq!(pair(b"=value"), None);
    assert_eq!(pair(b""), None);
    assert_eq!(pair(b"\xff=1"), None);
}

proptest! {
    #[test]
    fn no_packet_does_harm(packet in proptest::collection::vec(any::<u8>(), 0..300)) {
        take_whatever(&packet);
    }

    #[test]
    fn no_damaged_packet_does_harm(place in 0_usize..300, byte in any::<u8>(), end in 0_usize..300) {
        let mut packet = recorded();
        let place = place % packet.len();
        packet[place] = byte;
        packet.truncate(end.max(12));
        take_whatever(&packet);
    }
}

fn take_whatever(packet: &[u8]) {
    let mut answers = Answers::new(name(NAME));
    if let Some(message) = accepted(packet, 0x1234) {
        answers.take(message);
        let _ = answers.missing().to_vec();
        let _ = answers.service();
    }
}

/// A responder on loopback that answers each query with what `reply` makes of its questions.
/// Returns a door to it, and what it was asked.
async fn responder(
    reply: impl Fn(&str) -> Vec<Record> + Send + 'static,
) -> (Door, Arc<Mutex<Vec<String>>>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let door = door_to(socket.local_addr().unwrap()).await;
    let questions = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&questions);
    tokio::spawn(async move {
        let mut packet = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut packet).await {
            let query = Message::from_vec(&packet[..length]).unwrap();
            let question = query
                .queries
                .iter()
                .map(|query| format!("{} {}", query.query_type(), query.name()))
                .collect::<Vec<_>>()
                .join(", ");
            let mut message = Message::response(query.metadata.id, query.metadata.op_code);
            message.add_answers(reply(&question));
            asked.lock().unwrap().push(question);
            let packet = message.to_vec().unwrap();
            socket.send_to(&packet, from).await.unwrap();
        }
    });
    (door, questions)
}

async fn door_to(to: SocketAddr) -> Door {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    Door { socket, to }
}

fn record(owner: &str, data: RData) -> Record {
    Record::from_rdata(name(owner), 120, data)
}

fn srv(host: &str) -> Record {
    record(NAME, RData::SRV(SRV::new(0, 0, 443, name(host))))
}

fn text(pair: &str) -> Record {
    record(NAME, RData::TXT(TXT::new(vec![pair.to_owned()])))
}

#[tokio::test]
async fn a_host_without_an_address_is_asked_for() {
    let (door, questions) = responder(|question| match question.starts_with("SRV") {
        true => vec![
            srv("api.local."),
            text("path=/x"),
            record("other.local.", RData::A(A::new(192, 0, 2, 7))),
        ],
        false => vec![record("api.local.", RData::A(A::new(192, 0, 2, 8)))],
    })
    .await;
    let until = Instant::now() + Duration::from_secs(60);
    let service = ask(&[door], &name(NAME), until).await.unwrap();
    assert_eq!(service.host, "api.local.");
    assert_eq!(service.addresses, [IpAddr::from([192, 0, 2, 8])]);
    let mut asked = questions.lock().unwrap().clone();
    // A slow machine asks twice.
    asked.dedup();
    assert_eq!(
        asked,
        [
            format!("SRV {NAME}, TXT {NAME}"),
            "A api.local., AAAA api.local.".to_owned(),
        ]
    );
}

#[tokio::test]
async fn a_host_that_other_name_servers_know_needs_no_address() {
    let (door, _) = responder(|_| vec![srv("ironic.example.com."), text("")]).await;
    let until = Instant::now() + Duration::from_secs(60);
    let service = ask(&[door], &name(NAME), until).await.unwrap();
    assert_eq!(service.host, "ironic.example.com.");
    assert!(service.addresses.is_empty());
}

#[tokio::test(start_paused = true)]
async fn silence_ends_with_the_patience() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let door = door_to(silent.local_addr().unwrap()).await;
    let until = Instant::now() + Duration::from_secs(4);
    assert_eq!(ask(&[door], &name(NAME), until).await, None);
    assert!(Instant::now() >= until);
    // At 0, 1 and 3 s.
    silent.set_nonblocking(true).unwrap();
    let asked = std::iter::from_fn(|| silent.recv(&mut [0; 1500]).ok()).count();
    assert_eq!(asked, 3);
}
