//! What peers without the token can cost: processor time, the log, and the place of an honest
//! conductor. The only test of its process, because the processor time is the process's.

#![expect(
    clippy::unwrap_used,
    reason = "a test's helpers fail the test by panicking"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::panic;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use farrier::testing::conductor::Heartbeats;
use farrier::testing::sys;
use farrier_plugin::StepArguments;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::{ClockId, clock_gettime};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use self::served::{Manager, TOKEN};

mod served;

/// Processor time of one request, the client's part with it. A build for debugging takes many times
/// as long.
const WORST: Duration = Duration::from_millis(if cfg!(debug_assertions) { 25 } else { 5 });

/// Hostile connections, all at once.
const HOSTILE: usize = 500;

/// How often Ironic asks where a connection breaks (contract/control-plane 5.7). On a machine that has
/// other work, those who come after a connection can push it out before its request is read, unless it is
/// a known conductor's, which has places of its own.
const MOST_ATTEMPTS: u32 = 3;

/// How long they go on.
const SIEGE: Duration = Duration::from_secs(8);

/// How many there are at most.
const SIEGES: usize = 5;

#[test]
fn peers_without_the_token_cost_next_to_nothing() {
    let logged = tempfile::NamedTempFile::new().unwrap();
    // What is logged is masked and written, which is a part of the cost.
    nix::unistd::dup2_stderr(logged.reopen().unwrap()).unwrap();
    panic::set_hook(Box::new(|panic| println!("{panic}")));
    sys::start_on_terminal(tracing::level_filters::LevelFilter::INFO);
    sys::hide(TOKEN);
    sys::hide(
        "https://poster:mellonmellon@records.example/hooks/T0001/B0002/XXXX?grant=opensesame",
    );
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most.min(8192), most).unwrap();

    let state = tempfile::tempdir().unwrap();
    // As the agent's.
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (stop, stopped) = watch::channel(false);
    let known = vec![Ipv4Addr::new(127, 0, 0, 9).into()];
    let manager = Manager(|_: &StepArguments| Value::Null);
    let address = served::serve(
        &runtime,
        manager,
        state.path(),
        stopped.clone(),
        Ipv4Addr::UNSPECIFIED,
        known,
    );

    one_request(address);
    // One of some sieges: other programs' work is none of ours, and there may be much of it.
    for left in (0..SIEGES).rev() {
        let before = fs::metadata(logged.path()).unwrap().len();
        let kept_waiting = siege(&runtime, address, stopped.clone());
        let after = fs::metadata(logged.path()).unwrap().len();
        println!("{} kB are logged of the siege", (after - before) / 1000);
        // Two files of 2 MiB are kept.
        assert!(after - before < 200_000, "{}", after - before);
        match kept_waiting {
            None => break,
            Some(waits) => assert!(left > 0, "{waits}"),
        }
    }
    stop.send_replace(true);
}

/// Every kind of single request that might be dear.
fn one_request(address: SocketAddr) {
    let long = |unit: &str, length: usize| unit.repeat(length / unit.len());
    let get = |path: String| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes();
    let mut requests: Vec<(String, Vec<u8>)> = Vec::new();
    for unit in [
        "://a:b@",
        "password=",
        "--",
        "secret:",
        "?key=",
        "&agent_token=",
        "%41",
        "%",
        "a",
        "/",
        "=",
        "&",
        "é",
        "/v1/commands",
        "\"password\": ",
        "agent_token=x&",
        "zq7x",
    ] {
        let unit = unit.replace([' ', '"'], "");
        requests.push((
            format!("path of {unit}"),
            get(format!("/{}", long(&unit, 60_000))),
        ));
        let query = format!("/v1/commands/?{}", long(&unit, 60_000));
        requests.push((format!("query of {unit}"), get(query)));
        let id = format!("/v1/commands/{}?agent_token=x", long(&unit, 60_000));
        requests.push((format!("id of {unit}"), get(id)));
    }
    requests.push((
        "redirect".to_owned(),
        get(format!("/v1/commands?{}", long("agent_token=a&", 60_000))),
    ));
    for path in ["/", "/v1/", "/v1/status", "/v1/commands/"] {
        requests.push((
            format!("long Host at {path}"),
            format!(
                "GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n",
                long("\"\\", 60_000)
            )
            .into_bytes(),
        ));
        requests.push((
            format!("100 headers at {path}"),
            format!(
                "GET {path} HTTP/1.1\r\n{}\r\n",
                (0..99)
                    .map(|n| format!("h{n}: {}\r\n", long("b", 600)))
                    .collect::<String>()
            )
            .into_bytes(),
        ));
    }
    for (name, head) in [
        (
            "too many headers",
            format!("GET / HTTP/1.1\r\n{}\r\n", long("a: b\r\n", 60_000)),
        ),
        (
            "one header of a name",
            format!("GET / HTTP/1.1\r\n{}: b\r\n\r\n", long("a", 60_000)),
        ),
        (
            "too long a head",
            format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", long("b", 1_000_000)),
        ),
        (
            "a long method",
            format!("{} / HTTP/1.1\r\n\r\n", long("M", 60_000)),
        ),
        (
            "a longer method",
            format!("{} / HTTP/1.1\r\n\r\n", long("M", 300_000)),
        ),
        (
            "a long URL",
            format!("GET /{} HTTP/1.1\r\n\r\n", long("a", 66_000)),
        ),
        (
            "folded lines",
            format!("GET / HTTP/1.1\r\na: b\r\n{}\r\n", long(" \r\n", 60_000)),
        ),
        (
            "empty lines",
            format!("{}GET / HTTP/1.1\r\n\r\n", long("\r\n", 60_000)),
        ),
        (
            "upgrades and expectations",
            format!(
                "POST /v1/commands/ HTTP/1.1\r\nExpect: 100-continue\r\nUpgrade: {}\r\nConnection: \
                 {}\r\nContent-Length: 9\r\n\r\n",
                long("h2c,", 20_000),
                long("upgrade,", 20_000)
            ),
        ),
    ] {
        requests.push((name.to_owned(), head.into_bytes()));
    }
    let posts = [
        ("JSON of depth", long("[", 60_000)),
        (
            "marker-like strings",
            long("\"\\u0000large-string:7\",", 60_000),
        ),
        ("a large body", long("x", 1_000_000)),
    ];
    for (name, body) in posts {
        for path in ["/v1/commands/", "/v1/commands", "/", "/x"] {
            let head = format!(
                "POST {path} HTTP/1.1\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            requests.push((format!("{name} to {path}"), (head + &body).into_bytes()));
        }
    }
    for (name, chunk) in [
        ("chunks of one byte", "1\r\nx\r\n".to_owned()),
        (
            "chunks with extensions",
            format!("1;{}\r\nx\r\n", long("a=b;", 3000)),
        ),
        (
            "chunk sizes of zeros",
            format!("{}1\r\nx\r\n", "0".repeat(15)),
        ),
    ] {
        let head = "POST /v1/commands/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        requests.push((
            name.to_owned(),
            (head.to_owned() + &long(&chunk, 300_000)).into_bytes(),
        ));
    }
    requests.push((
        "pipelined".to_owned(),
        long("GET /v1/status HTTP/1.1\r\n\r\n", 1000).into(),
    ));
    requests.push((
        "noise".to_owned(),
        (0..60_000u32).map(|n| ((n * 7919) >> 3) as u8).collect(),
    ));

    let _ = cost(address, b"GET /v1/status HTTP/1.1\r\n\r\n", usize::MAX);
    let mut costs = Vec::new();
    for (name, request) in requests {
        // The least of some: other programs' work is none of ours.
        let least = (0..3).map(|_| cost(address, &request, usize::MAX)).min();
        costs.push((least.unwrap(), name));
    }
    // In small pieces, of which each wakes the server. Sending costs this side the same.
    let head = format!("GET /{} HTTP/1.1\r\n\r\n", "password=".repeat(200));
    let least = (0..3).map(|_| cost(address, head.as_bytes(), 100)).min();
    costs.push((least.unwrap(), "small pieces".to_owned()));
    costs.sort();
    for (cost, name) in costs.iter().rev().take(12) {
        println!("{cost:?}: {name}");
    }
    let (worst, name) = costs.pop().unwrap();
    assert!(worst <= WORST, "{name} costs {worst:?}");
}

/// Processor time of this request, sent in pieces of so many bytes, until the connection is over or
/// the answer is there.
fn cost(address: SocketAddr, request: &[u8], piece: usize) -> Duration {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    stream
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let before = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).unwrap();
    for part in request.chunks(piece) {
        if stream.write_all(part).is_err() {
            break;
        }
        if piece < request.len() {
            thread::sleep(Duration::from_micros(500));
        }
    }
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
    // What the server still does about it.
    thread::sleep(Duration::from_millis(2));
    let after = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).unwrap();
    Duration::from(after) - Duration::from(before)
}

/// What a hostile connection does.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Idle,
    Slow,
    HalfHead,
    HalfBody,
}

/// Hundreds of hostile connections, each made anew when it is closed; conductors between them. Says so where an
/// answer or a heartbeat came too late.
fn siege(runtime: &Runtime, address: SocketAddr, stop: watch::Receiver<bool>) -> Option<String> {
    let beats = Arc::new(Mutex::new(Vec::new()));
    let heartbeats = Heartbeats {
        // One after 0.3 to 0.6 s.
        timeout: Duration::from_secs(1),
        demanded: Arc::new(Notify::new()),
        stop,
    };
    let heard = Arc::clone(&beats);
    runtime.spawn(heartbeats.run(
        move || {
            heard.lock().unwrap().push(Instant::now());
            async { Ok(()) }
        },
        |_| {},
    ));
    // The attackers' work is their machines'.
    let attackers = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    for number in 0..HOSTILE {
        let kind = [Kind::Idle, Kind::Slow, Kind::HalfHead, Kind::HalfBody][number % 4];
        // Half of them from one address.
        let host = if number % 2 == 0 {
            2
        } else {
            10 + (number % 40) as u8
        };
        attackers.spawn(async move {
            loop {
                let _ = attack(address, Ipv4Addr::new(127, 0, 0, host), kind).await;
                sleep(Duration::from_millis(500)).await;
            }
        });
    }
    let started = Instant::now();
    let mut slowest = Duration::ZERO;
    thread::sleep(Duration::from_millis(500));
    while started.elapsed() < SIEGE {
        // A conductor that is known, one that nobody knows, one that shares the address of 250.
        for (host, attempts) in [(9, 1), (7, MOST_ATTEMPTS), (2, MOST_ATTEMPTS)] {
            for target in [
                "/v1/status".to_owned(),
                format!("/v1/commands/?agent_token={TOKEN}"),
            ] {
                let asked = Instant::now();
                let from = Ipv4Addr::new(127, 0, 0, host);
                let once = || {
                    let reply = attackers.block_on(async {
                        timeout(Duration::from_secs(60), ask(address, from, &target)).await
                    });
                    reply.unwrap_or_else(|_| panic!("{target} of {host}: no answer"))
                };
                let reply = (1..attempts).find_map(|_| once().ok()).unwrap_or_else(|| {
                    once().unwrap_or_else(|error| panic!("{target} of {host}: {error}"))
                });
                let took = asked.elapsed();
                slowest = slowest.max(took);
                assert!(reply.starts_with("HTTP/1.1 200"), "{target} of {host}");
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
    let open = fs::read_dir("/proc/self/fd").unwrap().count();
    attackers.shutdown_background();
    println!("slowest answer: {slowest:?}; {open} descriptors, the attackers' with them");
    let beats = beats.lock().unwrap();
    let longest = beats
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .max()
        .unwrap();
    println!("longest pause between heartbeats: {longest:?}");
    assert!(open < HOSTILE + 64 + 64 + 64, "{open}");
    let is_prompt =
        slowest <= Duration::from_secs(1) && longest <= Duration::from_millis(600 + 2000);
    (!is_prompt).then(|| format!("an answer took {slowest:?}, a heartbeat {longest:?}"))
}

async fn ask(address: SocketAddr, from: Ipv4Addr, target: &str) -> std::io::Result<String> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let mut stream = socket.connect(address).await?;
    let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await?;
    Ok(reply)
}

async fn attack(address: SocketAddr, from: Ipv4Addr, kind: Kind) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let mut stream = socket.connect(address).await?;
    let start = match kind {
        Kind::Idle => "",
        Kind::Slow => "G",
        Kind::HalfHead => "GET /v1/status HTTP/1.1\r\nHost: x\r\n",
        Kind::HalfBody => "POST /v1/commands/ HTTP/1.1\r\nContent-Length: 100000000\r\n\r\nx",
    };
    stream.write_all(start.as_bytes()).await?;
    let mut buffer = [0; 512];
    loop {
        let waited = timeout(Duration::from_millis(200), stream.read(&mut buffer)).await;
        match (waited, kind) {
            (Ok(Ok(0) | Err(_)), _) => return Ok(()),
            (Ok(Ok(_)), _) | (Err(_), Kind::Idle | Kind::HalfHead) => {}
            (Err(_), Kind::Slow | Kind::HalfBody) => stream.write_all(b"x").await?,
        }
    }
}
