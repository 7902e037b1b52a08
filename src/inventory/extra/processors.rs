//! Facts of the processors and the NUMA nodes, as lscpu tells them, which the reference runs.

use std::collections::{BTreeMap, BTreeSet};

use farrier_plugin::Cpu;
use serde_json::Value;

use super::fact::{Fact, Facts};
use crate::inventory::cpu::{cpu, parse_cpu_list, value};
use crate::inventory::{Smbios, arm, numa};
use crate::sys::root::Root;

const CPUS: &str = "/sys/devices/system/cpu";
const NODES: &str = "/sys/devices/system/node";

/// Sockets, logical processors, NUMA nodes.
pub(super) fn add(root: &Root, smbios: &Smbios, list: &mut Vec<Fact>) {
    let cpuinfo = root.text("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu(root, Some(smbios));
    let online = root
        .attribute(format!("{CPUS}/online"))
        .map(|list| parse_cpu_list(&list))
        .unwrap_or_else(|| (0..cpu.count).collect());
    let sockets = cpu.socket_count.unwrap_or(1);
    let mut physical = Facts::of(list, "cpu", "physical");
    physical.add("number", Some(sockets));
    physical.add("smt", root.attribute(format!("{CPUS}/smt/control")));
    let facts = socket_facts(root, &cpuinfo, &cpu, &online, sockets);
    for socket in 0..sockets {
        let mut own = Facts::of(list, "cpu", format!("physical_{socket}"));
        for (name, value) in &facts {
            own.add(name, Some(value.clone()));
        }
    }
    Facts::of(list, "cpu", "logical").add("number", Some(cpu.count));
    for number in &online {
        let governor = root
            .attribute(format!("{CPUS}/cpufreq/policy{number}/scaling_governor"))
            .or_else(|| root.attribute(format!("{CPUS}/cpu{number}/cpufreq/scaling_governor")));
        Facts::of(list, "cpu", format!("logical_{number}")).add("governor", governor);
    }
    add_nodes(root, list);
}

/// What is the same for all sockets: lscpu knows one kind of processor.
fn socket_facts(
    root: &Root,
    cpuinfo: &str,
    cpu: &Cpu,
    online: &BTreeSet<u32>,
    sockets: u32,
) -> Vec<(&'static str, Value)> {
    let text = |name: &str| value(cpuinfo, name).map(Value::from);
    let number = |name: &str| value(cpuinfo, name)?.parse::<u64>().ok().map(Value::from);
    // What lscpu says of an ARM processor has other names, or none, in /proc/cpuinfo.
    let design = arm::designs(cpuinfo).into_keys().next_back();
    let designer = design.and_then(arm::ArmDesign::designer);
    let siblings =
        |number: &u32| root.attribute(format!("{CPUS}/cpu{number}/topology/thread_siblings_list"));
    let all_cores: BTreeSet<String> = online.iter().filter_map(siblings).collect();
    let cores = u64::from((all_cores.len() as u32).max(1) / sockets.max(1)).max(1);
    let threads = all_cores
        .first()
        .map_or(1, |threads| parse_cpu_list(threads).len().max(1) as u64);
    let caches = caches(root, online);
    let cache = |level: &str| caches.get(level).cloned().map(Value::from);
    let boost = root
        .attribute(format!("{CPUS}/cpufreq/boost"))
        .map(|boost| Value::from(if boost == "1" { "enabled" } else { "disabled" }));
    let facts = [
        ("boost", boost),
        (
            "vendor",
            text("vendor_id").or_else(|| designer.map(Value::from)),
        ),
        (
            "product",
            text("model name").or_else(|| design.and(cpu.model_name.clone()).map(Value::from)),
        ),
        ("cores", Some(cores.into())),
        ("threads", Some((cores * threads).into())),
        ("family", number("cpu family")),
        ("model", number("model").or_else(|| number("CPU revision"))),
        (
            "stepping",
            number("stepping").or_else(|| arm_stepping(cpuinfo, designer?)),
        ),
        ("architecture", Some(cpu.architecture.as_str().into())),
        ("l1d cache", cache("1Data")),
        ("l1i cache", cache("1Instruction")),
        ("l2 cache", cache("2Unified")),
        ("l3 cache", cache("3Unified")),
        ("min_Mhz", frequency(root, online, "min", u64::min)),
        ("max_Mhz", frequency(root, online, "max", u64::max)),
        ("flags", text("flags").or_else(|| text("Features"))),
        ("threads_per_core", Some(threads.into())),
    ];
    facts
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// The variant and revision of a processor: `r3p1` of ARM's own designs, `0x1` of others.
fn arm_stepping(cpuinfo: &str, designer: &str) -> Option<Value> {
    let variant = value(cpuinfo, "CPU variant")?;
    if designer != "ARM" {
        return Some(variant.into());
    }
    let major = u8::from_str_radix(variant.strip_prefix("0x")?, 16).ok()?;
    let minor: u8 = value(cpuinfo, "CPU revision")?.parse().ok()?;
    Some(format!("r{major}p{minor}").into())
}

/// The least or greatest frequency of all processors in MHz.
fn frequency(
    root: &Root,
    online: &BTreeSet<u32>,
    end: &str,
    choose: fn(u64, u64) -> u64,
) -> Option<Value> {
    online
        .iter()
        .filter_map(|cpu| root.number(format!("{CPUS}/cpu{cpu}/cpufreq/cpuinfo_{end}_freq")))
        .reduce(choose)
        .map(|khz| Value::from(khz as f64 / 1000.0))
}

/// The caches by level and type: the size of all of one kind together, and how many they are.
fn caches(root: &Root, online: &BTreeSet<u32>) -> BTreeMap<String, String> {
    let mut instances = BTreeMap::<String, BTreeMap<String, u64>>::new();
    for cpu in online {
        let folder = format!("{CPUS}/cpu{cpu}/cache");
        for index in root.names(&folder) {
            let attribute = |name: &str| root.attribute(format!("{folder}/{index}/{name}"));
            let (Some(level), Some(kind), Some(size)) = (
                attribute("level"),
                attribute("type"),
                attribute("size").and_then(|size| cache_size(&size)),
            ) else {
                continue;
            };
            // A cache that is not shared may leave the list out.
            let shared = attribute("shared_cpu_list").unwrap_or_else(|| cpu.to_string());
            instances
                .entry(format!("{level}{kind}"))
                .or_default()
                .insert(shared, size);
        }
    }
    instances
        .into_iter()
        .map(|(kind, sizes)| {
            let total = sizes.values().copied().fold(0, u64::saturating_add);
            let plural = if sizes.len() == 1 { "" } else { "s" };
            let text = format!("{} ({} instance{plural})", size_text(total), sizes.len());
            (kind, text)
        })
        .collect()
}

/// Bytes of `32K`, as the kernel writes all of them.
fn cache_size(text: &str) -> Option<u64> {
    text.strip_suffix('K')?
        .parse::<u64>()
        .ok()?
        .checked_mul(1024)
}

/// `64 KiB`, `1.5 MiB`: at most two decimals, as lscpu writes it.
fn size_text(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let step = bytes.checked_ilog2().unwrap_or(0) / 10;
    let unit = 1u128 << (10 * step);
    let hundredths = (u128::from(bytes) * 1000 / unit + 5) / 10;
    let decimals = format!("{:02}", hundredths % 100);
    let decimals = decimals.trim_end_matches('0');
    let point = if decimals.is_empty() { "" } else { "." };
    format!(
        "{}{point}{decimals} {}",
        hundredths / 100,
        UNITS[step as usize]
    )
}

/// Which logical processors each node has.
fn add_nodes(root: &Root, list: &mut Vec<Fact>) {
    // A kernel without NUMA has no such facts.
    let Ok(nodes) = numa::nodes(root) else {
        return;
    };
    Facts::of(list, "numa", "nodes").add("count", Some(nodes.len()));
    for node in nodes {
        let attribute = |name: &str| root.attribute(format!("{NODES}/node{node}/{name}"));
        let mut facts = Facts::of(list, "numa", format!("node_{node}"));
        let cpus = attribute("cpulist").map_or(0, |list| parse_cpu_list(&list).len());
        facts.add("cpu_count", Some(cpus));
        let mask = attribute("cpumap").map(|map| {
            let digits = map.replace(',', "");
            match digits.trim_start_matches('0') {
                "" => "0".to_owned(),
                digits => digits.to_owned(),
            }
        });
        facts.add("cpu_mask", mask);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_lscpus() {
        for (bytes, text) in [
            (0, "0 B"),
            (65_536, "64 KiB"),
            (2 << 20, "2 MiB"),
            (3 << 19, "1.5 MiB"),
            (1310720, "1.25 MiB"),
            (1_362_944, "1.3 MiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(size_text(bytes), text);
        }
    }

    proptest! {
        #[test]
        fn any_size_has_a_text(bytes: u64, text in ".{0,9}") {
            prop_assert!(size_text(bytes).len() <= 11);
            cache_size(&text);
        }
    }
}
