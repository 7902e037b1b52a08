//! Timers for a statsd server (contract/control-plane 10.5): a UDP datagram for each, `name:milliseconds|ms`.
//!
//! Who has measured hands a sample over and goes on. A task of its own looks the server up, has the one socket, and says
//! when samples cannot be sent and when they can again.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use farrier_plugin::chain;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use super::NetError;
use super::resolver::Resolver;
use crate::config::Options;

/// Samples that wait while the server is looked up. Further ones are lost, as datagrams may be.
const QUEUE: usize = 64;

/// How long one lookup of the server may take.
const LOOKUP: Duration = Duration::from_secs(20);

/// How long nothing is sent after a failure.
const PAUSE: Duration = Duration::from_secs(60);

/// So many samples in a row went out: the server is there. One alone proves nothing, since only the next one hears that a
/// port is closed.
const PROOF: u32 = 2;

/// Characters of each part of a name, and of the server's.
const LONGEST: usize = 255;

/// What the timers of the reference are called.
const MODULE: &str = "ironic_python_agent.api.app";

/// Why samples are not sent.
#[derive(Debug, thiserror::Error)]
enum StatsdError {
    /// The server has no address.
    #[error("The statsd server cannot be looked up")]
    Resolve(#[source] NetError),
    /// No name server answers.
    #[error("No name server has told the address of the statsd server {host} within {} s", LOOKUP.as_secs())]
    Timeout {
        /// The name.
        host: String,
    },
    /// The kernel sends nothing there, or somebody has said that nobody listens.
    #[error("The statsd server {address} cannot be reached")]
    Send {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Takes timers; the default one drops them. Clones are of the same.
#[derive(Clone, Debug, Default)]
pub struct Timers(Option<Sender<Sample>>);

/// What was measured.
#[derive(Debug)]
struct Sample {
    name: &'static str,
    took: Duration,
}

/// Where samples go.
struct Server {
    host: String,
    port: u16,
    prefix: String,
    resolver: Resolver,
    /// There from a lookup to a failure.
    socket: Option<(UdpSocket, SocketAddr)>,
    not_before: Option<Instant>,
    sent_in_a_row: u32,
    is_failing: bool,
}

impl Timers {
    /// Those of these options, for the machine of this name and this node. They are dropped unless `backend` is `statsd`.
    /// Must be called in a tokio runtime with timers.
    pub(crate) fn start(
        options: &Options,
        host_name: &str,
        node: Option<&str>,
        resolver: Resolver,
    ) -> Self {
        if options.metrics_backend != "statsd" {
            return Self::default();
        }
        let server = Server {
            host: options.statsd_host.chars().take(LONGEST).collect(),
            port: options.statsd_port,
            prefix: prefix(options, host_name, node),
            resolver,
            socket: None,
            not_before: None,
            sent_in_a_row: 0,
            is_failing: false,
        };
        info!(
            server = server.host,
            port = server.port,
            prefix = server.prefix,
            "timers of requests are sent to statsd"
        );
        let (sender, samples) = channel(QUEUE);
        tokio::spawn(server.serve(samples));
        Self(Some(sender))
    }

    /// What has this name took so long. Never waits.
    pub(crate) fn took(&self, name: &'static str, took: Duration) {
        if let Some(sender) = &self.0 {
            // One that finds no room is lost.
            let _ = sender.try_send(Sample { name, took });
        }
    }
}

impl Server {
    /// Until the last of those who measure is gone.
    async fn serve(mut self, mut samples: Receiver<Sample>) {
        while let Some(sample) = samples.recv().await {
            if self.not_before.is_some_and(|end| Instant::now() < end) {
                continue;
            }
            let datagram = datagram(&self.prefix, &sample);
            match self.send(datagram.as_bytes()).await {
                Ok(()) => self.sent(),
                Err(error) => self.failed(&error),
            }
        }
    }

    async fn send(&mut self, datagram: &[u8]) -> Result<(), StatsdError> {
        if self.socket.is_none() {
            self.socket = Some(self.connect().await?);
        }
        let Some((socket, address)) = &self.socket else {
            return Ok(());
        };
        match socket.send(datagram) {
            Err(source) if source.kind() != io::ErrorKind::WouldBlock => Err(StatsdError::Send {
                address: *address,
                source,
            }),
            // What the kernel has no room for is lost.
            _ => Ok(()),
        }
    }

    /// A socket towards the first of the server's addresses that there is a way to.
    async fn connect(&self) -> Result<(UdpSocket, SocketAddr), StatsdError> {
        let timeout_of = || StatsdError::Timeout {
            host: self.host.clone(),
        };
        let found = timeout(LOOKUP, self.resolver.addresses(&self.host)).await;
        let addresses = found
            .map_err(|_| timeout_of())?
            .map_err(StatsdError::Resolve)?;
        // A resolver that answers has one at least.
        let mut failure = timeout_of();
        for address in addresses {
            let address = SocketAddr::new(address, self.port);
            match open(address) {
                Ok(socket) => return Ok((socket, address)),
                Err(source) => failure = StatsdError::Send { address, source },
            }
        }
        Err(failure)
    }

    fn sent(&mut self) {
        self.sent_in_a_row = self.sent_in_a_row.saturating_add(1);
        if self.is_failing && self.sent_in_a_row >= PROOF {
            self.is_failing = false;
            info!(server = self.host, "timers are sent to statsd again");
        }
    }

    /// The next one looks the server up anew: it may have moved.
    fn failed(&mut self, error: &StatsdError) {
        self.socket = None;
        self.sent_in_a_row = 0;
        self.not_before = Some(Instant::now() + PAUSE);
        if !self.is_failing {
            self.is_failing = true;
            warn!(error = %chain(error), "timers are lost until the server can be reached");
        }
    }
}

fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)),
    }?;
    socket.set_nonblocking(true)?;
    socket.connect(address)?;
    Ok(socket)
}

fn datagram(prefix: &str, sample: &Sample) -> String {
    let milliseconds = sample.took.as_secs_f64() * 1e3;
    format!("{prefix}.{}:{milliseconds:.3}|ms", sample.name)
}

/// What names begin with: `[global_prefix.][uuid.][host.]ironic_python_agent.api.app`.
fn prefix(options: &Options, host_name: &str, node: Option<&str>) -> String {
    let host = if options.metrics_prepend_host_reverse {
        let parts: Vec<&str> = host_name.rsplit('.').collect();
        parts.join(".")
    } else {
        host_name.to_owned()
    };
    let parts = [
        options.metrics_global_prefix.as_deref(),
        node.filter(|_| options.metrics_prepend_uuid),
        Some(host.as_str()).filter(|_| options.metrics_prepend_host),
        Some(MODULE),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .map(in_name)
        .collect();
    parts.join(".")
}

/// As a part of a name, which ends at a colon.
fn in_name(part: &str) -> String {
    let letter = |letter: char| match letter {
        ':' | '|' | '@' => '_',
        letter if letter.is_ascii_graphic() => letter,
        _ => '_',
    };
    part.chars().take(LONGEST).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use tokio::time::sleep;

    use super::*;

    fn options() -> Options {
        Options {
            metrics_backend: "statsd".to_owned(),
            ..Options::default()
        }
    }

    fn listener(address: impl Into<IpAddr>) -> UdpSocket {
        let socket = UdpSocket::bind((address.into(), 0)).unwrap();
        let limit = Some(Duration::from_secs(30));
        socket.set_read_timeout(limit).unwrap();
        socket
    }

    fn heard(socket: &UdpSocket) -> (String, SocketAddr) {
        let mut datagram = [0; 2048];
        let (length, from) = socket.recv_from(&mut datagram).unwrap();
        let text = String::from_utf8(datagram[..length].to_vec()).unwrap();
        (text, from)
    }

    #[test]
    fn names_begin_with_what_the_options_put_before_them() {
        let name = |change: &dyn Fn(&mut Options)| {
            let mut options = options();
            change(&mut options);
            prefix(&options, "node7.rack1.example.com", Some("2564c0a3"))
        };
        assert_eq!(name(&|_| {}), MODULE);
        assert_eq!(
            name(&|options| options.metrics_prepend_host = true),
            format!("com.example.rack1.node7.{MODULE}")
        );
        assert_eq!(
            name(&|options| {
                options.metrics_prepend_host = true;
                options.metrics_prepend_host_reverse = false;
                options.metrics_prepend_uuid = true;
                options.metrics_global_prefix = Some("lab".to_owned());
            }),
            format!("lab.2564c0a3.node7.rack1.example.com.{MODULE}")
        );
        // What would end the name, or begin another line.
        assert_eq!(
            name(&|options| options.metrics_global_prefix = Some("a:b|c@d\ne ü".to_owned())),
            format!("a_b_c_d_e__.{MODULE}")
        );
        let long = name(&|options| options.metrics_global_prefix = Some("x".repeat(1 << 20)));
        assert_eq!(long.len(), LONGEST + 1 + MODULE.len());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_wire_is_exact_and_one_socket_sends_all() {
        for address in [
            IpAddr::from(Ipv4Addr::LOCALHOST),
            Ipv6Addr::LOCALHOST.into(),
        ] {
            let socket = listener(address);
            let options = Options {
                statsd_host: address.to_string(),
                statsd_port: socket.local_addr().unwrap().port(),
                ..options()
            };
            let timers = Timers::start(&options, "h", None, Resolver::default());
            timers.took("get_status", Duration::from_micros(1_234));
            timers.took("run_command", Duration::from_secs(61));
            timers.took("get_command", Duration::ZERO);
            let datagrams = [heard(&socket), heard(&socket), heard(&socket)];
            let texts = datagrams.each_ref().map(|(text, _)| text.as_str());
            assert_eq!(
                texts,
                [
                    "ironic_python_agent.api.app.get_status:1.234|ms",
                    "ironic_python_agent.api.app.run_command:61000.000|ms",
                    "ironic_python_agent.api.app.get_command:0.000|ms",
                ]
            );
            assert!(datagrams.iter().all(|(_, from)| *from == datagrams[0].1));
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn only_statsd_sends() {
        let socket = listener(Ipv4Addr::LOCALHOST);
        socket.set_nonblocking(true).unwrap();
        for backend in ["noop", "collector"] {
            let options = Options {
                metrics_backend: backend.to_owned(),
                statsd_host: "127.0.0.1".to_owned(),
                statsd_port: socket.local_addr().unwrap().port(),
                ..Options::default()
            };
            let timers = Timers::start(&options, "h", None, Resolver::default());
            timers.took("get_status", Duration::ZERO);
        }
        sleep(Duration::from_millis(100)).await;
        let error = socket.recv(&mut [0; 16]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    /// A server that does not resolve, or does not listen, costs a request nothing; what finds no room is lost.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_that_is_not_there_keeps_nobody_waiting() {
        for host in ["no-such-host.invalid", "127.0.0.1"] {
            let options = Options {
                statsd_host: host.to_owned(),
                statsd_port: 1,
                ..options()
            };
            let timers = Timers::start(&options, "h", None, Resolver::default());
            let started = Instant::now();
            for _ in 0..100_000 {
                timers.took("get_status", Duration::ZERO);
            }
            assert!(started.elapsed() < Duration::from_secs(5), "{host}");
        }
    }

    fn server(port: u16) -> Server {
        Server {
            host: "127.0.0.1".to_owned(),
            port,
            prefix: "p".to_owned(),
            resolver: Resolver::default(),
            socket: None,
            not_before: None,
            sent_in_a_row: 0,
            is_failing: false,
        }
    }

    /// A closed port is heard of with the sample after; that alone is no reason to say that it is open again.
    #[tokio::test]
    async fn a_closed_port_is_a_failure_until_samples_go_out_in_a_row() {
        let closed = {
            let socket = listener(Ipv4Addr::LOCALHOST);
            socket.local_addr().unwrap().port()
        };
        let mut server = server(closed);
        let attempt = async |server: &mut Server| {
            let result = server.send(b"p.x:1|ms").await;
            match &result {
                Ok(()) => server.sent(),
                Err(error) => server.failed(error),
            }
            // As long as the answer takes on this machine.
            sleep(Duration::from_millis(50)).await;
            server.is_failing
        };
        assert!(!attempt(&mut server).await);
        assert!(attempt(&mut server).await, "refused");
        assert!(server.socket.is_none() && server.not_before.is_some());
        assert!(attempt(&mut server).await, "nobody has heard it yet");
        assert!(attempt(&mut server).await, "refused again");
        let socket = listener(Ipv4Addr::LOCALHOST);
        server.port = socket.local_addr().unwrap().port();
        assert!(attempt(&mut server).await);
        assert!(!attempt(&mut server).await, "it is there");
        assert_eq!(heard(&socket).0, "p.x:1|ms");
    }
}
