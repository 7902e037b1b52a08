//! Interfaces that are made, and settings of those that are there.

use std::io;
use std::net::Ipv4Addr;

use super::{HEADER, NLA_F_NESTED, attribute, change, creation, request};

/// `linux/rtnetlink.h`.
const RTM_NEWLINK: u16 = 16;
/// `linux/if_link.h`.
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_VLAN_ID: u16 = 1;

/// A setting of a bond, as the kernel names and numbers them (`IFLA_BOND_…` in `linux/if_link.h`,
/// Documentation/networking/bonding.rst).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum BondOption {
    /// 0 (`balance-rr`) to 6 (`balance-alb`).
    Mode(u8),
    /// Milliseconds between two looks at the links.
    Miimon(u32),
    /// Milliseconds.
    UpDelay(u32),
    /// Milliseconds.
    DownDelay(u32),
    /// Milliseconds between two ARP probes.
    ArpInterval(u32),
    /// Whom ARP probes go to, 16 at most.
    ArpTargets(Vec<Ipv4Addr>),
    /// Index of the member that is used while it has a link.
    Primary(u32),
    /// 0 (`none`), 1 (`active`), 2 (`follow`).
    FailOverMac(u8),
    /// 0 (`layer2`) to 5 (`vlan+srcmac`).
    HashPolicy(u8),
    /// Fewest links with which it counts as up.
    MinLinks(u32),
    /// 0 (`slow`), 1 (`fast`).
    LacpRate(u8),
    /// 0 (`stable`), 1 (`bandwidth`), 2 (`count`).
    AdSelect(u8),
}

impl BondOption {
    fn append(&self, to: &mut Vec<u8>) {
        let mut byte = |kind, value: u8| attribute(to, kind, &[value]);
        match self {
            Self::Mode(value) => byte(1, *value),
            Self::FailOverMac(value) => byte(13, *value),
            Self::HashPolicy(value) => byte(14, *value),
            Self::LacpRate(value) => byte(21, *value),
            Self::AdSelect(value) => byte(22, *value),
            Self::Miimon(value) => attribute(to, 3, &value.to_ne_bytes()),
            Self::UpDelay(value) => attribute(to, 4, &value.to_ne_bytes()),
            Self::DownDelay(value) => attribute(to, 5, &value.to_ne_bytes()),
            Self::ArpInterval(value) => attribute(to, 7, &value.to_ne_bytes()),
            Self::Primary(value) => attribute(to, 11, &value.to_ne_bytes()),
            Self::MinLinks(value) => attribute(to, 18, &value.to_ne_bytes()),
            Self::ArpTargets(targets) => {
                let mut nested = Vec::new();
                for (number, target) in (0..).zip(targets) {
                    attribute(&mut nested, number, &target.octets());
                }
                attribute(to, 8 | NLA_F_NESTED, &nested);
            }
        }
    }
}

/// Make a VLAN interface of this name and id (1 to 4094) above the interface with this index: what
/// `ip link add link … name … type vlan id …` does. Needs CAP_NET_ADMIN.
///
/// `AlreadyExists` where there is an interface of this name, or this id above that interface.
pub(crate) fn add_vlan(parent: u32, name: &str, id: u16) -> io::Result<()> {
    request(&vlan_request(parent, name, id)?)
}

fn vlan_request(parent: u32, name: &str, id: u16) -> io::Result<Vec<u8>> {
    if !(1..=4094).contains(&id) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut data = Vec::new();
    attribute(&mut data, IFLA_VLAN_ID, &id.to_ne_bytes());
    let mut body = any_interface();
    attribute(&mut body, IFLA_IFNAME, &terminated(name)?);
    attribute(&mut body, IFLA_LINK, &parent.to_ne_bytes());
    attribute(
        &mut body,
        IFLA_LINKINFO | NLA_F_NESTED,
        &info("vlan", &data),
    );
    Ok(creation(RTM_NEWLINK, &body))
}

/// Make a bond of this name without members: what `ip link add … type bond …` does. Needs CAP_NET_ADMIN; the kernel
/// loads its module.
///
/// `AlreadyExists` where there is an interface of this name.
pub(crate) fn add_bond(name: &str, options: &[BondOption]) -> io::Result<()> {
    request(&bond_request(name, options)?)
}

fn bond_request(name: &str, options: &[BondOption]) -> io::Result<Vec<u8>> {
    let mut body = any_interface();
    attribute(&mut body, IFLA_IFNAME, &terminated(name)?);
    attribute(&mut body, IFLA_LINKINFO | NLA_F_NESTED, &bond_info(options));
    Ok(creation(RTM_NEWLINK, &body))
}

/// Change settings of the bond with this index. Needs CAP_NET_ADMIN.
pub(crate) fn set_bond_options(bond: u32, options: &[BondOption]) -> io::Result<()> {
    let mut body = interface(bond);
    attribute(&mut body, IFLA_LINKINFO | NLA_F_NESTED, &bond_info(options));
    request(&change(RTM_NEWLINK, &body))
}

/// Put an interface into a bond, which takes those that are down and brings them up. Needs CAP_NET_ADMIN.
pub(crate) fn set_master(member: u32, bond: u32) -> io::Result<()> {
    set(member, IFLA_MASTER, &bond.to_ne_bytes())
}

/// Set an interface's MTU, in bytes. Needs CAP_NET_ADMIN.
pub(crate) fn set_mtu(index: u32, mtu: u32) -> io::Result<()> {
    set(index, IFLA_MTU, &mtu.to_ne_bytes())
}

/// Set an interface's hardware address; many drivers want it down for that. Needs CAP_NET_ADMIN.
pub(crate) fn set_hardware_address(index: u32, address: &[u8]) -> io::Result<()> {
    set(index, IFLA_ADDRESS, address)
}

/// Give an interface another name; it has to be down. Needs CAP_NET_ADMIN.
pub(crate) fn rename(index: u32, name: &str) -> io::Result<()> {
    set(index, IFLA_IFNAME, &terminated(name)?)
}

fn set(index: u32, kind: u16, value: &[u8]) -> io::Result<()> {
    let mut body = interface(index);
    attribute(&mut body, kind, value);
    request(&change(RTM_NEWLINK, &body))
}

fn bond_info(options: &[BondOption]) -> Vec<u8> {
    let mut data = Vec::new();
    for option in options {
        option.append(&mut data);
    }
    info("bond", &data)
}

fn info(kind: &str, data: &[u8]) -> Vec<u8> {
    let mut info = Vec::new();
    attribute(&mut info, IFLA_INFO_KIND, kind.as_bytes());
    attribute(&mut info, IFLA_INFO_DATA | NLA_F_NESTED, data);
    info
}

/// `ifinfomsg` of one that is made: any family, no type, index, flags or change.
fn any_interface() -> Vec<u8> {
    vec![0; HEADER]
}

/// `ifinfomsg` of the one with this index.
fn interface(index: u32) -> Vec<u8> {
    let mut body = any_interface();
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body
}

fn terminated(name: &str) -> io::Result<Vec<u8>> {
    if name.is_empty() || name.len() >= libc::IFNAMSIZ {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok([name.as_bytes(), b"\0"].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::network_namespace::{inside, ip};

    #[test]
    fn a_request_is_laid_out_as_the_kernel_reads_it() {
        let request = vlan_request(2, "eno1.100", 100).unwrap();
        let expected: &[&[u8]] = &[
            &[80, 0, 0, 0, 16, 0, 5, 6],
            &[0; 8 + 16],
            &[13, 0, 3, 0],
            b"eno1.100\0\0\0\0",
            &[8, 0, 5, 0, 2, 0, 0, 0],
            &[24, 0, 18, 0x80, 8, 0, 1, 0],
            b"vlan",
            &[12, 0, 2, 0x80, 6, 0, 1, 0, 100, 0, 0, 0],
        ];
        if cfg!(target_endian = "little") {
            assert_eq!(request, expected.concat());
        }
    }

    #[test]
    fn what_is_no_vlan_is_refused() {
        for (name, id) in [
            ("", 1),
            ("sixteen-letters!", 1),
            ("a.0", 0),
            ("a.4095", 4095),
        ] {
            let error = vlan_request(1, name, id).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn a_parent_that_does_not_exist_is_an_error() {
        // EPERM where the tests run without CAP_NET_ADMIN, EOPNOTSUPP on a kernel without VLANs.
        let error = add_vlan(0x7fff_fff0, "farrier.9", 9).unwrap_err();
        assert!(matches!(
            error.raw_os_error(),
            Some(libc::ENODEV | libc::EPERM | libc::EOPNOTSUPP)
        ));
    }

    #[test]
    fn a_bond_is_laid_out_as_the_kernel_reads_it() {
        let options = [
            BondOption::Mode(4),
            BondOption::Miimon(100),
            BondOption::LacpRate(1),
            BondOption::ArpTargets(vec![Ipv4Addr::new(192, 0, 2, 1)]),
        ];
        let request = bond_request("bond0", &options).unwrap();
        let expected: &[&[u8]] = &[
            &[96, 0, 0, 0, 16, 0, 5, 6],
            &[0; 8 + 16],
            &[10, 0, 3, 0],
            b"bond0\0\0\0",
            &[52, 0, 18, 0x80, 8, 0, 1, 0],
            b"bond",
            &[40, 0, 2, 0x80],
            &[5, 0, 1, 0, 4, 0, 0, 0],
            &[8, 0, 3, 0, 100, 0, 0, 0],
            &[5, 0, 21, 0, 1, 0, 0, 0],
            &[12, 0, 8, 0x80, 8, 0, 0, 0, 192, 0, 2, 1],
        ];
        if cfg!(target_endian = "little") {
            assert_eq!(request, expected.concat());
        }
    }

    #[test]
    fn an_interface_is_renamed_and_gets_mtu_and_address() {
        inside(|| {
            ip("link add eno1 type veth peer name port1");
            let index = nix::net::if_::if_nametoindex("eno1").unwrap();
            rename(index, "lan0").unwrap();
            set_mtu(index, 9000).unwrap();
            set_hardware_address(index, &[0x52, 0x54, 0, 0, 0, 1]).unwrap();
            let read = |file: &str| {
                let path = format!("/sys/class/net/lan0/{file}");
                std::fs::read_to_string(path).unwrap().trim().to_owned()
            };
            assert_eq!(read("mtu"), "9000");
            assert_eq!(read("address"), "52:54:00:00:00:01");
            // veth takes 68 to 65535 bytes.
            let refused = set_mtu(index, 40).unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(libc::EINVAL));
            assert!(set_mtu(0x7fff_fff0, 1500).is_err());
        });
    }

    #[test]
    fn an_interface_gets_a_master() {
        inside(|| {
            // Any master: not every kernel that runs the tests has bonds.
            ip("link add br0 type bridge");
            ip("link add eno1 type veth peer name port1");
            let index = |name: &str| nix::net::if_::if_nametoindex(name).unwrap();
            set_master(index("eno1"), index("br0")).unwrap();
            let master = std::fs::read_link("/sys/class/net/eno1/master").unwrap();
            assert!(master.ends_with("br0"), "{}", master.display());
        });
    }

    #[test]
    fn a_bond_is_made_where_the_kernel_has_bonds() {
        inside(|| {
            let made = add_bond("bond0", &[BondOption::Mode(1), BondOption::Miimon(100)]);
            if made.as_ref().err().and_then(io::Error::raw_os_error) == Some(libc::EOPNOTSUPP) {
                eprintln!("not run: this kernel has no bonds");
                return;
            }
            made.unwrap();
            let read = |file: &str| {
                let path = format!("/sys/class/net/bond0/bonding/{file}");
                std::fs::read_to_string(path).unwrap().trim().to_owned()
            };
            assert_eq!(read("mode"), "active-backup 1");
            assert_eq!(read("miimon"), "100");
            let again = add_bond("bond0", &[]).unwrap_err();
            assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        });
    }
}
