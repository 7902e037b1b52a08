//! The part of a plan that an NVMe drive does by itself.

use farrier_plugin::chain;

use crate::erase::drive::nvme::identify::Facts;
use crate::erase::flags::EraseFlags;
use crate::erase::method::{Method, Sanitize, Scope};
use crate::erase::plan::{Plan, Planned};
use crate::sys::root::Root;

/// Add what this namespace's controller can do. `may_erase` says of the device of another namespace
/// whether it is to be erased too.
pub(super) fn add(
    plan: &mut Plan,
    root: &Root,
    flags: &EraseFlags,
    may_erase: &dyn Fn(&str) -> bool,
) {
    let facts = match Facts::read(root, &plan.device.name) {
        Ok(Some(facts)) => facts,
        Ok(None) => return,
        Err(error) if flags.nvme_secure_erase => {
            // Where there is a controller, it has to answer.
            return plan.block("NVMe format and sanitize", chain(&error));
        }
        Err(_) => return,
    };
    plan.subsystem = Some(facts.subsystem.clone());
    plan.namespace = Some(facts.namespace);
    if !flags.nvme_secure_erase {
        plan.leave_out(
            "NVMe format and sanitize",
            "agent_enable_nvme_secure_erase is false".to_owned(),
        );
        return tell_unattached(plan, &facts, false);
    }
    let controller = facts.controller;
    let protected: Vec<&str> = facts
        .devices
        .iter()
        .map(String::as_str)
        .filter(|device| *device != plan.device.name && !may_erase(device))
        .collect();
    let mut reaches_all = false;
    if !controller.format {
        plan.leave_out("NVMe format", "the controller does not have it".to_owned());
    } else if controller.format_is_of_all && !protected.is_empty() {
        plan.leave_out("NVMe format", too_wide(&protected));
    } else {
        let crypto = controller.format_crypto;
        let reason = if crypto {
            "the controller can change the key that all data is stored with"
        } else {
            "the controller can erase all user data, and has no key to change"
        };
        reaches_all |= controller.format_is_of_all;
        push(
            plan,
            &facts,
            Method::NvmeFormat { crypto },
            controller.format_is_of_all,
            reason,
        );
    }
    if !controller.sanitizes() {
        plan.leave_out(
            "NVMe sanitize",
            "the controller does not have it".to_owned(),
        );
    } else if protected.is_empty() {
        let actions = [
            (controller.sanitize_crypto, Sanitize::Crypto),
            (controller.sanitize_block, Sanitize::Block),
            // It takes as long as writing; with either of the others it is of no use.
            (
                controller.sanitize_overwrite
                    && !controller.sanitize_crypto
                    && !controller.sanitize_block,
                Sanitize::Overwrite,
            ),
        ];
        for (_, action) in actions.into_iter().filter(|(can, _)| *can) {
            reaches_all = true;
            push(
                plan,
                &facts,
                Method::NvmeSanitize(action),
                true,
                "where a format fails: the controller has it, and it reaches every namespace",
            );
        }
    } else {
        plan.leave_out("NVMe sanitize", too_wide(&protected));
    }
    tell_unattached(plan, &facts, reaches_all);
}

fn push(plan: &mut Plan, facts: &Facts, method: Method, is_wide: bool, reason: &str) {
    let (scope, covers) = if is_wide {
        // Its own device first: it is that one's turn.
        let own = plan.device.name.clone();
        let others = facts
            .devices
            .iter()
            .filter(|device| **device != own)
            .cloned();
        (
            Scope::Subsystem,
            std::iter::once(own.clone()).chain(others).collect(),
        )
    } else {
        (Scope::Namespace, vec![plan.device.name.clone()])
    };
    plan.methods.push(Planned {
        method,
        scope,
        covers,
        reason: reason.to_owned(),
    });
}

fn too_wide(protected: &[&str]) -> String {
    format!(
        "it would erase {} too, which is not to be erased",
        protected.join(", ")
    )
}

/// A namespace that no device shows holds data that only a method of the whole subsystem reaches.
fn tell_unattached(plan: &mut Plan, facts: &Facts, reaches_all: bool) {
    if facts.without_device.is_empty() || reaches_all {
        return;
    }
    let numbers: Vec<String> = facts.without_device.iter().map(u32::to_string).collect();
    plan.leave_out(
        "namespaces without a device",
        format!(
            "the subsystem has namespace(s) {}, which are not attached and which no planned method \
             reaches",
            numbers.join(", ")
        ),
    );
}

#[cfg(test)]
mod tests {
    use farrier_plugin::{BlockDevice, Node};

    use super::*;
    use crate::sys::hex;
    use crate::sys::recording::Recording;

    /// Two namespaces of one controller; identify pages composed by hand after the specification.
    fn machine(oacs: u16, fna: u8, sanicap: u16) -> Recording {
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
}
