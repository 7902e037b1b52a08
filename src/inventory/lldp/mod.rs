//! Which switch port each network card is plugged into, as switches announce it by LLDP
//! (IEEE 802.1AB).

mod firmware;
mod frame;
mod neighbour;

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use farrier_plugin::{LldpData, NetworkInterface};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tracing::{info, warn};

pub(crate) use neighbour::Neighbour;

use self::frame::Frame;
use crate::net::links;
use crate::sys::hex;
use crate::sys::packet::{HardwareAddress, PacketSocket};
use crate::sys::root::Root;

const ETHERTYPE: u16 = 0x88cc;

/// Where announcements are sent (IEEE 802.1AB-2016, table 7-1): to the nearest bridge, the nearest
/// one that is no two-port relay, the nearest customer bridge. Bridges forward none of the first.
const GROUPS: [HardwareAddress; 3] = [
    [0x01, 0x80, 0xc2, 0, 0, 0x0e],
    [0x01, 0x80, 0xc2, 0, 0, 0x03],
    [0x01, 0x80, 0xc2, 0, 0, 0x00],
];

/// A frame fits into this; the largest that cards receive have 9 KiB and a little.
const FRAME_ROOM: usize = 10 * 1024;

/// How long an interface without a link is waited for: cards and switches agree on a speed within
/// this time or not at all.
const LINK_TIME: Duration = Duration::from_secs(5);

/// How often links are looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Neighbours that are kept of one interface. There is one, or on a segment with a hub or a virtual
/// switch some; a flood of forged ones must not fill the memory.
const MOST_NEIGHBOURS: usize = 8;

/// `ARPHRD_ETHER`, `linux/if_arp.h`.
const ETHERNET: u64 = 1;

/// What the name of this room's recordings is: `{"eno1": ["0180c200000e…"]}`, whole frames.
const RECORDED: &str = "lldp";

/// What was heard in one time of listening.
#[derive(Clone, Debug, Default)]
pub(crate) struct Announcements {
    /// For each interface that was listened at, one frame of each neighbour, in the order in which
    /// they came.
    frames: BTreeMap<String, Vec<Frame>>,
}

impl Announcements {
    /// Listen at all of these interfaces at once, until each that has a link has been heard, or for
    /// this time. The limit is for all together: the reference starts its 30 s again with every
    /// frame, so that a machine with many ports and one that is silent takes minutes.
    ///
    /// An interface that cannot be listened at is told in the log and left out.
    pub(crate) fn listen(root: &Root, interfaces: &[NetworkInterface], limit: Duration) -> Self {
        let heard = if root.is_system() {
            let heard = Self::heard(&root.unwitnessed(), interfaces, limit);
            for (interface, frames) in &heard.frames {
                let frames: Vec<String> = frames
                    .iter()
                    .map(|frame| hex::encode(frame.bytes()))
                    .collect();
                root.remember(RECORDED, interface, frames);
            }
            heard
        } else {
            Self::recorded(root, interfaces)
        };
        let silent = interfaces
            .iter()
            .filter(|interface| heard.is_silent(&interface.name));
        for hint in hints(root, silent) {
            warn!("{hint}");
        }
        heard
    }

    /// The first frame of each interface that was listened at, as the conductor gets it; nothing
    /// for an interface without one.
    ///
    /// The first, because one neighbour must not take the place of another: that of a virtual
    /// switch behind the real one, which announces itself more often.
    pub(crate) fn to_wire(&self) -> LldpData {
        self.frames
            .iter()
            .map(|(interface, frames)| {
                let first = frames.first().map(Frame::to_wire);
                (interface.clone(), first.unwrap_or_default())
            })
            .collect()
    }

    fn recorded(root: &Root, interfaces: &[NetworkInterface]) -> Self {
        let recorded: BTreeMap<String, Vec<String>> = root.recorded(RECORDED).unwrap_or_default();
        let mut heard = Self::default();
        for (interface, frames) in recorded {
            if interfaces.iter().any(|known| known.name == interface) {
                heard.frames.insert(interface.clone(), Vec::new());
                for frame in frames.iter().filter_map(|frame| hex::decode(frame)) {
                    heard.take(&interface, &frame);
                }
            }
        }
        heard
    }

    fn heard(root: &Root, interfaces: &[NetworkInterface], limit: Duration) -> Self {
        let mut heard = Self::default();
        let mut ears = Vec::new();
        for interface in interfaces {
            let name = &interface.name;
            if root.number(format!("/sys/class/net/{name}/type")) != Some(ETHERNET) {
                // InfiniBand has no LLDP.
                heard.frames.insert(name.clone(), Vec::new());
                continue;
            }
            match open(name) {
                Ok(socket) => {
                    heard.frames.insert(name.clone(), Vec::new());
                    ears.push(Ear {
                        interface: name,
                        // What a VLAN or a bond stands on hears for it.
                        is_card: !is_stacked(root, name),
                        socket,
                    });
                }
                Err(error) => warn!(interface = name, %error, "cannot listen for LLDP"),
            }
        }
        let started = Instant::now();
        // A limit that the clock cannot hold is as good as none.
        let deadline = started.checked_add(limit);
        let mut buffer = vec![0; FRAME_ROOM];
        loop {
            for ear in &ears {
                while let Some(length) = ear.receive(&mut buffer) {
                    heard.take(ear.interface, &buffer[..length]);
                }
            }
            let waits_for_links = started.elapsed() < LINK_TIME;
            let is_missing = |ear: &Ear<'_>| {
                ear.is_card
                    && heard.is_silent(ear.interface)
                    && (waits_for_links || links::has_carrier(root, ear.interface))
            };
            let left = deadline.map_or(LOOK, |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
            if left.is_zero() || !ears.iter().any(is_missing) {
                break;
            }
            wait(&ears, left.min(LOOK));
        }
        info!(
            interfaces = heard.frames.len(),
            neighbours = heard
                .frames
                .values()
                .filter(|frames| !frames.is_empty())
                .count(),
            seconds = started.elapsed().as_secs_f32(),
            "listened for LLDP"
        );
        heard
    }

    fn take(&mut self, interface: &str, bytes: &[u8]) {
        let (Some(known), Some(frame)) = (self.frames.get_mut(interface), Frame::new(bytes)) else {
            return;
        };
        if known.len() == MOST_NEIGHBOURS || known.iter().any(|one| one.same_neighbour(&frame)) {
            return;
        }
        let is_first = known.is_empty();
        let Neighbour {
            chassis_id,
            port_id,
            system_name,
            ..
        } = Neighbour::of_wire(&frame.to_wire());
        let text = |text: Option<String>| text.unwrap_or_default();
        info!(
            interface,
            chassis = text(chassis_id),
            port = text(port_id),
            system = text(system_name),
            "{}",
            if is_first {
                "LLDP neighbour"
            } else {
                "further LLDP neighbour; the first one counts"
            }
        );
        known.push(frame);
    }

    fn is_silent(&self, interface: &str) -> bool {
        self.frames.get(interface).is_some_and(Vec::is_empty)
    }
}

/// A frame as the conductor would get it; `None` where it is no announcement.
#[cfg(any(test, fuzzing))]
pub(crate) fn wire_form(frame: &[u8]) -> Option<farrier_plugin::LldpTlvs> {
    Frame::new(frame).map(|frame| frame.to_wire())
}

/// What keeps those of these silent interfaces from being heard that have a link, and what can be
/// done about it.
pub(crate) fn hints<'i>(
    root: &Root,
    silent: impl IntoIterator<Item = &'i NetworkInterface>,
) -> Vec<String> {
    silent
        .into_iter()
        .filter(|interface| links::has_carrier(root, &interface.name))
        .filter_map(|interface| firmware::hint(root, interface))
        .collect()
}

/// One interface that is listened at.
struct Ear<'i> {
    interface: &'i str,
    is_card: bool,
    socket: PacketSocket,
}

impl Ear<'_> {
    fn receive(&self, buffer: &mut [u8]) -> Option<usize> {
        // ENETDOWN is told once when an interface goes down; it may come up again.
        self.socket.receive(buffer).ok().flatten()
    }
}

fn open(interface: &str) -> std::io::Result<PacketSocket> {
    let socket = PacketSocket::open(interface, ETHERTYPE)?;
    for group in GROUPS {
        socket.join(group)?;
    }
    Ok(socket)
}

fn wait(ears: &[Ear<'_>], time: Duration) {
    let mut descriptors: Vec<PollFd<'_>> = ears
        .iter()
        .map(|ear| PollFd::new(ear.socket.as_fd(), PollFlags::POLLIN))
        .collect();
    let timeout = PollTimeout::try_from(time).unwrap_or(PollTimeout::ZERO);
    // An error or a signal only makes the next round come sooner.
    let _ = poll(&mut descriptors, timeout);
}

/// Whether this interface stands on another one.
fn is_stacked(root: &Root, interface: &str) -> bool {
    let lower = root.names_beginning(format!("/sys/class/net/{interface}"), "lower_");
    !lower.is_empty()
}

#[cfg(test)]
mod tests;
