//! One question to one name server, over UDP, or over TCP where the answer is too long for that.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{self, Message, MessageType, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::net::address::any_towards;

/// Names that an address may be found behind; what an answer of 64 KiB has room for would cost
/// seconds. Real chains have two or three.
const ALIASES: usize = 32;

/// A question for the addresses of one family.
pub(super) struct Query<'a> {
    name: &'a Name,
    record: RecordType,
}

/// What a server said.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Answer {
    Addresses(Vec<IpAddr>),
    /// The name exists.
    NoAddress,
    NotFound,
    /// Another server may know.
    Failed(String),
}

impl<'a> Query<'a> {
    pub(super) fn new(name: &'a Name, record: RecordType) -> Self {
        Self { name, record }
    }

    fn message(&self) -> Message {
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(op::Query::query(self.name.clone(), self.record));
        message
    }
}

/// The name without the dot at its end.
pub(super) fn text(name: &Name) -> String {
    let text = name.to_ascii();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}

/// Ask, without a time limit of its own. The question is sent again after a second, and after
/// twice as much each time: a network that has just come up loses packets.
pub(super) async fn ask(
    server: SocketAddr,
    query: &Query<'_>,
    tcp: bool,
    second: Duration,
) -> io::Result<Answer> {
    let question = query.message();
    let mut message = None;
    if !tcp {
        message = Some(over_udp(server, &question, second).await?);
    }
    let message = match message {
        Some(message) if !message.metadata.truncation => message,
        _ => over_tcp(server, &question).await?,
    };
    Ok(read(&message, query))
}

async fn over_udp(server: SocketAddr, question: &Message, second: Duration) -> io::Result<Message> {
    // A port that the kernel chooses for each question, and answers from this server alone; where
    // nobody listens there, a connected socket hears of it at once.
    let socket = UdpSocket::bind(any_towards(server.ip())).await?;
    socket.connect(server).await?;
    let packet = question.to_vec().map_err(io::Error::other)?;
    let mut pause = second;
    let mut buffer = [0; 4096];
    loop {
        socket.send(&packet).await?;
        let answer = timeout(pause, async {
            loop {
                let length = socket.recv(&mut buffer).await?;
                if let Some(message) = matching(&buffer[..length], question)? {
                    return Ok(message);
                }
            }
        });
        if let Ok(answer) = answer.await {
            return answer;
        }
        pause *= 2;
    }
}

async fn over_tcp(server: SocketAddr, question: &Message) -> io::Result<Message> {
    let mut stream = TcpStream::connect(server).await?;
    let packet = question.to_vec().map_err(io::Error::other)?;
    let length = u16::try_from(packet.len()).map_err(io::Error::other)?;
    stream
        .write_all(&[&length.to_be_bytes(), packet.as_slice()].concat())
        .await?;
    loop {
        let length = stream.read_u16().await?;
        let mut packet = vec![0; usize::from(length)];
        stream.read_exact(&mut packet).await?;
        if let Some(message) = matching(&packet, question)? {
            return Ok(message);
        }
    }
}

/// The answer to this question; `None` for a packet that is none and may be forged.
fn matching(packet: &[u8], question: &Message) -> io::Result<Option<Message>> {
    let id = question.metadata.id.to_be_bytes();
    if packet.get(..2) != Some(&id) {
        return Ok(None);
    }
    let message = Message::from_vec(packet)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    // Some servers leave the question out where they refuse it.
    let bare_refusal =
        message.queries.is_empty() && message.metadata.response_code != ResponseCode::NoError;
    let answers = message.metadata.message_type == MessageType::Response
        && (message.queries == question.queries || bare_refusal);
    Ok(answers.then_some(message))
}

fn read(message: &Message, query: &Query<'_>) -> Answer {
    let metadata = &message.metadata;
    match metadata.response_code {
        ResponseCode::NXDomain => Answer::NotFound,
        ResponseCode::NoError => {
            let addresses = addresses(message, query);
            let lame = message.answers.is_empty()
                && message.additionals.is_empty()
                && !metadata.authoritative
                && !metadata.recursion_available;
            if lame {
                Answer::Failed("knows nothing of this domain, and asks no other".to_owned())
            } else if addresses.is_empty() {
                Answer::NoAddress
            } else {
                Answer::Addresses(addresses)
            }
        }
        code => Answer::Failed(code.to_string()),
    }
}

/// The addresses of the name, or of those that it is an alias of, in whatever order the records
/// come.
fn addresses(message: &Message, query: &Query<'_>) -> Vec<IpAddr> {
    let mut names = vec![query.name];
    let mut followed = 0;
    while let Some(name) = names.get(followed).copied() {
        followed += 1;
        for record in &message.answers {
            if let RData::CNAME(alias) = &record.data
                && record.name == *name
                && names.len() < ALIASES
                && !names.contains(&&alias.0)
            {
                names.push(&alias.0);
            }
        }
    }
    message
        .answers
        .iter()
        .filter(|record| names.contains(&&record.name) && record.record_type() == query.record)
        .filter_map(|record| record.data.ip_addr())
        .collect()
}

/// An answer to a question of ours; its identifier is the question's.
#[cfg(any(test, fuzzing))]
pub(super) fn fuzz(data: &[u8]) {
    let labels: [&[u8]; 2] = [b"my_img", b"test"];
    let Ok(name) = Name::from_labels(labels) else {
        return;
    };
    let query = Query::new(&name, RecordType::A);
    let mut question = query.message();
    question.metadata.id = match data {
        [first, second, ..] => u16::from_be_bytes([*first, *second]),
        _ => 0,
    };
    if let Ok(Some(message)) = matching(data, &question) {
        read(&message, &query);
    }
}
