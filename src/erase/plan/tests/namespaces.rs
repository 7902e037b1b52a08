//! Plans for namespaces of NVMe, by recordings of controllers.

use farrier_plugin::{BlockDevice, Node};

use crate::erase::flags::EraseFlags;
use crate::erase::method::category::Storage;
use crate::erase::method::{Method, Sanitize, Scope};
use crate::erase::plan::Plan;
use crate::sys::hex;
use crate::sys::recording::Recording;

/// Two namespaces of one controller; identify pages composed by hand after the specification.
fn machine(oacs: u16, fna: u8, sanicap: u16) -> Recording {
    let recording = unsaid(oacs, fna, sanicap);
    recording.add("/sys/block/nvme0n1/device/transport = pcie");
    recording
}

/// The same without a word of what the controller is on.
fn unsaid(oacs: u16, fna: u8, sanicap: u16) -> Recording {
    let recording = Recording::unpack(
        "/sys/block/nvme0n1/nsid = 1\n\
         /sys/block/nvme0n1/device/subsysnqn = nqn.a\n\
         /sys/block/nvme0n2/nsid = 2\n\
         /sys/block/nvme0n2/device/subsysnqn = nqn.a",
    );
    let mut page = vec![0; 525];
    page[256..258].copy_from_slice(&oacs.to_le_bytes());
    page[328..330].copy_from_slice(&sanicap.to_le_bytes());
    page[524] = fna;
    recording.add(&format!(
        "/recorded/nvme.json = {{\"/dev/nvme0n1 identify 1 0\": \"{}\", \
         \"/dev/nvme0n1 identify 16 0\": \"010000000200000007000000\"}}",
        hex::encode(&page)
    ));
    recording
}

fn plan(machine: &Recording, flags: &EraseFlags, may_erase: bool) -> Plan {
    let device = BlockDevice {
        name: "/dev/nvme0n1".to_owned(),
        tran: Some("nvme".to_owned()),
        ..BlockDevice::default()
    };
    Plan::for_device(&machine.root(), &device, flags, &|_| may_erase).unwrap()
}

fn flags() -> EraseFlags {
    EraseFlags::from_node(&Node::default()).unwrap()
}

fn methods(plan: &Plan) -> Vec<(Method, Scope, usize)> {
    plan.methods
        .iter()
        .map(|planned| (planned.method, planned.scope, planned.covers.len()))
        .collect()
}

const OVERWRITE: Method = Method::Overwrite {
    random_passes: 1,
    zero_pass: true,
};

#[test]
fn crypto_comes_first_and_nothing_weaker_follows_unless_allowed() {
    let machine = machine(0b1010, 0b100, 0b11);
    let plan_ = plan(&machine, &flags(), true);
    assert_eq!(
        methods(&plan_),
        [
            (Method::NvmeFormat { crypto: true }, Scope::Namespace, 1),
            (Method::NvmeSanitize(Sanitize::Crypto), Scope::Subsystem, 2),
            (Method::NvmeSanitize(Sanitize::Block), Scope::Subsystem, 2),
        ]
    );
    assert!(
        plan_
            .left_out
            .iter()
            .any(|left_out| left_out.method == "overwrite")
    );
    let allowed = EraseFlags {
        continue_if_secure_erase_failed: true,
        ..flags()
    };
    assert_eq!(plan(&machine, &allowed, true).methods[3].method, OVERWRITE);
}

#[test]
fn a_discard_stands_in_where_a_site_wants_it_and_the_device_has_it() {
    let machine = machine(0b10, 0, 0);
    let wanted = EraseFlags {
        discard: Some(true),
        ..flags()
    };
    assert_eq!(methods(&plan(&machine, &wanted, true)).len(), 1);
    machine.add(
        "/sys/block/nvme0n1/queue/discard_max_bytes = 2199023255040\n\
         /sys/block/nvme0n1/queue/discard_granularity = 4096",
    );
    assert_eq!(methods(&plan(&machine, &flags(), true)).len(), 1);
    let found: Vec<String> = plan(&machine, &wanted, true)
        .methods
        .iter()
        .map(|planned| planned.method.to_string())
        .collect();
    assert_eq!(
        found,
        [
            "NVMe format with user data erase",
            "secure discard",
            "discard"
        ]
    );
}

#[test]
fn an_express_erase_is_a_format_or_the_metadata() {
    let device = BlockDevice {
        name: "/dev/nvme0n1".to_owned(),
        ..BlockDevice::default()
    };
    let express = |machine: &Recording, flags: &EraseFlags| {
        let plan = Plan::for_express(&machine.root(), &device, flags, &|_| true);
        assert!(plan.refusal().is_none() && plan.falls_back);
        plan.methods
            .iter()
            .map(|planned| planned.method)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        express(&machine(0b10, 0, 0b111), &flags()),
        [Method::NvmeFormat { crypto: false }, Method::Metadata]
    );
    assert_eq!(express(&machine(0, 0, 0b111), &flags()), [Method::Metadata]);
    let silent = Recording::unpack("/sys/block/nvme0n1/nsid = 1");
    assert_eq!(express(&silent, &flags()), [Method::Metadata]);
    let off = EraseFlags {
        nvme_secure_erase: false,
        ..flags()
    };
    assert_eq!(express(&machine(0b10, 0, 0), &off), [Method::Metadata]);
}

#[test]
fn what_reaches_a_protected_namespace_is_not_offered() {
    let plan_ = plan(&machine(0b1010, 0, 0b10), &flags(), false);
    assert_eq!(
        methods(&plan_),
        [(Method::NvmeFormat { crypto: false }, Scope::Namespace, 1)]
    );
    let told = plan_.to_json().to_string();
    assert!(told.contains("would erase /dev/nvme0n2 too"), "{told}");
    assert!(told.contains("namespace(s) 7"), "{told}");
    // Where the format is one of all namespaces, only writing is left.
    let plan_ = plan(&machine(0b10, 0b10, 0b10), &flags(), false);
    assert_eq!(methods(&plan_), [(OVERWRITE, Scope::Device, 1)]);
}

#[test]
fn a_format_of_all_namespaces_is_planned_as_such() {
    let plan_ = plan(&machine(0b1010, 0b10, 0), &flags(), true);
    assert_eq!(
        methods(&plan_),
        [(Method::NvmeFormat { crypto: false }, Scope::Subsystem, 2)]
    );
    let told = plan_.to_json().to_string();
    assert!(!told.contains("namespace(s) 7"), "{told}");
}

#[test]
fn a_controller_that_can_do_nothing_or_must_not_is_overwritten() {
    assert_eq!(
        plan(&machine(0, 0, 0), &flags(), true).methods[0].method,
        OVERWRITE
    );
    let off = EraseFlags {
        nvme_secure_erase: false,
        ..flags()
    };
    let plan_ = plan(&machine(0b1010, 0b100, 0b11), &off, true);
    assert_eq!(methods(&plan_), [(OVERWRITE, Scope::Device, 1)]);
}

#[test]
fn a_controller_that_does_not_answer_is_not_overwritten_in_silence() {
    let machine = Recording::unpack("/sys/block/nvme0n1/nsid = 1");
    let plan_ = plan(&machine, &flags(), true);
    assert!(plan_.methods.is_empty());
    assert!(
        plan_
            .refusal()
            .unwrap()
            .to_string()
            .contains("fallback to shred is not enabled")
    );
}

/// What others have in a storage system's subsystem is not shown here, so that nobody could say whether it may go.
#[test]
fn a_storage_system_is_told_to_erase_the_namespace_alone() {
    let shared = "the subsystem is on a network";
    let remote = "/sys/block/nvme0n1/device/transport = tcp";
    // Several ways: the controllers are in the subsystem.
    let ways = "/sys/block/nvme0n1/device/nvme0/transport = pcie\n/sys/block/nvme0n1/device/nvme1/transport = rdma";
    for transport in [remote, ways, "/sys/block/nvme0n1/device/"] {
        let machine = unsaid(0b1010, 0b100, 0b11);
        machine.add(transport);
        let plan_ = plan(&machine, &flags(), true);
        let crypto = Method::NvmeFormat { crypto: true };
        assert_eq!(
            methods(&plan_),
            [(crypto, Scope::Namespace, 1)],
            "{transport}"
        );
        let sanitize = plan_
            .left_out
            .iter()
            .find(|left_out| left_out.method == "NVMe sanitize");
        assert!(sanitize.unwrap().reason.contains(shared));
        // What the storage system does with its media, nobody knows here.
        assert_eq!(plan_.storage, Storage::Unknown);
        let told = plan_.to_json();
        assert_eq!(told["methods"][0]["category"], "none", "{told}");
    }
    // A format that is one of all namespaces; what is left is to overwrite this one.
    let remote_ = unsaid(0b1010, 0b101, 0b11);
    remote_.add(remote);
    assert_eq!(
        methods(&plan(&remote_, &flags(), true)),
        [(OVERWRITE, Scope::Device, 1)]
    );
    let local = plan(&machine(0b1010, 0b100, 0b11), &flags(), true);
    assert_eq!(local.storage, Storage::Nvme);
    assert_eq!(local.to_json()["methods"][0]["category"], "purge");
}
