//! What the agent tells the page that PID 1 draws on the machine's screens: one fact a datagram, to the
//! socket that PID 1 hears messages on.
//!
//! A line is `FACT=<key> <value>`. The value is one visible line; an empty one takes the fact away. What PID 1 can see by itself
//! (links, addresses, how the agent ended) is nobody's to tell.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use super::{printable, run_files};

/// The most bytes of a value; more are cut off where a character ends.
const LONGEST: usize = 1000;

/// What a fact is about.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum ConsoleFact {
    /// What the agent is doing, in words: `looking up the node`.
    Doing,
    /// How far it is: a percentage from 0 to 100, or `-` where the whole is unknown, a blank, and words for what, rate and
    /// remaining time: `25 writing image to /dev/sda, 15 s left, 100.0 MB/s`. PID 1 draws the bar.
    Progress,
    /// The node's UUID, as Ironic has it.
    Node,
    /// The node's name.
    Name,
    /// The machine's serial number, with vendor and model where they are known: `ABC1234 (Dell Inc. PowerEdge R650)`.
    Serial,
    /// The conductor's URL.
    Conductor,
    /// The BMC's address.
    Bmc,
    /// Switch ports by card: `eno1 leaf-7 Ethernet1/3, eno2 leaf-8 Ethernet1/3`.
    Switch,
    /// What went wrong last, in words.
    Trouble,
    /// What to do about it.
    Advice,
}

impl ConsoleFact {
    /// All of them.
    pub(crate) const ALL: [Self; 10] = [
        Self::Doing,
        Self::Progress,
        Self::Node,
        Self::Name,
        Self::Serial,
        Self::Conductor,
        Self::Bmc,
        Self::Switch,
        Self::Trouble,
        Self::Advice,
    ];

    /// Its name in a message.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Doing => "doing",
            Self::Progress => "progress",
            Self::Node => "node",
            Self::Name => "name",
            Self::Serial => "serial",
            Self::Conductor => "conductor",
            Self::Bmc => "bmc",
            Self::Switch => "switch",
            Self::Trouble => "trouble",
            Self::Advice => "advice",
        }
    }
}

/// Tell PID 1 a fact. Never waits. Where no such PID 1 listens, as outside a ramdisk, this does nothing.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] where PID 1 has more messages waiting than the kernel keeps for it (10 by
/// default): the fact is lost, and is to be told again.
pub(crate) fn tell(fact: ConsoleFact, value: &str) -> io::Result<()> {
    tell_at(Path::new(run_files::INIT_SOCKET), fact, value)
}

/// The same to this socket.
pub(crate) fn tell_at(socket: &Path, fact: ConsoleFact, value: &str) -> io::Result<()> {
    if !socket.exists() {
        return Ok(());
    }
    let sender = UnixDatagram::unbound()?;
    sender.set_nonblocking(true)?;
    sender.send_to(message(fact, value).as_bytes(), socket)?;
    Ok(())
}

fn message(fact: ConsoleFact, value: &str) -> String {
    format!("FACT={} {}", fact.key(), cut(&printable::line(value)))
}

/// The fact that a message tells, if it is one, and the value: visible, and not too long, whoever sent it.
pub(crate) fn parse(message: &str) -> Option<(ConsoleFact, String)> {
    let (key, value) = message.strip_prefix("FACT=")?.split_once(' ')?;
    let fact = ConsoleFact::ALL
        .into_iter()
        .find(|fact| fact.key() == key)?;
    Some((fact, cut(&printable::blanked(value)).to_owned()))
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn outside_a_ramdisk_there_is_nobody_to_tell() {
        let directory = tempfile::tempdir().unwrap();
        let nowhere = directory.path().join("init.sock");
        tell_at(&nowhere, ConsoleFact::Doing, "serving").unwrap();
    }

    #[test]
    fn only_what_is_on_the_list_is_a_fact() {
        for message in ["FACT=other x", "FACT=doing", "fact=doing x", "SAY=x", ""] {
            assert_eq!(parse(message), None, "{message}");
        }
        assert_eq!(
            parse("FACT=doing "),
            Some((ConsoleFact::Doing, String::new()))
        );
    }

    /// A PID 1 that is busy loses facts and keeps nobody waiting.
    #[test]
    fn a_full_socket_is_told_and_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("init.sock");
        let _deaf = UnixDatagram::bind(&path).unwrap();
        let error = (0..1_000_000)
            .find_map(|_| tell_at(&path, ConsoleFact::Doing, "serving").err())
            .unwrap();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    proptest! {
        #[test]
        fn any_value_is_one_message_of_one_visible_line(value in any::<String>(), which in 0..ConsoleFact::ALL.len()) {
            let fact = ConsoleFact::ALL[which];
            let message = message(fact, &value);
            prop_assert_eq!(message.lines().count(), 1);
            let (heard, text) = parse(&message).unwrap();
            prop_assert_eq!(heard, fact);
            prop_assert!(text.len() <= LONGEST && text.chars().all(printable::is_visible));
            let told = printable::line(&value);
            prop_assert!(told.contains(&text) && (text.len() > LONGEST - 4 || text == told.trim()));
        }

        #[test]
        fn any_message_is_a_visible_line_or_none(message in any::<String>()) {
            if let Some((_, text)) = parse(&format!("FACT=trouble {message}")) {
                prop_assert!(text.len() <= LONGEST && text.chars().all(printable::is_visible));
            }
        }
    }
}
