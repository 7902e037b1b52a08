//! Messages to PID 1: one datagram each, on a socket that only root can reach.

use std::fs;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use super::port_move::Sign;
use crate::sys::console_fact::{self, ConsoleFact};
use crate::sys::{printable, run_files};

/// The socket. It speaks sd_notify(3), so that udev reports on it when it is ready, and
/// messages of our own: `SETTLED=1`, `PARAMETERS=1`, `NETWORK=1`, `RESCUE=1` and `RESCUE=0`, `SAY=` with a line for the
/// consoles, `FACT=` with one for their page (see [`console_fact`]), and `PORT=` with a [`Sign`].
pub(super) const SOCKET: &str = run_files::INIT_SOCKET;

/// What a message says.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Message {
    /// A service is ready.
    Ready,
    /// udev has handled all devices.
    Settled,
    /// The parameters of virtual media are known, or that there are none.
    Parameters,
    /// What a plan of the network leaves to dhcpcd is written, or there is no plan.
    Network,
    /// The user `rescue` is to be let in.
    OpenRescueLogin,
    /// It is not, after all.
    CloseRescueLogin,
    /// What is seen of a network port.
    Port(Sign),
    /// A line for the consoles.
    Say(String),
    /// A fact for the page.
    Fact(ConsoleFact, String),
}

/// Make the socket.
pub(super) fn listen(path: &Path) -> io::Result<UnixDatagram> {
    // Only there when PID 1 itself was started again.
    let _ = fs::remove_file(path);
    let socket = UnixDatagram::bind(path)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Datagrams that are handled before PID 1 looks at the dead and at signals again; the kernel keeps ten.
const AT_ONCE: usize = 64;

/// The messages that have arrived, but for what a sender without end sends, which is for the next time. Does not wait.
pub(super) fn received(socket: &UnixDatagram) -> Vec<Message> {
    let mut buffer = [0; 4096];
    let mut messages = Vec::new();
    for _ in 0..AT_ONCE {
        let Ok(length) = socket.recv(&mut buffer) else {
            break;
        };
        messages.extend(
            String::from_utf8_lossy(&buffer[..length])
                .lines()
                .filter_map(parse),
        );
    }
    messages
}

fn parse(line: &str) -> Option<Message> {
    match line {
        "READY=1" => Some(Message::Ready),
        "SETTLED=1" => Some(Message::Settled),
        "PARAMETERS=1" => Some(Message::Parameters),
        "NETWORK=1" => Some(Message::Network),
        "RESCUE=1" => Some(Message::OpenRescueLogin),
        "RESCUE=0" => Some(Message::CloseRescueLogin),
        _ => {
            if let Some((fact, value)) = console_fact::parse(line) {
                return Some(Message::Fact(fact, value));
            }
            if let Some(word) = line.strip_prefix("PORT=") {
                return Sign::of_word(word).map(Message::Port);
            }
            let text = line.strip_prefix("SAY=")?.chars();
            // A console obeys control characters; a name from the network must not send any.
            Some(Message::Say(
                text.filter(|character| printable::is_visible(*character))
                    .collect(),
            ))
        }
    }
}

/// Have PID 1 write a line on all consoles. Lost where there is no such PID 1.
pub(super) fn say(text: &str) {
    send(&said(text));
}

/// One line, whatever is in it: a second one would be a message of its own.
fn said(text: &str) -> String {
    format!("SAY={}", printable::line(text))
}

/// Tell PID 1 that udev has handled all devices.
pub(super) fn settled() {
    send("SETTLED=1");
}

/// Tell PID 1 that virtual media were looked at, and what they brought is kept.
pub(super) fn parameters_known() {
    send("PARAMETERS=1");
}

/// Tell PID 1 what a plan of the network leaves to dhcpcd, or that there is no plan that can be used.
pub(super) fn network() {
    send("NETWORK=1");
}

/// Have PID 1 start the SSH server for the user `rescue`.
pub(super) fn open_rescue_login() {
    send("RESCUE=1");
}

/// Have it end that server.
pub(super) fn close_rescue_login() {
    send("RESCUE=0");
}

/// Tell PID 1 what is seen of a network port.
pub(super) fn port(sign: Sign) {
    send(&format!("PORT={}", sign.word()));
}

fn send(message: &str) {
    let sent =
        UnixDatagram::unbound().and_then(|socket| socket.send_to(message.as_bytes(), SOCKET));
    if let Err(error) = sent {
        let message = printable::line(message);
        eprintln!("{message} (PID 1 does not listen: {error})");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_no_other_message() {
        let sent = said("network eno1\nSETTLED=1\r\nNETWORK=1");
        let heard: Vec<Option<Message>> = sent.lines().map(parse).collect();
        let line = "network eno1\\nSETTLED=1\\r\\nNETWORK=1";
        assert_eq!(heard, [Some(Message::Say(line.to_owned()))]);
    }

    #[test]
    fn what_the_agent_tells_of_itself_arrives() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let socket = listen(&path).unwrap();
        for fact in ConsoleFact::ALL {
            let forged = format!("{fact:?} of \x1b[2J\nSETTLED=1\nFACT=doing nothing");
            console_fact::tell_at(&path, fact, &forged).unwrap();
            let told = format!("{fact:?} of \\u{{1b}}[2J\\nSETTLED=1\\nFACT=doing nothing");
            assert_eq!(received(&socket), [Message::Fact(fact, told)]);
            console_fact::tell_at(&path, fact, "").unwrap();
            assert_eq!(received(&socket), [Message::Fact(fact, String::new())]);
        }
    }

    #[test]
    fn messages_arrive_and_control_characters_do_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let socket = listen(&path).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender
            .send_to(
                b"STATUS=Processing...\nREADY=1\nSETTLED=1\nPARAMETERS=1\nNETWORK=1\nRESCUE=1\nRESCUE=0\nPORT=link\nPORT=x",
                &path,
            )
            .unwrap();
        let forged = "SAY=ens3 \x1b[2J\u{9b}\u{202e}\u{2028}10.0.0.2";
        sender.send_to(forged.as_bytes(), &path).unwrap();
        assert_eq!(
            received(&socket),
            [
                Message::Ready,
                Message::Settled,
                Message::Parameters,
                Message::Network,
                Message::OpenRescueLogin,
                Message::CloseRescueLogin,
                Message::Port(Sign::Link),
                Message::Say("ens3 [2J10.0.0.2".to_owned())
            ]
        );
        assert_eq!(received(&socket), []);
    }
}
