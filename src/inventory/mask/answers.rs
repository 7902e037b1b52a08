//! Secrets in what the kernel answered, by interface. An interface, a member or a question that is
//! not known here is masked whole.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::pass::Pass;
use super::{lldp, udev};
use crate::sys::hex;

/// Members of an answer that stay.
const KEPT_OF_ETHTOOL: [&str; 2] = ["speed_mbps", "private_flags"];

/// IPMI: Get LAN Configuration Parameters (IPMI 2.0, 23.2).
const GET_LAN_PARAMETERS: &str = "0c02";
/// Completion code and revision of the parameter.
const IPMI_HEADER: usize = 2;

/// Begin of a superblock of an array (`linux/raid/md_p.h`), and what is in it.
const ARRAY_MAGIC: [u8; 4] = [0xfc, 0x4e, 0x2b, 0xa9];
const ARRAY_UUID: std::ops::Range<usize> = 16..32;
const ARRAY_NAME: std::ops::Range<usize> = 32..64;

/// Bytes of identify data that stay (NVM Express base specification 1.4, figures 245 and 247): not
/// serial number, FGUID, names and what is the maker's own.
const OF_NAMESPACE: &[std::ops::Range<usize>] = &[0..104, 128..384];
const OF_CONTROLLER: &[std::ops::Range<usize>] = &[0..4, 24..112, 128..768, 2048..3072];
/// Lists of the numbers of namespaces.
const LISTS: [&str; 2] = ["2", "16"];

/// The answers of one interface in one of the passes.
pub(super) fn of(
    pass: &mut Pass,
    interface: &str,
    answers: Map<String, Value>,
) -> Map<String, Value> {
    let mask: fn(&mut Pass, &str, Value) -> Value = match interface {
        "addresses" => |pass, _, answer| each_text(answer, |text| address(pass, text)),
        "ethtool" => |pass, _, answer| ethtool(pass, answer),
        "lldp" => |pass, _, answer| lldp::frames(pass, answer),
        "ipmi" => |pass, asked, answer| bytes(answer, |answer| ipmi(pass, asked, answer)),
        "nvme" => |pass, asked, answer| bytes(answer, |answer| nvme(pass, asked, answer)),
        "disks" => |pass, _, answer| bytes(answer, |answer| superblock(pass, answer)),
        "uname" => |pass, asked, answer| match asked {
            "machine" => each_text(answer, |text| pass.text(text)),
            _ => unknown(pass, answer),
        },
        _ => |pass, _, answer| unknown(pass, answer),
    };
    answers
        .into_iter()
        .map(|(asked, answer)| {
            let masked = mask(pass, &asked, answer);
            (question(pass, interface, &asked), masked)
        })
        .collect()
}

/// What was asked about: an interface of the network, a disk, a request.
fn question(pass: &mut Pass, interface: &str, asked: &str) -> String {
    match asked.strip_prefix("/dev/").filter(|_| interface == "disks") {
        Some(disk) => format!("/dev/{}", udev::below_dev(pass, disk)),
        None => pass.text(asked),
    }
}

fn address(pass: &mut Pass, text: &str) -> String {
    match text.parse::<IpAddr>() {
        Ok(address) => pass.address(address).to_string(),
        Err(_) => pass.serial(text),
    }
}

fn ethtool(pass: &mut Pass, answer: Value) -> Value {
    let Value::Object(members) = answer else {
        return unknown(pass, answer);
    };
    let members = members.into_iter().map(|(name, value)| {
        let value = match name.as_str() {
            "permanent_address" => each_text(value, |text| pass.mac_text(text)),
            known if KEPT_OF_ETHTOOL.contains(&known) => value,
            _ => unknown(pass, value),
        };
        (name, value)
    });
    Value::Object(members.collect())
}

/// A LAN parameter (IPMI 2.0, table 23-4).
fn ipmi(pass: &mut Pass, asked: &str, mut answer: Vec<u8>) -> Vec<u8> {
    let parameter = asked.split_once(' ').and_then(|(command, request)| {
        let request = hex::decode(request).filter(|_| command == GET_LAN_PARAMETERS)?;
        request.get(1).copied()
    });
    let Some(data) = answer.get_mut(IPMI_HEADER..) else {
        return answer;
    };
    match parameter {
        // Enables and status of IPv6.
        Some(51 | 55) => {}
        // IPv4 address, gateway and second gateway.
        Some(3 | 12 | 14) if data.len() == 4 => ip::<4>(pass, data),
        Some(5) if data.len() == 6 => {
            let mac = data.try_into().map(|mac| pass.mac(mac));
            data.copy_from_slice(&mac.unwrap_or_default());
        }
        // IPv6 address behind set selector and source, before prefix length and status.
        Some(56 | 59) if data.len() >= 18 => ip::<16>(pass, &mut data[2..18]),
        _ => pass.number(data),
    }
    answer
}

fn ip<const N: usize>(pass: &mut Pass, bytes: &mut [u8])
where
    IpAddr: From<[u8; N]>,
{
    let Ok(octets) = <[u8; N]>::try_from(&*bytes) else {
        return pass.number(bytes);
    };
    match pass.address(octets.into()) {
        IpAddr::V4(address) => bytes.copy_from_slice(&address.octets()),
        IpAddr::V6(address) => bytes.copy_from_slice(&address.octets()),
    }
}

/// Identify data: `/dev/nvme0n1 identify 1 0`.
fn nvme(pass: &Pass, asked: &str, mut data: Vec<u8>) -> Vec<u8> {
    let structure = asked.split(' ').rev().nth(1).unwrap_or_default();
    let kept = match structure {
        "0" => OF_NAMESPACE,
        "1" => OF_CONTROLLER,
        list if LISTS.contains(&list) => return data,
        _ => &[],
    };
    let plain = data.clone();
    pass.number(&mut data);
    for range in kept {
        let range = range.start.min(plain.len())..range.end.min(plain.len());
        data[range.clone()].copy_from_slice(&plain[range]);
    }
    data
}

/// The part of a disk that has the name of its array; nothing else is read of disks.
fn superblock(pass: &mut Pass, mut bytes: Vec<u8>) -> Vec<u8> {
    let is_superblock = bytes.len() == ARRAY_NAME.end && bytes.starts_with(&ARRAY_MAGIC);
    if !is_superblock {
        pass.number(&mut bytes);
        return bytes;
    }
    if let Ok(uuid) = <[u8; 16]>::try_from(&bytes[ARRAY_UUID]) {
        bytes[ARRAY_UUID].copy_from_slice(&pass.uuid(uuid));
    }
    let end = bytes[ARRAY_NAME].iter().position(|byte| *byte == 0);
    let end = ARRAY_NAME.start + end.unwrap_or(ARRAY_NAME.len());
    let name = String::from_utf8_lossy(&bytes[ARRAY_NAME.start..end]).into_owned();
    let masked = udev::array_name(pass, &name);
    if masked.len() == end - ARRAY_NAME.start {
        bytes[ARRAY_NAME.start..end].copy_from_slice(masked.as_bytes());
    } else {
        pass.number(&mut bytes[ARRAY_NAME]);
    }
    // What is behind the name's end.
    pass.number(&mut bytes[end..]);
    bytes
}

/// Each text in it.
fn each_text(value: Value, mut mask: impl FnMut(&str) -> String) -> Value {
    fn inner(value: Value, mask: &mut dyn FnMut(&str) -> String) -> Value {
        match value {
            Value::String(text) => Value::String(mask(&text)),
            Value::Array(values) => values.into_iter().map(|value| inner(value, mask)).collect(),
            _ => Value::Null,
        }
    }
    inner(value, &mut mask)
}

/// Bytes, recorded as hexadecimal text.
fn bytes(value: Value, mask: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Value {
    match value.as_str().and_then(hex::decode) {
        Some(bytes) => Value::String(hex::encode(&mask(bytes))),
        None => Value::Null,
    }
}

/// The form of an answer without what it says.
fn unknown(pass: &mut Pass, value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(pass.serial(&text)),
        Value::Number(_) if matches!(pass, Pass::Mask(_)) => Value::from(0),
        Value::Array(values) => values
            .into_iter()
            .map(|value| unknown(pass, value))
            .collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| {
                let value = unknown(pass, value);
                (pass.serial(&name), value)
            })
            .collect(),
        other => other,
    }
}
