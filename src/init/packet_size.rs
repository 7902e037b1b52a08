//! The size of packets that DHCP announces (option 26).
//!
//! dhcpcd gives it to the routes and leaves the card's as it is, also where the card's is smaller: then others are asked
//! for packets that the card drops, and every connection hangs. So the card's is raised. A smaller one stays with the
//! routes of IPv4, which it was announced for; lowering the card's would take it from IPv6 too. (Not to ask for the option
//! was rejected: tunnels on the way need it where nobody tells of packets that are too large.) An advertisement of IPv6 with
//! more than the card takes is left out by dhcpcd itself.

use std::fs;
use std::path::Path;

/// Raise the card's size of packets below `root` to the announced one, bytes. What a person should know of it.
pub(super) fn raise(root: &Path, interface: &str, announced: u32) -> Option<String> {
    let file = root.join("sys/class/net").join(interface).join("mtu");
    let own: u32 = fs::read_to_string(&file).ok()?.trim().parse().ok()?;
    if announced <= own {
        return None;
    }
    Some(match fs::write(&file, announced.to_string()) {
        Ok(()) => {
            format!("network {interface} takes packets of {announced} bytes now, as DHCP says")
        }
        Err(error) => format!(
            "network {interface} takes packets of {own} bytes, and not the {announced} that DHCP says \
             ({error}): others may send what it drops; is the server's option 26 right?"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_more_than_the_card_takes_changes_it() {
        let root = tempfile::tempdir().unwrap();
        let card = root.path().join("sys/class/net/ens3");
        fs::create_dir_all(&card).unwrap();
        let mtu = || fs::read_to_string(card.join("mtu")).unwrap();
        fs::write(card.join("mtu"), "1500\n").unwrap();
        for announced in [0, 1400, 1500] {
            assert_eq!(raise(root.path(), "ens3", announced), None);
            assert_eq!(mtu(), "1500\n");
        }
        let said = raise(root.path(), "ens3", 9000).unwrap();
        assert!(said.contains("packets of 9000 bytes now"), "{said}");
        assert_eq!(mtu(), "9000");
        // A renewal says it again.
        assert_eq!(raise(root.path(), "ens3", 9000), None);
        assert_eq!(raise(root.path(), "gone", 9000), None);
    }

    #[test]
    fn a_card_that_refuses_is_named() {
        let root = tempfile::tempdir().unwrap();
        let card = root.path().join("sys/class/net/ens3");
        fs::create_dir_all(&card).unwrap();
        // A number of the kernel's that nobody may write.
        let fixed = "/proc/sys/kernel/ngroups_max";
        let own = fs::read_to_string(fixed).unwrap();
        std::os::unix::fs::symlink(fixed, card.join("mtu")).unwrap();
        let said = raise(root.path(), "ens3", 100_000).unwrap();
        let expected = format!("takes packets of {} bytes, and not the 100000", own.trim());
        assert!(said.contains(&expected), "{said}");
        assert!(said.contains("option 26"), "{said}");
    }
}
