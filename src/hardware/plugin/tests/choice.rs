//! Which plugins a site starts, and which it cannot do without.

use super::*;
use crate::hardware::StepCall;

#[test]
fn a_required_manager_that_is_missing_stops_the_steps_by_name() {
    let required = |mode: &str, name: &str| {
        let mut site = Site::new(mode);
        site.options.required_hardware_managers = vec![name.to_owned()];
        let managers = managers(&site);
        let error = clean_steps(&managers).err().map(|error| error.to_string());
        let step = managers
            .execute_step(
                &SilentContext,
                StepKind::Clean,
                &StepCall {
                    name: "erase_devices",
                    node: &Node::default(),
                    ports: &[],
                    arguments: &StepArguments::default(),
                    image: None,
                },
            )
            .err()
            .map(|error| error.to_string());
        if error.is_some() {
            assert_eq!(step, error);
        }
        error
    };
    for name in ["faulty", "FaultyHardwareManager", "GenericHardwareManager"] {
        assert_eq!(required("well", name), None);
    }
    for (mode, name, why) in [
        (
            "well",
            "flash_card",
            "flash_card: there is no such plugin in",
        ),
        ("exits_at_start", "faulty", "exit status 1"),
        (
            "supports_nothing",
            "faulty",
            "says that it does not support this machine",
        ),
    ] {
        let told = required(mode, name).unwrap();
        assert!(told.contains(why), "{told}");
    }
}

/// Its steps would be taken for the generic manager's, and its answers for none.
#[test]
fn no_plugin_passes_for_the_agents_own_manager() {
    let site = Site::new("well");
    site.add("generic", "well");
    let installed = site.installed();
    assert_eq!(installed.running().len(), 1);
    let refused = &installed.refused()[0];
    assert_eq!(refused.name, "generic");
    assert!(refused.why.contains("the same class name"), "{refused:?}");
}

#[test]
fn options_choose_and_order_the_managers() {
    let mut site = Site::new("well");
    site.add("second", "well");
    site.add("third", "well");
    let names = |site: &Site| -> Vec<String> {
        let installed = site.installed();
        installed
            .running()
            .iter()
            .map(|manager| manager.name().to_owned())
            .collect()
    };
    assert_eq!(names(&site), ["faulty", "second", "third"]);
    site.options.disabled_hardware_managers = vec!["second".to_owned()];
    assert_eq!(names(&site), ["faulty", "third"]);
    site.options.enabled_hardware_managers = vec!["third".to_owned(), "faulty".to_owned()];
    assert_eq!(names(&site), ["third", "faulty"]);
    assert_eq!(site.count("starts"), 3);

    let roster = managers(&site).roster();
    let told: Vec<_> = roster
        .iter()
        .map(|entry| (entry.plugin.as_deref(), entry.level))
        .collect();
    assert_eq!(told, [(Some("third"), 3), (Some("faulty"), 3), (None, 1)]);
}
