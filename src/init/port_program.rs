//! `farrier-port`: asks the network of a rescued server every ten seconds whether it is still the one that gave the
//! addresses, and tells PID 1 where it is not.
//!
//! It reads what a network sends, so it is a program of its own, as `farrier-network` is. PID 1 starts it when the server
//! becomes a rescue system, and again at each link that comes; it ends after five minutes.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use super::port_move::Sign;
use super::port_round::{Given, Known, Verdict, ask};
use super::{lease, message};
use crate::sys::root::Root;

/// How often the network is asked.
const PAUSE: Duration = Duration::from_secs(10);

/// How soon again where it seems to be another one.
const DOUBT_PAUSE: Duration = Duration::from_secs(3);

/// For how long. Neutron and its switches take seconds, those that are busy minutes.
const WINDOW: Duration = Duration::from_secs(300);

/// How often in a row the network must be another one.
const TIMES: u32 = 2;

/// The program.
pub(super) fn main() -> ExitCode {
    let root = Root::system();
    let begin = Instant::now();
    let mut ports = Ports::default();
    loop {
        let now = Instant::now();
        if now.duration_since(begin) >= WINDOW {
            return ExitCode::SUCCESS;
        }
        match lease::kept() {
            Ok(leases) => ports.set(Given::all(&leases)),
            Err(error) => eprintln!("Could not read the leases: {error}"),
        }
        let verdicts = ports.ask(&root);
        let pause = match ports.take(&verdicts) {
            Next::Later => PAUSE,
            Next::Soon => DOUBT_PAUSE + now.elapsed(),
            Next::Another => {
                message::port(Sign::Another);
                PAUSE
            }
        };
        thread::sleep(pause.saturating_sub(now.elapsed()));
    }
}

/// What a round on all interfaces leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    Later,
    Soon,
    /// The network is another one.
    Another,
}

/// All interfaces that dhcpcd got something for.
#[derive(Debug, Default)]
struct Ports(BTreeMap<String, Port>);

#[derive(Debug, Default)]
struct Port {
    given: Given,
    known: Known,
    /// How often in a row the network was another one.
    doubts: u32,
}

impl Ports {
    /// This is given now. Doubts are about what was given before; what is known stays, as it names what it is about.
    fn set(&mut self, all: Vec<Given>) {
        let mut before = std::mem::take(&mut self.0);
        for given in all {
            let mut port = before.remove(&given.interface).unwrap_or_default();
            if port.given != given {
                port.given = given.clone();
                port.doubts = 0;
            }
            self.0.insert(given.interface, port);
        }
    }

    /// Ask on all at once. A port that nothing can be asked on says nothing.
    fn ask(&self, root: &Root) -> Vec<(Verdict, Known)> {
        let nobody = || (Verdict::Nobody, Known::default());
        let one = |port: &Port| {
            ask(root, &port.given, &port.known).unwrap_or_else(|error| {
                eprintln!("{}: could not ask: {error}", port.given.interface);
                nobody()
            })
        };
        thread::scope(|scope| {
            let threads: Vec<_> = self
                .0
                .values()
                .map(|port| scope.spawn(move || one(port)))
                .collect();
            let each = threads.into_iter();
            each.map(|thread| thread.join().unwrap_or_else(|_| nobody()))
                .collect()
        })
    }

    /// These are the verdicts, in the ports' order.
    fn take(&mut self, verdicts: &[(Verdict, Known)]) -> Next {
        let mut next = Next::Later;
        for (port, (verdict, known)) in self.0.values_mut().zip(verdicts) {
            println!("{}: {verdict}", port.given.interface);
            if *verdict != Verdict::Another {
                port.doubts = 0;
                port.known.add(known);
                continue;
            }
            port.doubts += 1;
            if port.doubts >= TIMES {
                next = Next::Another;
            } else if next == Next::Later {
                next = Next::Soon;
            }
        }
        if next == Next::Another {
            self.0.clear();
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn ports(names: &[&str]) -> Ports {
        let given = |name: &&str| Given {
            interface: (*name).to_owned(),
            ..Given::default()
        };
        let mut ports = Ports::default();
        ports.set(names.iter().map(given).collect());
        ports
    }

    fn take(ports: &mut Ports, verdicts: &[Verdict]) -> Next {
        let verdicts: Vec<_> = verdicts
            .iter()
            .map(|verdict| (*verdict, Known::default()))
            .collect();
        ports.take(&verdicts)
    }

    #[test]
    fn twice_in_a_row_is_another_network_and_once_is_none() {
        use Verdict::{Another, Counts, Nobody};
        let mut ports = ports(&["ens3"]);
        for (verdict, next) in [
            (Counts, Next::Later),
            (Another, Next::Soon),
            (Counts, Next::Later),
            (Another, Next::Soon),
            (Nobody, Next::Later),
            (Another, Next::Soon),
            (Another, Next::Another),
        ] {
            assert_eq!(take(&mut ports, &[verdict]), next, "{verdict:?}");
        }
    }

    #[test]
    fn doubts_of_two_ports_do_not_add_up() {
        use Verdict::{Another, Counts};
        let mut ports = ports(&["ens3", "ens4"]);
        assert_eq!(take(&mut ports, &[Another, Counts]), Next::Soon);
        assert_eq!(take(&mut ports, &[Counts, Another]), Next::Soon);
        assert_eq!(take(&mut ports, &[Counts, Another]), Next::Another);
    }

    #[test]
    fn what_is_known_of_a_port_goes_with_what_it_was_given() {
        let mut ports = ports(&["ens3", "ens4"]);
        let gateway = Known {
            gateways: [(Ipv4Addr::new(192, 0, 2, 1), [2; 6])].into(),
            together: None,
        };
        ports.take(&[
            (Verdict::Counts, gateway),
            (Verdict::Another, Known::default()),
        ]);
        let again: Vec<_> = ports.0.values().map(|port| port.given.clone()).collect();
        ports.set(again);
        assert_eq!(
            (ports.0["ens3"].known.gateways.len(), ports.0["ens4"].doubts),
            (1, 1)
        );
        ports.set(Vec::new());
        assert!(ports.0.is_empty());
    }
}
