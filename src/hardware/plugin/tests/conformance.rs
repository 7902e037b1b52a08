//! What a vendor is told of a plugin.

use super::*;

#[test]
fn a_vendor_is_told_what_a_plugin_does_wrong() {
    let faults = |mode: &str| -> Vec<String> {
        let site = Site::new(mode);
        check(&site.folder.path().join("faulty"))
            .into_iter()
            .filter_map(|finding| Some(format!("{}: {}", finding.what, finding.fault?)))
            .collect()
    };
    assert_eq!(faults("well"), Vec::<String>::new());
    for (mode, told) in [
        ("exits_at_start", "it introduces itself: "),
        ("step_without_priority", "missing field `priority`"),
        ("changes_version", "after a restart: name, version"),
    ] {
        let faults = faults(mode);
        assert!(
            faults.iter().any(|fault| fault.contains(told)),
            "{faults:?}"
        );
    }
}
