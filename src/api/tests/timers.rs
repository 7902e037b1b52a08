//! What a statsd server hears of requests.

use std::net::UdpSocket;

use super::*;
use crate::config::Options;
use crate::net::resolver::Resolver;

#[test]
fn requests_that_succeed_are_told_to_statsd_under_the_names_of_the_reference() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let limit = Some(Duration::from_secs(30));
    server.set_read_timeout(limit).unwrap();
    let options = Options {
        metrics_backend: "statsd".to_owned(),
        metrics_global_prefix: Some("lab".to_owned()),
        statsd_host: "127.0.0.1".to_owned(),
        statsd_port: server.local_addr().unwrap().port(),
        ..Options::default()
    };
    let runtime = Runtime::new().unwrap();
    let timers = {
        let _inside = runtime.enter();
        Timers::start(&options, "h", None, Resolver::default())
    };
    let served = Served::with(|settings| settings.timers = timers);
    // Neither has a name there.
    assert_eq!(served.get("/").status, 200);
    assert_eq!(served.get("/v1/").status, 200);
    // Refused, which is no measure of anything.
    assert_eq!(served.get("/v1/commands/").status, 401);
    assert_eq!(served.get("/v1/status").status, 200);
    let command = served.post(
        true,
        &execute("clean", &json!({"step": "erase_devices_metadata"})),
    );
    assert_eq!(command.status, 200, "{}", command.body);
    served.list();
    let id = command.json()["id"].as_str().unwrap().to_owned();
    let one = served.get(&format!("/v1/commands/{id}?agent_token={TOKEN}"));
    assert_eq!(one.status, 200);
    for name in ["get_status", "run_command", "list_commands", "get_command"] {
        let mut datagram = [0; 512];
        let length = server.recv(&mut datagram).unwrap();
        let text = std::str::from_utf8(&datagram[..length]).unwrap();
        let (heard, value) = text.split_once(':').unwrap();
        assert_eq!(heard, format!("lab.ironic_python_agent.api.app.{name}"));
        let milliseconds: f64 = value.strip_suffix("|ms").unwrap().parse().unwrap();
        assert!((0.0..60_000.0).contains(&milliseconds), "{text}");
    }
}
