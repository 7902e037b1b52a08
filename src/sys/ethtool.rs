//! What a network driver says of its card: permanent address, link modes and flags of its own, by
//! `SIOCETHTOOL`.
#![expect(unsafe_code, reason = "ioctl")]

use std::collections::BTreeMap;
use std::ffi::c_char;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use serde::{Deserialize, Serialize};

use crate::sys::hex;
use crate::sys::root::Root;

/// `linux/ethtool.h`.
const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSTATS: u32 = 0x1d;
const ETHTOOL_GPERMADDR: u32 = 0x20;
const ETHTOOL_GPFLAGS: u32 = 0x27;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETHTOOL_GLINKSETTINGS: u32 = 0x4c;
/// `MAX_ADDR_LEN`, `linux/netdevice.h`: InfiniBand uses 20 of them.
const MAX_ADDRESS: usize = 32;
/// `ETH_SS_STATS`, `ETH_SS_PRIV_FLAGS` and `ETH_GSTRING_LEN`.
const STATISTICS: u32 = 1;
const PRIVATE_FLAGS: u32 = 2;
const NAME_LENGTH: usize = 32;
/// As many as one request tells.
const MAX_FLAGS: usize = 32;
/// More counters than any driver has: cards with a hundred queues have some thousands.
const MAX_STATISTICS: usize = 32 * 1024;
/// Words of 32 bits that one link mode mask is given room for; Linux 6.12 uses 4.
const MAX_MASK_WORDS: usize = 16;
const SPEED_UNKNOWN: u32 = u32::MAX;

/// What a driver answers for one interface.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct LinkFacts {
    /// The address that the card was made with, lower case with colons; `None` where the driver
    /// does not know one or knows only zeros.
    #[serde(default)]
    pub permanent_address: Option<String>,
    /// The greatest speed among the supported link modes, else the speed now, in Mbit/s; `None`
    /// where neither is known, as with virtio.
    #[serde(default)]
    pub speed_mbps: Option<u64>,
    /// The driver's own switches by name (`ethtool --show-priv-flags`); most drivers have none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub private_flags: BTreeMap<String, bool>,
}

/// Ask the driver of this interface, or the recording. Nothing is an error: a driver that answers
/// nothing is common (bonds, VLANs).
pub(crate) fn link_facts(root: &Root, interface: &str) -> LinkFacts {
    if !root.is_system() {
        return root
            .recorded::<BTreeMap<String, LinkFacts>>("ethtool")
            .and_then(|mut facts| facts.remove(interface))
            .unwrap_or_default();
    }
    let Some(socket) = control_socket() else {
        return LinkFacts::default();
    };
    let facts = LinkFacts {
        permanent_address: permanent_address(&socket, interface).ok().flatten(),
        speed_mbps: speed(&socket, interface).ok().flatten(),
        private_flags: private_flags(&socket, interface).unwrap_or_default(),
    };
    root.remember("ethtool", interface, &facts);
    facts
}

/// What a driver says of itself and its card; empty where it does not know.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct CardFacts {
    /// The driver's version; in-tree drivers have the kernel's.
    pub version: String,
    /// The firmware's version.
    pub firmware: String,
    /// Where the card is: `0000:01:00.0`.
    pub bus: String,
}

/// Ask the driver of this interface about its card; `None` where it does not answer.
pub(crate) fn card_facts(interface: &str) -> Option<CardFacts> {
    // SAFETY: all fields are integers, for which zero is a value.
    let mut request: DriverInfo = unsafe { mem::zeroed() };
    request.command = ETHTOOL_GDRVINFO;
    ethtool(&control_socket()?, interface, &mut request).ok()?;
    Some(CardFacts {
        version: name_text(&request.version),
        firmware: name_text(&request.firmware),
        bus: name_text(&request.bus),
    })
}

/// The driver's own counters of this interface (`ethtool -S`), in the driver's order; none where it
/// has none.
pub(crate) fn statistics(interface: &str) -> Vec<(String, u64)> {
    control_socket()
        .and_then(|socket| read_statistics(&socket, interface).ok())
        .unwrap_or_default()
}

fn read_statistics(socket: &OwnedFd, interface: &str) -> io::Result<Vec<(String, u64)>> {
    let count = string_count(socket, interface, STATISTICS)?;
    if count == 0 || count > MAX_STATISTICS {
        return Ok(Vec::new());
    }
    // The kernel writes as many as there are by then, whatever room there is: queues can be added
    // meanwhile.
    let room = count * 4 + 1024;
    let mut names = vec![0u32; 3 + room * NAME_LENGTH / size_of::<u32>()];
    names[..3].copy_from_slice(&[ETHTOOL_GSTRINGS, STATISTICS, count as u32]);
    ethtool_buffer(socket, interface, &mut names)?;
    let mut values = vec![0u64; 1 + room];
    // `cmd` and `n_stats`, one after the other.
    let header = [ETHTOOL_GSTATS.to_ne_bytes(), (count as u32).to_ne_bytes()].concat();
    values[0] = u64::from_ne_bytes(header.try_into().unwrap_or_default());
    ethtool_buffer(socket, interface, &mut values)?;
    let bytes: Vec<u8> = names[3..]
        .iter()
        .flat_map(|word| word.to_ne_bytes())
        .collect();
    let names = bytes.chunks_exact(NAME_LENGTH).map(name_text);
    Ok(names.zip(values[1..].iter().copied()).take(count).collect())
}

/// How many strings there are in a set; 0 where the driver has none.
fn string_count(socket: &OwnedFd, interface: &str, set: u32) -> io::Result<usize> {
    let mut size = StringSetSize {
        command: ETHTOOL_GSSET_INFO,
        reserved: 0,
        sets: 1 << set,
        size: 0,
    };
    ethtool(socket, interface, &mut size)?;
    Ok(if size.sets == 0 {
        0
    } else {
        size.size as usize
    })
}

fn control_socket() -> Option<OwnedFd> {
    socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )
    .ok()
}

/// The text before the first zero.
fn name_text(bytes: &[u8]) -> String {
    let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).trim().to_owned()
}

/// `struct ethtool_drvinfo`.
#[repr(C)]
struct DriverInfo {
    command: u32,
    driver: [u8; 32],
    version: [u8; 32],
    firmware: [u8; 32],
    bus: [u8; 32],
    rom_version: [u8; 32],
    reserved: [u8; 12],
    private_flags: u32,
    statistics: u32,
    test_length: u32,
    eeprom_length: u32,
    register_length: u32,
}

/// `struct ethtool_perm_addr` with its room.
#[repr(C)]
struct PermanentAddress {
    command: u32,
    size: u32,
    data: [u8; MAX_ADDRESS],
}

/// `struct ethtool_link_settings` with its room.
#[repr(C)]
struct LinkSettings {
    command: u32,
    speed: u32,
    duplex: u8,
    port: u8,
    phy_address: u8,
    autonegotiation: u8,
    mdio_support: u8,
    tp_mdix: u8,
    tp_mdix_control: u8,
    mask_words: i8,
    transceiver: u8,
    master_slave_config: u8,
    master_slave_state: u8,
    rate_matching: u8,
    reserved: [u32; 7],
    /// Supported, advertised and the partner's masks, one after the other.
    masks: [u32; 3 * MAX_MASK_WORDS],
}

/// `struct ethtool_sset_info` with its room.
#[repr(C)]
struct StringSetSize {
    command: u32,
    reserved: u32,
    sets: u64,
    size: u32,
}

/// `struct ethtool_gstrings` with its room.
#[repr(C)]
struct Strings {
    command: u32,
    set: u32,
    count: u32,
    names: [[u8; NAME_LENGTH]; MAX_FLAGS],
}

/// `struct ethtool_value`.
#[repr(C)]
struct Flags {
    command: u32,
    bits: u32,
}

fn permanent_address(socket: &OwnedFd, interface: &str) -> io::Result<Option<String>> {
    let mut request = PermanentAddress {
        command: ETHTOOL_GPERMADDR,
        size: MAX_ADDRESS as u32,
        data: [0; MAX_ADDRESS],
    };
    ethtool(socket, interface, &mut request)?;
    let length = (request.size as usize).min(MAX_ADDRESS);
    Ok(address_text(&request.data[..length]))
}

fn speed(socket: &OwnedFd, interface: &str) -> io::Result<Option<u64>> {
    // SAFETY: all fields are integers, for which zero is a value.
    let mut request: LinkSettings = unsafe { mem::zeroed() };
    request.command = ETHTOOL_GLINKSETTINGS;
    // With no room announced, the kernel answers with the number of words it needs, negated.
    ethtool(socket, interface, &mut request)?;
    let words = usize::from(request.mask_words.unsigned_abs());
    if words == 0 || words > MAX_MASK_WORDS {
        return Ok(None);
    }
    request.command = ETHTOOL_GLINKSETTINGS;
    request.mask_words = request.mask_words.saturating_abs();
    ethtool(socket, interface, &mut request)?;
    Ok(greatest_speed(&request.masks[..words], request.speed))
}

fn private_flags(socket: &OwnedFd, interface: &str) -> io::Result<BTreeMap<String, bool>> {
    let count = string_count(socket, interface, PRIVATE_FLAGS)?;
    // The kernel writes as many names as there are, whatever room there is.
    if count == 0 || count > MAX_FLAGS {
        return Ok(BTreeMap::new());
    }
    let mut strings = Strings {
        command: ETHTOOL_GSTRINGS,
        set: PRIVATE_FLAGS,
        count: count as u32,
        names: [[0; NAME_LENGTH]; MAX_FLAGS],
    };
    ethtool(socket, interface, &mut strings)?;
    let mut flags = Flags {
        command: ETHTOOL_GPFLAGS,
        bits: 0,
    };
    ethtool(socket, interface, &mut flags)?;
    let count = (strings.count as usize).min(MAX_FLAGS);
    Ok(named_flags(&strings.names[..count], flags.bits))
}

fn named_flags(names: &[[u8; NAME_LENGTH]], bits: u32) -> BTreeMap<String, bool> {
    names
        .iter()
        .enumerate()
        .map(|(bit, name)| (name_text(name), bits & (1 << bit) != 0))
        .collect()
}

/// One request; the kernel writes its answer over it.
fn ethtool<T>(socket: &OwnedFd, interface: &str, request: &mut T) -> io::Result<()> {
    ethtool_buffer(socket, interface, std::slice::from_mut(request))
}

/// One request that begins this buffer, which has room for the answer.
fn ethtool_buffer<T>(socket: &OwnedFd, interface: &str, request: &mut [T]) -> io::Result<()> {
    // SAFETY: ifreq holds integers, arrays of them and a pointer; zero is a value for all.
    let mut ifreq: libc::ifreq = unsafe { mem::zeroed() };
    let name = interface.as_bytes();
    if name.len() >= ifreq.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in ifreq.ifr_name.iter_mut().zip(name) {
        *to = c_char::from_ne_bytes([*from]);
    }
    ifreq.ifr_ifru.ifru_data = request.as_mut_ptr().cast();
    // SAFETY: the socket is open; ifreq is NUL-terminated and points to a request of the layout and
    // size that its command and its own length field announce, alive until the call returns.
    let result = unsafe {
        libc::ioctl(
            socket.as_raw_fd(),
            libc::SIOCETHTOOL as libc::Ioctl,
            &raw mut ifreq,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn address_text(bytes: &[u8]) -> Option<String> {
    if bytes.iter().all(|byte| *byte == 0) {
        return None;
    }
    Some(hex::with_colons(bytes))
}

/// The greatest speed that a mask of supported modes holds, else the speed now.
fn greatest_speed(supported: &[u32], now: u32) -> Option<u64> {
    let supported = supported
        .iter()
        .zip(0u32..)
        .flat_map(|(word, index)| {
            (0..32)
                .filter(move |bit| word & (1 << bit) != 0)
                .map(move |bit| index * 32 + bit)
        })
        .filter_map(mode_speed)
        .max();
    supported.or_else(|| (now != 0 && now != SPEED_UNKNOWN).then_some(u64::from(now)))
}

/// The speed of a link mode in Mbit/s, by its bit (`enum ethtool_link_mode_bit_indices`, Linux
/// 6.15); `None` for the bits that are no speed (ports, pause, error correction).
fn mode_speed(bit: u32) -> Option<u64> {
    Some(match bit {
        0 | 1 | 92 | 99..=102 => 10,
        2 | 3 | 67 | 90 | 91 => 100,
        4 | 5 | 17 | 41 | 68 => 1_000,
        15 | 47 => 2_500,
        48 => 5_000,
        12 | 18..=20 | 42..=46 => 10_000,
        21 | 22 => 20_000,
        31..=33 => 25_000,
        23..=26 => 40_000,
        34 | 35 | 40 | 52..=56 => 50_000,
        27..=30 => 56_000,
        36..=39 | 57..=61 | 75..=79 => 100_000,
        62..=66 | 80..=84 | 103..=108 => 200_000,
        69..=73 | 85..=89 | 109..=114 => 400_000,
        93..=98 | 115..=120 => 800_000,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_layouts_are_the_kernels() {
        assert_eq!(size_of::<PermanentAddress>(), 8 + MAX_ADDRESS);
        assert_eq!(mem::offset_of!(LinkSettings, mask_words), 15);
        assert_eq!(mem::offset_of!(LinkSettings, masks), 48);
        assert_eq!(mem::offset_of!(StringSetSize, size), 16);
        assert_eq!(mem::offset_of!(Strings, names), 12);
        assert_eq!(size_of::<Flags>(), 8);
        assert_eq!(size_of::<DriverInfo>(), 196);
        assert_eq!(mem::offset_of!(DriverInfo, bus), 100);
    }

    #[test]
    fn the_greatest_supported_speed_counts() {
        // i40e with an optical module: 1000baseT and 10000baseSR.
        let mut masks = [0u32; 3];
        masks[0] = 1 << 5 | 1 << 6 | 1 << 10;
        masks[1] = 1 << (43 - 32);
        assert_eq!(greatest_speed(&masks, 1_000), Some(10_000));
        assert_eq!(greatest_speed(&[1 << 6 | 1 << 7, 0], 1_000), Some(1_000));
        assert_eq!(greatest_speed(&[0, 0], SPEED_UNKNOWN), None);
        assert_eq!(greatest_speed(&[], 0), None);
    }

    #[test]
    fn an_address_of_zeros_is_none() {
        assert_eq!(address_text(&[0; 6]), None);
        assert_eq!(
            address_text(&[0x52, 0x54, 0, 0x1a, 0xb0, 1]).as_deref(),
            Some("52:54:00:1a:b0:01")
        );
        assert_eq!(address_text(&[]), None);
    }

    #[test]
    fn flags_have_the_names_of_their_bits() {
        let mut names = [[0; NAME_LENGTH]; 2];
        names[0][..3].copy_from_slice(b"MFP");
        names[1][..15].copy_from_slice(b"disable-fw-lldp");
        assert_eq!(
            named_flags(&names, 0b10),
            BTreeMap::from([
                ("MFP".to_owned(), false),
                ("disable-fw-lldp".to_owned(), true)
            ])
        );
    }

    #[test]
    fn the_loopback_interface_has_no_card() {
        assert_eq!(link_facts(&Root::system(), "lo"), LinkFacts::default());
        assert_eq!(
            link_facts(&Root::system(), "a-name-that-is-far-too-long"),
            LinkFacts::default()
        );
    }

    proptest! {
        #[test]
        fn any_mask_has_a_speed_or_none(masks in proptest::collection::vec(any::<u32>(), 0..MAX_MASK_WORDS), now: u32) {
            greatest_speed(&masks, now);
        }
    }
}
