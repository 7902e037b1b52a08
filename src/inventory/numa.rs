//! NUMA nodes with their memory, processors and network cards, for the collector `numa-topology`.

use std::collections::BTreeMap;

use serde::Serialize;
use tracing::debug;

use crate::inventory::InventoryError;
use crate::sys::root::Root;

const NODES: &str = "/sys/devices/system/node";
const NET: &str = "/sys/class/net";

/// The topology as the conductor stores it (contract/data-plane 9.4).
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct NumaTopology {
    /// Memory of each node.
    pub ram: Vec<NodeMemory>,
    /// Cores, each with its threads.
    pub cpus: Vec<Core>,
    /// Network interfaces whose device has a place.
    pub nics: Vec<NodeInterface>,
}

/// How much memory a node has.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct NodeMemory {
    /// The node.
    pub numa_node: u32,
    /// KiB, 0 for a node without memory.
    pub size_kb: u64,
}

/// A core and the threads that share it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Core {
    /// The core's number in its socket, which the kernel calls `core_id`.
    pub cpu: i64,
    /// The node.
    pub numa_node: u32,
    /// The kernel's numbers of the threads (logical processors), ascending.
    pub thread_siblings: Vec<u32>,
}

/// Where a network interface is plugged in.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct NodeInterface {
    /// The interface.
    pub name: String,
    /// The node; -1 where the firmware does not say.
    pub numa_node: i64,
}

/// The topology, ordered by node, core and interface.
///
/// A thread that is offline has no `core_id` and is left out; the reference gives up on the whole
/// topology then, so that a server started with `nosmt` has none.
///
/// # Errors
///
/// A kernel without NUMA, or one whose files are not what the kernel documents. Half a topology
/// would pin processes to the wrong memory, so there is none then, as with the reference.
pub(crate) fn numa_topology(root: &Root) -> Result<NumaTopology, InventoryError> {
    let nodes = nodes(root)?;
    let ram = nodes
        .iter()
        .map(|node| {
            Ok(NodeMemory {
                numa_node: *node,
                size_kb: memory(root, *node)?,
            })
        })
        .collect::<Result<_, InventoryError>>()?;
    Ok(NumaTopology {
        ram,
        cpus: cores(root, &nodes)?,
        nics: interfaces(root)?,
    })
}

/// The numbers of the nodes, ascending.
pub(super) fn nodes(root: &Root) -> Result<Vec<u32>, InventoryError> {
    let mut nodes = Vec::new();
    for name in root.names(NODES) {
        // Not all that begins so is a node on every kernel, but what is a directory is.
        let Some(number) = name
            .strip_prefix("node")
            .filter(|_| root.is_dir(format!("{NODES}/{name}")))
        else {
            continue;
        };
        nodes.push(
            number
                .parse()
                .map_err(|_| malformed(root, format!("{NODES}/{name}"), "has no number"))?,
        );
    }
    if nodes.is_empty() {
        return Err(malformed(root, NODES.to_owned(), "lists no NUMA node"));
    }
    nodes.sort_unstable();
    Ok(nodes)
}

/// KiB of a node: the line `Node 0 MemTotal:  1560000 kB`.
fn memory(root: &Root, node: u32) -> Result<u64, InventoryError> {
    let path = format!("{NODES}/node{node}/meminfo");
    let text = read(root, &path)?;
    text.lines()
        .find(|line| line.contains("MemTotal"))
        .and_then(|line| kibibytes(line.split_once(':')?.1))
        .ok_or_else(|| malformed(root, path, "does not tell the total memory"))
}

/// The kernel has always written kB; the reference takes these two for possible as well.
fn kibibytes(amount: &str) -> Option<u64> {
    let (number, unit) = amount.trim().split_once(' ')?;
    let factor = match unit.trim() {
        "kB" | "KB" => 1,
        "MB" => 1 << 10,
        "GB" => 1 << 20,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

fn cores(root: &Root, nodes: &[u32]) -> Result<Vec<Core>, InventoryError> {
    let mut cores = BTreeMap::<(u32, i64), Vec<u32>>::new();
    for node in nodes {
        let folder = format!("{NODES}/node{node}");
        for name in root.names(&folder) {
            let Some(number) = name
                .strip_prefix("cpu")
                .filter(|_| root.is_dir(format!("{folder}/{name}")))
            else {
                continue;
            };
            let thread: u32 = number
                .parse()
                .map_err(|_| malformed(root, format!("{folder}/{name}"), "has no number"))?;
            let path = format!("{folder}/{name}/topology/core_id");
            if !root.exists(&path) {
                debug!(thread, node, "left out: an offline processor has no core");
                continue;
            }
            let core = read(root, &path)?
                .trim()
                .parse()
                .map_err(|_| malformed(root, path, "is no number"))?;
            cores.entry((*node, core)).or_default().push(thread);
        }
    }
    Ok(cores
        .into_iter()
        .map(|((numa_node, cpu), mut thread_siblings)| {
            thread_siblings.sort_unstable();
            Core {
                cpu,
                numa_node,
                thread_siblings,
            }
        })
        .collect())
}

fn interfaces(root: &Root) -> Result<Vec<NodeInterface>, InventoryError> {
    if !root.is_dir(NET) {
        return Err(InventoryError::NoSysfs {
            path: root.path(NET).display().to_string(),
        });
    }
    let mut interfaces = Vec::new();
    for name in root.names(NET) {
        let path = format!("{NET}/{name}/device/numa_node");
        if !root.exists(&path) {
            continue;
        }
        let numa_node = read(root, &path)?
            .trim()
            .parse()
            .map_err(|_| malformed(root, path, "is no number"))?;
        interfaces.push(NodeInterface { name, numa_node });
    }
    Ok(interfaces)
}

fn read(root: &Root, path: &str) -> Result<String, InventoryError> {
    root.text(path)
        .map_err(|source| InventoryError::Unreadable {
            path: root.path(path).display().to_string(),
            source,
        })
}

fn malformed(root: &Root, path: String, what: &'static str) -> InventoryError {
    InventoryError::Malformed {
        path: root.path(path).display().to_string(),
        what,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::sys::recording::Recording;

    const TWO_NODES: &str = "\
/sys/devices/system/node/online = 0-1
/sys/devices/system/node/node0/meminfo <<
Node 0 MemTotal:       98789012 kB
Node 0 MemFree:        97123456 kB
.
/sys/devices/system/node/node0/cpulist = 0,2
/sys/devices/system/node/node0/cpu0 -> ../../cpu/cpu0
/sys/devices/system/node/node0/cpu2 -> ../../cpu/cpu2
/sys/devices/system/node/node10/meminfo <<
Node 10 MemTotal:              0 kB
.
/sys/devices/system/node/node10/cpu1 -> ../../cpu/cpu1
/sys/devices/system/cpu/cpu0/topology/core_id = 0
/sys/devices/system/cpu/cpu1/topology/core_id = 0
/sys/devices/system/cpu/cpu2/topology/core_id = 0
/sys/class/net/lo/address = 00:00:00:00:00:00
/sys/class/net/eno1/device/numa_node = 0
/sys/class/net/eno2/device/numa_node = -1
";

    fn topology(listing: &str) -> Result<NumaTopology, InventoryError> {
        numa_topology(&Recording::unpack(listing).root())
    }

    /// What the reference makes of this tree was seen by running its functions on it.
    #[test]
    fn a_topology_is_the_references() {
        assert_eq!(
            serde_json::to_value(topology(TWO_NODES).unwrap()).unwrap(),
            json!({
                "ram": [{"numa_node": 0, "size_kb": 98_789_012}, {"numa_node": 10, "size_kb": 0}],
                "cpus": [
                    {"cpu": 0, "numa_node": 0, "thread_siblings": [0, 2]},
                    {"cpu": 0, "numa_node": 10, "thread_siblings": [1]},
                ],
                "nics": [{"name": "eno1", "numa_node": 0}, {"name": "eno2", "numa_node": -1}],
            })
        );
    }

    #[test]
    fn an_offline_thread_does_not_cost_the_topology() {
        let offline = TWO_NODES.replace("cpu2/topology/core_id = 0", "cpu2/online = 0");
        assert_eq!(topology(&offline).unwrap().cpus[0].thread_siblings, [0]);
    }

    #[test]
    fn what_cannot_be_read_leaves_no_topology() {
        assert!(topology("/sys/class/net/").is_err());
        for (is, becomes, named) in [
            ("MemTotal:              0", "Other: 0", "node10/meminfo"),
            ("              0 kB", " some kB", "node10/meminfo"),
            (
                "cpu1/topology/core_id = 0",
                "cpu1/topology/core_id = x",
                "core_id",
            ),
            (
                "numa_node = -1",
                "numa_node = none",
                "eno2/device/numa_node",
            ),
            ("node/node10/", "node/nodes/", "node/nodes"),
        ] {
            let error = topology(&TWO_NODES.replace(is, becomes)).unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
    }

    proptest! {
        #[test]
        fn an_amount_is_read_in_any_unit(number in 0u64..1 << 40, blanks in " {1,9}") {
            prop_assert_eq!(kibibytes(&format!("{blanks}{number} kB\n")), Some(number));
            prop_assert_eq!(kibibytes(&format!("{number} MB")), Some(number * 1024));
            prop_assert_eq!(kibibytes(&format!("{number}")), None);
        }

        #[test]
        fn any_amount_is_taken(text in ".{0,30}") {
            kibibytes(&text);
        }
    }
}
