//! A step as it is called, and which manager's is reported when several offer one of the same name
//! (contract/control-plane 7.4).

use std::collections::BTreeMap;

use farrier_plugin::{Node, Port, Step, StepArguments};

use crate::deploy::ImageInfo;

/// One step as the conductor asks for it.
#[derive(Clone, Copy)]
pub(crate) struct StepCall<'a> {
    /// Its name.
    pub name: &'a str,
    /// The node that this machine is.
    pub node: &'a Node,
    /// The node's ports.
    pub ports: &'a [Port],
    /// What it is given, as it came: a plugin reads this alone.
    pub arguments: &'a StepArguments,
    /// The `image_info` among the arguments, already taken apart; the agent's own manager reads this alone.
    /// `None` where there is none.
    pub image: Option<&'a ImageInfo>,
}

/// The steps that one manager offers.
pub(super) struct Offer<'a> {
    /// The manager's class name.
    pub(super) class_name: &'a str,
    /// Its support level.
    pub(super) level: u32,
    /// Its steps.
    pub(super) steps: Vec<Step>,
}

/// The steps to report, by class name; a manager without a winning step is absent.
///
/// Steps compete by name alone, whatever their interface. The highest support level wins, then the
/// highest priority, then the class name that comes first. This decides what is reported; which
/// manager runs the step is dispatch's decision.
pub(super) fn winners(offers: Vec<Offer<'_>>) -> BTreeMap<String, Vec<Step>> {
    let mut best: BTreeMap<String, Rank<'_>> = BTreeMap::new();
    for offer in &offers {
        for step in &offer.steps {
            let rank = Rank::of(offer, step);
            let winner = best.entry(step.step.clone()).or_insert(rank);
            *winner = (*winner).min(rank);
        }
    }
    let mut winners: BTreeMap<String, Vec<Step>> = BTreeMap::new();
    for offer in offers {
        for step in offer.steps {
            let rank = Rank {
                level: std::cmp::Reverse(offer.level),
                priority: std::cmp::Reverse(step.priority),
                class_name: offer.class_name,
            };
            // Taken out, so that a manager which offers one step twice reports it once.
            if best.get(&step.step) == Some(&rank) {
                best.remove(&step.step);
                winners
                    .entry(offer.class_name.to_owned())
                    .or_default()
                    .push(step);
            }
        }
    }
    winners
}

/// Where a step stands among those of its name: the smallest wins.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
struct Rank<'a> {
    level: std::cmp::Reverse<u32>,
    priority: std::cmp::Reverse<i64>,
    class_name: &'a str,
}

impl<'a> Rank<'a> {
    fn of(offer: &Offer<'a>, step: &Step) -> Self {
        Self {
            level: std::cmp::Reverse(offer.level),
            priority: std::cmp::Reverse(step.priority),
            class_name: offer.class_name,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn step(name: &str, priority: i64, interface: &str) -> Step {
        Step {
            step: name.to_owned(),
            priority,
            interface: interface.to_owned(),
            reboot_requested: false,
            abortable: Some(true),
            argsinfo: None,
        }
    }

    fn offer<'a>(class_name: &'a str, level: u32, steps: &[(&str, i64)]) -> Offer<'a> {
        Offer {
            class_name,
            level,
            steps: steps
                .iter()
                .map(|(name, priority)| step(name, *priority, "deploy"))
                .collect(),
        }
    }

    fn names(winners: &BTreeMap<String, Vec<Step>>) -> Vec<(&str, &str, i64)> {
        winners
            .iter()
            .flat_map(|(class, steps)| {
                steps
                    .iter()
                    .map(move |step| (class.as_str(), step.step.as_str(), step.priority))
            })
            .collect()
    }

    #[test]
    fn the_level_beats_the_priority() {
        let winners = winners(vec![
            offer("Generic", 1, &[("erase_devices", 99), ("erase_pstore", 0)]),
            offer("Vendor", 2, &[("erase_devices", 1)]),
        ]);
        assert_eq!(
            names(&winners),
            [
                ("Generic", "erase_pstore", 0),
                ("Vendor", "erase_devices", 1)
            ]
        );
    }

    #[test]
    fn then_the_priority_then_the_class_name() {
        let by_priority = winners(vec![
            offer("A", 2, &[("update", 1)]),
            offer("B", 2, &[("update", 5)]),
        ]);
        assert_eq!(names(&by_priority), [("B", "update", 5)]);
        let by_name = winners(vec![
            offer("B", 2, &[("update", 5)]),
            offer("A", 2, &[("update", 5)]),
        ]);
        assert_eq!(names(&by_name), [("A", "update", 5)]);
    }

    #[test]
    fn the_interface_does_not_tell_steps_apart() {
        let winners = winners(vec![
            Offer {
                class_name: "A",
                level: 1,
                steps: vec![step("create", 1, "raid")],
            },
            Offer {
                class_name: "B",
                level: 1,
                steps: vec![step("create", 2, "deploy")],
            },
        ]);
        assert_eq!(names(&winners), [("B", "create", 2)]);
    }

    #[test]
    fn a_step_offered_twice_by_one_manager_is_reported_once() {
        let winners = winners(vec![offer("A", 1, &[("x", 1), ("x", 3), ("x", 3)])]);
        assert_eq!(names(&winners), [("A", "x", 3)]);
    }

    proptest! {
        #[test]
        fn every_name_is_reported_exactly_once(
            offers in proptest::collection::vec(
                ("[A-C]", 1_u32..4, proptest::collection::vec(("[x-z]", 0_i64..3), 0..4)),
                0..5,
            ).prop_map(|offers| offers)
        ) {
            let reported = winners(
                offers
                    .iter()
                    .map(|(class_name, level, steps)| Offer {
                        class_name,
                        level: *level,
                        steps: steps
                            .iter()
                            .map(|(name, priority)| step(name, *priority, "deploy"))
                            .collect(),
                    })
                    .collect(),
            );
            let mut seen: Vec<&str> = reported
                .values()
                .flatten()
                .map(|step| step.step.as_str())
                .collect();
            seen.sort_unstable();
            let mut expected: Vec<&str> = offers
                .iter()
                .flat_map(|(_, _, steps)| steps.iter().map(|(name, _)| name.as_str()))
                .collect();
            expected.sort_unstable();
            expected.dedup();
            prop_assert_eq!(seen, expected);
            prop_assert!(reported.values().all(|steps| !steps.is_empty()));
        }
    }
}
