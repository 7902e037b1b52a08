#!/usr/bin/env bash
# hickory-resolver that asks name servers one after the other never asks the second if the first is silent.
#
# Expected: with num_concurrent_reqs = 1 and the servers' own order it does as the C library: after the time limit of
#           one server the next one is asked.
# Happens:  the limit is that of the whole list. A server that does not answer uses it up, each further attempt begins
#           with the same server again, and the lookup fails without one question to the second. (By default two are
#           asked at once, which hides it for two servers, not for three of which two are silent.)
# Matters:  provisioning networks hand out a resolver of the site that they cannot reach, then one that they can.
#           Programs in C on the same machine find the conductor, those in Rust do not.
# Source:   hickory-resolver's documentation of ResolverOpts, timeout; resolv.conf(5), timeout and attempts.
# Tried:    hickory-resolver 0.26.3; Rust 1.88 or newer.
# Needs:    cargo:cargo-web build-essential
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"

[dependencies]
hickory-resolver = { version = "=0.26.3", default-features = false, features = ["tokio"] }
tokio = { version = "1", features = ["rt", "net", "time"] }

[profile.dev]
debug = false
TOML
cat > src/main.rs <<'RUST'
//! A silent name server, then one that answers: does a resolver ask the second?
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts, ServerOrderingStrategy,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::Resolver;

/// A name server: its place, and how many questions it heard. Each gets one address, if it answers at all.
fn server(answers: bool) -> (NameServerConfig, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut connection = ConnectionConfig::udp();
    connection.port = socket.local_addr().unwrap().port();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    std::thread::spawn(move || loop {
        let mut question = [0; 512];
        let (length, from) = socket.recv_from(&mut question).unwrap();
        count.fetch_add(1, Ordering::SeqCst);
        if answers {
            // The question as it came, without what EDNS adds, and one A record for its name.
            let name = 12 + question[12..length].iter().position(|byte| *byte == 0).unwrap();
            let mut answer = question[..name + 5].to_vec();
            answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
            socket.send_to(&answer, from).unwrap();
        }
    });
    (NameServerConfig::new(Ipv4Addr::LOCALHOST.into(), true, vec![connection]), asked)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut results = Vec::new();
    for first_answers in [true, false] {
        let (first, _) = server(first_answers);
        let (second, second_asked) = server(true);
        let mut options = ResolverOpts::default();
        options.num_concurrent_reqs = 1;
        options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
        options.timeout = Duration::from_secs(2);
        let config = ResolverConfig::from_parts(None, vec![], vec![first, second]);
        let found = runtime.block_on(async {
            let resolver = Resolver::builder_with_config(config, TokioRuntimeProvider::default())
                .with_options(options)
                .build()
                .unwrap();
            resolver.ipv4_lookup("conductor.example.").await.is_ok()
        });
        results.push(format!(
            "first {}: {}, second asked {} times",
            if first_answers { "answers" } else { "is silent" },
            if found { "found" } else { "failed" },
            second_asked.load(Ordering::SeqCst),
        ));
    }
    println!("{}", results.join("; "));
}
RUST
CARGO_TARGET_DIR=$folder/target cargo build --quiet 2>built || { cat built >&2; exit 2; }
seen=$(target/debug/finding)
expected="first answers: found, second asked 0 times; first is silent: failed, second asked 0 times"
[ "$seen" = "$expected" ] || { echo "changed: expected $expected; seen $seen" >&2; exit 1; }
echo "hickory-resolver 0.26.3, of two name servers the $seen"
