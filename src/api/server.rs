//! Accepting connections, their limits, and the end of serving.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, error, info, warn};

use super::answer::{Answer, http_fault};
use super::page::About;
use super::parser_fault::ParserFaults;
use super::places::{Places, Seat};
use super::requests_log::RequestsLog;
use super::routes::Routes;
use super::stall::WriteLimit;
use super::tokenless_reads::TokenlessReads;
use super::{Look, Token, listener};
use crate::command::CommandTable;
use crate::net::statsd::Timers;

/// The longest head of a request in bytes. A URL that is too long for hyper (64 KiB) fits, so that
/// its answer names the URL.
const HEAD_LIMIT: usize = 72 * 1024;

/// A connection that is idle, or does not finish a request's head, is closed after this time
/// (contract/control-plane 5.1).
const IDLE_LIMIT: Duration = Duration::from_secs(10);

/// A peer that takes nothing of an answer for this long is given up.
const WRITE_LIMIT: Duration = Duration::from_secs(60);

/// Bytes of a method or path that are logged.
const SHOWN: usize = 256;

/// What open requests get to finish once serving ends (contract/control-plane 5.1).
const GRACE: Duration = Duration::from_secs(5);

/// How the server is set up.
pub struct Settings {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// TLS; plain HTTP without.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// The token of the command routes. It may be set while the server runs.
    pub token: Token,
    /// `version` of the status.
    pub agent_version: String,
    /// `started_at` of the status: when the agent started, in seconds since 1970.
    pub started_at: f64,
    /// Addresses that are known to be conductors': they have places of their own.
    pub conductors: Vec<IpAddr>,
    /// Whether results may be read without the token, as `allow_reads_without_token` says.
    pub reads_without_token: bool,
    /// Takes how long requests took that succeeded.
    pub timers: Timers,
    /// Gives what anybody may know of what the agent does.
    pub look: Look,
}

/// What all connections share.
struct Shared {
    routes: Routes,
    log: RequestsLog,
}

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The address cannot be listened on.
    #[error("The command API cannot listen on {address}; is another agent running?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// Ends when the server has stopped and open requests are finished or cut off.
    pub ended: JoinHandle<()>,
}

/// Serve the command API until `stop` becomes true (or its sender is dropped). Comes back once the
/// port is open: the conductor calls as soon as it has heard of us. Must be called in a tokio
/// runtime with timers and I/O.
pub fn serve(
    settings: Settings,
    table: Arc<CommandTable>,
    stop: watch::Receiver<bool>,
) -> Result<Server, ApiError> {
    let failed = |source| ApiError::Listen {
        address: settings.listen,
        source,
    };
    let listener = listener::open(settings.listen)
        .and_then(TcpListener::from_std)
        .map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let scheme = if settings.tls.is_some() {
        "https"
    } else {
        "http"
    };
    info!(%address, scheme, "the command API is served");
    let shared = Arc::new(Shared {
        routes: Routes::new(
            table,
            settings.token,
            TokenlessReads::new(settings.reads_without_token),
            scheme,
            About {
                version: settings.agent_version,
                started_at: settings.started_at,
                look: settings.look,
            },
            settings.timers,
        ),
        log: RequestsLog::default(),
    });
    let tls = settings.tls.map(TlsAcceptor::from);
    let places = Places::new(settings.conductors);
    let ended = tokio::spawn(accept(listener, tls, shared, places, stop));
    Ok(Server { address, ended })
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    places: Arc<Places>,
    stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    let mut stopping = pin!(stopped(stop.clone()));
    loop {
        let accepted = tokio::select! {
            () = &mut stopping => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let seat = places.take(peer.ip());
                let number = seat.number();
                let task = connections.spawn(connection(
                    Arc::new(seat),
                    stream,
                    peer,
                    tls.clone(),
                    Arc::clone(&shared),
                    stop.clone(),
                ));
                places.ends_with(number, task);
            }
            Err(error) => {
                // A connection that broke, or nothing to keep one in: neither ends the server. Of
                // the second there may be more in a moment.
                let is_over = error.kind() == io::ErrorKind::ConnectionAborted;
                shared
                    .log
                    .of_stranger(|| warn!(%error, "a connection could not be accepted"));
                if !is_over {
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    let drained = timeout(GRACE, async {
        while connections.join_next().await.is_some() {}
    });
    if drained.await.is_err() {
        info!("requests that are still open are cut off");
    }
    info!("the command API is no longer served");
}

async fn connection(
    seat: Arc<Seat>,
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
) {
    // An answer is one write; waiting for more would only delay it.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%peer, %error, "no TCP_NODELAY");
    }
    let stream = WriteLimit::new(stream, WRITE_LIMIT);
    let Some(acceptor) = tls else {
        return converse(stream, peer, shared, seat, stop).await;
    };
    match timeout(IDLE_LIMIT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => converse(stream, peer, shared, seat, stop).await,
        Ok(Err(error)) => shared
            .log
            .of_stranger(|| info!(%peer, %error, "no TLS connection came about")),
        Err(_) => shared
            .log
            .of_stranger(|| info!(%peer, "the TLS handshake took too long")),
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    shared: Arc<Shared>,
    seat: Arc<Seat>,
    stop: watch::Receiver<bool>,
) {
    let service =
        service_fn(|request| respond(Arc::clone(&shared), Arc::clone(&seat), peer, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_LIMIT)
        .max_buf_size(HEAD_LIMIT)
        .serve_connection(TokioIo::new(ParserFaults::new(stream)), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stopped(stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%peer, %error, "a connection ended early");
    }
}

/// Answer on a task of its own, so that its panic becomes an answer. The task ends when the client
/// goes away; a command that was issued does not (see [`Routes`]).
async fn respond(
    shared: Arc<Shared>,
    seat: Arc<Seat>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    // The path without the query, in which the token is.
    let method = shown(request.method().as_str());
    let path = shown(request.uri().path());
    // A set, because it takes its tasks with it.
    let mut task = JoinSet::new();
    let (answering, asking) = (Arc::clone(&shared), Arc::clone(&seat));
    task.spawn(async move { answering.routes.answer(request, &asking).await });
    let answer = match task.join_next().await {
        Some(Ok(answer)) => answer,
        failed => {
            error!(method, path, ?failed, "a request ended in a panic");
            http_fault(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The request could not be answered because of a defect of the agent.",
            )
        }
    };
    let status = answer.status().as_u16();
    let log = || info!(%peer, method, path, status, "request");
    if seat.is_trusted() {
        log();
    } else {
        shared.log.of_stranger(log);
    }
    Ok(answer)
}

/// As much of a peer's text as the log takes.
fn shown(text: &str) -> String {
    if text.len() <= SHOWN {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(SHOWN)])
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // A dropped sender means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}
