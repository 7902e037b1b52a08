//! The time from an NTP server: one simple exchange (RFC 4330), as `chronyd -q` and `ntpdate` make
//! it for the reference.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout};

use super::NetError;
use super::address::any_towards;
use super::resolver::Resolver;

/// Port of the protocol.
const PORT: u16 = 123;

/// Seconds from 1900, where NTP counts from, to 1970.
const TO_1970: u64 = 2_208_988_800;

/// Seconds of an era, after which NTP's 32 bits begin again (2036).
const ERA: u64 = 1 << 32;

/// Times before 2020 cannot be: they belong to the next era.
const EARLIEST: u64 = 1_577_836_800;

/// An exchange that takes longer says little about the time.
const ANSWER: Duration = Duration::from_secs(2);

/// Tries for each address.
const TRIES: u32 = 3;

/// An exchange with all its tries takes no longer than this, the search for the server's addresses
/// included. It comes before a machine is switched off, too, and a conductor pulls the plug of one
/// that is still on after 35 s.
pub(crate) const LIMIT: Duration = Duration::from_secs(8);

/// Why there is no time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NtpError {
    /// What the option says is no host.
    #[error("Invalid NTP server address: {server}")]
    Server {
        /// The option's value.
        server: String,
    },
    /// The host has no address.
    #[error("The NTP server {server} cannot be asked")]
    Resolve {
        /// The option's value.
        server: String,
        /// Why not.
        #[source]
        source: NetError,
    },
    /// No usable answer came.
    #[error("The NTP server {server} gave no usable answer")]
    Answer {
        /// The option's value.
        server: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl NtpError {
    /// Whether asking again can never help.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Server { .. })
    }
}

/// The time now, by this server: an address or a name, checked as the reference checks it. Takes
/// [`LIMIT`] at most.
pub(crate) async fn time(server: &str, resolver: &Resolver) -> Result<SystemTime, NtpError> {
    timeout(LIMIT, exchange(server, resolver))
        .await
        .unwrap_or_else(|_| {
            Err(NtpError::Answer {
                server: server.to_owned(),
                source: io::ErrorKind::TimedOut.into(),
            })
        })
}

async fn exchange(server: &str, resolver: &Resolver) -> Result<SystemTime, NtpError> {
    if !is_host(server) {
        return Err(NtpError::Server {
            server: server.to_owned(),
        });
    }
    let addresses = resolver
        .addresses(server)
        .await
        .map_err(|source| NtpError::Resolve {
            server: server.to_owned(),
            source,
        })?;
    let sockets: Vec<_> = addresses
        .into_iter()
        .map(|address| SocketAddr::new(address, PORT))
        .collect();
    ask_in_turn(&sockets)
        .await
        .map_err(|source| NtpError::Answer {
            server: server.to_owned(),
            source,
        })
}

/// Every address once before any a second time: the first one may be of a protocol that this network
/// does not carry.
async fn ask_in_turn(servers: &[SocketAddr]) -> io::Result<SystemTime> {
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for _ in 0..TRIES {
        for &server in servers {
            match ask(server).await {
                Ok(time) => return Ok(time),
                Err(error) => failure = error,
            }
        }
    }
    Err(failure)
}

async fn ask(server: SocketAddr) -> io::Result<SystemTime> {
    let socket = UdpSocket::bind(any_towards(server.ip())).await?;
    socket.connect(server).await?;
    // What the server repeats in its answer: chance, so that an answer cannot be forged blindly.
    let cookie = uuid::Uuid::new_v4().as_u128() as u64;
    let mut request = [0; 48];
    // No leap warning, version 4, mode client.
    request[0] = 0b00_100_011;
    request[40..48].copy_from_slice(&cookie.to_be_bytes());
    let asked = Instant::now();
    socket.send(&request).await?;
    let mut answer = [0; 512];
    let length = timeout(ANSWER, socket.recv(&mut answer)).await??;
    let time = read(&answer[..length], cookie)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is no time"))?;
    Ok(time + asked.elapsed() / 2)
}

/// The transmit time of an answer; `None` where it is not to be used: another mode, a server
/// without time, a kiss of death, another exchange.
pub(super) fn read(answer: &[u8], cookie: u64) -> Option<SystemTime> {
    let answer = answer.get(..48)?;
    let (leap, mode, stratum) = (answer[0] >> 6, answer[0] & 0b111, answer[1]);
    let originate = u64::from_be_bytes(answer[24..32].try_into().ok()?);
    let usable = leap != 3 && mode == 4 && (1..=15).contains(&stratum) && originate == cookie;
    if !usable {
        return None;
    }
    let seconds = u64::from(u32::from_be_bytes(answer[40..44].try_into().ok()?));
    let fraction = u64::from(u32::from_be_bytes(answer[44..48].try_into().ok()?));
    let mut since_1970 = seconds.saturating_sub(TO_1970);
    if since_1970 < EARLIEST {
        since_1970 = seconds + ERA - TO_1970;
    }
    let nanoseconds = (fraction * 1_000_000_000) >> 32;
    Some(UNIX_EPOCH + Duration::from_secs(since_1970) + Duration::from_nanos(nanoseconds))
}

fn is_host(server: &str) -> bool {
    let characters = |byte: u8| byte.is_ascii_alphanumeric() || b".:_-".contains(&byte);
    !server.is_empty() && server.len() <= 253 && server.bytes().all(characters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(first: u8, stratum: u8, cookie: u64, seconds: u32) -> [u8; 48] {
        let mut answer = [0; 48];
        answer[0] = first;
        answer[1] = stratum;
        answer[24..32].copy_from_slice(&cookie.to_be_bytes());
        answer[40..44].copy_from_slice(&seconds.to_be_bytes());
        answer[44..48].copy_from_slice(&(1u32 << 31).to_be_bytes());
        answer
    }

    #[test]
    fn an_answer_gives_the_time() {
        // 2026-11-22T07:14:20.5Z in era 0, and 2040-01-01T00:00:00.5Z in era 1.
        let seconds = (1_795_331_660 + TO_1970) as u32;
        let expected = UNIX_EPOCH + Duration::from_millis(1_795_331_660_500);
        assert_eq!(read(&answer(0x24, 2, 7, seconds), 7), Some(expected));
        let seconds = (2_208_988_800 + TO_1970 - ERA) as u32;
        let expected = UNIX_EPOCH + Duration::from_millis(2_208_988_800_500);
        assert_eq!(read(&answer(0x24, 2, 7, seconds), 7), Some(expected));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let good = answer(0x24, 2, 7, 4_000_000_000);
        assert!(read(&good, 7).is_some());
        assert_eq!(read(&good[..47], 7), None);
        assert_eq!(read(&good, 8), None);
        assert_eq!(read(&answer(0xe4, 2, 7, 4_000_000_000), 7), None);
        assert_eq!(read(&answer(0x23, 2, 7, 4_000_000_000), 7), None);
        assert_eq!(read(&answer(0x24, 0, 7, 4_000_000_000), 7), None);
        assert_eq!(read(&answer(0x24, 16, 7, 4_000_000_000), 7), None);
    }

    /// A server that answers `count` questions at an address of its own.
    async fn server(count: usize, answers: bool) -> (SocketAddr, tokio::task::JoinHandle<()>) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let task = tokio::spawn(async move {
            for _ in 0..count {
                let mut question = [0; 48];
                let (_, peer) = socket.recv_from(&mut question).await.unwrap();
                let cookie = u64::from_be_bytes(question[40..48].try_into().unwrap());
                let stratum = u8::from(answers);
                let answer = answer(0x24, stratum, cookie, 4_000_000_000);
                socket.send_to(&answer, peer).await.unwrap();
            }
        });
        (address, task)
    }

    #[tokio::test]
    async fn every_address_is_asked_before_one_is_asked_again() {
        let (useless, asked_once) = server(1, false).await;
        let (good, _) = server(1, true).await;
        ask_in_turn(&[useless, good]).await.unwrap();
        asked_once.await.unwrap();
        // With none that knows the time each gets its tries.
        let (useless, asked_thrice) = server(TRIES as usize, false).await;
        ask_in_turn(&[useless]).await.unwrap_err();
        asked_thrice.await.unwrap();
    }

    #[test]
    fn hosts_are_checked() {
        for host in ["10.0.0.1", "2001:db8::1", "ntp-1.example_x"] {
            assert!(is_host(host), "{host}");
        }
        for host in ["", "a b", "x;reboot", "a/b", &"a".repeat(254)] {
            assert!(!is_host(host), "{host}");
        }
    }
}
