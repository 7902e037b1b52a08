//! Starting several plugins.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// Each waits for all to be asked the same before it answers. The managers of one support level have no order
/// among themselves, so that none waits for another. How long that takes is measured in the lab: here a
/// time would be that of the tests beside this one.
#[test]
fn plugins_start_side_by_side() {
    let site = Site::new("waits_for_all");
    site.add("second", "waits_for_all");
    site.add("third", "waits_for_all");
    let managers = managers(&site);
    assert!(managers.refused().is_empty(), "{:?}", managers.refused());
    managers.initialize(&SilentContext);
    for name in ["faulty", "second", "third"] {
        let file = site.folder.path().join(name).join("initialized");
        assert_eq!(fs::read(file).unwrap(), b"x", "{name}");
    }
}

#[test]
fn one_that_hangs_in_evaluate_is_left_out_by_name() {
    let mut site = Site::new("hangs_in_evaluate");
    site.add("second", "well");
    site.options.required_hardware_managers = vec!["faulty".to_owned()];
    let installed = site.installed_within(Limits {
        // Long enough for the other one on a machine that is busy.
        question: Deadline {
            limit: Duration::from_secs(5),
            grace: Duration::from_secs(1),
        },
        ..site.limits()
    });
    let managers = managers_of(&site, installed);
    let told = "The hardware manager faulty did not answer evaluate_hardware_support within 5 s";
    let names: Vec<String> = managers
        .roster()
        .into_iter()
        .map(|entry| entry.class_name)
        .collect();
    assert_eq!(names, ["SecondHardwareManager", "GenericHardwareManager"]);
    let refused = managers.refused();
    assert_eq!(refused[0].name, "faulty");
    assert!(refused[0].why.starts_with(told), "{refused:?}");
    let error = clean_steps(&managers).unwrap_err().to_string();
    assert!(error.contains(told), "{error}");
}

#[test]
fn what_others_can_write_is_refused_and_the_others_start() {
    let site = Site::new("well");
    site.add("second", "well");
    let program = site.folder.path().join("faulty/plugin");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o757)).unwrap();
    let installed = site.installed();
    assert_eq!(installed.running().len(), 1);
    assert_eq!(installed.running()[0].name(), "second");
    let refused = &installed.refused()[0];
    assert_eq!(refused.name, "faulty");
    assert!(refused.why.contains("nobody else may write to it"));
    assert_eq!(site.count("starts"), 0);
}
