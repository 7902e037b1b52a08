//! Accepting connections, their limits, and the end of serving.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
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
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, error, info, warn};

use super::answer::{Answer, http_fault};
use super::routes::Routes;
use super::stall::WriteLimit;
use super::{Token, listener};
use crate::command::CommandTable;

/// Connections at once; more wait in the socket's queue. A conductor has one or two.
const CONNECTIONS: usize = 64;

/// A connection that is idle, or does not finish a request's head, is closed after this time
/// (contract/control-plane 5.1).
const IDLE_LIMIT: Duration = Duration::from_secs(10);

/// A peer that takes nothing of an answer for this long is given up.
const WRITE_LIMIT: Duration = Duration::from_secs(60);

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
    let routes = Arc::new(Routes::new(
        table,
        settings.token,
        scheme,
        settings.agent_version,
        settings.started_at,
    ));
    let tls = settings.tls.map(TlsAcceptor::from);
    let ended = tokio::spawn(accept(listener, tls, routes, stop));
    Ok(Server { address, ended })
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    routes: Arc<Routes>,
    stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    let mut stopping = pin!(stopped(stop.clone()));
    loop {
        let next = async {
            // Never closed, so a place always comes.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = &mut stopping => break,
            next = next => next,
        };
        match accepted {
            Ok((stream, peer)) => {
                connections.spawn(connection(
                    place,
                    stream,
                    peer,
                    tls.clone(),
                    Arc::clone(&routes),
                    stop.clone(),
                ));
            }
            Err(error) => {
                // Out of descriptors, or a connection that broke: neither ends the server.
                warn!(%error, "a connection could not be accepted");
                sleep(Duration::from_millis(100)).await;
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
    _place: Option<OwnedSemaphorePermit>,
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    routes: Arc<Routes>,
    stop: watch::Receiver<bool>,
) {
    // An answer is one write; waiting for more would only delay it.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%peer, %error, "no TCP_NODELAY");
    }
    let stream = WriteLimit::new(stream, WRITE_LIMIT);
    let Some(acceptor) = tls else {
        return converse(stream, peer, routes, stop).await;
    };
    match timeout(IDLE_LIMIT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => converse(stream, peer, routes, stop).await,
        Ok(Err(error)) => info!(%peer, %error, "no TLS connection came about"),
        Err(_) => info!(%peer, "the TLS handshake took too long"),
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    routes: Arc<Routes>,
    stop: watch::Receiver<bool>,
) {
    let service = service_fn(|request| respond(Arc::clone(&routes), peer, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_LIMIT)
        .serve_connection(TokioIo::new(stream), service);
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
    routes: Arc<Routes>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    // The path without the query, in which the token is.
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    // A set, because it takes its tasks with it.
    let mut task = JoinSet::new();
    task.spawn(async move { routes.answer(request).await });
    let answer = match task.join_next().await {
        Some(Ok(answer)) => answer,
        failed => {
            error!(%method, path, ?failed, "a request ended in a panic");
            http_fault(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The request could not be answered because of a defect of the agent.",
            )
        }
    };
    let status = answer.status().as_u16();
    info!(%peer, %method, path, status, "request");
    Ok(answer)
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // A dropped sender means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}
