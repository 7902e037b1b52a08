//! An HTTP server for tests that misbehaves on request: it speaks to the socket itself, because a
//! library would not let it cut a body or lie about a length.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Path with its query.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
}

/// What goes back.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Arc<Vec<u8>>,
    /// Where in the body to start.
    pub(crate) from: usize,
    /// Where in the body to end.
    pub(crate) to: usize,
    /// Close the connection after so many bytes of the body.
    pub(crate) cut_at: Option<usize>,
    /// Stop sending after so many bytes of the body, and keep the connection.
    pub(crate) stall_at: Option<usize>,
    /// Announce this length instead of the true one; `Some(None)` announces none.
    pub(crate) announce: Option<Option<usize>>,
    /// Hang up without a word.
    pub(crate) silent: bool,
    /// Send so many bytes at a time, with a pause of so many milliseconds after each.
    pub(crate) drip: Option<(usize, u64)>,
    /// Send these bytes and nothing else, and whether the connection is kept then.
    pub(crate) raw: Option<(Vec<u8>, bool)>,
}

/// The server; it ends when dropped.
pub(crate) struct TestServer {
    scheme: &'static str,
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl TestServer {
    /// Answer the n-th request (from 0) with what this function says.
    pub(crate) fn start(answer: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_on("127.0.0.1:0", None, answer)
    }

    /// The same over TLS.
    pub(crate) fn start_tls(
        config: ServerConfig,
        answer: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start_on("127.0.0.1:0", Some(config), answer)
    }

    /// The same at an address of this machine, over TLS or not.
    pub(crate) fn start_on(
        address: &str,
        tls: Option<ServerConfig>,
        answer: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let tls = tls.map(Arc::new);
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let requests = Arc::clone(&requests);
            let stop = Arc::clone(&stop);
            move || {
                let mut handlers = Vec::new();
                let answer = Arc::new(answer);
                for stream in listener.incoming() {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let answer = Arc::clone(&answer);
                    let requests = Arc::clone(&requests);
                    let stop = Arc::clone(&stop);
                    let tls = tls.clone();
                    handlers.push(thread::spawn(move || {
                        let socket = stream.unwrap();
                        let mut stream = socket.try_clone().unwrap();
                        // A client that hangs up is what some tests are about.
                        let _ = match tls {
                            None => serve(&mut stream, &*answer, &requests, &stop),
                            Some(config) => {
                                let connection = ServerConnection::new(config).unwrap();
                                let mut stream = StreamOwned::new(connection, stream);
                                serve(&mut stream, &*answer, &requests, &stop)
                            }
                        };
                        let _ = socket.shutdown(Shutdown::Both);
                    }));
                }
                for handler in handlers {
                    handler.join().unwrap();
                }
            }
        });
        Self {
            scheme,
            address,
            requests,
            stop,
            thread: Some(thread),
        }
    }

    pub(crate) fn url(&self, target: &str) -> String {
        format!("{}://{}{target}", self.scheme, self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// First byte of a `Range`.
    pub(crate) fn range(&self) -> Option<usize> {
        self.bounds().0
    }

    /// First byte of a `Range`, and its last where it names one.
    fn bounds(&self) -> (Option<usize>, Option<usize>) {
        self.header("range")
            .and_then(|range| range.strip_prefix("bytes=")?.split_once('-'))
            .map_or((None, None), |(first, last)| {
                (first.parse().ok(), last.parse().ok())
            })
    }
}

impl Reply {
    pub(crate) fn ok(body: &Arc<Vec<u8>>) -> Self {
        Self {
            status: 200,
            headers: vec![("ETag".to_owned(), "\"one\"".to_owned())],
            body: Arc::clone(body),
            from: 0,
            to: body.len(),
            drip: None,
            silent: false,
            cut_at: None,
            stall_at: None,
            announce: None,
            raw: None,
        }
    }

    /// These bytes, head and all.
    pub(crate) fn raw(bytes: Vec<u8>, keeps_connection: bool) -> Self {
        Self {
            raw: Some((bytes, keeps_connection)),
            ..Self::status(200)
        }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::ok(&Arc::new(b"<h1>no</h1>".to_vec()))
        }
    }

    /// The whole or the part that the request asks for.
    pub(crate) fn ranged(body: &Arc<Vec<u8>>, request: &Request) -> Self {
        let mut reply = Self::ok(body);
        if let (Some(from), last) = request.bounds() {
            reply.status = 206;
            reply.from = from;
            reply.to = last.map_or(body.len(), |last| last + 1).min(body.len());
            let range = format!("bytes {from}-{}/{}", reply.to - 1, body.len());
            reply = reply.header("Content-Range", &range);
        }
        reply
    }

    #[must_use]
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub(crate) fn cut_at(mut self, bytes: usize) -> Self {
        self.cut_at = Some(bytes);
        self
    }

    #[must_use]
    pub(crate) fn stall_at(mut self, bytes: usize) -> Self {
        self.stall_at = Some(bytes);
        self
    }

    #[must_use]
    pub(crate) fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    #[must_use]
    pub(crate) fn drip(mut self, bytes: usize, milliseconds: u64) -> Self {
        self.drip = Some((bytes, milliseconds));
        self
    }

    #[must_use]
    pub(crate) fn announce(mut self, length: Option<usize>) -> Self {
        self.announce = Some(length);
        self
    }
}

fn serve(
    stream: &mut (impl Read + Write),
    answer: &(impl Fn(usize, &Request) -> Reply + ?Sized),
    requests: &Mutex<Vec<Request>>,
    stop: &AtomicBool,
) -> std::io::Result<()> {
    let request = read_request(stream)?;
    let number = {
        let mut requests = requests.lock().unwrap();
        requests.push(request.clone());
        requests.len() - 1
    };
    let reply = answer(number, &request);
    if reply.silent {
        return Ok(());
    }
    if let Some((bytes, keeps_connection)) = &reply.raw {
        stream.write_all(bytes)?;
        stream.flush()?;
        while *keeps_connection && !stop.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(20));
        }
        return Ok(());
    }
    let body = &reply.body[reply.from..reply.to];
    let mut head = format!(
        "HTTP/1.1 {} Whatever\r\nConnection: close\r\n",
        reply.status
    );
    if let Some(length) = reply.announce.unwrap_or(Some(body.len())) {
        head.push_str(&format!("Content-Length: {length}\r\n"));
    }
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    let end = reply.cut_at.or(reply.stall_at).unwrap_or(body.len());
    let body = &body[..end.min(body.len())];
    match reply.drip {
        None => stream.write_all(body)?,
        Some((bytes, pause)) => {
            for drop in body.chunks(bytes) {
                stream.write_all(drop)?;
                stream.flush()?;
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                thread::sleep(Duration::from_millis(pause));
            }
        }
    }
    stream.flush()?;
    if reply.stall_at.is_some() {
        while !stop.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}

fn read_request(stream: &mut impl Read) -> std::io::Result<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    let mut lines = head.lines();
    let target = lines.next().and_then(|line| line.split(' ').nth(1));
    Ok(Request {
        target: target.unwrap_or_default().to_owned(),
        headers: lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect(),
    })
}
